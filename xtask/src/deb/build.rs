//! The binary of a package: which cargo invocation makes it, and what keeps it the same everywhere.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::cross::Cross;
use crate::{remap, step, workspace};

/// The time that everything made here is said to be from: `SOURCE_DATE_EPOCH`, or the commit's.
pub(super) fn epoch() -> Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args(["log", "-1", "--format=%ct"]);
    step::output(&mut git).context("ask git when the commit was made; or set SOURCE_DATE_EPOCH")
}

/// Builds for release, with nothing of this machine's folders in it.
pub(super) fn for_release(epoch: &str, cross: Option<Cross>) -> Result<PathBuf> {
    // Its own, because other flags build everything anew.
    let target = super::folder().join("cargo");
    let mut cargo = step::cargo();
    cargo.args(["build", "--release", "--locked", "--package", "edgerelay", "--bin", "edgerelay"]);
    cargo.env("CARGO_TARGET_DIR", &target).env("SOURCE_DATE_EPOCH", epoch);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", remap::rust_flags(&target).join("\x1f"));
    cargo.envs(remap::c_flags(&target));
    if let Some(cross) = cross {
        cargo.args(["--target", cross.triple()]);
    }
    // What a developer sets for other builds.
    cargo.env_remove("RUSTFLAGS").env_remove("RUSTC_WRAPPER").env("CARGO_INCREMENTAL", "0");
    step::run(&mut cargo)?;
    Ok(Cross::built_below(&target, cross).join("release/edgerelay"))
}

/// Builds as tests are built, which they mostly have been.
pub(super) fn for_tests() -> Result<PathBuf> {
    // The whole workspace, as everywhere, so that nothing is built twice.
    step::run(step::cargo().args(["build", "--workspace", "--locked"]))?;
    Ok(workspace::target().join("debug/edgerelay"))
}
