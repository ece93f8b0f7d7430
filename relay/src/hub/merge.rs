//! How long frames wait to go out together. A pure rule; the shard measures and waits.

use std::time::Duration;

use crate::config::MergeWindow;

/// A shard less busy than this lets the window shrink.
const SPARE_BUSY: f32 = 0.45;
/// Above this the window grows.
const FULL_BUSY: f32 = 0.70;
/// Above this it grows as fast as it may.
const OVERFULL_BUSY: f32 = 0.90;
/// What a growing window starts at; a shrinking one that is below it is gone. A shorter one saves
/// no send and costs a timer.
const WINDOW_MIN: Duration = Duration::from_millis(4);
/// The growth from one look to the next, when full and when overfull.
const GROWTH: f32 = 1.25;
/// See [`GROWTH`].
const GROWTH_MAX: f32 = 2.0;
/// The shrinking from one look to the next.
const DECAY: f32 = 0.85;

/// Sets the merge window by the load of the shard.
///
/// With [`MergeWindow::Auto`] there is none while the shard has time to spare. The number of sends
/// a second is what a shard spends its time on, so a full shard's window grows until it is full no
/// more, and then stays: it shrinks only once the load has gone well below, or the two would chase
/// each other.
#[derive(Clone, Debug)]
pub struct MergePolicy {
    setting: MergeWindow,
    max: Duration,
    window: Duration,
}

impl MergePolicy {
    /// The policy of an unloaded shard; `max` is what [`MergeWindow::Auto`] may grow to.
    #[must_use]
    pub const fn new(setting: MergeWindow, max: Duration) -> Self {
        let window = match setting {
            MergeWindow::Fixed(window) => window,
            MergeWindow::Auto => Duration::ZERO,
        };
        Self { setting, max, window }
    }

    /// Another setting from the next look on. The load is what it is, so an automatic window stays.
    pub fn set(&mut self, setting: MergeWindow, max: Duration) {
        let window = match setting {
            MergeWindow::Fixed(window) => window,
            MergeWindow::Auto => self.window.min(max),
        };
        *self = Self { setting, max, window };
    }

    /// The window in force.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// A look at the load, several times a second: `busy` is the shard's share of time at work, 0
    /// to 1. The window from now on.
    pub fn on_load(&mut self, busy: f32) -> Duration {
        if self.setting == MergeWindow::Auto {
            let grown = |factor| self.window.max(WINDOW_MIN).mul_f32(factor).min(self.max);
            self.window = if busy > OVERFULL_BUSY {
                grown(GROWTH_MAX)
            } else if busy > FULL_BUSY {
                grown(GROWTH)
            } else if busy < SPARE_BUSY {
                let shrunk = self.window.mul_f32(DECAY);
                if shrunk < WINDOW_MIN { Duration::ZERO } else { shrunk }
            } else {
                // No number is no news.
                self.window
            };
        }
        self.window
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: Duration = Duration::from_millis(100);

    fn auto(window_ms: u64) -> MergePolicy {
        let window = Duration::from_millis(window_ms);
        MergePolicy { setting: MergeWindow::Auto, max: MAX, window }
    }

    fn after(mut policy: MergePolicy, looks: usize, busy: f32) -> Duration {
        for _ in 0..looks {
            policy.on_load(busy);
        }
        policy.window()
    }

    #[test]
    fn a_shard_with_time_to_spare_does_not_wait() {
        for busy in [0.0, 0.2, 0.6, -1.0, f32::NAN] {
            let policy = MergePolicy::new(MergeWindow::Auto, MAX);
            assert_eq!(after(policy, 10, busy), Duration::ZERO, "{busy}");
        }
    }

    #[test]
    fn a_full_shard_waits_for_the_whole_window_within_two_seconds() {
        for busy in [0.95, 1.0, f32::INFINITY] {
            assert_eq!(after(auto(0), 10, busy), MAX, "{busy}");
        }
        assert_eq!(after(auto(0), 20, 0.8), MAX);
    }

    #[test]
    fn a_window_stays_while_the_load_is_between_the_marks() {
        assert_eq!(after(auto(40), 100, 0.5), Duration::from_millis(40));
        assert_eq!(after(auto(40), 100, 0.69), Duration::from_millis(40));
    }

    #[test]
    fn the_window_is_gone_when_the_load_is() {
        assert_eq!(after(auto(100), 25, 0.1), Duration::ZERO);
    }

    #[test]
    fn a_fixed_window_is_used_as_it_is() {
        let window = Duration::from_millis(250);
        assert_eq!(after(MergePolicy::new(MergeWindow::Fixed(window), MAX), 10, 1.0), window);
    }

    #[test]
    fn a_new_setting_holds_from_the_next_look_on() {
        let short = Duration::from_millis(20);
        let mut policy = auto(100);
        policy.set(MergeWindow::Auto, short);
        assert_eq!(policy.on_load(0.6), short, "no longer than it may be now");
        policy.set(MergeWindow::Fixed(MAX), short);
        assert_eq!(policy.on_load(0.0), MAX);
        policy.set(MergeWindow::Auto, short);
        assert_eq!(after(policy, 25, 0.0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn more_load_never_makes_a_shorter_window(
            window in 0_u64..=100, a in 0.0_f32..1.2, b in 0.0_f32..1.2,
        ) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            let short = after(auto(window), 1, less);
            let long = after(auto(window), 1, more);
            prop_assert!(short <= long && long <= MAX);
        }

        #[test]
        fn the_window_moves_by_no_more_than_a_factor_of_two(window in 8_u64..=100, busy: f32) {
            let before = Duration::from_millis(window);
            let after = after(auto(window), 1, busy);
            prop_assert!(before.mul_f32(0.5) <= after && after <= before.mul_f32(2.01));
        }
    }
}
