//! The Debian that machines are booted from: made once, kept below the target folder, never changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::step;

/// The release.
const SUITE: &str = "bookworm";

/// What is there besides the least: what any server has, and the package recommends.
const PACKAGES: &str = "systemd,systemd-sysv,libpam-systemd,dbus,polkitd,procps,iproute2";

/// In the image, once it is whole: says what it was made of.
const MARK: &str = "made-of";

/// Where the image is. Makes it if need be, which takes a minute or two.
pub(super) fn debian() -> Result<PathBuf> {
    let folder = super::folder().join("image");
    let root = folder.join("root");
    let made_of = format!("{SUITE} {PACKAGES}\n");
    if fs::read_to_string(folder.join(MARK)).is_ok_and(|there| there == made_of) {
        println!("appliance: Debian {SUITE} is there");
        return Ok(root);
    }
    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]);
    step::run(debootstrap.arg(&root).stdout(std::process::Stdio::null()))?;
    fs::write(folder.join(MARK), made_of).context("mark the image")?;
    Ok(root)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}
