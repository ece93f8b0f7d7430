//! `edgerelay accounting`: puts the programs into the kernel, pins them for the relay, stays to keep
//! the maps tidy, and takes everything away at its end.
//!
//! The only part that needs rights: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. It serves no network and
//! reads nothing that strangers send.

use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use aya::pin::PinError;
use aya::programs::links::{FdLink, LinkError};
use aya::programs::{CgroupAttachMode, ProgramError};
use aya::{Ebpf, EbpfError};
use edgerelay_ebpf_common::{Connection, Heartbeat, LAYOUT_VERSION, PortKey, maps};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::object::{self, Loaded};
use super::pins::PinFolder;
use super::{cgroup, monotonic_ns, ports};
use crate::config::Config;
use crate::telemetry::logging;

/// `EX_UNAVAILABLE` of `sysexits.h`.
const EXIT_UNAVAILABLE: u8 = 69;

/// How often it says that it is alive.
const PERIOD: Duration = Duration::from_secs(1);

/// How often closed connections are looked for, in periods: that takes a look at all of them.
const SWEEP_PERIODS: u32 = 10;

/// How long a closed connection's last figures are kept for whoever wants to read them.
const CLOSED_KEPT: Duration = Duration::from_secs(30);

/// Places in the map for each connection that the node may carry, as closed ones are kept for a
/// while, and some more for HTTP.
const PLACES_PER_CONNECTION: u32 = 2;
const PLACES_MORE: u32 = 4096;

/// What happens to the pins when the loader ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinsAtExit {
    /// They go, and counting ends.
    Remove,
    /// They stay, and counting goes on.
    Keep,
}

