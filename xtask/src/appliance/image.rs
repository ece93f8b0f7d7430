//! The Debians that machines are booted from: made once, kept below the target folder, never changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::network::{ELSEWHERE, MACHINE, PREFIX};
use super::{folder, quietly};
use crate::step;

/// The release.
const SUITE: &str = "bookworm";

/// What is there besides the least: what any server has, and the package recommends.
const PACKAGES: &str = "systemd,systemd-sysv,libpam-systemd,dbus,polkitd,procps,iproute2";

/// What a container is lent: a kernel, a way to run commands, and clients beside the relay.
const VM_PACKAGES: &str = "linux-image-amd64,openssh-server,curl,ffmpeg";

/// How a virtual machine is connected.
const VM_NETWORK: &str = "etc/systemd/network/cable.network";

/// The size of its disk, of which most is a hole.
const DISK_BYTES: u64 = 4 << 30;

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

    /// The same as a disk, if it is one for virtual machines.
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("disk.raw")
    }
}

/// For containers. Makes it if need be, which takes a minute or two.
pub(super) fn for_containers() -> Result<Image> {
    image("image", &format!("{SUITE} {PACKAGES}\n"), |image| debootstrap(image, PACKAGES))
}

/// For virtual machines. Makes it if need be, which takes three minutes.
pub(super) fn for_vms() -> Result<Image> {
    let packages = format!("{PACKAGES},{VM_PACKAGES}");
    let network =
        format!("[Match]\nName=eth0\n[Network]\nAddress={MACHINE}/{PREFIX}\nGateway={ELSEWHERE}\n");
    let made_of = format!("{SUITE} {packages}\n{network}{DISK_BYTES} bytes\n");
    image("vm-image", &made_of, |image| {
        debootstrap(image, &packages)?;
        fs::write(image.root().join(VM_NETWORK), &network).context("set up the network")?;
        let mut enable = Command::new("chroot");
        quietly(enable.arg(image.root()).args(["systemctl", "enable", "systemd-networkd"]))?;
        let disk = File::create(image.disk()).context("make the disk")?;
        disk.set_len(DISK_BYTES).context("size the disk")?;
        let mut fill = Command::new("mkfs.ext4");
        step::run(fill.args(["-q", "-d"]).arg(image.root()).arg(image.disk()))
    })
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
