//! `cargo xtask ci`: everything that a change must pass, cheapest first, and a table of how long
//! each part took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{appliance, deb, deny, ebpf, leaks, setup, step, test, tidy, units};

type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 12] = [
    ("setup", setup::packages),
    ("fmt", fmt),
    ("tidy", tidy::tidy),
    ("units", units::check),
    ("ebpf", ebpf::unless_forbidden),
    ("clippy", clippy),
    ("test", || test::test(None)),
    ("deb", deb::check),
    ("appliance", appliance::check),
    ("leak-check", leaks::check),
    ("doc", doc),
    ("deny", deny::check),
];

/// Runs all parts; stops at the first that fails.
pub(crate) fn ci() -> Result<()> {
    let started = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut outcome = Ok(());
    for (name, part) in PARTS {
        let part_started = Instant::now();
        outcome = step::timed(name, part).with_context(|| format!("{name} failed"));
        times.push((name, part_started.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    println!("\nci:");
    for (name, time) in times {
        println!("  {name:<10} {:>10}", step::seconds(time));
    }
    println!("  {:<10} {:>10}", "in all", step::seconds(started.elapsed()));
    outcome
}

fn fmt() -> Result<()> {
    step::run(step::cargo().args(["fmt", "--all", "--check"]))?;
    // Outside the workspace, for another target.
    let kernel = ["fmt", "--check", "--manifest-path", "relay-ebpf/Cargo.toml"];
    step::run(step::cargo().args(kernel))
}

fn clippy() -> Result<()> {
    step::run(
        step::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(["--", "-D", "warnings"]),
    )
}

fn doc() -> Result<()> {
    step::run(
        step::cargo()
            .args(["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
