//! Who starts and stops workers, and where they are.

use super::process::ProcessBackend;
use crate::id::WorkerId;
use crate::placement::Stop;

/// The one in force.
#[derive(Debug)]
pub(super) enum Backend {
    /// Child processes of this node.
    Process(ProcessBackend),
}

impl Backend {
    /// Starts a worker. What becomes of it is told to the placement.
    pub(super) fn start(&mut self, worker: WorkerId) {
        match self {
            Self::Process(backend) => backend.start(worker),
        }
    }

    /// Stops a worker, which is told as well.
    pub(super) fn stop(&mut self, worker: WorkerId, stop: Stop) {
        match self {
            Self::Process(backend) => backend.stop(worker, stop),
        }
    }

    /// Where a worker takes streams: host and port.
    pub(super) fn address(&self, worker: WorkerId) -> Option<String> {
        match self {
            Self::Process(backend) => backend.address(worker),
        }
    }

    /// The node ends.
    pub(super) async fn shut_down(&mut self) {
        match self {
            Self::Process(backend) => backend.shut_down().await,
        }
    }
}
