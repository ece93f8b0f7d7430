//! What a machine's files differ in from the image's, read from the layer that it wrote.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Paths and what is there now, where that is not what the image has.
pub(super) type Changes = BTreeMap<PathBuf, String>;

/// Where any use of a machine leaves traces that are not the package's, and whose they are.
const OF_OTHERS: [(&str, &str); 14] = [
    ("var/log", "logs"),
    ("var/lib/dpkg", "dpkg's own books"),
    ("var/lib/apt", "apt's own books"),
    ("var/cache", "apt's, the linker's and others' caches"),
    ("var/lib/systemd/random-seed", "systemd's"),
    ("var/lib/systemd/timers", "systemd's"),
    ("var/lib/systemd/catalog", "systemd's"),
    ("var/tmp", "private folders of services that run"),
    ("etc/passwd-", "the copy that useradd and userdel keep of the last version"),
    ("etc/shadow-", "likewise"),
    ("etc/group-", "likewise"),
    ("etc/gshadow-", "likewise"),
    ("etc/.pwd.lock", "the lock of these files"),
    ("root", "where the test puts packages"),
];

/// What `upper`, the layer above `image`, changes.
pub(super) fn between(image: &Path, upper: &Path) -> Result<Changes> {
    let mut changes = Changes::new();
    collect(image, upper, Path::new(""), &mut changes)?;
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

fn collect(image: &Path, upper: &Path, path: &Path, changes: &mut Changes) -> Result<()> {
    let folder = upper.join(path);
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let path = path.join(entry?.file_name());
        if OF_OTHERS.iter().any(|(others, _)| path == Path::new(others)) {
            continue;
        }
        let (now, was) = (state(&upper.join(&path))?, state(&image.join(&path))?);
        if now != was {
            changes.insert(path.clone(), now);
        }
        let kind = fs::symlink_metadata(upper.join(&path))?.file_type();
        if kind.is_dir() {
            collect(image, upper, &path, changes)?;
        }
    }
    Ok(())
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
        let before = between(&image, &upper).expect("reads");
        assert_eq!(before.keys().collect::<Vec<_>>(), [Path::new("var")]);
        fs::write(upper.join("etc/same"), "b").expect("writes");
        fs::write(upper.join("etc/new"), "b").expect("writes");
        let after = between(&image, &upper).expect("reads");
        let lines = difference(&before, &after);
        assert!(lines[0].starts_with("/etc/new is a file, "), "{lines:?}");
        assert!(lines[1].starts_with("/etc/same is a file, "), "{lines:?}");
        assert_eq!(difference(&after, &before).len(), 2);
        fs::remove_dir_all(&folder).expect("removes");
    }
}
