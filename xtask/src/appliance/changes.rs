//! What a machine's files differ in from the image's, read from the layer that it wrote or from its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Paths and what is there now, where that is not what the image has.
pub(super) type Changes = BTreeMap<PathBuf, String>;

/// Where any use of a machine leaves traces that are not the package's, and whose they are.
const OF_OTHERS: [(&str, &str); 15] = [
    ("var/log", "logs"),
    ("var/lib/dpkg", "dpkg's own books"),
    ("var/lib/apt", "apt's own books"),
    ("var/cache", "apt's, the linker's and others' caches"),
    ("var/lib/systemd/random-seed", "systemd's"),
    ("var/lib/systemd/timers", "systemd's"),
    ("var/lib/systemd/catalog", "systemd's"),
    ("var/tmp", "private folders of services that run"),
    ("tmp", "likewise"),
    ("etc/passwd-", "the copy that useradd and userdel keep of the last version"),
    ("etc/shadow-", "likewise"),
    ("etc/group-", "likewise"),
    ("etc/gshadow-", "likewise"),
    ("etc/.pwd.lock", "the lock of these files"),
    ("root", "where the test puts packages"),
];

/// What `upper`, the layer above `image`, changes.
pub(super) fn in_layer(image: &Path, upper: &Path) -> Result<Changes> {
    between(image, upper, Missing::IsAsBefore)
}

/// What is otherwise in `disk`, which began as `image`.
pub(super) fn on_disk(image: &Path, disk: &Path) -> Result<Changes> {
    between(image, disk, Missing::IsGone)
}

/// What it means that something of the image is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    IsAsBefore,
    IsGone,
}

fn between(image: &Path, now: &Path, missing: Missing) -> Result<Changes> {
    let mut changes = Changes::new();
    collect((image, now), missing, Path::new(""), &mut changes)?;
    Ok(changes)
}

/// What is in `after` and not so in `before`, and the other way round, as text for people.
pub(super) fn difference(before: &Changes, after: &Changes) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, state) in after {
        if before.get(path) != Some(state) {
            lines.push(format!("/{} is {state}", path.display()));
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        lines.push(format!("/{} is as in the image again", path.display()));
    }
    lines
}

fn collect(
    (image, now): (&Path, &Path),
    missing: Missing,
    path: &Path,
    changes: &mut Changes,
) -> Result<()> {
    let mut names = names(&now.join(path))?;
    let before = image.join(path);
    if missing == Missing::IsGone && fs::symlink_metadata(&before).is_ok_and(|it| it.is_dir()) {
        names.append(&mut self::names(&before)?);
    }
    for name in names {
        let path = path.join(name);
        if OF_OTHERS.iter().any(|(others, _)| path == Path::new(others)) {
            continue;
        }
        let (was_at, now_at) = (image.join(&path), now.join(&path));
        if !are_same_files(&was_at, &now_at)? {
            let (was, now) = (state(&was_at)?, state(&now_at)?);
            if now != was {
                changes.insert(path.clone(), now);
            }
        }
        if fs::symlink_metadata(&now_at).is_ok_and(|it| it.is_dir()) {
            collect((image, now), missing, &path, changes)?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<BTreeSet<OsString>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// Both are files with the same bytes and rights: what mostly is so on a disk, and quicker to see than sums.
fn are_same_files(one: &Path, other: &Path) -> Result<bool> {
    let (Ok(of_one), Ok(of_other)) = (fs::symlink_metadata(one), fs::symlink_metadata(other))
    else {
        return Ok(false);
    };
    let rights = |it: &Metadata| (it.len(), it.mode(), it.uid(), it.gid());
    Ok(of_one.is_file()
        && of_other.is_file()
        && rights(&of_one) == rights(&of_other)
        && fs::read(one)? == fs::read(other)?)
}

/// What is at `path`, with everything that an installation could have changed, but for times.
fn state(path: &Path) -> Result<String> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok("gone".to_owned()) };
    let rights = format!("{:o} {}:{}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    Ok(match kind(&metadata) {
        Kind::Gone => "gone".to_owned(),
        Kind::Folder => format!("a folder, {rights}"),
        Kind::Link => format!("a link to {}", fs::read_link(path)?.display()),
        Kind::File => format!("a file, {rights}, {} bytes, {:x}", metadata.len(), sum(path)?),
        Kind::Other => format!("special, {rights}"),
    })
}

enum Kind {
    /// A device 0:0 is how the layer says that the image's file is gone.
    Gone,
    Folder,
    Link,
    File,
    Other,
}

fn kind(metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_char_device() && metadata.rdev() == 0 {
        Kind::Gone
    } else if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        Kind::Link
    } else if kind.is_file() {
        Kind::File
    } else {
        Kind::Other
    }
}

/// A sum of the file's bytes (FNV-1a), to compare with another.
fn sum(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_layer_repeats_is_no_change_and_what_it_adds_is() {
        let folder = std::env::temp_dir().join(format!("edgerelay-changes-{}", std::process::id()));
        let (image, upper) = (folder.join("image"), folder.join("upper"));
        for folder in [&image, &upper] {
            fs::create_dir_all(folder.join("etc")).expect("a folder");
            fs::write(folder.join("etc/same"), "a").expect("writes");
        }
        fs::create_dir_all(upper.join("var/log")).expect("a folder");
        fs::write(upper.join("var/log/any"), "x").expect("writes");
        let before = in_layer(&image, &upper).expect("reads");
        assert_eq!(before.keys().collect::<Vec<_>>(), [Path::new("var")]);
        fs::write(upper.join("etc/same"), "b").expect("writes");
        fs::write(upper.join("etc/new"), "b").expect("writes");
        let after = in_layer(&image, &upper).expect("reads");
        let lines = difference(&before, &after);
        assert!(lines[0].starts_with("/etc/new is a file, "), "{lines:?}");
        assert!(lines[1].starts_with("/etc/same is a file, "), "{lines:?}");
        assert_eq!(difference(&after, &before).len(), 2);
        fs::remove_dir_all(&folder).expect("removes");
    }

    #[test]
    fn what_a_disk_has_lost_is_gone_and_a_layer_leaves_it_out() {
        let name = format!("edgerelay-disk-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let (image, disk) = (folder.join("image"), folder.join("disk"));
        for folder in [&image, &disk] {
            fs::create_dir_all(folder.join("etc/kept")).expect("a folder");
            fs::write(folder.join("etc/same"), "a").expect("writes");
        }
        fs::create_dir_all(image.join("etc/lost")).expect("a folder");
        fs::write(image.join("etc/lost/file"), "a").expect("writes");
        fs::write(image.join("etc/kept/file"), "a").expect("writes");
        let changes = on_disk(&image, &disk).expect("reads");
        let lost = ["etc/kept/file", "etc/lost"].map(|path| (path.into(), "gone".to_owned()));
        assert_eq!(changes, Changes::from(lost));
        assert_eq!(in_layer(&image, &disk).expect("reads"), Changes::new());
        fs::remove_dir_all(&folder).expect("removes");
    }
}
