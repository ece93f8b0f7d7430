//! `cargo xtask test`: which cargo invocations make up the tests, or a named part of them.

use std::process::Command;

use anyhow::Result;

use crate::{ebpf, manifests, setup, step, workspace};

/// Folders whose `tests` folder is looked into for a name.
const TESTED: [&str; 5] = ["relay", "relay-proto", "relay-uring", "relay-ebpf-common", "benches"];

/// The part of the tests that is about the kernel programs.
const ACCOUNTING: &str = "accounting";

/// Runs all tests, or the part named `only`.
pub(crate) fn test(only: Option<&str>) -> Result<()> {
    step::timed("test", || match only {
        None => everything(),
        Some("unit") => step::run(cargo_test().args(["--workspace", "--lib", "--bins"])),
        Some("e2e") => end_to_end(),
        Some("soak") => soak(),
        Some("manifests") => manifests::check(),
        Some(name) => named(name),
    })
}

fn everything() -> Result<()> {
    setup::packages()?;
    ebpf::if_it_can_be_had()?;
    manifests::check()?;
    step::run(cargo_test().arg("--workspace"))
}

fn end_to_end() -> Result<()> {
    setup::packages()?;
    ebpf::if_it_can_be_had()?;
    step::run(cargo_test().args(["--workspace", "--test", "e2e"]))
}

/// The long forms of the load tests, against the binary as it ships.
fn soak() -> Result<()> {
    setup::packages()?;
    ebpf::if_it_can_be_had()?;
    let arguments = ["--release", "--workspace", "--test", "e2e"];
    step::run(cargo_test().args(arguments).args(["--", "--ignored", "--nocapture", "soak"]))
}

/// One integration test, or all tests with `name` in theirs. Always the whole workspace, so that
/// every invocation agrees on features and nothing is built twice.
fn named(name: &str) -> Result<()> {
    setup::packages()?;
    if name == ACCOUNTING {
        ebpf::if_it_can_be_had()?;
    }
    for folder in TESTED {
        if workspace::integration_tests(folder)?.iter().any(|test| test == name) {
            return step::run(cargo_test().args(["--workspace", "--test", name]));
        }
    }
    step::run(cargo_test().args(["--workspace", "--", name]))
}

fn cargo_test() -> Command {
    let mut command = step::cargo();
    command.args(["test", "--no-fail-fast"]);
    command
}
