//! Findings from facts: pure, and the same facts always give the same findings.

mod clock;
mod kernel;
mod limits;
mod listening;
mod network;
mod storage;

use std::path::PathBuf;

pub(super) use listening::WORKERS;

use super::finding::{Check, Finding, Level};
use super::machine::Machine;
use crate::config::{Config, ConfigErrors, Loaded};

/// What is to be said of the configuration itself.
pub(super) fn configuration(
    machine: &Machine,
    loaded: &Result<Loaded, ConfigErrors>,
) -> Vec<Finding> {
    const CHECK: Check = Check::Configuration;
    match loaded {
        Ok(loaded) if loaded.warnings.is_empty() => vec![match &*loaded.files {
            [] if machine.has_service => CHECK.finds(
                Level::Hint,
                "the defaults were looked at, and the service has a configuration of its own",
                "edgerelay doctor --config /etc/edgerelay/edgerelay.toml",
            ),
            [] => CHECK.ok("the defaults, as no --config names a file"),
            files => CHECK.ok(format!("read from {}", list(files))),
        }],
        Ok(loaded) => {
            let hint = |what: &String| {
                CHECK.finds(Level::Hint, what, "edgerelay config dump   # what is in effect")
            };
            loaded.warnings.iter().map(hint).collect()
        }
        Err(errors) => {
            let found = errors.errors.iter().map(|error| {
                let mend = match error.origin.line {
                    0 => "edgerelay check   # once that is mended".to_owned(),
                    line => format!("editor +{line} {}", error.origin.file),
                };
                CHECK.finds(Level::Error, error.to_string(), mend)
            });
            let more = (errors.omitted > 0).then(|| {
                let what = format!("and {} more errors", errors.omitted);
                CHECK.finds(Level::Error, what, "edgerelay check   # once these are mended")
            });
            found.chain(more).collect()
        }
    }
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What is to be said of the machine. Without a right configuration there is nothing to compare limits,
/// ports and places with.
pub(super) fn machine(machine: &Machine, config: Option<&Config>) -> Vec<Finding> {
    let mut findings = vec![kernel::version(machine), kernel::io_uring(machine)];
    findings.extend(network::congestion(machine));
    findings.extend(network::sysctls(machine));
    findings.extend(clock::clock(machine));
    let Some(config) = config else { return findings };
    if config.accounting.enabled {
        findings.extend([kernel::btf(machine), kernel::cgroup2(machine)]);
    }
    findings.extend(limits::nofile(machine, config));
    findings.extend(limits::memlock(machine, config));
    findings.extend(network::interrupts(machine, config));
    findings.extend(listening::listening(machine));
    findings.extend(storage::storage(machine));
    findings
}

#[cfg(test)]
mod tests;
