//! Another version of the package takes the place of the one installed. It is made out of that: with a
//! higher number, and another configuration file.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::installing::{main_process, serves};
use super::machine::Machine;
use super::media::{Media, Place, is_served_again, plays};
use super::running::comes_back;
use super::visitors::Visitors;
use super::watched::Watched;
use super::{eventually, quietly, same, seen};
use crate::step::seconds;

const CONFIGURATION: &str = "/etc/edgerelay/edgerelay.toml";

/// What an operator and the new version each add to the file.
const OURS: &str = "# changed by the operator";
const THEIRS: &str = "# changed by the new version";

/// What keeps apt from asking, which nobody would answer.
const UPGRADE: &str =
    "apt-get install -y -o Dpkg::Options::=--force-confold ./edgerelay-2.deb 2>&1";

/// How long the old process may take to end once nobody is there any more.
const LEFT_MAX: Duration = Duration::from_secs(20);

/// Likewise, the other way.
const DOWNGRADE: &str = "apt-get install -y --allow-downgrades -o Dpkg::Options::=--force-confold";

/// Upgrades: with a configuration that is wrong, then amid streams and visitors, and back.
pub(super) fn upgrade(machine: &Machine, media: &Media) -> Result<()> {
    make_second_version(machine)?;
    machine.shell(&format!("echo '{OURS}' >> {CONFIGURATION}"))?;
    with_a_broken_configuration(machine)?;
    machine.shell(&format!("{DOWNGRADE} ./edgerelay.deb 2>&1"))?;
    amid_streams(machine, media)?;
    let file = machine.shell(&format!("tail -n 1 {CONFIGURATION}"))?;
    same("the last line of the configuration", &file, OURS)?;
    let rights = machine.shell(&format!("stat -c '%a %U %G' {CONFIGURATION}"))?;
    same("its rights", &rights, "640 root edgerelay")?;
    the_successor_is_killed(machine, media)?;
    stopped_stays_stopped(machine)?;
    is_served_again(machine, media)
}

fn with_a_broken_configuration(machine: &Machine) -> Result<()> {
    let before = main_process(machine)?;
    let drop_in = "/etc/edgerelay/conf.d/broken.toml";
    machine.shell(&format!("echo '[rtmp]\nlisen = 1' > {drop_in}"))?;
    let said = machine.shell(UPGRADE)?;
    ensure!(said.contains("the one before runs on"), "the upgrade says: {said}");
    ensure!(said.contains("conf.d/broken.toml:2:1: rtmp.lisen"), "the upgrade says: {said}");
    same("the process under a broken configuration", &main_process(machine)?, &before)?;
    serves(machine)?;
    machine.shell(&format!("rm {drop_in}"))?;
    Ok(())
}

/// One stream goes through the whole upgrade, and a hundred visitors come each second.
fn amid_streams(machine: &Machine, media: &Media) -> Result<()> {
    let before = main_process(machine)?;
    let mut watched = Watched::start(machine, media, "upgraded", 8)?;
    let visitors = Visitors::start(machine)?;
    let started = Instant::now();
    machine.shell(UPGRADE)?;
    seen(format_args!("apt install ./edgerelay-2.deb took {}", seconds(started.elapsed())));
    same("the version", &machine.shell("dpkg-query -W -f '${Version}' edgerelay")?, SECOND)?;
    let now = main_process(machine)?;
    ensure!(now != before, "the process is {now} as before");
    same("processes of the service", &processes(machine)?, &sorted(&[&before, &now]))?;
    serves(machine)?;
    is_served_again(machine, media)?;
    println!("{}", machine.shell("systemctl --no-pager --lines=6 status edgerelay")?);
    watched.is_under_way()?;
    visitors.were_all_served()?;
    watched.has_lost_nothing()?;
    eventually(
        machine,
        "the old process has ended, and the service is the new one",
        LEFT_MAX,
        || {
            let left = processes(machine)?;
            ensure!(left == now, "there are {left}, the main one is {now}");
            Ok(())
        },
    )
}

/// The process that took over is killed while the one before it serves: systemd finds out at once, though it has
/// not started that process.
fn the_successor_is_killed(machine: &Machine, media: &Media) -> Result<()> {
    let _publisher = media.publish(machine, Place::Outside, "before")?;
    plays(machine, Place::Outside, "before")?;
    let before = main_process(machine)?;
    machine.shell("apt-get install -y --reinstall ./edgerelay-2.deb 2>&1")?;
    let now = main_process(machine)?;
    same("processes of the service", &processes(machine)?, &sorted(&[&before, &now]))?;
    machine.shell("systemctl kill --kill-whom=main --signal=KILL edgerelay")?;
    comes_back(machine, "after kill -9 of a successor", &now)?;
    is_served_again(machine, media)
}

/// The service's processes, in order of their numbers.
fn processes(machine: &Machine) -> Result<String> {
    let group = "/sys/fs/cgroup$(systemctl show --value -p ControlGroup edgerelay)/cgroup.procs";
    machine.shell(&format!("sort -n {group} | paste -sd ' '"))
}

fn sorted(processes: &[&str]) -> String {
    let mut numbers: Vec<u32> = processes.iter().filter_map(|it| it.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The number of the version that is made here.
const SECOND: &str = "9.0.0-1";

fn make_second_version(machine: &Machine) -> Result<()> {
    let folder = super::folder().join("second");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("remove the last run's second version")?;
    }
    quietly(Command::new("dpkg-deb").arg("-R").arg(machine.package()).arg(&folder))?;
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
    let package = folder.with_extension("deb");
    quietly(Command::new("dpkg-deb").args(["-Zgzip", "-z1", "-b"]).arg(&folder).arg(&package))?;
    machine.put(&package, "edgerelay-2.deb")?;
    fs::remove_file(&package).context("remove the second version")?;
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
