//! The socket unit: systemd holds the port, so that whoever comes while the relay is down waits for it.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::eventually;
use super::installing::{main_process, serves};
use super::machine::Machine;
use super::media::{Media, Place, SOON, is_served_again, plays};
use super::running::comes_back;
use super::seen;
use super::visitors::Visitors;

/// What turns the unit on, as its first lines say, and what turns it off again.
const ON: &str = "systemctl stop edgerelay && systemctl enable --now edgerelay.socket 2>&1 && \
                  systemctl start edgerelay";
const OFF: &str = "systemctl disable --now edgerelay.socket 2>&1; systemctl restart edgerelay";

/// How long visitors come after the relay has been killed: past its start.
const VISITS: Duration = Duration::from_secs(4);

/// A process that is killed, one that hands over and is killed then, and none at all.
pub(super) fn socket(machine: &Machine, media: &Media) -> Result<()> {
    machine.shell(ON)?;
    serves(machine)?;
    {
        let _publisher = media.publish(machine, Place::Outside, "activated")?;
        plays(machine, Place::Outside, "activated")?;
        seen("a stream passes through systemd's socket");
    }
    nobody_is_refused_after_a_kill(machine)?;
    let before = main_process(machine)?;
    machine.shell("systemctl kill --kill-whom=main --signal=USR2 edgerelay")?;
    comes_back(machine, "took over", &before)?;
    nobody_is_refused_after_a_kill(machine)?;
    machine.shell("systemctl stop edgerelay 2>&1")?;
    is_served_again(machine, media)?;
    seen("which started the relay");
    machine.shell(OFF)?;
    serves(machine)
}

fn nobody_is_refused_after_a_kill(machine: &Machine) -> Result<()> {
    let before = main_process(machine)?;
    machine.shell("systemctl kill --kill-whom=main --signal=KILL edgerelay")?;
    eventually(machine, "no process is the service", SOON, || {
        let now = main_process(machine)?;
        ensure!(now == "0", "the main process is {now}");
        Ok(())
    })?;
    let visitors = Visitors::start(machine)?;
    std::thread::sleep(VISITS * machine.slowness());
    visitors.were_all_served()?;
    comes_back(machine, "after kill -9", &before)
}
