//! How often something that fails is tried again, and after what pauses.
//!
//! Without jitter: the same inputs give the same plan, and what is tried again here is our own.

use std::time::Duration;

use edgerelay_proto::time::Instant;

use crate::config::WorkersConfig;

/// Doublings beyond this change nothing: the pause is at any sensible maximum by then.
const DOUBLINGS_MAX: u32 = 20;

/// How often, and after what pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Attempts after the first one.
    pub retries_max: u32,
    /// The pause before the first retry; each further one is twice as long.
    pub delay: Duration,
    /// What the pause may grow to.
    pub delay_max: Duration,
    /// Going well for so long wins all retries back.
    pub reset: Duration,
}

impl RetrySettings {
    /// What `config` says.
    #[must_use]
    pub fn new(config: &WorkersConfig) -> Self {
        Self {
            retries_max: u32::try_from(config.retries_max).unwrap_or(u32::MAX),
            delay: config.retry_delay,
            delay_max: config.retry_delay_max,
            reset: config.retry_reset,
        }
    }

    /// The pause after `failures` failures in a row, of which this is the last.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
        self.delay.saturating_mul(1 << doublings).min(self.delay_max.max(self.delay))
    }
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, from then on.
    Again {
        /// When the pause is over.
        at: Instant,
    },
    /// All tries are used up.
    Exhausted,
}

/// The failures in a row of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    failures: u32,
    hindrances: u32,
    well_since: Option<Instant>,
}

impl Retries {
    /// Nothing has failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0, hindrances: 0, well_since: None }
    }

    /// It works, at least since `now`.
    pub fn on_success(&mut self, now: Instant) {
        self.well_since.get_or_insert(now);
        self.hindrances = 0;
    }

    /// It failed. What went well long enough before that starts over.
    pub fn on_failure(&mut self, now: Instant, settings: &RetrySettings) -> Verdict {
        let since = self.well_since.take();
        if since.is_some_and(|since| now.saturating_since(since) >= settings.reset) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures > settings.retries_max {
            Verdict::Exhausted
        } else {
            Verdict::Again { at: now + settings.pause(self.failures) }
        }
    }

    /// What it depends on failed, which uses up no try. It is tried again for as long as that takes.
    pub fn on_hindrance(&mut self, now: Instant, settings: &RetrySettings) -> Verdict {
        self.hindrances = self.hindrances.saturating_add(1);
        Verdict::Again { at: now + settings.pause(self.hindrances) }
    }

    /// Failures in a row so far that used up a try.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RetrySettings = RetrySettings {
        retries_max: 3,
        delay: Duration::from_millis(250),
        delay_max: Duration::from_millis(600),
        reset: Duration::from_secs(60),
    };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn pauses_double_up_to_their_maximum_and_tries_end() {
        let mut retries = Retries::new();
        let verdicts: Vec<_> = (0..4).map(|_| retries.on_failure(at(0), &SETTINGS)).collect();
        let again = |millis| Verdict::Again { at: at(millis) };
        assert_eq!(verdicts, [again(250), again(500), again(600), Verdict::Exhausted]);
        assert_eq!(retries.failures(), 4);
    }

    #[test]
    fn hindrances_are_borne_for_ever_and_cost_no_try() {
        let mut retries = Retries::new();
        for pause in [250, 500, 600, 600, 600] {
            let again = Verdict::Again { at: at(pause) };
            assert_eq!(retries.on_hindrance(at(0), &SETTINGS), again);
        }
        assert_eq!(retries.failures(), 0);
        assert_eq!(retries.on_failure(at(0), &SETTINGS), Verdict::Again { at: at(250) });
        retries.on_success(at(0));
        assert_eq!(retries.on_hindrance(at(0), &SETTINGS), Verdict::Again { at: at(250) });
    }

    #[test]
    fn only_going_well_long_enough_starts_over() {
        let mut retries = Retries::new();
        retries.on_failure(at(0), &SETTINGS);
        retries.on_success(at(1_000));
        retries.on_success(at(60_000));
        retries.on_failure(at(60_999), &SETTINGS);
        assert_eq!(retries.failures(), 2);
        retries.on_success(at(70_000));
        retries.on_failure(at(130_000), &SETTINGS);
        assert_eq!(retries.failures(), 1);
    }

    #[test]
    fn no_retries_means_that_the_first_failure_is_the_last() {
        let settings = RetrySettings { retries_max: 0, ..SETTINGS };
        assert_eq!(Retries::new().on_failure(at(0), &settings), Verdict::Exhausted);
    }

    #[test]
    fn the_pause_never_overflows() {
        let settings = RetrySettings { delay_max: Duration::MAX, ..SETTINGS };
        assert!(settings.pause(u32::MAX) > Duration::from_secs(3_600));
    }
}
