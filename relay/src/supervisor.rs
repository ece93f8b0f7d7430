//! Creates, wires, drains and stops everything that runs.

mod cores;
mod entry;
mod handover;
mod line;
mod listeners;
mod notify;
mod orphan;
mod reload;
mod succession;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use edgerelay_uring::RingUnavailable;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use self::entry::ControlEntry;
use self::handover::{HandoverError, Predecessor, Successor};
use self::line::{Heard, Line};
use self::listeners::{BindError, Given, Opening};
use self::notify::Notifier;
pub use self::orphan::detach;
use self::reload::Reloader;
use self::succession::{Taking, answered};
use crate::accounting::{self, Accounting};
use crate::config::{Config, ConfigSource};
use crate::control::{ControlHandle, ControlServer, SocketError};
use crate::hub::admission::Admission;
use crate::hub::directory::Directory;
use crate::id::ShardId;
use crate::message::{
    NODE_EVENTS_MAX, RELOAD_REQUESTS_MAX, ReloadRequest, ShardMessage, WORK_REQUESTS_MAX,
    WorkSnapshot,
};
use crate::shard::{self, Commons, MAILBOX_MESSAGES_MAX, ShardSetup};
use crate::telemetry::{Ledger, Readiness, Reloads, ShardCounters, logging};
use crate::workers::{self, WorkersHandle, WorkersSetup};

/// A clean drain. The numbers are those of `sysexits.h`.
const EXIT_OK: u8 = 0;
/// `EX_UNAVAILABLE`: something that the node needs is not to be had.
const EXIT_UNAVAILABLE: u8 = 69;

/// How often shards are looked after.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is looked at whether they are up: somebody may wait for just that.
const READY_INTERVAL: Duration = Duration::from_millis(10);
/// What shards have to come up, and to end once told to.
const SHARD_PATIENCE: Duration = Duration::from_secs(10);

/// Why the node could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Logging(#[from] logging::LoggingError),
    #[error("{0}")]
    Ring(#[from] RingUnavailable),
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("{0}")]
    Socket(#[from] SocketError),
    #[error("could not start {what}: {error}")]
    Start { what: &'static str, error: std::io::Error },
    #[error("shard {0} failed: {1}")]
    Shard(ShardId, String),
    #[error("the thread of the workers ended")]
    Workers,
    #[error("the shards did not come up in {} s", SHARD_PATIENCE.as_secs())]
    Slow,
}

/// Who is told that the node is ready, besides systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyTold {
    /// Nobody.
    Nobody,
    /// Whoever reads the standard output: the node that started this one as its worker.
    Parent,
    /// The node whose place this one takes, which hands over its listening sockets first.
    Predecessor,
}

