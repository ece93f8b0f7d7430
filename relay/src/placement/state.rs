//! The states of a stream and the one table of what leads from which to which.
//!
//! Owns no data of streams. A pair of state and event that is not in the table does not happen.

use serde::{Deserialize, Serialize};

/// Where a stream is on its way through a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// It waits for room on a worker.
    Pending,
    /// A worker has a place for it and is not ready yet.
    Assigned,
    /// It is pushed to a worker; nothing is upstream yet.
    Starting,
    /// It is upstream.
    Relaying,
    /// An attempt failed; it waits for the next.
    Recovering,
    /// Its publication is over; the worker sends the rest.
    Draining,
    /// It is over. A stream in this state is forgotten.
    Done,
    /// All attempts failed.
    Failed,
}

impl StreamState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Assigned,
        Self::Starting,
        Self::Relaying,
        Self::Recovering,
        Self::Draining,
        Self::Done,
        Self::Failed,
    ];

    /// The state in one word, for labels, logs and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Starting => "starting",
            Self::Relaying => "relaying",
            Self::Recovering => "recovering",
            Self::Draining => "draining",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Whether a worker has a place reserved for it.
    #[must_use]
    pub const fn holds_worker(self) -> bool {
        matches!(self, Self::Assigned | Self::Starting | Self::Relaying | Self::Draining)
    }

    /// The state after `event`; none where that cannot happen.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        let row = TRANSITIONS.iter().find(|(from, on, _)| (*from, *on) == (self, event))?;
        Some(row.2)
    }
}

/// What makes a stream change its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It is published: with this it begins, in `Pending`.
    Published,
    /// A worker has a place for it.
    Placed,
    /// The place is gone before anything was sent there.
    Displaced,
    /// The worker is ready and is sent the stream.
    Begun,
    /// Bytes are upstream.
    Progressed,
    /// The attempt failed, and there is another.
    AttemptFailed,
    /// The attempt failed, and it was the last.
    Exhausted,
    /// The publication is over.
    Ended,
    /// Nothing more is to come from the worker.
    Flushed,
    /// The name is published again.
    Republished,
    /// An operator wants it tried again.
    Retried,
}

impl Event {
    /// The event in one word, for logs and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Placed => "placed",
            Self::Displaced => "displaced",
            Self::Begun => "begun",
            Self::Progressed => "progressed",
            Self::AttemptFailed => "attempt_failed",
            Self::Exhausted => "exhausted",
            Self::Ended => "ended",
            Self::Flushed => "flushed",
            Self::Republished => "republished",
            Self::Retried => "retried",
        }
    }
}

use Event::{
    AttemptFailed, Begun, Displaced, Ended, Exhausted, Flushed, Placed, Progressed, Republished,
    Retried,
};
use StreamState::{Assigned, Done, Draining, Failed, Pending, Recovering, Relaying, Starting};

/// Every transition there is: from, on what, to. A stream begins in `Pending`.
pub const TRANSITIONS: &[(StreamState, Event, StreamState)] = &[
    (Pending, Placed, Assigned),
    (Pending, Ended, Done),
    (Assigned, Begun, Starting),
    (Assigned, Displaced, Pending),
    (Assigned, Ended, Done),
    (Starting, Progressed, Relaying),
    (Starting, AttemptFailed, Recovering),
    (Starting, Exhausted, Failed),
    (Starting, Ended, Draining),
    (Relaying, AttemptFailed, Recovering),
    (Relaying, Exhausted, Failed),
    (Relaying, Ended, Draining),
    (Recovering, Placed, Assigned),
    (Recovering, Ended, Done),
    (Draining, Flushed, Done),
    (Draining, Republished, Pending),
    (Failed, Retried, Pending),
    (Failed, Republished, Pending),
    (Failed, Ended, Done),
];
