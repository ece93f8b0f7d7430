//! Reads a machine: files below a root, which tests choose, and what only the kernel itself tells.
//!
//! Judges nothing. What cannot be read is left out.

mod cards;
mod places;
mod sockets;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use procfs_core::FromRead as _;
use procfs_core::process::{LimitValue, Limits as ProcessLimits, MountInfos, Status};

use super::judge::WORKERS;
use super::machine::{Clock, Congestion, Holder, Limits, Listening, Machine, Ring, Trial};
use super::sysctl::WANTED;
use crate::config::{Config, WorkerBackend};

/// Where ports take a capability, unless the kernel says otherwise.
const UNPRIVILEGED_PORT: u16 = 1024;
/// The unit that the package brings.
const SERVICE: &str = "usr/lib/systemd/system/edgerelay.service";

/// A machine's files.
struct Files<'a> {
    root: &'a Path,
}

impl Files<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The text of a file, without blanks around it.
    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    fn words(&self, path: &str) -> Vec<String> {
        let text = self.text(path).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// The names in a folder, in order.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

/// Reads the machine whose files are below `root`, as far as `config` makes it matter.
pub(super) fn read(root: &Path, config: Option<&Config>) -> Machine {
    let files = Files { root };
    let addresses: Vec<_> = config.map_or_else(Vec::new, |config| {
        let wanted = wanted(config);
        let all: Vec<_> = wanted.iter().map(|(_, address)| *address).collect();
        let mut holders = sockets::holders(&files, &all);
        let holders = |address| holders.remove(&address).unwrap_or_default();
        listening(wanted, holders)
    });
    let node = addresses.iter().flat_map(|it| &it.holders).find(|it| it.is_ours());
    let node = node.map(|holder| holder.pid);
    Machine {
        release: files.text("proc/sys/kernel/osrelease"),
        ring: edgerelay_uring::probe().map(|support| Ring { has_zero_copy: support.zero_copy }),
        ring_sysctl: files.number("proc/sys/kernel/io_uring_disabled"),
        is_filtered: is_filtered(&files),
        is_root: rustix::process::geteuid().is_root(),
        has_service: files.path(SERVICE).exists(),
        node,
        has_btf: files.path("sys/kernel/btf/vmlinux").exists(),
        has_cgroup2: has_cgroup2(&files),
        limits: limits(&files, node),
        congestion: congestion(&files),
        sysctls: WANTED
            .iter()
            .filter_map(|it| {
                let path = format!("proc/sys/{}", it.name.replace('.', "/"));
                Some((it.name, files.text(&path)?))
            })
            .collect(),
        unprivileged_port: files
            .number("proc/sys/net/ipv4/ip_unprivileged_port_start")
            .unwrap_or(UNPRIVILEGED_PORT),
        cores: cores(),
        cards: cards::read(&files),
        clock: clock(&files),
        addresses,
        places: config.map_or_else(Vec::new, |config| places::read(&files, config)),
    }
}

/// The addresses that the relay and its workers are to listen on, each with its setting.
fn wanted(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let rtmp = config.rtmp.listen.iter().map(|address| ("rtmp.listen", *address));
    let http = config.http.listen.iter().map(|address| ("http.listen", *address));
    let own = match config.workers.backend {
        WorkerBackend::Process | WorkerBackend::Systemd => config.workers.max,
        _ => 0,
    };
    let first = config.workers.listen;
    let workers = (1..=own).filter_map(|number| {
        let port = first.port().checked_add(u16::try_from(number).ok()?)?;
        Some((WORKERS, SocketAddr::new(first.ip(), port)))
    });
    rtmp.chain(http).chain(workers).collect()
}

fn listening(
    wanted: Vec<(&'static str, SocketAddr)>,
    mut holders: impl FnMut(SocketAddr) -> Vec<Holder>,
) -> Vec<Listening> {
    let each = |(setting, address)| {
        let trial = sockets::try_bind(address);
        let holders = if trial == Trial::Held { holders(address) } else { Vec::new() };
        Listening { setting, address, trial, holders }
    };
    wanted.into_iter().map(each).collect()
}

fn is_filtered(files: &Files<'_>) -> bool {
    let status = Status::from_file(files.path("proc/self/status"));
    status.is_ok_and(|status| status.seccomp == Some(2))
}

fn has_cgroup2(files: &Files<'_>) -> bool {
    let mounts = MountInfos::from_file(files.path("proc/self/mountinfo"));
    mounts.is_ok_and(|mounts| mounts.iter().any(|mount| mount.fs_type == "cgroup2"))
}

/// Limits of the node, or of this process where none runs or its limits are not ours to see.
fn limits(files: &Files<'_>, node: Option<u32>) -> Option<Limits> {
    let process = node.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let limits = ProcessLimits::from_file(files.path(&format!("proc/{process}/limits"))).ok()?;
    let bound = |limit| match limit {
        LimitValue::Unlimited => None,
        LimitValue::Value(value) => Some(value),
    };
    Some(Limits {
        nofile: bound(limits.max_open_files.soft_limit),
        memlock_bytes: bound(limits.max_locked_memory.soft_limit),
    })
}

fn congestion(files: &Files<'_>) -> Option<Congestion> {
    Some(Congestion {
        chosen: files.text("proc/sys/net/ipv4/tcp_congestion_control")?,
        available: files.words("proc/sys/net/ipv4/tcp_available_congestion_control"),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn clock(files: &Files<'_>) -> Clock {
    const FOLDER: &str = "sys/devices/system/clocksource/clocksource0";
    Clock {
        is_synchronised: edgerelay_uring::clock_is_synchronised().ok(),
        source: files.text(&format!("{FOLDER}/current_clocksource")),
        sources: files.words(&format!("{FOLDER}/available_clocksource")),
    }
}

#[cfg(test)]
mod tests;
