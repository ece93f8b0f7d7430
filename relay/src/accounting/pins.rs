//! The pins: where they are, who may read them, and how they go away.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use edgerelay_ebpf_common::maps;

/// `BPF_FS_MAGIC`.
const BPF_FILE_SYSTEM: u64 = 0xcafe_4a11;

/// The loader's group may look, nobody else.
const FOLDER_MODE: u32 = 0o750;
const PIN_MODE: u32 = 0o640;

/// Every pin.
const PINS: [&str; 6] = [
    maps::HEARTBEAT,
    maps::PORTS,
    maps::CONNECTIONS,
    maps::TOTALS,
    maps::ON_SOCKET_EVENT,
    maps::SNAPSHOT,
];

/// A folder of pins.
#[derive(Clone, Debug)]
pub(super) struct PinFolder(PathBuf);

impl PinFolder {
    pub(super) fn new(path: &str) -> Self {
        Self(PathBuf::from(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn pin(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the folder, if need be, and sees to it that it can hold pins.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match fs::DirBuilder::new().mode(FOLDER_MODE).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Its type is narrower on some machines.
        #[expect(clippy::cast_sign_loss, reason = "a number without a sign, in a type with one")]
        let kind = rustix::fs::statfs(&self.0)?.f_type as u64 & 0xffff_ffff;
        if kind == BPF_FILE_SYSTEM {
            return Ok(());
        }
        let why = "not on a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    /// Lets the group read what is pinned.
    pub(super) fn share(&self) -> io::Result<()> {
        for name in PINS {
            match fs::set_permissions(self.pin(name), Permissions::from_mode(PIN_MODE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes one pin, if it is there.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.pin(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes every pin, and what is only held by pins with them: counting ends.
    pub(super) fn remove_all(&self) -> io::Result<()> {
        PINS.iter().try_for_each(|name| self.remove(name))
    }

    /// Removes the folder, too, unless somebody else has put something there.
    pub(super) fn remove_folder(&self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::debug!(%error, folder = %self.0.display(), "the folder of pins stays");
        }
    }
}
