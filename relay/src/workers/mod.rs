//! Work on streams: on an edge the workers that streams go to, on a worker the pipelines that run for
//! each stream.
//!
//! It moves no media: that is the shards', which are told what to bring where.

mod addresses;
mod backend;
mod command;
mod fleet;
pub mod guard;
mod pipelines;
mod presets;
mod process;
mod restarts;
mod scaling;
mod snapshots;
mod systemd;
mod tail;
mod view;
mod wishes;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::runtime;
use tokio::sync::{mpsc, watch};

use self::backend::Backend;
use self::fleet::Fleet;
use self::pipelines::Pipelines;
use crate::config::{Config, Role};
use crate::message::{NodeEvent, ShardMessage, WorkRequest, WorkSnapshot};
use crate::placement::{Phase, StreamState, TRANSITIONS, WorkerState};
use crate::telemetry::WorkCounters;

/// This program, also when its file was replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// News of workers waiting to be taken in.
const INPUTS_WAITING_MAX: usize = 256;

/// What a worker that is a child process prints on its standard output once it takes streams.
pub const READY_LINE: &str = "ready";

/// Has this process killed when `parent` ends, however that ends.
///
/// # Errors
/// The kernel does not do it, or `parent` is gone already.
pub fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let actual = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if actual == Some(parent) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "the node that this is a worker of is gone"))
    }
}

/// Where a stream comes from that was not there before.
const NO_STATE: &str = "none";

/// All that the work on streams needs.
#[derive(Debug)]
pub struct WorkersSetup {
    /// The configuration.
    pub config: Arc<Config>,
    /// The shards' mailboxes, in the order of their ids.
    pub shards: Vec<mpsc::Sender<ShardMessage>>,
    /// What the shards tell.
    pub events: mpsc::Receiver<NodeEvent>,
    /// What operators want.
    pub requests: mpsc::Receiver<WorkRequest>,
    /// Where to show what goes on.
    pub view: watch::Sender<WorkSnapshot>,
    /// Where to count it.
    pub counters: Arc<WorkCounters>,
}

/// The running work on streams. Workers that are children of this process die with its thread.
#[derive(Debug)]
pub struct WorkersHandle {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl WorkersHandle {
    /// Ends workers and commands, and waits for that.
    pub fn shut_down(self) {
        let _ended = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the workers panicked");
        }
    }

    /// Whether its thread has ended, which without [`WorkersHandle::shut_down`] is a failure.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Whether a node with this configuration works on streams, or has workers for that.
#[must_use]
pub fn are_wanted(config: &Config) -> bool {
    config.node.role == Role::Worker || config.workers.backend.is_on()
}

/// Counters for a node with this configuration: none that only a node with workers has, where there
/// are none.
#[must_use]
pub fn counters(config: &Config) -> WorkCounters {
    const OUTCOMES: [&str; 6] =
        ["out", "in", "steady", "hold_missing", "hold_cooldown", "hold_busy"];

    if config.node.role == Role::Worker || !config.workers.backend.is_on() {
        return WorkCounters::default();
    }
    let states = WorkerState::ALL.map(WorkerState::label);
    let mut transitions: Vec<_> =
        TRANSITIONS.iter().map(|(from, _, to)| (from.label(), to.label())).collect();
    transitions.push((NO_STATE, StreamState::Pending.label()));
    let outcomes = if config.workers.backend.is_managed() { &OUTCOMES[..] } else { &[] };
    WorkCounters::new(&states, &transitions, &Phase::ALL.map(Phase::label), outcomes)
}

/// Starts on a thread of its own.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub fn start(setup: WorkersSetup) -> io::Result<WorkersHandle> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let thread = thread::Builder::new().name("workers".to_owned()).spawn(move || {
        runtime.block_on(run(setup, stopped));
    })?;
    Ok(WorkersHandle { thread, stop })
}

async fn run(setup: WorkersSetup, stop: watch::Receiver<bool>) {
    let WorkersSetup { config, shards, events, requests, view, counters } = setup;
    let program = PathBuf::from(OWN_PROGRAM);
    if config.node.role == Role::Worker {
        let (pipelines, changes) = Pipelines::new(config, shards, program, view);
        return pipelines.run(changes, events, stop).await;
    }
    let (inputs, news) = mpsc::channel(INPUTS_WAITING_MAX);
    let Some(backend) = Backend::new(Arc::clone(&config), program, inputs) else { return };
    Fleet::new(config, shards, backend, counters, view).run(events, news, requests, stop).await;
}
