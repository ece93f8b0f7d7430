//! How long frames wait to go out together. A pure rule; the shard measures and waits.

use std::time::Duration;

use crate::config::MergeWindow;

/// A shard less busy than this sends at once.
const SPARE_BUSY: f32 = 0.5;
/// At this much and more, frames wait for the whole window.
const FULL_BUSY: f32 = 0.9;
/// A shorter window than this saves no send and costs a timer.
const WINDOW_MIN: Duration = Duration::from_millis(1);

/// How long to wait: `busy` is the shard's share of time at work, 0 to 1.
///
/// With [`MergeWindow::Auto`] it is nothing below one half, then grows in a straight line to `max`
/// at nine tenths: the number of sends a second is what a shard spends its time on.
#[must_use]
pub fn merge_window(setting: MergeWindow, busy: f32, max: Duration) -> Duration {
    match setting {
        MergeWindow::Fixed(window) => window,
        MergeWindow::Auto => {
            let share = (busy - SPARE_BUSY) / (FULL_BUSY - SPARE_BUSY);
            // A busy share that is no number counts as idle.
            let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
            let window = max.mul_f32(share);
            if window < WINDOW_MIN { Duration::ZERO } else { window.min(max) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: Duration = Duration::from_millis(100);

    #[test]
    fn a_shard_with_time_to_spare_does_not_wait() {
        for busy in [0.0, 0.2, 0.5, -1.0, f32::NAN] {
            assert_eq!(merge_window(MergeWindow::Auto, busy, MAX), Duration::ZERO);
        }
    }

    #[test]
    fn a_full_shard_waits_for_the_whole_window() {
        for busy in [0.9, 1.0, 7.0, f32::INFINITY] {
            assert_eq!(merge_window(MergeWindow::Auto, busy, MAX), MAX);
        }
        let half = merge_window(MergeWindow::Auto, 0.7, MAX);
        assert!((49..=51).contains(&half.as_millis()), "{half:?}");
    }

    #[test]
    fn a_fixed_window_is_used_as_it_is() {
        let window = Duration::from_millis(250);
        assert_eq!(merge_window(MergeWindow::Fixed(window), 0.0, MAX), window);
    }

    proptest! {
        #[test]
        fn the_window_never_shrinks_as_the_shard_fills(a in 0.0_f32..1.2, b in 0.0_f32..1.2) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            let short = merge_window(MergeWindow::Auto, less, MAX);
            let long = merge_window(MergeWindow::Auto, more, MAX);
            prop_assert!(short <= long && long <= MAX);
        }
    }
}
