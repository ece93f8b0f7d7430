//! Clocks. The one that stamps are read from is the machine's, so that two processes can compare.

use std::time::Duration;

use edgerelay_proto::time::Instant;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now, on the machine's monotonic clock.
#[must_use]
pub fn now() -> Instant {
    let micros = duration(clock_gettime(ClockId::Monotonic)).as_micros();
    Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Processor time of this process so far, user and system.
#[must_use]
pub fn processor_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// Random bits for handshakes; not secret.
#[must_use]
pub fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};

    RandomState::new().hash_one(now().as_micros())
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}
