//! Describes a shard's streams and clients for the control plane.

use super::Shard;
use super::connection::Connection;
use super::state::State;
use super::stream::Source;
use crate::message::{ClientSnapshot, ShardSnapshot};

impl State {
    pub(super) fn snapshot(&self, shard: &Shard) -> ShardSnapshot {
        let now = shard.now();
        let streams = self.streams.iter().map(|(_, entry)| {
            let home = entry.publication.is_some_and(|it| it.source != Source::Remote);
            entry.stream.snapshot(now, &entry.key, home)
        });
        let clients = self.connections.iter().map(|(_, it)| self.client(shard, it));
        ShardSnapshot { streams: streams.collect(), clients: clients.collect() }
    }

    fn client(&self, shard: &Shard, connection: &Connection) -> ClientSnapshot {
        let entry = connection.role.stream().and_then(|stream| self.streams.get(stream));
        let stats = connection.role.subscription().and_then(|(_, subscriber)| {
            entry.and_then(|entry| entry.stream.subscriber(subscriber))
        });
        let (audio, video) = match (stats, entry) {
            (Some(stats), _) => (stats.audio_timestamp, stats.video_timestamp),
            (None, Some(entry)) => entry.stream.timestamps(),
            (None, None) => (None, None),
        };
        let offset = match (audio, video) {
            (Some(audio), Some(video)) => i64::from(audio.wrapping_sub(video).cast_signed()),
            _ => 0,
        };
        shard.ask_socket(connection);
        ClientSnapshot {
            id: connection.id,
            shard: shard.id,
            address: connection.address,
            role: connection.role.client_role(),
            stream: entry.map(|entry| entry.key.clone()),
            age: shard.now().saturating_since(connection.opened),
            flash_ver: connection.identity.flash_ver.clone(),
            swf_url: connection.identity.swf_url.clone(),
            page_url: connection.identity.page_url.clone(),
            bytes_in: connection.bytes_in,
            bytes_out: connection.bytes_out,
            frames_dropped: stats.map_or(0, |stats| stats.frames_dropped),
            skips: stats.map_or(0, |stats| stats.skips),
            timestamp: video.or(audio).unwrap_or(0),
            audio_video_offset_ms: offset,
            kernel: connection.account.figures(),
        }
    }
}
