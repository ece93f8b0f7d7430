//! Who starts and stops workers, and where they are.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::addresses::AddressBackend;
use super::process::ProcessBackend;
use super::systemd::SystemdBackend;
use crate::config::{Config, WorkerBackend};
use crate::id::WorkerId;
use crate::placement::{Input, Stop};

/// The one in force. What becomes of workers is told to the placement by each of them.
#[derive(Debug)]
pub(super) enum Backend {
    /// Child processes of this node.
    Process(ProcessBackend),
    /// systemd's units.
    Systemd(SystemdBackend),
    /// Workers that somebody else runs.
    Addresses(AddressBackend),
}

impl Backend {
    /// The one that is configured. `program` is this program; what becomes of workers is told to
    /// `inputs`.
    pub(super) fn new(
        config: Arc<Config>,
        program: PathBuf,
        inputs: mpsc::Sender<Input>,
    ) -> Option<Self> {
        match config.workers.backend {
            WorkerBackend::Off => None,
            WorkerBackend::Process => {
                Some(Self::Process(ProcessBackend::new(config, program, inputs)))
            }
            WorkerBackend::Static => {
                Some(Self::Addresses(AddressBackend::new(config.workers.addresses.clone(), inputs)))
            }
            WorkerBackend::Systemd => Some(Self::Systemd(SystemdBackend::new(config, inputs))),
        }
    }

    /// Whether workers are started and stopped here.
    pub(super) const fn is_managed(&self) -> bool {
        match self {
            Self::Process(_) | Self::Systemd(_) => true,
            Self::Addresses(_) => false,
        }
    }

    /// Starts a worker.
    pub(super) fn start(&mut self, worker: WorkerId) {
        match self {
            Self::Process(backend) => backend.start(worker),
            Self::Systemd(backend) => backend.start(worker),
            Self::Addresses(_) => {}
        }
    }

    /// Stops a worker. What follows at once, if anything does.
    pub(super) fn stop(&mut self, worker: WorkerId, stop: Stop) -> Option<Input> {
        match self {
            Self::Process(backend) => {
                backend.stop(worker, stop);
                None
            }
            Self::Systemd(backend) => {
                backend.stop(worker, stop);
                None
            }
            Self::Addresses(backend) => Some(backend.let_go(worker)),
        }
    }

    /// Where a worker takes streams: host and port.
    pub(super) fn address(&self, worker: WorkerId) -> Option<String> {
        match self {
            Self::Process(backend) => backend.address(worker),
            Self::Systemd(backend) => backend.address(worker),
            Self::Addresses(backend) => backend.address(worker),
        }
    }

    /// A worker's process, where it is one of ours.
    pub(super) fn pid(&self, worker: WorkerId) -> Option<u32> {
        match self {
            Self::Process(backend) => backend.pid(worker),
            Self::Systemd(_) | Self::Addresses(_) => None,
        }
    }

    /// The node ends.
    pub(super) async fn shut_down(&mut self) {
        match self {
            Self::Process(backend) => backend.shut_down().await,
            Self::Systemd(backend) => backend.shut_down(),
            Self::Addresses(backend) => backend.shut_down().await,
        }
    }
}