/// Why counting did not begin, or ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Logging(#[from] logging::LoggingError),
    #[error("kernel accounting is not compiled in; `cargo xtask ebpf` builds it")]
    NotCompiledIn,
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{}; it takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON", object::brief(.0))]
    Load(#[from] EbpfError),
    #[error("could not attach: {0}")]
    Attach(#[from] ProgramError),
    #[error("could not pin: {0}")]
    Pin(#[from] PinError),
    #[error("could not hold a link: {0}")]
    Link(#[from] LinkError),
    #[error("map: {0}")]
    Map(#[from] MapError),
}

fn io_failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    |error| Failure::Io { what: what.into(), error }
}

/// Counts until it is told to stop.
#[must_use]
pub fn run(config: &Config, at_exit: PinsAtExit) -> ExitCode {
    match count(config, at_exit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            eprintln!("edgerelay: {failure}");
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

fn count(config: &Config, at_exit: PinsAtExit) -> Result<(), Failure> {
    logging::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_failed("start"))?;
    runtime.block_on(async {
        // Before anything is pinned that the end has to remove.
        let stop = StopSignals::new().map_err(io_failed("signals"))?;
        let loader = start(config)?;
        loader.stay(stop, at_exit).await
    })
}

/// What tells us to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Programs that count, and the maps that we write.
struct Loader {
    pins: PinFolder,
    /// Which loader we are.
    id: u64,
    snapshot: bool,
    heartbeat: Array<MapData, Heartbeat>,
    connections: HashMap<MapData, u64, Connection>,
}

fn start(config: &Config) -> Result<Loader, Failure> {
    if !object::is_compiled_in() {
        return Err(Failure::NotCompiledIn);
    }
    let pins = PinFolder::new(&config.accounting.pin_dir);
    let folder = pins.path().display().to_string();
    pins.prepare().map_err(io_failed(folder.clone()))?;
    remove_other_layouts(&pins).map_err(io_failed(folder.clone()))?;
    let cgroup = match config.accounting.cgroup.as_str() {
        "" => cgroup::root().map_err(io_failed("find the cgroup hierarchy"))?,
        path => path.into(),
    };
    let joined = File::open(&cgroup).map_err(io_failed(cgroup.display().to_string()))?;
    let connections_max = u32::try_from(config.rtmp.connections_max).unwrap_or(u32::MAX / 4);
    let places = connections_max.saturating_mul(PLACES_PER_CONNECTION).saturating_add(PLACES_MORE);
    let Loaded { mut ebpf, snapshot } = object::load(pins.path(), places)?;
    fill_ports(&mut ebpf, config)?;
    let heartbeat = Array::try_from(take(&mut ebpf, maps::HEARTBEAT)?)?;
    let connections = HashMap::try_from(take(&mut ebpf, maps::CONNECTIONS)?)?;
    attach(&mut ebpf, &pins, &joined)?;
    if snapshot.is_ok() {
        pin_snapshot(&mut ebpf, &pins)?;
    } else {
        pins.remove(maps::SNAPSHOT).map_err(io_failed(folder.clone()))?;
    }
    pins.share().map_err(io_failed(folder.clone()))?;
    let id = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
    let mut loader = Loader { pins, id, snapshot: snapshot.is_ok(), heartbeat, connections };
    loader.beat(monotonic_ns())?;
    if let Err(why) = &snapshot {
        tracing::warn!(
            "connections are not looked at once a second, but when they measure a round trip; the \
             relay asks the sockets of those that only receive: {why}"
        );
    }
    tracing::info!(cgroup = %cgroup.display(), pins = folder, "counting connections");
    loader.look();
    Ok(loader)
}

/// Pins of another version cannot be used on. What they counted is lost.
fn remove_other_layouts(pins: &PinFolder) -> io::Result<()> {
    let Ok(map) = MapData::from_pin(pins.pin(maps::HEARTBEAT)) else {
        // Nothing there, or nothing of ours: the other maps would be of an unknown layout.
        return pins.remove_all();
    };
    let found = Array::<_, Heartbeat>::try_from(Map::Array(map)).and_then(|map| map.get(&0, 0));
    match found {
        Ok(found) if found.version == LAYOUT_VERSION => Ok(()),
        other => {
            let version = other.ok().map(|found| found.version);
            tracing::warn!(?version, "pins of another layout are replaced");
            pins.remove_all()
        }
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, Failure> {
    ebpf.take_map(name)
        .ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
        .map_err(Failure::Map)
}

fn fill_ports(ebpf: &mut Ebpf, config: &Config) -> Result<(), Failure> {
    let mut map: HashMap<_, PortKey, u32> = HashMap::try_from(take(ebpf, maps::PORTS)?)?;
    let wanted = ports::counted(config);
    let there: Vec<PortKey> = map.keys().collect::<Result<_, _>>()?;
    for key in there.iter().filter(|key| wanted.iter().all(|(wanted, _)| wanted != *key)) {
        map.remove(key)?;
    }
    for (key, service) in wanted {
        map.insert(key, service as u32, 0)?;
    }
    Ok(())
}

/// Attaches before what was attached before goes, so that no connection is missed. Meanwhile both
/// are called, and count nothing twice.
fn attach(ebpf: &mut Ebpf, pins: &PinFolder, cgroup: &File) -> Result<(), Failure> {
    let program = object::events(ebpf)?;
    let id = program.attach(cgroup, CgroupAttachMode::Single)?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    let name = maps::ON_SOCKET_EVENT;
    pins.remove(name).map_err(io_failed("the pin of the loader before"))?;
    link.pin(pins.pin(name))?;
    Ok(())
}

fn pin_snapshot(ebpf: &mut Ebpf, pins: &PinFolder) -> Result<(), Failure> {
    let program = object::snapshot(ebpf)?;
    let id = program.attach()?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    pins.remove(maps::SNAPSHOT).map_err(io_failed("the pin of the loader before"))?;
    link.pin(pins.pin(maps::SNAPSHOT))?;
    Ok(())
}

impl Loader {
    /// Says that we are alive, and until when that holds.
    fn beat(&mut self, alive_ns: u64) -> Result<(), MapError> {
        let snapshot = u32::from(self.snapshot);
        let beat = Heartbeat { version: LAYOUT_VERSION, snapshot, loader: self.id, alive_ns };
        self.heartbeat.set(0, beat, 0)
    }

    /// Looks at all connections, which makes those known that are older than we.
    fn look(&self) {
        if self.snapshot
            && let Err(error) = std::fs::read(self.pins.pin(maps::SNAPSHOT))
        {
            tracing::warn!(%error, "connections from before are found by the relay alone");
        }
    }

    /// Whether no other loader has taken over.
    fn is_in_charge(&self) -> bool {
        self.heartbeat.get(&0, 0).is_ok_and(|heartbeat| heartbeat.loader == self.id)
    }

    /// Forgets connections that were closed a while ago.
    fn sweep(&mut self) {
        let closed_kept = u64::try_from(CLOSED_KEPT.as_nanos()).unwrap_or(u64::MAX);
        let horizon = monotonic_ns().saturating_sub(closed_kept);
        // A kernel that makes no callbacks for connections older than we shows nobody how they end:
        // they are not looked at any more.
        self.look();
        let gone = |it: &Connection| self.snapshot && it.updated_ns < horizon;
        let is_old = |it: &Connection| match it.closed_ns {
            0 => gone(it),
            closed_ns => closed_ns < horizon,
        };
        let entries = self.connections.iter().filter_map(Result::ok);
        let old: Vec<u64> =
            entries.filter(|(_, it)| is_old(it)).map(|(cookie, _)| cookie).collect();
        for cookie in old {
            // Gone already is gone.
            let _gone = self.connections.remove(&cookie);
        }
    }

    async fn stay(mut self, stop: StopSignals, at_exit: PinsAtExit) -> Result<(), Failure> {
        if let Replaced::Yes = self.until_stopped(stop).await? {
            tracing::info!("another loader has taken over");
            return Ok(());
        }
        let _untold = sd_notify::notify(&[NotifyState::Stopping]);
        match at_exit {
            PinsAtExit::Keep => {
                self.beat(u64::MAX)?;
                tracing::info!("stopped; the pins stay, and counting goes on");
            }
            PinsAtExit::Remove => {
                self.beat(0)?;
                self.pins.remove_all().map_err(io_failed("remove the pins"))?;
                self.pins.remove_folder();
                tracing::info!("stopped");
            }
        }
        Ok(())
    }

    async fn until_stopped(&mut self, mut stop: StopSignals) -> Result<Replaced, Failure> {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut periods = 0_u32;
        let _untold = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("counting")]);
        loop {
            tokio::select! {
                () = stop.received() => return Ok(Replaced::No),
                _ = ticks.tick() => {
                    if !self.is_in_charge() {
                        return Ok(Replaced::Yes);
                    }
                    self.beat(monotonic_ns())?;
                    periods = periods.wrapping_add(1);
                    if periods.is_multiple_of(SWEEP_PERIODS) {
                        self.sweep();
                    }
                }
            }
        }
    }
}

/// Whether another loader has taken over.
enum Replaced {
    Yes,
    No,
}
