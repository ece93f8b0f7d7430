//! The one place where tests wait: until a condition holds, with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `condition` until it yields a value; panics with `what` when `limit` has passed.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Checks that `condition` holds for the whole of `span`.
#[track_caller]
pub(crate) fn throughout(what: &str, span: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        assert!(condition(), "{what} did not hold throughout {span:?}");
        thread::sleep(POLL_INTERVAL);
    }
}
