//! Rates over a sliding window. Owns counts per second; reads no clock.

use edgerelay_proto::time::Instant;

/// Seconds a rate is averaged over.
const WINDOW_SECONDS: u64 = 10;

/// Counts bytes in one-second buckets and tells the rate over the last ten whole seconds.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    buckets: [u64; WINDOW_SECONDS as usize],
    // The whole seconds in `buckets`, summed as they close.
    sum: u64,
    second: u64,
    current: u64,
    total: u64,
}

impl RateMeter {
    /// Counts `bytes` at `now`. Time never goes back; if it does, the bytes count as now.
    pub fn add(&mut self, now: Instant, bytes: u64) {
        self.close_seconds(now);
        self.current += bytes;
        self.total += bytes;
    }

    /// Bits per second over the last ten whole seconds.
    #[must_use]
    pub fn bits_per_second(&self, now: Instant) -> u64 {
        let mut meter = self.clone();
        meter.close_seconds(now);
        meter.sum.saturating_mul(8) / WINDOW_SECONDS
    }

    /// Bytes ever counted.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    fn close_seconds(&mut self, now: Instant) {
        let second = now.as_millis() / 1_000;
        if second <= self.second {
            return;
        }
        let passed = second - self.second;
        for step in 0..passed.min(WINDOW_SECONDS + 1) {
            let closed = if step == 0 { std::mem::take(&mut self.current) } else { 0 };
            self.put(self.second + step, closed);
        }
        self.second = second;
    }

    fn put(&mut self, second: u64, bytes: u64) {
        let at = usize::try_from(second % WINDOW_SECONDS).unwrap_or_default();
        if let Some(bucket) = self.buckets.get_mut(at) {
            self.sum = self.sum - *bucket + bytes;
            *bucket = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_stream_shows_its_rate_after_ten_seconds() {
        let mut meter = RateMeter::default();
        for millis in (0..30_000).step_by(40) {
            meter.add(Instant::from_millis(millis), 25_000);
        }
        let rate = meter.bits_per_second(Instant::from_millis(30_000));
        assert_eq!(rate, 25 * 25_000 * 8);
        assert_eq!(meter.total(), 750 * 25_000);
    }

    #[test]
    fn the_rate_falls_to_zero_once_the_window_has_passed() {
        let mut meter = RateMeter::default();
        meter.add(Instant::from_millis(500), 1_000);
        assert_eq!(meter.bits_per_second(Instant::from_millis(10_999)), 800);
        assert_eq!(meter.bits_per_second(Instant::from_millis(11_000)), 0);
        assert_eq!(meter.bits_per_second(Instant::from_millis(u64::MAX)), 0);
    }

    proptest! {
        #[test]
        fn the_rate_is_the_sum_of_the_last_ten_whole_seconds(
            steps in prop::collection::vec((0_u64..4_000, 0_u64..10_000), 1..100),
        ) {
            let mut meter = RateMeter::default();
            let mut millis = 0;
            let mut added = Vec::new();
            for (wait, bytes) in steps {
                millis += wait;
                meter.add(Instant::from_millis(millis), bytes);
                added.push((millis / 1_000, bytes));
                let second = millis / 1_000;
                let sum: u64 = added
                    .iter()
                    .filter(|(at, _)| *at < second && *at + WINDOW_SECONDS >= second)
                    .map(|(_, bytes)| bytes)
                    .sum();
                let rate = meter.bits_per_second(Instant::from_millis(millis));
                prop_assert_eq!(rate, sum * 8 / WINDOW_SECONDS);
            }
        }
    }
}
