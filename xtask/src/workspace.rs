//! Where the checkout is and which files it holds. Reads only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const SKIPPED_FOLDERS: [&str; 5] = ["target", ".git", ".tools", "artifacts", "coverage"];

/// The checkout's root folder.
pub(crate) fn root() -> &'static Path {
    let manifest_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_folder.parent().unwrap_or(manifest_folder)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A text file of the checkout.
pub(crate) struct TextFile {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

/// Every file below the root whose name ends in one of `extensions`, in order of path.
pub(crate) fn files(extensions: &[&str]) -> Result<Vec<TextFile>> {
    let mut paths = every_file()?;
    paths.retain(|path| {
        let extension = path.extension();
        extension.is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
    });
    paths
        .into_iter()
        .map(|path| {
            let text =
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let relative = path.strip_prefix(root()).unwrap_or(&path);
            Ok(TextFile { path: relative.to_string_lossy().replace('\\', "/"), text })
        })
        .collect()
}

/// Every file below the root that is ours, in order of path.
pub(crate) fn every_file() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    collect(root(), &mut paths)?;
    paths.sort();
    Ok(paths)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED_FOLDERS.iter().any(|skipped| entry.file_name() == *skipped) {
                collect(&path, paths)?;
            }
        } else if kind.is_file() && entry.file_name() != ".git" {
            paths.push(path);
        }
    }
    Ok(())
}

/// The names of the integration tests in `folder`'s `tests` folder: files, and folders with a
/// `main.rs`.
pub(crate) fn integration_tests(folder: &str) -> Result<Vec<String>> {
    let tests = root().join(folder).join("tests");
    if !tests.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&tests).with_context(|| format!("list {}", tests.display()))? {
        let path = entry?.path();
        let is_file = path.is_file() && path.extension().is_some_and(|found| found == "rs");
        let is_folder = path.join("main.rs").is_file();
        if (is_file || is_folder)
            && let Some(stem) = path.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
