//! What became of reloads of the configuration. Rare enough for a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The configuration is in force, but for keys that need a restart.
    Applied,
    /// It was wrong, and the one before stays in force.
    Refused,
}

impl ReloadOutcome {
    /// Every outcome.
    pub const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    /// The outcome in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// The reloads of this process.
#[derive(Debug)]
pub struct Reloads(Mutex<ReloadCounts>);

/// The reloads so far, at one moment.
#[derive(Clone, Debug, Default)]
pub struct ReloadCounts {
    /// Reloads that were applied.
    pub applied: u64,
    /// Reloads that were refused.
    pub refused: u64,
    /// What was wrong at the last reload, each with its place. Empty where it was applied.
    pub errors: Vec<String>,
    /// When a configuration was taken over last, seconds of Unix time.
    pub applied_at: f64,
    /// Keys whose change waits for a restart.
    pub restart_keys: Vec<String>,
}

impl ReloadCounts {
    /// How many reloads ended so.
    #[must_use]
    pub const fn with(&self, outcome: ReloadOutcome) -> u64 {
        match outcome {
            ReloadOutcome::Applied => self.applied,
            ReloadOutcome::Refused => self.refused,
        }
    }
}

impl Reloads {
    /// The process has just taken over the configuration that it starts with, at `now`.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        let applied_at = seconds(now);
        Self(Mutex::new(ReloadCounts { applied_at, ..ReloadCounts::default() }))
    }

    /// A configuration was taken over at `now`, but for `restart_keys`.
    pub fn on_applied(&self, now: SystemTime, restart_keys: Vec<String>) {
        let mut counts = self.lock();
        counts.applied += 1;
        counts.errors.clear();
        counts.applied_at = seconds(now);
        counts.restart_keys = restart_keys;
    }

    /// A configuration was wrong.
    pub fn on_refused(&self, errors: Vec<String>) {
        let mut counts = self.lock();
        counts.refused += 1;
        counts.errors = errors;
    }

    /// What there was so far.
    #[must_use]
    pub fn counts(&self) -> ReloadCounts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ReloadCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(now: SystemTime) -> f64 {
    now.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refused_reload_is_told_until_one_succeeds() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let reloads = Reloads::new(at(100));
        assert!(reloads.counts().errors.is_empty());
        reloads.on_refused(vec!["a.toml:1:1: wrong".to_owned()]);
        let counts = reloads.counts();
        assert_eq!((counts.applied, counts.refused, counts.errors.len()), (0, 1, 1));
        assert_eq!(counts.applied_at, 100.0);
        reloads.on_applied(at(160), vec!["rtmp.listen".to_owned()]);
        let counts = reloads.counts();
        assert_eq!((counts.applied, counts.refused, counts.errors.len()), (1, 1, 0));
        assert_eq!(counts.applied_at, 160.0);
        assert_eq!(counts.restart_keys, ["rtmp.listen"]);
    }
}
