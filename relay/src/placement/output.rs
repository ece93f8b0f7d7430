//! What the placement says is to be done, and what happened for the record.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::input::Failure;
use super::state::{Event, StreamState};
use crate::id::{StreamKey, WorkerId};

/// One try to have a stream worked on, unique in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u64);

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something to do or to record. Carry them out in order: a stream is withdrawn from one worker
/// before it is assigned to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Start a worker. Answer with `WorkerReady`, or with `WorkerLost`.
    StartWorker {
        /// Its number.
        worker: WorkerId,
    },
    /// Stop a worker, which has no streams. Answer with `WorkerLost` once it is gone.
    StopWorker {
        /// Its number.
        worker: WorkerId,
        /// In which way.
        stop: Stop,
    },
    /// Push a stream to a worker, which is ready: headers and last keyframe first.
    Assign {
        /// The stream.
        stream: StreamKey,
        /// The worker.
        worker: WorkerId,
        /// What to call this attempt in what is said of it.
        attempt: Attempt,
    },
    /// An attempt is over on our side: end its push. Each `Assign` is followed by one `Withdraw`,
    /// unless `Failed` or `Flushed` was said of it before; a `Finish` may be followed by an `Abort`.
    Withdraw {
        /// The stream.
        stream: StreamKey,
        /// The worker.
        worker: WorkerId,
        /// The attempt.
        attempt: Attempt,
        /// In which way.
        withdrawal: Withdrawal,
    },
    /// A stream is given up. It is relayed to everyone else as before.
    MarkFailed {
        /// The stream.
        stream: StreamKey,
        /// Attempts made.
        attempts: u32,
        /// What went wrong at the last one.
        failure: Failure,
        /// More about it for people.
        detail: String,
    },
    /// For logs and counters: a stream went from one state to another.
    Transition(Transition),
    /// For `edgerelay_stream_phase_seconds`: a stream has a part of its way behind it.
    Phase {
        /// Which part.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
}

/// How a worker is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// It is asked to end.
    Gracefully,
    /// It is ended with all its processes: it hangs, or did not end when asked.
    Kill,
}

/// How an attempt is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Withdrawal {
    /// The publication is over: bring the rest and say good-bye, then say `Flushed`.
    Finish,
    /// Break off: the stream goes elsewhere, or the worker does not get on with it.
    Abort,
}

/// A stream went from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The stream.
    pub stream: StreamKey,
    /// From; none where it is new.
    pub from: Option<StreamState>,
    /// To.
    pub to: StreamState,
    /// Why.
    pub event: Event,
    /// The worker in charge before or after, where there is one.
    pub worker: Option<WorkerId>,
    /// What failed, where something did.
    pub failure: Option<Failure>,
}

/// A part of a stream's way through a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// From the publish until a ready worker has the stream.
    Queue,
    /// From there until its first byte is at the worker.
    Worker,
    /// From there until its first byte is upstream.
    Upstream,
    /// From the publish until the first byte is upstream.
    Total,
    /// From a failure until the next attempt's first byte is upstream.
    Recovery,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Queue, Self::Worker, Self::Upstream, Self::Total, Self::Recovery];

    /// The value of the label `phase`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Worker => "worker",
            Self::Upstream => "upstream",
            Self::Total => "total",
            Self::Recovery => "recovery",
        }
    }
}
