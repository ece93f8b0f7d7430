//! What a process and its children have used, and what the machine had to give, from `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Readings at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    at: Instant,
    /// Time on a processor, of all tasks.
    run: Duration,
    switches: u64,
    pub(crate) resident_kib: u64,
    core: CoreTimes,
}

/// Jiffies of one core.
#[derive(Clone, Copy, Debug, Default)]
struct CoreTimes {
    busy: u64,
    steal: u64,
    all: u64,
}

/// How busy a core is, from reading to reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreReading(CoreTimes);

impl CoreReading {
    pub(crate) fn take(core: usize) -> Result<Self> {
        core_times(core).map(Self)
    }

    /// Busy share of what the host gave since `earlier`.
    pub(crate) fn busy_since(&self, earlier: &Self) -> f64 {
        let given = self.0.given() - earlier.0.given();
        (self.0.busy - earlier.0.busy) as f64 / given.max(1) as f64
    }
}

impl CoreTimes {
    const fn given(self) -> u64 {
        self.all - self.steal
    }
}

/// The difference of two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) switches_per_second: f64,
    /// Share of the core that the host took away.
    pub(crate) steal: f64,
    /// Share of the core that others used.
    pub(crate) foreign: f64,
}

impl Reading {
    /// Of the process `root`, everything it started, and the core it runs on.
    pub(crate) fn take(root: u32, core: usize) -> Result<Self> {
        let mut reading = Self {
            at: Instant::now(),
            run: Duration::ZERO,
            switches: 0,
            resident_kib: 0,
            core: core_times(core)?,
        };
        for process in family(root) {
            reading.add(process);
        }
        Ok(reading)
    }

    /// A task that ends meanwhile counts for nothing.
    fn add(&mut self, process: u32) {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        self.resident_kib += field(&status, "VmRSS:").unwrap_or(0);
        let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return };
        for task in tasks.flatten() {
            let file = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let run = file("schedstat");
            let nanos = run.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
            self.run += Duration::from_nanos(nanos.unwrap_or(0));
            let status = file("status");
            self.switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
            self.switches += field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        let cpu_seconds = self.run.saturating_sub(earlier.run).as_secs_f64();
        let all = (self.core.all - earlier.core.all).max(1) as f64;
        let share = |jiffies: u64| jiffies as f64 / all;
        let busy = share(self.core.busy - earlier.core.busy);
        Usage {
            seconds,
            cpu_seconds,
            switches_per_second: (self.switches - earlier.switches) as f64 / seconds,
            steal: share(self.core.steal - earlier.core.steal),
            foreign: (busy - cpu_seconds / seconds).max(0.0),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_whitespace().next()?.parse().ok()
}

/// A process and all that descend from it.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        next += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
    }
    found
}

fn core_times(core: usize) -> Result<CoreTimes> {
    let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let name = format!("cpu{core} ");
    let line = stat.lines().find(|line| line.starts_with(&name)).context("no such core")?;
    let times: Vec<u64> =
        line.split_whitespace().skip(1).filter_map(|value| value.parse().ok()).collect();
    // proc(5): user nice system idle iowait irq softirq steal guest guest_nice; guest time is part
    // of user time.
    let [user, nice, system, idle, iowait, irq, softirq, steal] = times[..8] else {
        anyhow::bail!("/proc/stat has another shape");
    };
    let busy = user + nice + system + irq + softirq;
    Ok(CoreTimes { busy, steal, all: busy + steal + idle + iowait })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_to() {
        // Not this process: its other tests are threads that end.
        let busy = ["-c", "while :; do :; done"];
        let mut child = std::process::Command::new("sh").args(busy).spawn().unwrap();
        let before = Reading::take(child.id(), 0).unwrap();
        let limit = Instant::now() + Duration::from_secs(10);
        let used = loop {
            let used = Reading::take(child.id(), 0).unwrap().since(&before);
            if used.cpu_seconds > 0.01 || Instant::now() > limit {
                break used;
            }
            std::thread::yield_now();
        };
        // Not before: it begins with a few pages.
        let resident_kib = Reading::take(child.id(), 0).unwrap().resident_kib;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(used.cpu_seconds > 0.01 && used.cpu_seconds < 10.0, "{used:?}");
        assert!(resident_kib > 100, "{resident_kib}");
    }

    #[test]
    fn a_core_is_busy_with_a_share_of_what_it_was_given() {
        let earlier = CoreReading(CoreTimes { busy: 10, steal: 5, all: 100 });
        let later = CoreReading(CoreTimes { busy: 50, steal: 25, all: 200 });
        assert!((later.busy_since(&earlier) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn children_belong_to_the_family() {
        let mut child = std::process::Command::new("sleep").arg("5").spawn().unwrap();
        assert!(family(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        let status = "Name:\tx\nVmRSS:\t  123 kB\nvoluntary_ctxt_switches:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(123));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(field(status, "Threads:"), None);
    }
}
