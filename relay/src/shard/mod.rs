//! A shard: one thread, one core, one io_uring runtime, and the connections accepted there.
//!
//! Owns the sockets and moves bytes; what to send to whom is the hub's decision and what the bytes
//! mean is the protocol crate's. Nothing is shared with other shards on the way of a frame: they
//! exchange [`ShardMessage`]s, and meet in the directory at publish, play and their ends.

mod accept;
mod accounts;
mod bounds;
mod client;
mod connection;
mod egress;
mod leg;
mod mailbox;
mod pace;
mod pull;
mod push;
mod reconfigure;
mod server;
mod snapshot;
mod state;
mod stream;
mod timers;
mod upstream;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use edgerelay_proto::time::Instant;
use edgerelay_uring::{SendRing, SlabPool};
use tokio::sync::{Notify, mpsc, watch};

use self::bounds::RING_ENTRIES;
use self::pace::Pace;
use self::state::State;
use crate::config::Config;
use crate::hub::admission::Admission;
use crate::hub::directory::Directory;
use crate::id::ShardId;
use crate::message::{NodeEvent, ShardMessage};
use crate::telemetry::{Ledger, Readiness, ShardCounters};

pub use self::bounds::MAILBOX_MESSAGES_MAX;

/// What shards share, each part touched when connections and streams come and go, never per frame.
#[derive(Debug)]
pub struct Commons {
    /// Which shard is each stream's home.
    pub directory: Mutex<Directory>,
    /// Who is let in.
    pub admission: Mutex<Admission>,
    /// What the node is ready for.
    pub readiness: Arc<Readiness>,
    /// Where connections' accounts go.
    pub ledger: Arc<Ledger>,
}

/// All that a shard needs to run.
#[derive(Debug)]
pub struct ShardSetup {
    /// Which shard.
    pub id: ShardId,
    /// The core to run on, if it is to be pinned.
    pub core: Option<usize>,
    /// Its own listeners, bound.
    pub listeners: Vec<TcpListener>,
    /// The configuration.
    pub config: Arc<Config>,
    /// Its counters.
    pub counters: Arc<ShardCounters>,
    /// Its mailbox.
    pub mailbox: mpsc::Receiver<ShardMessage>,
    /// Every shard's mailbox, its own included, in the order of their ids.
    pub peers: Vec<mpsc::Sender<ShardMessage>>,
    /// What the shards share.
    pub commons: Arc<Commons>,
    /// Where to tell of streams that workers or pipelines are for, if there are any.
    pub events: Option<mpsc::Sender<NodeEvent>>,
}

/// Starts a shard on its own thread. It ends after `Drain` or `Stop`.
///
/// # Errors
/// The thread could not be made.
pub fn spawn(setup: ShardSetup) -> io::Result<JoinHandle<io::Result<()>>> {
    std::thread::Builder::new().name(format!("shard-{}", setup.id)).spawn(move || run(setup))
}

fn run(setup: ShardSetup) -> io::Result<()> {
    if let Some(core) = setup.core {
        pin(setup.id, core);
    }
    tokio_uring::builder().entries(RING_ENTRIES).start(async move {
        let ring = SendRing::new(RING_ENTRIES).map_err(io::Error::other)?;
        let ready = ring.waiter()?;
        let ShardSetup { id, config, counters, mailbox, peers, commons, events, listeners, .. } =
            setup;
        let shard = Rc::new(Shard {
            id,
            config: RefCell::new(Rc::new((*config).clone())),
            counters,
            peers,
            commons,
            events,
            started: std::time::Instant::now(),
            state: RefCell::new(State::new(ring)),
            slabs: SlabPool::new(),
            urgent: Notify::new(),
            pace: Pace::new(),
            done: Notify::new(),
            accepting: watch::channel(true).0,
            draining: Cell::new(false),
        });
        accept::start(&shard, listeners);
        tokio_uring::spawn(egress::run(Rc::clone(&shard)));
        tokio_uring::spawn(egress::reap(Rc::clone(&shard), ready));
        tokio_uring::spawn(pace::run(Rc::clone(&shard)));
        tokio_uring::spawn(mailbox::run(Rc::clone(&shard), mailbox));
        tokio_uring::spawn(timers::run(Rc::clone(&shard)));
        shard.commons.readiness.on_shard_up();
        shard.done.notified().await;
        shard.commons.readiness.on_shard_down();
        Ok(())
    })
}

fn pin(id: ShardId, core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
        tracing::warn!(shard = %id, core, %error, "could not pin the shard to its core");
    }
}

/// The running shard, shared by its tasks. `state` is never borrowed across an await.
pub(super) struct Shard {
    id: ShardId,
    /// Its own copy, so that no other core writes beside it.
    config: RefCell<Rc<Config>>,
    counters: Arc<ShardCounters>,
    peers: Vec<mpsc::Sender<ShardMessage>>,
    commons: Arc<Commons>,
    events: Option<mpsc::Sender<NodeEvent>>,
    started: std::time::Instant,
    state: RefCell<State>,
    /// What publishers are read into.
    slabs: SlabPool,
    /// Something is to be sent at once.
    urgent: Notify,
    pace: Pace,
    /// The shard is to end.
    done: Notify,
    /// Whether connections are accepted.
    accepting: watch::Sender<bool>,
    draining: Cell<bool>,
}

impl Shard {
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The configuration in force.
    fn config(&self) -> Rc<Config> {
        Rc::clone(&self.config.borrow())
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.commons.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.commons.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bits for handshakes and jitter; not secret.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15)
}
