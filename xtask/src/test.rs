//! `cargo xtask test`: which cargo invocations make up the tests, or a named part of them.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{setup, step, workspace};

/// Folders with integration tests, and their packages.
const TESTED: [(&str, &str); 4] = [
    ("relay", "edgerelay"),
    ("relay-proto", "edgerelay-proto"),
    ("relay-uring", "edgerelay-uring"),
    ("benches", "edgerelay-benches"),
];

/// Runs all tests, or the part named `only`.
pub(crate) fn test(only: Option<&str>) -> Result<()> {
    step::timed("test", || match only {
        None => everything(),
        Some("unit") => step::run(cargo_test().args(["--workspace", "--lib", "--bins"])),
        Some("e2e") => end_to_end(),
        Some("soak") => soak(),
        Some(name) => named(name),
    })
}

fn everything() -> Result<()> {
    setup::packages()?;
    step::run(cargo_test().arg("--workspace"))
}

fn end_to_end() -> Result<()> {
    setup::packages()?;
    let names = workspace::integration_tests("relay")?;
    if names.is_empty() {
        bail!("relay/tests holds no tests");
    }
    let mut command = cargo_test();
    command.args(["--package", "edgerelay"]);
    for name in &names {
        command.args(["--test", name]);
    }
    step::run(&mut command)
}

/// The long forms of the load tests, against the binary as it ships.
fn soak() -> Result<()> {
    setup::packages()?;
    let arguments = ["--release", "--package", "edgerelay", "--test", "e2e"];
    step::run(cargo_test().args(arguments).args(["--", "--ignored", "--nocapture", "soak"]))
}

fn named(name: &str) -> Result<()> {
    for (folder, package) in TESTED {
        if workspace::integration_tests(folder)?.iter().any(|test| test == name) {
            if folder == "relay" {
                setup::packages()?;
            }
            return step::run(cargo_test().args(["--package", package, "--test", name]));
        }
    }
    setup::packages()?;
    step::run(cargo_test().args(["--workspace", "--", name]))
}

fn cargo_test() -> Command {
    let mut command = step::cargo();
    command.args(["test", "--no-fail-fast"]);
    command
}
