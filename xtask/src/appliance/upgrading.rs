//! Another version of the package takes the place of the one installed. It is made out of that: with a
//! higher number, and another configuration file.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::installing::{main_process, serves};
use super::machine::Machine;
use super::media::{Media, is_served_again};
use super::{quietly, same, seen};

const CONFIGURATION: &str = "/etc/edgerelay/edgerelay.toml";

/// What an operator and the new version each add to the file.
const OURS: &str = "# changed by the operator";
const THEIRS: &str = "# changed by the new version";

/// What keeps apt from asking, which nobody would answer.
const UPGRADE: &str =
    "apt-get install -y -o Dpkg::Options::=--force-confold ./edgerelay-2.deb 2>&1";

/// Upgrades: with a configuration that is wrong, then with a right one.
pub(super) fn upgrade(machine: &Machine, media: &Media) -> Result<()> {
    make_second_version(machine)?;
    machine.shell(&format!("echo '{OURS}' >> {CONFIGURATION}"))?;
    let before = main_process(machine)?;

    let drop_in = "/etc/edgerelay/conf.d/broken.toml";
    machine.shell(&format!("echo '[rtmp]\nlisen = 1' > {drop_in}"))?;
    let said = machine.shell(UPGRADE)?;
    ensure!(said.contains("nothing is restarted"), "the upgrade says: {said}");
    same("the process under a broken configuration", &main_process(machine)?, &before)?;
    serves(machine)?;
    machine.shell(&format!("rm {drop_in}"))?;

    machine.shell("dpkg --force-confold --install ./edgerelay.deb 2>&1")?;
    let now = main_process(machine)?;
    ensure!(now != before, "the relay was not restarted by a downgrade");
    seen("another process after a downgrade");
    machine.shell(UPGRADE)?;
    same("the version", &machine.shell("dpkg-query -W -f '${Version}' edgerelay")?, SECOND)?;
    ensure!(main_process(machine)? != now, "the relay was not restarted by the upgrade");
    seen("another process after the upgrade");
    serves(machine)?;
    let file = machine.shell(&format!("tail -n 1 {CONFIGURATION}"))?;
    same("the last line of the configuration", &file, OURS)?;
    let rights = machine.shell(&format!("stat -c '%a %U %G' {CONFIGURATION}"))?;
    same("its rights", &rights, "640 root edgerelay")?;
    stopped_stays_stopped(machine)?;
    is_served_again(machine, media)
}

/// The number of the version that is made here.
const SECOND: &str = "9.0.0-1";

fn make_second_version(machine: &Machine) -> Result<()> {
    let folder = super::folder().join("second");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("remove the last run's second version")?;
    }
    let home = machine.root().join("root");
    quietly(Command::new("dpkg-deb").arg("-R").arg(home.join("edgerelay.deb")).arg(&folder))?;
    let control = folder.join("DEBIAN/control");
    let text = fs::read_to_string(&control).context("read the control file")?;
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("Version: ") {
            Some(_) => format!("Version: {SECOND}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    fs::write(&control, lines.concat()).context("write the control file")?;
    let configuration = folder.join(CONFIGURATION.trim_start_matches('/'));
    let text = fs::read_to_string(&configuration).context("read the configuration")?;
    fs::write(&configuration, format!("{text}{THEIRS}\n")).context("write the configuration")?;
    let package = home.join("edgerelay-2.deb");
    quietly(Command::new("dpkg-deb").args(["-Zgzip", "-z1", "-b"]).arg(&folder).arg(&package))?;
    fs::remove_dir_all(&folder).context("remove what the second version was made from")
}

/// A service that an operator has stopped or disabled is not started by an upgrade.
fn stopped_stays_stopped(machine: &Machine) -> Result<()> {
    machine.shell("systemctl stop edgerelay; systemctl disable edgerelay 2>/dev/null")?;
    machine.shell("apt-get install -y --reinstall ./edgerelay-2.deb 2>&1")?;
    let state = machine
        .shell("systemctl is-active edgerelay || true; systemctl is-enabled edgerelay || true")?;
    same("a service that was stopped and disabled", &state, "inactive\ndisabled")?;
    machine.shell("systemctl enable --now edgerelay edgerelay-accounting 2>/dev/null")?;
    serves(machine)
}