/// Runs the node until it is told to stop. `source` is where `config` can be read again.
#[must_use]
pub fn run(config: Config, source: Option<ConfigSource>, ready: ReadyTold) -> ExitCode {
    match start(config, source, ready).and_then(|node| node.serve(ready)) {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(failure) => {
            tracing::error!("{failure}");
            eprintln!("edgerelay: {failure}");
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

struct Running {
    id: ShardId,
    mailbox: mpsc::Sender<ShardMessage>,
    counters: Arc<ShardCounters>,
    thread: JoinHandle<std::io::Result<()>>,
}

/// A node whose threads run.
struct Node {
    reloader: Reloader,
    readiness: Arc<Readiness>,
    shards: Vec<Running>,
    control: Option<ControlServer>,
    accounting: Option<Accounting>,
    workers: Option<WorkersHandle>,
    /// Copies of all listeners, for a successor.
    listeners: Vec<TcpListener>,
    /// Until this node has taken another's place.
    taking: Option<Taking>,
    /// Whose place this node has taken, while that serves whom it had.
    before: Option<Line>,
    reload_requests: mpsc::Receiver<ReloadRequest>,
}

/// Sockets that were opened before this process was.
fn given(ready: ReadyTold) -> std::io::Result<(Option<Predecessor>, Given)> {
    if ready == ReadyTold::Predecessor {
        let (predecessor, sockets) = Predecessor::meet()?;
        Ok((Some(predecessor), Given::new(sockets)))
    } else {
        Ok((None, Given::new(edgerelay_uring::inherited_listeners()?)))
    }
}

fn start(config: Config, source: Option<ConfigSource>, ready: ReadyTold) -> Result<Node, Failure> {
    let level = logging::init(&config.log)?;
    edgerelay_uring::probe()?;
    let config = Arc::new(config);
    let cores = cores::available();
    let shards = match config.node.shards {
        0 => cores.len().max(1),
        count => count,
    };
    let started = Instant::now();
    let (predecessor, mut given) =
        given(ready).map_err(|error| Failure::Start { what: "with given sockets", error })?;
    let http = listeners::bind_http(&config.http.listen, &mut given)?;
    let opening = if predecessor.is_some() { Opening::Later } else { Opening::AtOnce };
    let mut rtmp = listeners::bind_rtmp(&config.rtmp.listen, shards, &mut given, opening)?;
    for address in given.left_over() {
        tracing::warn!(%address, "a socket was given that no address is configured for");
    }
    let copies: Result<Vec<_>, _> =
        http.iter().chain(rtmp.iter().flatten()).map(TcpListener::try_clone).collect();
    let copies = copies.map_err(|error| Failure::Start { what: "with its sockets", error })?;
    let socket = if predecessor.is_some() { None } else { entry::bind_socket(&config)? };
    let readiness = Arc::new(Readiness::new(shards));
    readiness.on_listeners_bound();
    let enabled = config.accounting.enabled;
    let ledger = Arc::new(if enabled { Ledger::new() } else { Ledger::disabled() });
    let commons = Arc::new(Commons {
        directory: Mutex::new(Directory::new()),
        admission: Mutex::new(Admission::new(
            config.rtmp.connections_max,
            config.rtmp.connections_per_ip_max,
        )),
        readiness: Arc::clone(&readiness),
        ledger: Arc::clone(&ledger),
    });
    let mailboxes: Vec<_> = (0..shards).map(|_| mpsc::channel(MAILBOX_MESSAGES_MAX)).collect();
    let peers: Vec<_> = mailboxes.iter().map(|(sender, _)| sender.clone()).collect();
    let counters: Vec<_> = (0..shards).map(|_| Arc::new(ShardCounters::new())).collect();
    let addresses: Vec<_> = rtmp
        .first()
        .map(|own| own.iter().filter_map(|it| it.local_addr().ok()).collect())
        .unwrap_or_default();
    let waiting: Option<Vec<Vec<TcpListener>>> = predecessor.is_some().then(|| {
        let none = (0..shards).map(|_| Vec::new()).collect();
        std::mem::replace(&mut rtmp, none)
    });
    let (tell, events) = mpsc::channel(NODE_EVENTS_MAX);
    let works = workers::are_wanted(&config);
    let mut running = Vec::with_capacity(shards);
    for (index, ((_, mailbox), listeners)) in mailboxes.into_iter().zip(rtmp).enumerate() {
        let id = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
        let own = peers.get(index).zip(counters.get(index));
        let Some((sender, counters)) = own else { continue };
        let thread = shard::spawn(ShardSetup {
            id,
            core: (shards <= cores.len()).then(|| cores.get(index).copied()).flatten(),
            listeners,
            config: Arc::clone(&config),
            counters: Arc::clone(counters),
            mailbox,
            peers: peers.clone(),
            commons: Arc::clone(&commons),
            events: works.then(|| tell.clone()),
        })
        .map_err(|error| Failure::Start { what: "a shard's thread", error })?;
        let (mailbox, counters) = (sender.clone(), Arc::clone(counters));
        running.push(Running { id, mailbox, counters, thread });
    }
    let (config_told, config_seen) = watch::channel(Arc::clone(&config));
    let reloads = Arc::new(Reloads::new(SystemTime::now()));
    let (view, work) = watch::channel(WorkSnapshot::default());
    let (work_requests, requests) = mpsc::channel(WORK_REQUESTS_MAX);
    let work_counters = Arc::new(workers::counters(&config));
    let workers = works.then(|| {
        let config = Arc::clone(&config);
        let (shards, counters) = (peers.clone(), Arc::clone(&work_counters));
        workers::start(WorkersSetup { config, shards, events, requests, view, counters })
    });
    let workers = workers
        .transpose()
        .map_err(|error| Failure::Start { what: "the thread of the workers", error })?;
    let (reload, reload_requests) = mpsc::channel(RELOAD_REQUESTS_MAX);
    let handle = ControlHandle {
        shards: peers.clone(),
        counters,
        config: config_seen,
        reloads: Arc::clone(&reloads),
        reload,
        readiness: Arc::clone(&readiness),
        ledger: Arc::clone(&ledger),
        started,
        work,
        work_requests,
        work_counters,
    };
    let entry = ControlEntry { http, handle };
    let (control, taking) = match predecessor.zip(waiting) {
        None => (entry.open(socket)?, None),
        Some((predecessor, rtmp)) => (None, Some(Taking { predecessor, rtmp, entry })),
    };
    let accounting = if config.accounting.enabled {
        let accounting = accounting::start(&config.accounting, ledger, Arc::clone(&readiness));
        Some(accounting.map_err(|error| Failure::Start { what: "accounting", error })?)
    } else {
        None
    };
    tracing::info!(listen = ?addresses, shards, "RTMP listening");
    let reloader = Reloader { source, level, config: config_told, reloads, commons, shards: peers };
    Ok(Node {
        reloader,
        readiness,
        shards: running,
        control,
        accounting,
        workers,
        listeners: copies,
        taking,
        before: None,
        reload_requests,
    })
}

/// What ends the wait.
enum Wake {
    Signal,
    /// And who is to be told what became of it.
    Reload(Option<ReloadRequest>),
    Upgrade,
    Offered(Result<Successor, HandoverError>),
    Check,
}

impl Node {
    fn serve(mut self, ready: ReadyTold) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Start { what: "the supervisor", error })?;
        let result = runtime.block_on(self.supervise(ready));
        if let Some(workers) = self.workers.take() {
            workers.shut_down();
        }
        if let Some(control) = self.control.take() {
            control.shutdown();
        }
        if let Some(accounting) = self.accounting.take() {
            accounting.shutdown();
        }
        result
    }

    async fn supervise(&mut self, ready: ReadyTold) -> Result<(), Failure> {
        let failed = |error| Failure::Start { what: "signal handling", error };
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut upgrade = signal(SignalKind::user_defined2()).map_err(failed)?;
        let mut offer = None;
        // Set by a process that takes this one's place; with a line to it, unless it is gone again.
        let mut replaced: Option<Option<Line>> = None;
        let mut notifier = Notifier::new();
        let mut checks = tokio::time::interval(READY_INTERVAL);
        let started = Instant::now();
        let mut told_ready = false;
        loop {
            let wake = tokio::select! {
                _ = terminate.recv() => Wake::Signal,
                _ = interrupt.recv() => Wake::Signal,
                // One that comes before the node is ready waits.
                _ = hangup.recv(), if told_ready => Wake::Reload(None),
                Some(asked) = self.reload_requests.recv(), if told_ready => {
                    Wake::Reload(Some(asked))
                }
                _ = upgrade.recv(), if told_ready && offer.is_none() => Wake::Upgrade,
                answer = answered(&mut offer) => Wake::Offered(answer),
                _ = checks.tick() => Wake::Check,
            };
            match wake {
                Wake::Signal => break,
                Wake::Reload(asked) => {
                    notifier.reloading();
                    let report = self.reloader.reload().await;
                    notifier.reloaded(report.applied);
                    // Whoever asked may not have waited.
                    let _gone = asked.map(|asked| asked.send(report));
                }
                Wake::Upgrade => {
                    tracing::info!("starting a process to take over");
                    offer = Some(self.offer());
                }
                Wake::Offered(Ok(successor)) => {
                    replaced = Some(self.give_way(successor, &mut notifier).await);
                    break;
                }
                Wake::Offered(Err(error)) => {
                    tracing::error!("no other process takes over: {error}");
                    offer = None;
                }
                Wake::Check => {}
            }
            self.check_shards()?;
            if self.workers.as_ref().is_some_and(WorkersHandle::is_finished) {
                return Err(Failure::Workers);
            }
            if !told_ready && self.readiness.is_ready() {
                if let Some(taking) = self.taking.take() {
                    self.take_over(taking).await?;
                }
                told_ready = true;
                checks = tokio::time::interval(CHECK_INTERVAL);
                notifier.ready();
                if ready == ReadyTold::Parent {
                    // A parent that is gone takes this node with it.
                    let _gone = writeln!(std::io::stdout(), "{}", workers::READY_LINE);
                }
                tracing::info!("ready");
            } else if !told_ready && started.elapsed() > SHARD_PATIENCE {
                return Err(Failure::Slow);
            }
            notifier.tick(&self.alive());
        }
        let replaced_by_another = replaced.is_some();
        let mut is_told = move || {
            replaced.as_mut().and_then(Option::as_mut).is_some_and(|line| line.hear() == Heard::End)
        };
        if replaced_by_another {
            let until = Instant::now() + self.reloader.config().node.upgrade_timeout;
            while (!self.is_left() || self.is_awaited()) && Instant::now() < until {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = checks.tick() => self.check_shards()?,
                }
                if is_told() {
                    break;
                }
            }
        }
        self.listeners.clear();
        let timeout = self.reloader.config().node.drain_timeout;
        self.readiness.on_drain();
        notifier.stopping();
        tracing::info!(
            timeout_seconds = timeout.as_secs_f64(),
            "draining; a second signal stops at once"
        );
        self.tell(|| ShardMessage::Drain { timeout }).await;
        self.pass_on_the_end();
        let deadline = Instant::now() + timeout + SHARD_PATIENCE;
        let mut stopped = false;
        while self.shards.iter().any(|shard| !shard.thread.is_finished()) || self.is_awaited() {
            let wake = tokio::select! {
                _ = terminate.recv() => Wake::Signal,
                _ = interrupt.recv() => Wake::Signal,
                _ = checks.tick() => Wake::Check,
            };
            notifier.tick(&self.alive());
            let late = Instant::now() > deadline;
            if matches!(wake, Wake::Signal) || late || is_told() {
                if stopped && late {
                    break;
                }
                tracing::info!("stopping at once");
                self.tell(|| ShardMessage::Stop).await;
                self.pass_on_the_end();
                if std::mem::replace(&mut stopped, true) {
                    break;
                }
            }
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// The counters of the shards that run: in a drain, each ends with its last connection.
    fn alive(&self) -> Vec<&Arc<ShardCounters>> {
        let running = self.shards.iter().filter(|shard| !shard.thread.is_finished());
        running.map(|shard| &shard.counters).collect()
    }

    async fn tell(&self, message: impl Fn() -> ShardMessage) {
        for shard in &self.shards {
            let send = shard.mailbox.send(message());
            // A shard that has ended, or hangs, cannot be told.
            let _untold = tokio::time::timeout(CHECK_INTERVAL, send).await;
        }
    }

    fn check_shards(&mut self) -> Result<(), Failure> {
        let Some(ended) = self.shards.iter().position(|shard| shard.thread.is_finished()) else {
            return Ok(());
        };
        let shard = self.shards.swap_remove(ended);
        let why = match shard.thread.join() {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        Err(Failure::Shard(shard.id, why))
    }
}
