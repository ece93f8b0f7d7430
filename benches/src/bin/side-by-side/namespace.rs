//! A network namespace of the benchmark's own: its congestion control is that of all contenders,
//! and no port is taken.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Whether the kernel has a congestion control.
pub(crate) fn knows(congestion: &str) -> bool {
    let known = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    known.unwrap_or_default().split_whitespace().any(|name| name == congestion)
}

/// Runs this program again within a new namespace, and removes that when it is done.
pub(crate) fn enter(congestion: &str) -> Result<()> {
    let name = format!("edgerelay-bench-{}", std::process::id());
    ip(&["netns", "add", &name]).context("a network namespace takes root")?;
    let ended = within(&name, congestion);
    ip(&["netns", "del", &name])?;
    ended
}

fn within(name: &str, congestion: &str) -> Result<()> {
    ip(&["-n", name, "link", "set", "lo", "up"])?;
    let setting = format!("net.ipv4.tcp_congestion_control={congestion}");
    ip(&["netns", "exec", name, "sysctl", "-q", "-w", &setting])?;
    // Ten thousand players, and those that left a minute ago.
    ip(&["netns", "exec", name, "sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=10000 65000"])?;
    let own = env::current_exe().context("find this program")?;
    let status = Command::new("ip")
        .args(["netns", "exec", name])
        .arg(own)
        .args(env::args_os().skip(1))
        .args(["--inside", congestion])
        .status()
        .context("run `ip netns exec`")?;
    ensure!(status.success(), "under {congestion}: {status}");
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("run `ip`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {}`: {}", arguments.join(" "), said.trim());
    Ok(())
}
