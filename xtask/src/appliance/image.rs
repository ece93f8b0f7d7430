//! The Debian that machines are booted from: made once, kept below the target folder, never changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::folder;
use crate::step;

/// The release.
const SUITE: &str = "bookworm";

/// What is there besides the least: what any server has, and the package recommends.
const PACKAGES: &str = "systemd,systemd-sysv,libpam-systemd,dbus,polkitd,procps,iproute2";

/// In the image, once it is whole: says what it was made of.
const MARK: &str = "made-of";

/// A Debian that has never been booted.
pub(super) struct Image {
    folder: PathBuf,
}

impl Image {
    /// Its folder `/`.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }
}

/// For containers. Makes it if need be, which takes a minute or two.
pub(super) fn for_containers() -> Result<Image> {
    image("image", &format!("{SUITE} {PACKAGES}\n"), |image| debootstrap(image, PACKAGES))
}

/// The image of that name, if it is made of that; else `make` makes it.
fn image(name: &str, made_of: &str, make: impl FnOnce(&Image) -> Result<()>) -> Result<Image> {
    let image = Image { folder: folder().join(name) };
    let mark = image.folder.join(MARK);
    if fs::read_to_string(&mark).is_ok_and(|there| there == made_of) {
        println!("appliance: Debian {SUITE} is there");
        return Ok(image);
    }
    remove(&image.folder)?;
    fs::create_dir_all(&image.folder)
        .with_context(|| format!("make {}", image.folder.display()))?;
    make(&image)?;
    fs::write(mark, made_of).context("mark the image")?;
    Ok(image)
}

fn debootstrap(image: &Image, packages: &str) -> Result<()> {
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={packages}"), SUITE]);
    step::run(debootstrap.arg(image.root()).stdout(Stdio::null()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}
