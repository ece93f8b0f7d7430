//! cargo-deny, pinned and kept in the checkout: licences, bans and sources always, advisories when
//! their database can be had.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{step, workspace};

/// The version in use. Newer ones may need a newer compiler than `rust-version`.
const VERSION: &str = "0.20.2";

/// How long the advisory database may take to arrive.
const FETCH_SECONDS_MAX: &str = "120";

fn folder() -> PathBuf {
    workspace::root().join(".tools")
}

fn program() -> PathBuf {
    folder().join("bin/cargo-deny")
}

/// Builds cargo-deny unless the pinned version is there.
pub(crate) fn install() -> Result<()> {
    let version = Command::new(program()).arg("--version").output();
    if version.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}")
    }) {
        println!("setup: cargo-deny {VERSION} is in .tools");
        return Ok(());
    }
    step::run(
        step::cargo()
            .args(["install", "--quiet", "--locked", "--version", VERSION, "--root"])
            .arg(folder())
            .arg("cargo-deny")
            // Its own profile is for shipping it. Ours is run a few times for a second.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            // So that cargo builds it in a folder that it removes afterwards.
            .env_remove("CARGO_TARGET_DIR"),
    )
}

/// Checks the tree of dependencies against `deny.toml`.
pub(crate) fn check() -> Result<()> {
    install()?;
    step::run(deny().args(["check", "licenses", "bans", "sources"]))?;
    let mut fetch = Command::new("timeout");
    fetch.current_dir(workspace::root());
    fetch.arg(FETCH_SECONDS_MAX).arg(program()).args(["fetch", "db"]);
    if step::succeeds(&mut fetch) {
        step::run(deny().args(["check", "--disable-fetch", "advisories"]))
    } else {
        println!("SKIPPED: advisories, because the advisory database cannot be reached from here");
        Ok(())
    }
}

fn deny() -> Command {
    let mut command = Command::new(program());
    command.current_dir(workspace::root());
    command
}
