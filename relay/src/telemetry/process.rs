//! What the kernel says about this process: memory, descriptors, processor time, start.
//!
//! Read from `/proc` at a scrape. What cannot be read is left out, never guessed.

use std::fs;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use rustix::time::{ClockId, clock_gettime};

/// This process at one moment. `None` where `/proc` did not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUsage {
    /// Processor time used, in user and kernel mode.
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// The soft limit on open file descriptors; `None` too where there is no limit.
    pub fds_max: Option<u64>,
    /// When the process started, in seconds since the Unix epoch.
    pub start_time_seconds: Option<f64>,
}

impl ProcessUsage {
    /// Reads this process's usage.
    #[must_use]
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let stat = stat.as_deref().and_then(Stat::parse);
        let ticks_per_second = ticks(rustix::param::clock_ticks_per_second());
        Self {
            cpu_seconds: stat.map(|stat| ticks(stat.cpu_ticks) / ticks_per_second),
            resident_bytes: fs::read_to_string("/proc/self/statm")
                .ok()
                .as_deref()
                .and_then(parse_resident_pages)
                .map(|pages| pages.saturating_mul(rustix::param::page_size() as u64)),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            fds_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            start_time_seconds: stat
                .map(|stat| start_seconds(ticks(stat.start_ticks) / ticks_per_second)),
        }
    }
}

/// The fields of `/proc/self/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
}

impl Stat {
    /// Parses the line. The second field, the command in parentheses, may hold spaces and
    /// parentheses itself, so fields are counted from the last closing one: `utime` is the 14th
    /// field of the line, `stime` the 15th, `starttime` the 22nd.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(14 - 3);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let start_ticks = fields.nth(22 - 16)?.parse().ok()?;
        Some(Self { cpu_ticks: user.saturating_add(system), start_ticks })
    }
}

fn parse_resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Seconds since the epoch at `since_boot`, found out once: clocks drift against each other, and a
/// start that moves would look like a restart.
fn start_seconds(since_boot: f64) -> f64 {
    static START: OnceLock<f64> = OnceLock::new();
    *START.get_or_init(|| {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
        let boot_clock = clock_gettime(ClockId::Boottime);
        let running = seconds(boot_clock.tv_sec) + seconds(boot_clock.tv_nsec) / 1e9 - since_boot;
        now - running
    })
}

#[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds stay far below 2^52")]
fn seconds(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "clock ticks stay far below 2^52")]
fn ticks(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_shifts_no_field() {
        let line = "77 (edge) (relay) S 1 77 77 0 -1 4194560 9 0 0 0 300 45 0 0 20 0 5 0 8899 1 2";
        assert_eq!(Stat::parse(line), Some(Stat { cpu_ticks: 345, start_ticks: 8899 }));
    }

    #[test]
    fn a_truncated_line_yields_nothing() {
        assert_eq!(Stat::parse("77 (edgerelay) S 1 77"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process_has_memory_descriptors_and_a_start_in_the_past() {
        let usage = ProcessUsage::read();
        assert!(usage.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(usage.open_fds.is_some_and(|fds| fds >= 3));
        let now = UNIX_EPOCH.elapsed().map_or(0.0, |now| now.as_secs_f64());
        let age = now - usage.start_time_seconds.unwrap_or(0.0);
        assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
        assert_eq!(ProcessUsage::read().start_time_seconds, usage.start_time_seconds);
    }
}
