//! Packages for machines other than this one: what they are called, and what compiles for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{setup, step};

/// Another architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cross {
    Arm64,
}

impl Cross {
    /// What Debian calls it.
    pub(super) const fn debian(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
        }
    }

    /// What rustc calls it.
    pub(super) const fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Where cargo puts what it builds into `target`, for another architecture or for this machine's.
    pub(super) fn built_below(target: &Path, cross: Option<Self>) -> PathBuf {
        cross.map_or_else(|| target.to_owned(), |cross| target.join(cross.triple()))
    }

    /// Installs what compiles and links for it, as `.cargo/config.toml` names it.
    pub(super) fn install(self) -> Result<()> {
        let packages = match self {
            Self::Arm64 => [
                ("gcc-aarch64-linux-gnu", "compiles and links for arm64"),
                ("libc6-dev-arm64-cross", "the C library to link with, and which package has it"),
            ],
        };
        setup::install(&packages)?;
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", self.triple()]);
        step::run(&mut rustup).context("have rustup add the standard library for it")
    }
}
