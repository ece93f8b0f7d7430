//! What systemd is told: readiness, status, and that the shards are alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::telemetry::{ClientRole, ShardCounters};

const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Talks to systemd, if it started us.
pub(super) struct Notifier {
    watchdog: Option<Duration>,
    watchdog_fed: Instant,
    /// Heartbeats when the watchdog was fed last.
    beats: Vec<u64>,
    status_told: Instant,
}

impl Notifier {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            watchdog_fed: now,
            beats: Vec::new(),
            status_told: now,
        }
    }

    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Status("relaying")]);
    }

    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// Feeds the watchdog while every shard's heart beats, and keeps the status line up to date.
    pub(super) fn tick(&mut self, counters: &[Arc<ShardCounters>]) {
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
            let status = format!(
                "{streams} streams, {publishers} publishers, {players} players, {pushes} pushes"
            );
            tell(&[NotifyState::Status(&status)]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "could not notify systemd");
    }
}
