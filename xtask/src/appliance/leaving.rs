//! The package goes, and what is left of it: its settings after `remove`, nothing after `purge` but what
//! somebody else put there.

use anyhow::{Result, ensure};

use super::changes::{self, Changes};
use super::installing::serves;
use super::machine::Machine;
use super::{nothing, same, seen};

/// A file of the operator's own.
const MINE: &str = "/etc/edgerelay/conf.d/mine.toml";

/// Removes, installs again, purges, and compares with what there was `before` everything.
pub(super) fn leave(machine: &Machine, before: &Changes) -> Result<()> {
    machine.shell("echo '# changed by the operator' >> /etc/edgerelay/edgerelay.toml")?;
    machine.shell("systemctl enable edgerelay.socket 2>&1")?;
    machine.shell("apt-get remove -y edgerelay 2>&1")?;
    nothing_runs(machine)?;
    let kept = machine.shell("tail -n 1 /etc/edgerelay/edgerelay.toml")?;
    same("after remove, the configuration's last line", &kept, "# changed by the operator")?;
    machine.shell("apt-get install -y -o Dpkg::Options::=--force-confold ./edgerelay.deb 2>&1")?;
    serves(machine)?;

    machine.shell(&format!("echo '[node]' > {MINE}; chgrp edgerelay {MINE}"))?;
    let said = machine.shell("apt-get purge -y edgerelay 2>&1")?;
    nothing_runs(machine)?;
    println!("{}", said.replace('\r', "\n").lines().last().unwrap_or_default());
    same(
        "the operator's own file",
        &machine.shell(&format!("stat -c '%U %G' {MINE}"))?,
        "root root",
    )?;
    machine.shell("rm -r /etc/edgerelay")?;
    nothing("user", &machine.shell("getent passwd edgerelay || true")?)?;
    nothing("group", &machine.shell("getent group edgerelay || true")?)?;
    let units = "systemctl list-units --all --no-legend --plain 'edgerelay*' 'run-edgerelay*'";
    nothing("units that somebody asks for", &machine.shell(units)?)?;
    let left = changes::difference(before, &machine.changes()?);
    ensure!(left.is_empty(), "purge has left:\n{}", left.join("\n"));
    seen(format_args!(
        "the file system is as before: the same {} paths differ from the image",
        before.len()
    ));
    Ok(())
}

/// No unit, process or pin.
fn nothing_runs(machine: &Machine) -> Result<()> {
    for (what, script) in [
        ("processes", "ps -eo args= | grep '^/usr/bin/edgerelay' || true"),
        ("files below /run", "find /run -name '*edgerelay*' -not -path '/run/systemd/*'"),
        ("mounts", "grep edgerelay /proc/self/mounts || true"),
        // Links that say what was enabled stay until `purge`.
        (
            "units that are loaded",
            "systemctl list-units --all --no-legend --plain 'edgerelay*' 'run-edgerelay*' \
             | grep -v not-found || true",
        ),
    ] {
        nothing(what, &machine.shell(script)?)?;
    }
    Ok(())
}
