//! What the API and the scaler see of streams and workers.

use edgerelay_proto::time::Instant;

use super::input::Failure;
use super::output::Attempt;
use super::room::{Room, Shortage};
use super::state::StreamState;
use super::worker::WorkerState;
use crate::config::Resources;
use crate::id::{StreamKey, WorkerId};

/// How much there is to do and who does it: what the scaler's sample takes from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Streams that are to be worked on: all but failed ones and those whose publication is over.
    pub streams: usize,
    /// Of these, streams that no worker has a place for.
    pub pending: usize,
    /// Failed streams.
    pub failed: usize,
    /// Workers that are starting.
    pub workers_starting: usize,
    /// Workers that take streams.
    pub workers_ready: usize,
    /// Workers on their way out: draining, hanging or stopping.
    pub workers_leaving: usize,
    /// Workers of any kind that have a place reserved for a stream.
    pub workers_busy: usize,
}

/// Why a stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// No worker runs.
    NoWorker,
    /// Workers failed to start; the next start is then.
    StartsFail {
        /// When.
        retry_at: Instant,
    },
    /// Every worker is full; this is what the roomiest has too little of.
    NoRoom {
        /// What is short.
        shortage: Shortage,
    },
    /// It needs more than any worker has in all.
    TooLarge {
        /// What is short.
        shortage: Shortage,
    },
    /// Its last attempt failed; the next is made then.
    Backoff {
        /// When.
        retry_at: Instant,
    },
}

impl Wait {
    /// The reason in one word, for the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoWorker => "no_worker",
            Self::StartsFail { .. } => "workers_fail_to_start",
            Self::NoRoom { .. } => "no_room",
            Self::TooLarge { .. } => "too_large",
            Self::Backoff { .. } => "backoff",
        }
    }
}

/// A stream, for the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// The stream.
    pub stream: StreamKey,
    /// Its state.
    pub state: StreamState,
    /// Since when.
    pub since: Instant,
    /// When its publication began.
    pub published_at: Instant,
    /// The worker that has a place for it.
    pub worker: Option<WorkerId>,
    /// The attempt under way.
    pub attempt: Option<Attempt>,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong last, and more about it for people.
    pub last_failure: Option<(Failure, String)>,
    /// Its place in the queue, counted from 1, where it waits for a worker.
    pub place: Option<usize>,
    /// Why it waits, where it does.
    pub wait: Option<Wait>,
}

/// A worker, for the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
    /// Its number.
    pub worker: WorkerId,
    /// Its state.
    pub state: WorkerState,
    /// Since when.
    pub since: Instant,
    /// What it carries.
    pub room: Room,
    /// Its streams, in order of their names.
    pub streams: Vec<StreamKey>,
    /// What these have reserved.
    pub reserved: Resources,
}
