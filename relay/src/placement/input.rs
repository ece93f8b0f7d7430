//! What the placement is told. Owns the words for what goes wrong with workers and streams.

use serde::{Deserialize, Serialize};

use super::output::Attempt;
use super::room::Room;
use crate::config::Resources;
use crate::id::{StreamKey, WorkerId};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A publisher began a stream that goes to workers. A publisher that replaces another one is not
    /// told of: the stream goes on.
    Published {
        /// The stream.
        stream: StreamKey,
        /// What it reserves; none: what the pipeline needs.
        need: Option<Resources>,
    },
    /// The publication is over: finished, or its publisher lost.
    Ended {
        /// The stream.
        stream: StreamKey,
    },
    /// The publisher sent media since this was last said. Tell it about once a second for each stream
    /// that has a worker: without it, silence of a worker is not taken for a stall.
    Fed {
        /// The stream.
        stream: StreamKey,
    },
    /// The first byte of an attempt is at its worker.
    Received {
        /// The stream.
        stream: StreamKey,
        /// The attempt.
        attempt: Attempt,
    },
    /// Bytes of an attempt left the worker for its upstream since this was last said; the first time,
    /// the first byte did.
    Progressed {
        /// The stream.
        stream: StreamKey,
        /// The attempt.
        attempt: Attempt,
    },
    /// The worker of an attempt says that the upstream does not take the stream. If it gets on no further,
    /// that is no fault of the worker's.
    Hindered {
        /// The stream.
        stream: StreamKey,
        /// The attempt.
        attempt: Attempt,
    },
    /// An attempt came to nothing, while its worker lives on.
    Failed {
        /// The stream.
        stream: StreamKey,
        /// The attempt.
        attempt: Attempt,
        /// What went wrong.
        failure: Failure,
        /// More about it for people, such as the last lines of a command's log.
        detail: String,
    },
    /// After [`Input::Ended`]: the worker has sent upstream all it had of the attempt.
    Flushed {
        /// The stream.
        stream: StreamKey,
        /// The attempt.
        attempt: Attempt,
    },
    /// So many workers there shall be: the scaler's word, where it is not a dry run.
    Desired {
        /// The number.
        workers: usize,
    },
    /// A worker that was started is ready for streams.
    WorkerReady {
        /// The worker.
        worker: WorkerId,
        /// What it carries, where it says so itself.
        room: Option<Room>,
    },
    /// A worker is there and ready that this placement did not start: one of another life of this
    /// node, or one that somebody else runs.
    WorkerFound {
        /// The worker.
        worker: WorkerId,
        /// What it carries, where it says so itself.
        room: Option<Room>,
        /// The streams it says it is working on. They are kept a place for, in case their publishers
        /// come back.
        streams: Vec<StreamKey>,
    },
    /// A worker is gone or of no use.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
        /// What became of it.
        loss: Loss,
        /// More about it for people.
        detail: String,
    },
    /// An operator wants no new streams on a worker, and it stopped once it is empty.
    Drain {
        /// The worker.
        worker: WorkerId,
    },
    /// An operator wants a failed stream tried again.
    Retry {
        /// The stream.
        stream: StreamKey,
    },
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It ended: as it was told to, or by itself.
    Exited,
    /// It could not be started.
    StartFailed,
    /// It cannot be reached, or says nothing any more; it may still be there.
    Silent,
}

/// Why an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The worker would not take the stream.
    Refused,
    /// The worker could not be connected to, or the connection broke.
    Disconnected,
    /// The command ended.
    CommandExited,
    /// The worker tried the command as often as a stream is tried, and gives up. So do we.
    GivenUp,
    /// The upstream refuses the stream, or cannot be reached. It is tried again for as long as it takes.
    Upstream,
    /// Media went in and nothing came out for too long.
    Stalled,
    /// The worker was lost.
    WorkerLost,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Disconnected,
        Self::CommandExited,
        Self::GivenUp,
        Self::Upstream,
        Self::Stalled,
        Self::WorkerLost,
    ];

    /// The failure in one word, for labels and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::CommandExited => "command_exited",
            Self::GivenUp => "given_up",
            Self::Upstream => "upstream",
            Self::Stalled => "stalled",
            Self::WorkerLost => "worker_lost",
        }
    }
}
