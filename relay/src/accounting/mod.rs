//! What the kernel counts of connections: loading the programs that count, and reading what they
//! counted.
//!
//! Two processes share it. The loader, `edgerelay accounting`, has the rights to load programs, pins
//! them and their maps, and keeps the maps tidy. The relay has none of these rights: it reads the
//! pins, and where it cannot, the shards ask their own sockets. It never touches a stream.

mod books;
mod btf;
mod cgroup;
mod loader;
mod object;
mod pins;
mod ports;
mod reader;
mod sampler;

pub use loader::{PinsAtExit, run};
pub use sampler::{Accounting, start};

/// The kernel's monotonic clock, which the programs use, too.
fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
