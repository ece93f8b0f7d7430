//! Limits of the process: descriptors and locked memory.

use super::super::finding::{Check, Finding, Level};
use super::super::machine::Machine;
use super::kernel;
use crate::config::{Config, ZeroCopySetting};

/// Descriptors besides those of connections: listeners, rings, the control plane and what it serves,
/// pins, pushes and pulls of an ordinary node.
const OTHER_DESCRIPTORS: u64 = 512;
/// Without as many, the node itself does not start.
const DESCRIPTORS_MIN: u64 = 64;
/// What systemd and the kernel give to everybody.
const MEMLOCK_BYTES_USUAL: u64 = 8 << 20;
/// Before, rings themselves were locked memory.
const RINGS_NOT_LOCKED: (u8, u8) = (5, 12);
/// What one connection may have under way, where the kernel does not tell: its usual bound.
const SEND_BUFFER_BYTES: u64 = 4 << 20;

pub(super) fn nofile(machine: &Machine, config: &Config) -> Option<Finding> {
    const CHECK: Check = Check::Nofile;
    let limits = machine.limits?;
    let connections = config.rtmp.connections_max as u64;
    let needed = connections.saturating_add(OTHER_DESCRIPTORS);
    let of = whose(machine);
    let Some(limit) = limits.nofile else { return Some(CHECK.ok(format!("no limit for {of}"))) };
    if limit >= needed {
        return Some(CHECK.ok(format!("{limit} for {of}, {needed} are needed")));
    }
    let fit = limit.saturating_sub(OTHER_DESCRIPTORS);
    let what = format!(
        "{limit} descriptors for {of}: {fit} connections, and rtmp.connections_max is {connections}"
    );
    let level = if limit < DESCRIPTORS_MIN { Level::Error } else { Level::Warning };
    let (what, level) = as_seen(machine, what, level);
    Some(CHECK.finds(level, what, raise(machine, "LimitNOFILE", needed, "nofile")))
}

pub(super) fn memlock(machine: &Machine, config: &Config) -> Option<Finding> {
    const CHECK: Check = Check::Memlock;
    let limits = machine.limits?;
    let of = whose(machine);
    let Some(limit) = limits.memlock_bytes else {
        return Some(CHECK.ok(format!("no limit for {of}")));
    };
    let rings_count = kernel::numbers(machine).is_some_and(|version| version < RINGS_NOT_LOCKED);
    let sends_count = config.rtmp.zero_copy != ZeroCopySetting::Off
        && kernel::numbers(machine).is_some_and(|version| version >= kernel::ZERO_COPY);
    if !rings_count && !sends_count {
        return Some(CHECK.ok(format!("{limit} bytes for {of}, of which nothing is needed")));
    }
    let each = machine.sysctls.get("net.ipv4.tcp_wmem");
    let each = each.and_then(|it| it.split_whitespace().next_back()?.parse().ok());
    let needed =
        each.unwrap_or(SEND_BUFFER_BYTES).saturating_mul(config.rtmp.connections_max as u64);
    if limit >= needed {
        return Some(CHECK.ok(format!("{limit} bytes for {of}, {needed} at most are needed")));
    }
    let level = if limit < MEMLOCK_BYTES_USUAL { Level::Warning } else { Level::Hint };
    let then = if rings_count { "rings may not be had" } else { "sends beyond are copied" };
    let what = format!(
        "{limit} bytes may be locked by {of}; with rtmp.connections_max it may want {needed}, and {then}"
    );
    let (what, level) = as_seen(machine, what, level);
    let mend = match machine.node.is_some() || machine.has_service {
        true => edit("LimitMEMLOCK=infinity"),
        false => "prlimit --pid $$ --memlock=unlimited   # in this shell".to_owned(),
    };
    Some(CHECK.finds(level, what, mend))
}

fn whose(machine: &Machine) -> String {
    match machine.node {
        Some(pid) => format!("the running node ({pid})"),
        None => "this shell".to_owned(),
    }
}

/// A shell's limits matter little where a service brings its own.
fn as_seen(machine: &Machine, what: String, level: Level) -> (String, Level) {
    if machine.node.is_none() && machine.has_service {
        return (format!("{what}; the service has limits of its own"), Level::Hint);
    }
    (what, level)
}

fn raise(machine: &Machine, directive: &str, value: u64, option: &str) -> String {
    if machine.node.is_some() || machine.has_service {
        return edit(&format!("{directive}={value}"));
    }
    format!("prlimit --pid $$ --{option}={value}   # in this shell")
}

fn edit(line: &str) -> String {
    format!("systemctl edit edgerelay   # [Service] {line}, then systemctl restart edgerelay")
}
