//! What the scaler looks at. Owns which connections count as clients.

use serde::{Deserialize, Serialize};

use crate::config::BitRate;

/// The signals at one time. What could not be found out is none, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Open connections.
    pub connections: Option<Connections>,
    /// Streams that are to be worked on, waiting ones included.
    pub streams: Option<u64>,
    /// What publishers send, in bits: [`BitRate::from_bytes`] makes it of two counts of bytes.
    pub received: Option<BitRate>,
    /// Streams that no worker has a place for.
    pub pending: Option<u64>,
    /// The workers. The node starts them, so it knows.
    pub workers: WorkerCounts,
}

/// Open connections, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Publishers.
    pub publish: u64,
    /// Players.
    pub play: u64,
    /// Our own to upstreams.
    pub push: u64,
    /// Our own to origins.
    pub pull: u64,
    /// Between this node and its workers.
    pub worker: u64,
}

impl Connections {
    /// Publishers and players. Connections of our own making are work, not demand: counted, they
    /// would keep awake the workers that they belong to.
    #[must_use]
    pub const fn clients(&self) -> u64 {
        self.publish.saturating_add(self.play)
    }
}

/// Workers, by what they are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerCounts {
    /// On their way up.
    pub starting: usize,
    /// Taking streams.
    pub ready: usize,
    /// Of all of them, those that carry streams.
    pub busy: usize,
}
