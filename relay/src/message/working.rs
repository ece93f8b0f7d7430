//! What shards and those who work on streams tell each other, and workers the nodes that sent them a
//! stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{LegId, ShardId, StreamKey};

/// Events waiting to be taken in; a shard whose event finds no place keeps it until there is one.
pub const NODE_EVENTS_MAX: usize = 4096;

/// What shards tell of streams that workers or pipelines are for.
#[derive(Clone, Debug)]
pub enum NodeEvent {
    /// A publication begins.
    StreamBegan {
        /// The stream.
        stream: StreamKey,
        /// The shard that brings it on.
        shard: ShardId,
        /// Which publication; larger than any before it. A publisher that takes over does not make
        /// another one here.
        publication: u64,
    },
    /// A publication is over.
    StreamEnded {
        /// The stream.
        stream: StreamKey,
        /// Which publication.
        publication: u64,
    },
    /// A worker accepted the stream and is being sent it.
    LegReady {
        /// Which connection.
        leg: LegId,
    },
    /// A worker tells how the stream fares.
    LegReport {
        /// Which connection.
        leg: LegId,
        /// A [`StreamReport`], if it is well made.
        text: String,
    },
    /// A connection to a worker could not be made, or is gone.
    LegLost {
        /// Which connection.
        leg: LegId,
        /// Why.
        end: LegEnd,
    },
    /// The worker is to end: it takes no new streams. This one goes on.
    LegLeaving {
        /// Which connection.
        leg: LegId,
    },
    /// A leg whose publication is over has brought all that there was, and is gone.
    LegFlushed {
        /// Which connection.
        leg: LegId,
    },
    /// A push of the stream was accepted by its upstream.
    PushReady {
        /// The stream.
        stream: StreamKey,
    },
}

/// Why a connection to a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEnd {
    /// It could not be made.
    Unreachable(String),
    /// The worker does not take the stream.
    Refused,
    /// It was there, and is gone.
    Lost(&'static str),
}

/// How a stream fares at a worker, as it tells the node that the stream comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamReport {
    /// How far it has come.
    pub state: PipelineState,
    /// What has gone upstream: bytes of a push, or what a command says that it made.
    pub bytes_out: u64,
    /// Times it was begun anew.
    pub retries: u64,
    /// What failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<PipelineFailure>,
    /// Why it failed, or what it waits for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The last lines that a command printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl StreamReport {
    /// Of a stream that just came.
    #[must_use]
    pub const fn starting() -> Self {
        Self {
            state: PipelineState::Starting,
            bytes_out: 0,
            retries: 0,
            failure: None,
            reason: String::new(),
            log: Vec::new(),
        }
    }
}

/// What went wrong with a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PipelineFailure {
    /// Its command ended, or could not be started.
    Exited,
    /// Media went in and nothing came out.
    Stalled,
}

/// How far a stream has come at its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PipelineState {
    /// Nothing has gone upstream yet.
    Starting,
    /// It goes upstream.
    Relaying,
    /// It went wrong and is tried again.
    Recovering,
    /// It went wrong too often. The worker does not try again.
    Failed,
}

impl PipelineState {
    /// The state in one word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Relaying => "relaying",
            Self::Recovering => "recovering",
            Self::Failed => "failed",
        }
    }
}

/// The work on streams at one moment, for the control plane.
#[derive(Clone, Debug, Default)]
pub struct WorkSnapshot {
    /// Every stream that is worked on, or is to be.
    pub streams: BTreeMap<StreamKey, WorkedStream>,
    /// The workers that this node knows, by number.
    pub workers: Vec<WorkerSnapshot>,
    /// What the scaler decided and why, newest first, if there is one.
    pub scaler: Option<Arc<serde_json::Value>>,
}

/// One stream that is worked on.
#[derive(Clone, Debug, Default)]
pub struct WorkedStream {
    /// How far it has come, in one word.
    pub state: &'static str,
    /// The worker that has it.
    pub worker: Option<u16>,
    /// Its place among the streams that wait, from 1.
    pub place: Option<usize>,
    /// What it waits for.
    pub waits_for: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// What its present worker has sent upstream.
    pub bytes_out: u64,
    /// What went wrong last.
    pub reason: String,
    /// The last lines that its command printed.
    pub log: Vec<String>,
    /// Since the publication was announced.
    pub age: Duration,
}

impl WorkedStream {
    /// As its worker sees it.
    #[must_use]
    pub fn at_worker(report: StreamReport, age: Duration) -> Self {
        let StreamReport { state, bytes_out, retries, reason, log, .. } = report;
        let failures = u32::try_from(retries).unwrap_or(u32::MAX);
        Self { state: state.label(), failures, bytes_out, reason, log, age, ..Self::default() }
    }
}

/// One worker.
#[derive(Clone, Debug)]
pub struct WorkerSnapshot {
    /// Its number.
    pub id: u16,
    /// How far it has come, in one word.
    pub state: &'static str,
    /// Its process, where this node started it.
    pub pid: Option<u32>,
    /// Where it is, if that is known.
    pub address: Option<String>,
    /// For so long.
    pub since: Duration,
    /// Streams that it has.
    pub streams: Vec<StreamKey>,
    /// Streams that it may have.
    pub streams_max: usize,
    /// Hundredths of a processor that are reserved.
    pub cpu_percent: usize,
    /// Memory that is reserved.
    pub memory_bytes: u64,
    /// Bits per second that are reserved.
    pub bits_per_second: u64,
}
