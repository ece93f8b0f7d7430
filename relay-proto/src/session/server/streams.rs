//! The message streams of one connection. Owns their ids and states; must not send anything.

use core::fmt;
use std::collections::BTreeMap;

use crate::fault::PeerFault;
use crate::limits::NET_STREAMS_MAX;

/// What a message stream is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NetStreamState {
    #[default]
    Idle,
    PublishHeld,
    Publishing,
    PlayAsked {
        reset: bool,
    },
    Playing,
}

/// What ended when a message stream was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Nothing,
    Publish,
    Play,
}

#[derive(Default)]
struct NetStream {
    state: NetStreamState,
    /// Of the publication, as `FCUnpublish` will name it.
    name: String,
}

/// Without the name: it is a key.
impl fmt::Debug for NetStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NetStream").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(super) struct NetStreams {
    streams: BTreeMap<u32, NetStream>,
    held: bool,
}

impl NetStreams {
    /// A new stream with the lowest free id, from 1: players of one stream all have the same.
    pub(super) fn create(&mut self) -> Option<u32> {
        if self.streams.len() >= NET_STREAMS_MAX {
            return None;
        }
        let id = (1..).find(|id| !self.streams.contains_key(id))?;
        self.streams.insert(id, NetStream::default());
        Some(id)
    }

    /// The stream a `publish` or `play` is for. Clients that use NetConnection's id, or one that
    /// was never created, get the stream they most likely mean.
    pub(super) fn resolve(&mut self, stream_id: u32) -> Result<u32, PeerFault> {
        if self.streams.contains_key(&stream_id) {
            return Ok(stream_id);
        }
        if stream_id == 0
            && let Some((id, _)) = self.streams.last_key_value()
        {
            return Ok(*id);
        }
        if self.streams.len() >= NET_STREAMS_MAX {
            return Err(PeerFault::TooMany("message streams"));
        }
        let id = stream_id.max(1);
        self.streams.insert(id, NetStream::default());
        Ok(id)
    }

    pub(super) fn state(&self, stream_id: u32) -> NetStreamState {
        self.streams.get(&stream_id).map(|stream| stream.state).unwrap_or_default()
    }

    pub(super) fn set_state(&mut self, stream_id: u32, state: NetStreamState) {
        if let Some(stream) = self.streams.get_mut(&stream_id) {
            stream.state = state;
        }
        self.held = self.streams.values().any(|stream| stream.state == NetStreamState::PublishHeld);
    }

    pub(super) fn hold_publish(&mut self, stream_id: u32, name: &str) {
        if let Some(stream) = self.streams.get_mut(&stream_id) {
            name.clone_into(&mut stream.name);
        }
        self.set_state(stream_id, NetStreamState::PublishHeld);
    }

    /// Whether a `publish` awaits its answer.
    pub(super) const fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn any_active(&self) -> bool {
        self.streams.values().any(|stream| stream.state != NetStreamState::Idle)
    }

    /// The publishing stream a media message is for: its own, or where it names none that
    /// publishes, the first that does.
    pub(super) fn publishing(&self, stream_id: u32) -> Option<u32> {
        if self.state(stream_id) == NetStreamState::Publishing {
            return Some(stream_id);
        }
        self.streams
            .iter()
            .find(|(_, stream)| stream.state == NetStreamState::Publishing)
            .map(|(id, _)| *id)
    }

    /// The publishing stream with this name, as `FCUnpublish` says it.
    pub(super) fn published_as(&self, name: &str) -> Option<u32> {
        self.streams
            .iter()
            .find(|(_, stream)| stream.state == NetStreamState::Publishing && stream.name == name)
            .map(|(id, _)| *id)
    }

    /// Ends what the stream is used for; it stays.
    pub(super) fn close(&mut self, stream_id: u32) -> Ended {
        let ended = match self.state(stream_id) {
            NetStreamState::Idle => Ended::Nothing,
            NetStreamState::PublishHeld | NetStreamState::Publishing => Ended::Publish,
            NetStreamState::PlayAsked { .. } | NetStreamState::Playing => Ended::Play,
        };
        self.set_state(stream_id, NetStreamState::Idle);
        ended
    }

    /// Forgets a stream that was closed.
    pub(super) fn remove(&mut self, stream_id: u32) {
        self.streams.remove(&stream_id);
    }
}
