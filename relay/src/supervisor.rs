//! Creates, wires, drains and stops everything that runs.

use std::process::ExitCode;

use crate::config::Config;

/// Runs the node until it is told to stop.
#[must_use]
pub fn run(config: Config) -> ExitCode {
    drop(config.apps);
    ExitCode::from(69)
}
