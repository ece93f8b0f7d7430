//! Where the relay writes: the folder of the control socket, and the journal.

use std::path::{Path, PathBuf};

use rustix::fs::{Access as Rights, StatVfs, access, statvfs};
use rustix::io::Errno;

use super::Files;
use crate::config::{Config, LogFormat, SocketSetting, Surroundings};
use crate::doctor::machine::{Access, Need, Place};

/// Where the journal is kept, if it outlasts a reboot.
const JOURNAL: &str = "var/log/journal";

pub(super) fn read(files: &Files<'_>, config: &Config) -> Vec<Place> {
    let setting = &config.control.socket;
    let socket = setting.place(&Surroundings::of_process()).map(|socket| {
        let need = if *setting == SocketSetting::Auto { Need::Would } else { Need::Must };
        let folder = existing(socket.parent().unwrap_or(Path::new("/")));
        place("control.socket", folder, need)
    });
    let is_journal = matches!(config.log.format, LogFormat::Auto | LogFormat::Journald);
    let journal = files.path(JOURNAL);
    let journal = (is_journal && journal.exists()).then(|| Place {
        // It is the journal's to write there, and not ours.
        access: Access::Granted,
        ..place("the journal", journal, Need::Would)
    });
    socket.into_iter().chain(journal).collect()
}

/// `folder`, or what is there of the way to it.
fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|ancestor| ancestor.exists());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn place(what: &'static str, folder: PathBuf, need: Need) -> Place {
    let access = match access(&folder, Rights::WRITE_OK | Rights::EXEC_OK) {
        Ok(()) => Access::Granted,
        Err(Errno::ROFS) => Access::ReadOnly,
        Err(Errno::ACCESS | Errno::PERM) => Access::Denied,
        Err(error) => Access::Failed(std::io::Error::from(error).to_string()),
    };
    let free_percent = statvfs(&folder).ok().and_then(|room| free_percent(&room));
    Place { what, folder, need, access, free_percent }
}

/// What is left of blocks and of entries, whichever is less. What there is little of is not rounded to
/// nothing.
fn free_percent(room: &StatVfs) -> Option<u64> {
    let share = |free: u64, all: u64| (all > 0).then(|| (free.saturating_mul(100)).div_ceil(all));
    let shares = [share(room.f_bavail, room.f_blocks), share(room.f_favail, room.f_files)];
    shares.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_what_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(existing(folder.path()), folder.path());
    }

    #[test]
    fn the_scarcer_of_blocks_and_entries_counts() {
        let mut room = statvfs("/").unwrap();
        (room.f_blocks, room.f_bavail, room.f_files, room.f_favail) = (1000, 500, 100, 3);
        assert_eq!(free_percent(&room), Some(3));
        (room.f_bavail, room.f_favail) = (1, 100);
        assert_eq!(free_percent(&room), Some(1), "little is not nothing");
        room.f_bavail = 0;
        assert_eq!(free_percent(&room), Some(0));
        (room.f_blocks, room.f_files) = (0, 0);
        assert_eq!(free_percent(&room), None, "a file system that counts nothing");
    }
}
