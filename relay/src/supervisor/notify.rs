//! What systemd is told: readiness, status, and that the shards are alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::telemetry::{ClientRole, ShardCounters};

const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// What systemd is asked for while the node drains, each time that it is told the status. The drain
/// has an end of its own, of which the unit knows nothing.
const STOP_EXTENSION: Duration = Duration::from_secs(30);

/// Talks to systemd, if it started us.
pub(super) struct Notifier {
    watchdog: Option<Duration>,
    watchdog_fed: Instant,
    /// Heartbeats when the watchdog was fed last.
    beats: Vec<u64>,
    status_told: Instant,
    stopping: bool,
    /// The last reload was refused.
    refused: bool,
    /// systemd listens to another process now.
    replaced: bool,
}

impl Notifier {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            watchdog_fed: now,
            beats: Vec::new(),
            status_told: now,
            stopping: false,
            refused: false,
            replaced: false,
        }
    }

    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Status("relaying")]);
    }

    /// systemd takes the node for reloading until [`Self::reloaded`].
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "could not notify systemd"),
        }
    }

    pub(super) fn reloaded(&mut self, applied: bool) {
        let status = if applied {
            "configuration reloaded"
        } else {
            "configuration not reloaded, the one before is in force"
        };
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        self.status_told = Instant::now();
        self.refused = !applied;
    }

    /// Another process is the node now. It is the last thing that systemd hears from this one.
    pub(super) fn replaced_by(&mut self, pid: u32) {
        tell(&[NotifyState::MainPid(pid)]);
        self.replaced = true;
    }

    pub(super) fn stopping(&mut self) {
        if self.replaced {
            return;
        }
        self.stopping = true;
        tell(&[NotifyState::Stopping, NotifyState::Status("draining"), more_time()]);
    }

    /// Feeds the watchdog while the hearts of all shards that run beat, whose counters these are, and
    /// keeps the status line up to date.
    pub(super) fn tick(&mut self, counters: &[&Arc<ShardCounters>]) {
        if self.replaced {
            return;
        }
        let now = Instant::now();
        if let Some(period) = self.watchdog
            && now - self.watchdog_fed >= period / 3
        {
            let beats: Vec<_> = counters.iter().map(|shard| shard.heartbeats.total()).collect();
            let alive = self.beats.len() != beats.len()
                || self.beats.iter().zip(&beats).all(|(before, after)| before != after);
            if alive {
                tell(&[NotifyState::Watchdog]);
            } else {
                tracing::error!("a shard does not answer; the watchdog is not fed");
            }
            self.beats = beats;
            self.watchdog_fed = now;
        }
        if now - self.status_told >= STATUS_INTERVAL {
            self.status_told = now;
            let sum = |of: &dyn Fn(&ShardCounters) -> u64| -> u64 {
                counters.iter().map(|shard| of(shard)).sum()
            };
            let streams = sum(&|shard| shard.streams_active.value());
            let publishers = sum(&|shard| shard.connections_open(ClientRole::Publisher));
            let players = sum(&|shard| shard.connections_open(ClientRole::Player));
            let pushes = sum(&|shard| shard.connections_open(ClientRole::Push));
            let doing = if self.stopping { "draining: " } else { "" };
            let reload = if self.refused { "; the last reload was refused" } else { "" };
            let status = format!(
                "{doing}{streams} streams, {publishers} publishers, {players} players, {pushes} pushes{reload}"
            );
            tell(&[NotifyState::Status(&status)]);
            if self.stopping {
                tell(&[more_time()]);
            }
        }
    }
}

fn more_time() -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(STOP_EXTENSION.as_micros()).unwrap_or(u32::MAX))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "could not notify systemd");
    }
}
