//! The node's streams and clients, put together from what each shard sees of them.
//!
//! Pure: the asking is `collector`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edgerelay_proto::media::{AudioSummary, VideoSummary};

use crate::id::{ShardId, StreamKey};
use crate::message::{ClientRole, ClientSnapshot, ShardSnapshot, StreamSnapshot};

/// The whole node at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeSnapshot {
    /// Every stream, by application and name.
    pub(super) streams: BTreeMap<StreamKey, MergedStream>,
    /// Connections that carry no stream yet.
    pub(super) unattached: Vec<ClientSnapshot>,
    /// Shards that did not answer in time, and are missing from everything above.
    pub(super) shards_missing: Vec<ShardId>,
    /// Publishers and players by application. A shard that did not answer counts with what it said
    /// last.
    pub(super) clients_by_application: ClientCounts,
}

/// Publishers and players by application.
pub(super) type ClientCounts = BTreeMap<Arc<str>, u64>;

/// One stream over all shards.
#[derive(Clone, Debug, Default)]
pub(super) struct MergedStream {
    pub(super) publishing: bool,
    pub(super) age: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) bits_per_second_in: u64,
    pub(super) bits_per_second_out: u64,
    pub(super) audio_bits_per_second: u64,
    pub(super) video_bits_per_second: u64,
    pub(super) frames_in: u64,
    pub(super) log_bytes: u64,
    pub(super) video: Option<VideoSummary>,
    pub(super) audio: Option<AudioSummary>,
    /// Everyone on it, our own connections too, newest first.
    pub(super) clients: Vec<ClientSnapshot>,
}

impl MergedStream {
    /// What arrives, only a home shard counts; a stream that moved its home counts at both. What is
    /// sent, each shard counts for its own subscribers. So all of it adds up.
    fn add(&mut self, part: StreamSnapshot) {
        self.publishing |= part.publishing;
        self.age = self.age.max(part.age);
        self.bytes_out = self.bytes_out.saturating_add(part.bytes_out);
        self.bits_per_second_out =
            self.bits_per_second_out.saturating_add(part.bits_per_second_out);
        self.log_bytes = self.log_bytes.saturating_add(part.log_bytes);
        if part.home {
            self.bytes_in = self.bytes_in.saturating_add(part.bytes_in);
            self.frames_in = self.frames_in.saturating_add(part.frames_in);
            self.bits_per_second_in =
                self.bits_per_second_in.saturating_add(part.bits_per_second_in);
            self.audio_bits_per_second =
                self.audio_bits_per_second.saturating_add(part.audio_bits_per_second);
            self.video_bits_per_second =
                self.video_bits_per_second.saturating_add(part.video_bits_per_second);
            self.video = part.video.or(self.video.take());
            self.audio = part.audio.or(self.audio.take());
        } else {
            self.video = self.video.take().or(part.video);
            self.audio = self.audio.take().or(part.audio);
        }
    }

    /// Publishers and players, without our own connections.
    pub(super) fn clients_foreign(&self) -> u64 {
        self.clients.iter().filter(|client| counts(client)).count() as u64
    }
}

impl NodeSnapshot {
    /// Puts together what the shards said.
    pub(super) fn merge(parts: impl IntoIterator<Item = ShardSnapshot>) -> Self {
        let mut node = Self::default();
        for part in parts {
            for stream in part.streams {
                node.streams.entry(stream.stream.clone()).or_default().add(stream);
            }
            for client in part.clients {
                match &client.stream {
                    Some(key) => {
                        node.streams.entry(key.clone()).or_default().clients.push(client);
                    }
                    None => node.unattached.push(client),
                }
            }
        }
        for stream in node.streams.values_mut() {
            stream.clients.sort_by_key(|client| (client.age, client.id));
        }
        node.unattached.sort_by_key(|client| (client.age, client.id));
        node
    }

    /// Every connection, streams in order of their names.
    pub(super) fn clients(&self) -> impl Iterator<Item = &ClientSnapshot> {
        self.streams.values().flat_map(|stream| &stream.clients).chain(&self.unattached)
    }
}

/// Publishers and players of one shard by application.
pub(super) fn count_clients(part: &ShardSnapshot) -> ClientCounts {
    let mut counted = ClientCounts::new();
    for client in part.clients.iter().filter(|client| counts(client)) {
        if let Some(key) = &client.stream {
            *counted.entry(Arc::clone(&key.app)).or_default() += 1;
        }
    }
    counted
}

/// Whether somebody else's publisher or player: what a scaler may count.
fn counts(client: &ClientSnapshot) -> bool {
    matches!(client.role, ClientRole::Publisher | ClientRole::Player)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_stream_on_two_shards_is_one_stream() {
        let key = StreamKey::new("live", "cam1");
        let home = sample::stream(&key, true);
        let mut other = sample::stream(&key, false);
        other.bytes_in = 999_999;
        other.age = Duration::from_secs(9999);
        let node = NodeSnapshot::merge([
            ShardSnapshot {
                streams: vec![other],
                clients: vec![sample::client(1, 7, ClientRole::Player, Some(&key))],
            },
            ShardSnapshot {
                streams: vec![home.clone()],
                clients: vec![sample::client(0, 1, ClientRole::Publisher, Some(&key))],
            },
        ]);
        assert_eq!(node.streams.len(), 1);
        let merged = &node.streams[&key];
        assert_eq!(merged.bytes_in, home.bytes_in, "only the home shard receives");
        assert_eq!(merged.bytes_out, 2 * home.bytes_out);
        assert_eq!(merged.age, Duration::from_secs(9999));
        assert_eq!(merged.clients.len(), 2);
        assert!(merged.publishing);
        assert!(merged.video.is_some());
    }

    #[test]
    fn clients_come_newest_first() {
        let key = StreamKey::new("live", "cam1");
        let mut old = sample::client(0, 1, ClientRole::Publisher, Some(&key));
        old.age = Duration::from_secs(90);
        let mut new = sample::client(0, 2, ClientRole::Player, Some(&key));
        new.age = Duration::from_secs(1);
        let part = ShardSnapshot { streams: Vec::new(), clients: vec![old, new.clone()] };
        let node = NodeSnapshot::merge([part]);
        assert_eq!(node.streams[&key].clients[0].id, new.id);
    }

    #[test]
    fn our_own_connections_and_idle_ones_are_nobodys_clients() {
        let key = StreamKey::new("live", "cam1");
        let part = ShardSnapshot {
            streams: Vec::new(),
            clients: vec![
                sample::client(0, 1, ClientRole::Publisher, Some(&key)),
                sample::client(0, 2, ClientRole::Player, Some(&key)),
                sample::client(0, 3, ClientRole::Push, Some(&key)),
                sample::client(0, 4, ClientRole::Pull, Some(&key)),
                sample::client(0, 5, ClientRole::Idle, None),
            ],
        };
        assert_eq!(count_clients(&part), ClientCounts::from([("live".into(), 2)]));
        let node = NodeSnapshot::merge([part]);
        assert_eq!(node.streams[&key].clients_foreign(), 2);
        assert_eq!(node.clients().count(), 5);
    }
}
