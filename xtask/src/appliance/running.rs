//! What happens to a node that runs: it is told to read its configuration again, it is killed, it hangs.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::installing::{main_process, serves};
use super::machine::Machine;
use super::media::{Media, Place, is_served_again, plays};
use super::{eventually, seen};

/// The unit's watchdog for this test, so that nobody waits for half a minute.
const WATCHDOG: &str = "mkdir -p /run/systemd/system/edgerelay.service.d && \
                        printf '[Service]\\nWatchdogSec=3s\\n' \
                        > /run/systemd/system/edgerelay.service.d/test.conf && \
                        systemctl daemon-reload && systemctl restart edgerelay";

/// How long systemd may take to see that a process is gone or hangs, and to start another.
const BACK_MAX: Duration = Duration::from_secs(40);

/// `systemctl reload`, with a good file and with a broken one, while a stream is live.
pub(super) fn reload(machine: &Machine, media: &Media) -> Result<()> {
    let process = main_process(machine)?;
    let mut publisher = media.publish(machine, Place::Outside, "reloaded")?;
    plays(machine, Place::Outside, "reloaded")?;
    machine.shell("systemctl reload edgerelay")?;
    seen("systemctl reload edgerelay");
    let drop_in = "/etc/edgerelay/conf.d/broken.toml";
    machine.shell(&format!("echo '[rtmp]\nlisen = 1' > {drop_in}"))?;
    machine.shell_fails("systemctl reload edgerelay 2>&1")?;
    // The error is where an operator is told to look for it.
    eventually("a broken file is refused, with its line", BACK_MAX, || {
        let told = machine.shell("journalctl --no-pager -u edgerelay")?;
        ensure!(told.contains("conf.d/broken.toml:2:1: rtmp.lisen"), "the journal: {told}");
        Ok(())
    })?;
    machine.shell(&format!("rm {drop_in}"))?;
    let now = main_process(machine)?;
    ensure!(now == process, "the relay was {process} and is {now} after a reload");
    publisher.lives()?;
    plays(machine, Place::Outside, "reloaded")?;
    seen("the stream and the process have outlived both");
    Ok(())
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

fn comes_back(machine: &Machine, when: &str, before: &str) -> Result<()> {
    eventually(&format!("another process {when}"), BACK_MAX, || {
        let now = main_process(machine)?;
        ensure!(now != "0" && now != before, "the main process is {now}");
        Ok(())
    })?;
    serves(machine)
}
