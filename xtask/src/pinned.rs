//! Tools that are built from the registry at a pinned version and kept in the checkout's `.tools`.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::{step, workspace};

/// A tool and the version in use. Newer ones may need a newer compiler than `rust-version`.
pub(crate) struct Pinned {
    /// The crate, and the program that it installs.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
}

impl Pinned {
    /// Where the program is, once it is installed.
    pub(crate) fn program(&self) -> PathBuf {
        folder().join("bin").join(self.name)
    }

    /// Builds it unless this version is there.
    pub(crate) fn install(&self) -> Result<()> {
        let Self { name, version } = self;
        let installed = fs::read_to_string(folder().join(".crates.toml")).unwrap_or_default();
        if is_listed(&installed, name, version) && self.program().is_file() {
            println!("setup: {name} {version} is in .tools");
            return Ok(());
        }
        step::run(
            step::cargo()
                .args(["install", "--quiet", "--locked", "--force", "--version", version, "--root"])
                .arg(folder())
                .arg(name)
                // Its own profile is for shipping it. Ours is run a few times for a second.
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                // So that cargo builds it in a folder that it removes afterwards.
                .env_remove("CARGO_TARGET_DIR"),
        )
    }
}

fn folder() -> PathBuf {
    workspace::root().join(".tools")
}

/// Whether cargo's list of what it installed has this version.
fn is_listed(installed: &str, name: &str, version: &str) -> bool {
    let start = format!("\"{name} {version} (registry+");
    installed.lines().any(|line| line.starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_the_pinned_one() {
        let installed = "[v1]\n\"cargo-deny 0.20.2 (registry+https://x)\" = [\"cargo-deny\"]\n";
        assert!(is_listed(installed, "cargo-deny", "0.20.2"));
        assert!(!is_listed(installed, "cargo-deny", "0.20.1"));
        assert!(!is_listed(installed, "deny", "0.20.2"));
    }
}
