//! The package is installed as a user would, and what that brings.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::machine::Machine;
use super::{eventually, nothing, same, seen};

/// How long services may take to be up.
pub(super) const UP_MAX: Duration = Duration::from_secs(30);

/// How long an answer may take.
const ANSWER_MAX_SECONDS: u32 = 5;

/// Installs, and looks around.
pub(super) fn install(machine: &Machine) -> Result<()> {
    let said = machine.shell("apt-get install -y ./edgerelay.deb 2>&1")?;
    ensure!(!said.contains("rror"), "apt complains:\n{said}");
    seen("apt install ./edgerelay.deb");
    serves(machine)?;
    for unit in ["edgerelay.service", "edgerelay-accounting.service"] {
        same(unit, &machine.shell(&format!("systemctl is-enabled {unit}"))?, "enabled")?;
    }
    for (path, rights) in [
        ("/etc/edgerelay", "750 root edgerelay"),
        ("/etc/edgerelay/conf.d", "750 root edgerelay"),
        ("/etc/edgerelay/edgerelay.toml", "640 root edgerelay"),
        ("/usr/bin/edgerelay", "755 root root"),
    ] {
        let found = machine.shell(&format!("stat -c '%a %U %G' {path}"))?;
        same(path, &found, rights)?;
    }
    let status = "/proc/$(systemctl show --value -p MainPID edgerelay)/status";
    let script = format!("awk '/^Cap(Eff|Prm|Bnd)/ {{ print $2 }}' {status} | sort -u");
    same("what the relay is capable of", &machine.shell(&script)?, "0000000000000000")?;
    let owner = machine.shell("ps -o user= -p $(systemctl show --value -p MainPID edgerelay)")?;
    same("the relay's user", &owner, "edgerelay")?;
    let warnings = "journalctl --no-pager --output=cat --priority=warning --unit='edgerelay*'";
    let warnings = machine.shell(&format!("{warnings} | grep -v '^-- ' || true"))?;
    nothing("warnings of the services", &warnings)?;
    // Twice is as once.
    machine.shell("apt-get install -y --reinstall ./edgerelay.deb 2>&1")?;
    seen("apt install --reinstall ./edgerelay.deb");
    serves(machine)?;
    println!("{}", machine.shell("systemctl --no-pager --lines=4 status edgerelay")?);
    Ok(())
}

/// The services run, and the node says that it is ready.
pub(super) fn serves(machine: &Machine) -> Result<()> {
    eventually(machine, "edgerelay.service is active and ready", UP_MAX, || {
        let state = machine.shell("systemctl is-active edgerelay edgerelay-accounting || true")?;
        ensure!(state == "active\nactive", "the services are {state:?}");
        let ready = http(machine, "/readyz")?;
        ensure!(!ready.is_empty(), "/readyz is empty");
        Ok(())
    })?;
    let metrics = http(machine, "/metrics")?;
    let attached = metrics.lines().find(|line| line.starts_with("edgerelay_ebpf_attached "));
    let failed = machine.shell("systemctl list-units --failed --no-legend 'edgerelay*'")?;
    ensure!(failed.is_empty(), "units failed: {failed}");
    seen(attached.unwrap_or("edgerelay_ebpf_attached is not exported"));
    Ok(())
}

/// What the node answers over HTTP.
pub(super) fn http(machine: &Machine, path: &str) -> Result<String> {
    let limit = (machine.slowness() * ANSWER_MAX_SECONDS).to_string();
    let url = format!("http://127.0.0.1:8080{path}");
    let curl = ["curl", "--silent", "--show-error", "--fail", "--max-time", &limit, &url];
    super::quietly(&mut machine.inside(&curl))
}

/// The relay's main process, as the machine numbers it.
pub(super) fn main_process(machine: &Machine) -> Result<String> {
    machine.shell("systemctl show --value -p MainPID edgerelay")
}
