//! cargo-deny, pinned and kept in the checkout: licences, bans and sources always, advisories when
//! their database can be had.

use std::process::Command;

use anyhow::Result;

use crate::pinned::Pinned;
use crate::{step, workspace};

const CARGO_DENY: Pinned = Pinned { name: "cargo-deny", version: "0.20.2" };

/// How long the advisory database may take to arrive.
const FETCH_SECONDS_MAX: &str = "120";

/// Builds cargo-deny unless the pinned version is there.
pub(crate) fn install() -> Result<()> {
    CARGO_DENY.install()
}

/// Checks the tree of dependencies against `deny.toml`.
pub(crate) fn check() -> Result<()> {
    install()?;
    step::run(deny().args(["check", "licenses", "bans", "sources"]))?;
    let mut fetch = Command::new("timeout");
    fetch.current_dir(workspace::root());
    fetch.arg(FETCH_SECONDS_MAX).arg(CARGO_DENY.program()).args(["fetch", "db"]);
    if step::succeeds(&mut fetch) {
        step::run(deny().args(["--offline", "check", "advisories"]))
    } else {
        println!("SKIPPED: advisories, because the advisory database cannot be reached from here");
        Ok(())
    }
}

fn deny() -> Command {
    let mut command = Command::new(CARGO_DENY.program());
    command.current_dir(workspace::root());
    command
}
