//! What happens to a node that runs: it is told to read its configuration again, it is killed, it hangs, the
//! machine is booted again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::installing::{http, main_process, serves};
use super::machine::Machine;
use super::media::{Media, SOON, is_served_again};
use super::watched::Watched;
use super::{eventually, eventually_unsaid, seen};

/// The unit's watchdog for this test, so that nobody waits for half a minute.
const WATCHDOG: &str = "mkdir -p /run/systemd/system/edgerelay.service.d && \
                        printf '[Service]\\nWatchdogSec=3s\\n' \
                        > /run/systemd/system/edgerelay.service.d/test.conf && \
                        systemctl daemon-reload && systemctl restart edgerelay";

/// How long systemd may take to see that a process is gone or hangs, and to start another.
const BACK_MAX: Duration = Duration::from_secs(40);

/// Reloads of one run, and those of them with a broken file.
const RELOADS: usize = 10;
const BROKEN: [usize; 2] = [3, 7];

/// The settings of this part.
const SETTINGS: &str = "/etc/edgerelay/conf.d/reloaded.toml";

/// `systemctl reload`, with good files and with broken ones, while a stream is live.
pub(super) fn reload(machine: &Machine, media: &Media) -> Result<()> {
    let process = main_process(machine)?;
    let before = metric(machine, "process_resident_memory_bytes")?;
    let mut watched = Watched::start(machine, media, "reloaded", 5)?;
    eventually(machine, "systemctl status counts the stream", SOON, || {
        let status = machine.shell("systemctl show --value -p StatusText edgerelay")?;
        ensure!(status.starts_with("1 streams, 1 publishers, 1 players"), "it says {status:?}");
        Ok(())
    })?;
    println!("{}", machine.shell("systemctl --no-pager --lines=0 status edgerelay")?);
    for round in 0..RELOADS {
        if BROKEN.contains(&round) {
            is_refused(machine, round)?;
        } else {
            is_taken_over(machine, 1000 + round)?;
        }
        watched.is_under_way()?;
    }
    let journal = "journalctl --no-pager -o json -u edgerelay | grep -c 'configuration changed'";
    let changes: usize = machine.shell(journal)?.trim().parse().context("a count")?;
    ensure!(changes >= RELOADS - BROKEN.len(), "the journal has {changes} changes");
    seen(format_args!(
        "{RELOADS} reloads: {} in force, as the journal's fields say; {} refused, each with its place",
        RELOADS - BROKEN.len(),
        BROKEN.len()
    ));
    machine.shell(&format!("rm {SETTINGS}; systemctl reload edgerelay"))?;
    let now = main_process(machine)?;
    ensure!(now == process, "the relay was {process} and is {now} after reloads");
    watched.has_lost_nothing()?;
    let after = metric(machine, "process_resident_memory_bytes")?;
    seen(format_args!("memory was {:.1} MiB, is {:.1} MiB", before / MIB, after / MIB));
    Ok(())
}

/// What is printed as a size.
const MIB: f64 = 1_048_576.0;

/// The new limit is in force, which the node says itself.
fn is_taken_over(machine: &Machine, limit: usize) -> Result<()> {
    let settings = format!("[rtmp]\nconnections_max = {limit}\n");
    machine.shell(&format!("printf '{settings}' > {SETTINGS}; systemctl reload edgerelay"))?;
    // kill(1) does not wait for what its signal leads to.
    let (key, value) = ("\"F_KEY\":\"rtmp.connections_max\"", format!("\"F_NEW\":\"{limit}\""));
    let what = format!("connections_max = {limit} is in force");
    eventually_unsaid(machine, &what, SOON, || {
        let journal = machine.shell("journalctl --no-pager -o json -n 30 -u edgerelay")?;
        let told = journal.lines().any(|line| {
            line.contains("configuration changed") && line.contains(key) && line.contains(&value)
        });
        ensure!(told, "the journal: {journal}");
        Ok(())
    })
}

/// The reload fails, the error is where an operator is told to look for it, and the limit is as it was.
fn is_refused(machine: &Machine, round: usize) -> Result<()> {
    // A line of its own for each, so that none is taken for another.
    let lines = "\\n".repeat(round);
    machine.shell(&format!("printf '[rtmp]{lines}lisen = 1\\n' > {SETTINGS}"))?;
    machine.shell_fails("systemctl reload edgerelay 2>&1")?;
    let place = format!("conf.d/reloaded.toml:{}:1: rtmp.lisen", round + 1);
    eventually(machine, &format!("a broken file is refused: {place}"), SOON, || {
        let told = machine.shell("journalctl --no-pager -u edgerelay")?;
        ensure!(told.contains(&place), "the journal: {told}");
        Ok(())
    })
}

/// kill -9, then a process that hangs.
pub(super) fn recover(machine: &Machine, media: &Media) -> Result<()> {
    let killed = main_process(machine)?;
    machine.shell("systemctl kill --kill-whom=main --signal=KILL edgerelay")?;
    comes_back(machine, "after kill -9", &killed)?;
    is_served_again(machine, media)?;
    machine.shell(WATCHDOG)?;
    serves(machine)?;
    let stopped = main_process(machine)?;
    machine.shell("systemctl kill --kill-whom=main --signal=STOP edgerelay")?;
    comes_back(machine, "after it hung", &stopped)?;
    is_served_again(machine, media)?;
    machine.shell("rm -r /run/systemd/system/edgerelay.service.d; systemctl daemon-reload")?;
    machine.shell("systemctl restart edgerelay")?;
    serves(machine)
}

/// Another process than `before` is the service, and serves.
pub(super) fn comes_back(machine: &Machine, when: &str, before: &str) -> Result<()> {
    eventually(machine, &format!("another process {when}"), BACK_MAX, || {
        let now = main_process(machine)?;
        ensure!(now != "0" && now != before, "the main process is {now}");
        Ok(())
    })?;
    serves(machine)
}

/// The machine boots again, and the node with it.
pub(super) fn reboot(machine: &mut Machine, media: &Media) -> Result<()> {
    let started = "systemctl show --value -p UserspaceTimestampMonotonic";
    let before = machine.shell(started)?;
    machine.reboot()?;
    let now = machine.shell(started)?;
    ensure!(before != now, "the machine says that it has not booted since {now}");
    serves(machine)?;
    is_served_again(machine, media)
}

/// A figure of the node's.
pub(super) fn metric(machine: &Machine, name: &str) -> Result<f64> {
    let metrics = http(machine, "/metrics")?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("{name} is not exported"))
}

/// Connections that are open.
pub(super) fn clients(machine: &Machine) -> Result<usize> {
    let list = machine.shell("edgerelay clients --json")?;
    Ok(list.matches("\"role\":").count())
}
