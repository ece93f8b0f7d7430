//! How long to wait before connecting again. Owns the schedule; the caller brings the randomness
//! and does the waiting.

use std::time::Duration;

/// Exponential backoff with jitter: each delay is drawn from the upper half of a span that doubles
/// from `min` to `max`, so that connections which broke together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// Doublings beyond this change nothing: the span is at any sensible maximum by then.
    const DOUBLINGS_MAX: u32 = 20;

    /// A schedule from `min` to `max`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, attempts: 0 }
    }

    /// The delay before the next attempt. `random` is uniform over all of `u64`.
    pub fn next_delay(&mut self, random: u64) -> Duration {
        let doublings = self.attempts.min(Self::DOUBLINGS_MAX);
        self.attempts = self.attempts.saturating_add(1);
        let span = self.min.saturating_mul(1 << doublings).min(self.max.max(self.min));
        let half_micros = u64::try_from(span.as_micros() / 2).unwrap_or(u64::MAX - 1);
        let jitter = Duration::from_micros(random % (half_micros + 1));
        span - Duration::from_micros(half_micros) + jitter
    }

    /// Attempts since the last success.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The connection held: the next failure starts over.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_span_doubles_from_one_second_to_thirty() {
        let mut backoff = Backoff::default();
        // u64::MAX % (2^k * 10^n / 2 + 1) is not the top, so look at the lowest draw: half a span.
        let lows: Vec<_> = (0..7).map(|_| backoff.next_delay(0).as_millis()).collect();
        assert_eq!(lows, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    }

    #[test]
    fn a_reset_starts_over() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next_delay(7);
        }
        backoff.reset();
        assert_eq!(backoff.attempts(), 0);
        assert_eq!(backoff.next_delay(0), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn every_delay_is_within_the_upper_half_of_its_span(
            randoms in prop::collection::vec(any::<u64>(), 1..80),
        ) {
            let mut backoff = Backoff::default();
            let mut span = 1_000_u128;
            for random in randoms {
                let delay = backoff.next_delay(random).as_millis();
                prop_assert!(delay >= span / 2 && delay <= span, "{delay} of {span}");
                span = (span * 2).min(30_000);
            }
        }
    }
}
