//! Whether this machine is fit for the relay: what is wrong, how bad it is, and what mends it.
//!
//! `reading` looks at the machine and writes down a `Machine`; `judge` is pure and makes findings of
//! it. Changes nothing, and prints nothing.

mod finding;
mod judge;
mod machine;
mod reading;
mod sysctl;

use std::path::Path;

use crate::config::{ConfigErrors, Loaded};

pub use finding::{Check, Finding, Level, Report};

/// Looks at the machine whose files are below `root`, and says what is to be said of it for this
/// configuration. Of a wrong one nothing is concluded: then it is about the machine alone.
#[must_use]
pub fn examine(root: &Path, loaded: &Result<Loaded, ConfigErrors>) -> Report {
    let config = loaded.as_ref().ok().map(|loaded| &loaded.config);
    let machine = reading::read(root, config);
    let mut findings = judge::configuration(&machine, loaded);
    findings.extend(judge::machine(&machine, config));
    Report::new(findings, machine.node)
}
