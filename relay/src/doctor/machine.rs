//! What was read from a machine: facts, without any opinion on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use edgerelay_uring::RingUnavailable;

/// A machine at one moment. `None` where it did not tell.
#[derive(Debug)]
pub(super) struct Machine {
    /// The kernel's release: `6.1.0-18-amd64`.
    pub(super) release: Option<String>,
    /// What became of setting up a ring.
    pub(super) ring: Result<Ring, RingUnavailable>,
    /// `kernel.io_uring_disabled`.
    pub(super) ring_sysctl: Option<u32>,
    /// Whether a seccomp filter is in force for this process.
    pub(super) is_filtered: bool,
    /// Whether this process is root's: what it may, the relay may not.
    pub(super) is_root: bool,
    /// Whether the package's service is installed, which brings limits and settings.
    pub(super) has_service: bool,
    /// The process of the node that runs on the configured ports.
    pub(super) node: Option<u32>,
    /// Whether the kernel describes its types.
    pub(super) has_btf: bool,
    /// Whether the unified hierarchy of cgroups is mounted.
    pub(super) has_cgroup2: bool,
    /// Limits of the node, or of this process where none runs.
    pub(super) limits: Option<Limits>,
    /// Algorithms of congestion control: the chosen one, and those that could be chosen.
    pub(super) congestion: Option<Congestion>,
    /// Those of [`super::sysctl::WANTED`] that the kernel has.
    pub(super) sysctls: BTreeMap<&'static str, String>,
    /// Below this, ports take a capability.
    pub(super) unprivileged_port: u16,
    /// Cores that this process may run on.
    pub(super) cores: usize,
    /// Network cards that are up.
    pub(super) cards: Vec<Card>,
    /// The clock.
    pub(super) clock: Clock,
    /// Addresses to listen on.
    pub(super) addresses: Vec<Listening>,
    /// Places to write to.
    pub(super) places: Vec<Place>,
}

/// A ring that was set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    /// Whether it can send without a copy.
    pub(super) has_zero_copy: bool,
}

/// Limits of a process; `None`: without limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) nofile: Option<u64>,
    pub(super) memlock_bytes: Option<u64>,
}

/// Algorithms of congestion control.
#[derive(Clone, Debug)]
pub(super) struct Congestion {
    pub(super) chosen: String,
    pub(super) available: Vec<String>,
}

/// A network card.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) receive_queues: usize,
    /// Cores that its interrupts go to; empty where the kernel does not tell.
    pub(super) interrupted: BTreeSet<usize>,
    /// Whether what a queue receives is spread over cores afterwards.
    pub(super) has_rps: bool,
}

/// The clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    pub(super) is_synchronised: Option<bool>,
    pub(super) source: Option<String>,
    pub(super) sources: Vec<String>,
}

/// An address that the relay is to listen on.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    /// The setting that says so.
    pub(super) setting: &'static str,
    pub(super) address: SocketAddr,
    pub(super) trial: Trial,
    /// Who listens there, as far as this process may know.
    pub(super) holders: Vec<Holder>,
}

/// What became of binding to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Free,
    Held,
    NotPermitted,
    NotHere,
    Failed(String),
}

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) name: String,
}

impl Holder {
    /// Whether it is one of us.
    pub(super) fn is_ours(&self) -> bool {
        self.name == env!("CARGO_PKG_NAME")
    }
}

/// A place that something is written to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The setting that names it, or what it is.
    pub(super) what: &'static str,
    pub(super) folder: PathBuf,
    /// Whether the node starts without it.
    pub(super) need: Need,
    pub(super) access: Access,
    /// Free bytes and free entries, in hundredths; `None` where the file system counts none.
    pub(super) free_percent: Option<u64>,
}

/// What becomes of a node that cannot write to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Must,
    Would,
}

/// Whether this process may write to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Granted,
    ReadOnly,
    Denied,
    Failed(String),
}
