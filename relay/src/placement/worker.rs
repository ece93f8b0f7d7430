//! One worker as the placement sees it: its state, its streams, its room.

use std::collections::BTreeMap;

use edgerelay_proto::time::Instant;
use serde::{Deserialize, Serialize};

use super::room::{Room, Shortage, sum};
use crate::config::Resources;
use crate::id::StreamKey;

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It was told to start. Streams may have a place on it already.
    Starting,
    /// It takes streams.
    Ready,
    /// It takes no new streams and is stopped once it is empty, because an operator said so.
    Draining,
    /// It takes no new streams and is ended once it is empty, because a stream got stuck on it and
    /// none went on.
    Suspect,
    /// It was told to stop, and had no streams then.
    Stopping,
}

impl WorkerState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Starting, Self::Ready, Self::Draining, Self::Suspect, Self::Stopping];

    /// The state in one word, for labels, logs and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Suspect => "suspect",
            Self::Stopping => "stopping",
        }
    }

    /// Whether new streams may be placed on it.
    #[must_use]
    pub const fn takes_streams(self) -> bool {
        matches!(self, Self::Starting | Self::Ready)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) state: WorkerState,
    pub(super) since: Instant,
    pub(super) room: Room,
    /// Streams it has a place for, with what they reserve.
    pub(super) streams: BTreeMap<StreamKey, Resources>,
    /// Streams of another life that it may still work on, and how long they are kept a place.
    pub(super) held: BTreeMap<StreamKey, Resources>,
    pub(super) held_until: Instant,
    /// When any of its streams last got on.
    pub(super) progress_at: Option<Instant>,
}

impl Worker {
    pub(super) const fn new(state: WorkerState, room: Room, now: Instant) -> Self {
        Self {
            state,
            since: now,
            room,
            streams: BTreeMap::new(),
            held: BTreeMap::new(),
            held_until: now,
            progress_at: None,
        }
    }

    /// Whether it carries nothing, and nothing of another life either.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.held.is_empty()
    }

    pub(super) fn reserved(&self) -> Resources {
        sum(self.streams.values().chain(self.held.values()))
    }

    pub(super) fn places_taken(&self) -> usize {
        self.streams.len() + self.held.len()
    }

    /// What `need` lacks here now. A stream that is held a place for has it already.
    pub(super) fn shortage(&self, stream: &StreamKey, need: &Resources) -> Option<Shortage> {
        if self.held.contains_key(stream) {
            return None;
        }
        self.room.shortage(self.places_taken(), &self.reserved(), need)
    }

    pub(super) fn enter(&mut self, state: WorkerState, now: Instant) {
        self.state = state;
        self.since = now;
    }
}
