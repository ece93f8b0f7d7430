//! Puts what cargo-deb takes besides files of the checkout where it looks for it: the binary, its
//! manual pages and completions, and Debian's changelog.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::manual;
use crate::{step, workspace};

/// Shells, and what their completions are called.
const SHELLS: [(&str, &str); 3] =
    [("bash", "edgerelay"), ("zsh", "_edgerelay"), ("fish", "edgerelay.fish")];

/// The document that the page about the configuration is made from.
const CONFIGURATION: &str = "docs/configuration.md";

/// Where the manual pages are.
pub(super) fn manual_pages(stage: &Path) -> PathBuf {
    stage.join("release/package/man")
}

/// Where the completions of `shell` are.
pub(super) fn completions(stage: &Path, shell: &str) -> PathBuf {
    stage.join("release/package/completions").join(shell)
}

/// Fills `stage` anew with the binary `built`, and with what `native` has to say, which is the same or a
/// binary of the same sources that runs here.
pub(super) fn fill(
    stage: &Path,
    built: &Path,
    native: &Path,
    version: &str,
    epoch: &str,
) -> Result<()> {
    if stage.exists() {
        fs::remove_dir_all(stage).with_context(|| format!("remove {}", stage.display()))?;
    }
    let pages = manual_pages(stage);
    make(&pages)?;
    fs::copy(built, stage.join("release/edgerelay"))
        .with_context(|| format!("copy {}", built.display()))?;
    step::run(Command::new(native).arg("man").arg(&pages))?;
    let document = workspace::root().join(CONFIGURATION);
    let text = fs::read_to_string(&document).with_context(|| format!("read {CONFIGURATION}"))?;
    write(&pages.join("edgerelay.toml.5"), manual::page(&text, version).as_bytes())?;
    for page in files(&pages)? {
        compress(&page)?;
    }
    for (shell, file) in SHELLS {
        let folder = completions(stage, shell);
        make(&folder)?;
        let text = step::output(Command::new(native).args(["completions", shell]))?;
        write(&folder.join(file), format!("{text}\n").as_bytes())?;
    }
    changelog(&stage.join("release/package"), version, epoch)
}

/// Debian's changelog, which has an entry for the version at hand and refers to ours.
fn changelog(folder: &Path, version: &str, epoch: &str) -> Result<()> {
    let mut date = Command::new("date");
    date.env("LC_ALL", "C").args(["-u", "-R", "-d", &format!("@{epoch}")]);
    let date = step::output(&mut date)?;
    let text = format!(
        "edgerelay ({version}) stable; urgency=medium\n\n  * What is new stands in changelog.gz \
         beside this file.\n\n -- {}  {date}\n",
        maintainer()?
    );
    let path = folder.join("changelog.Debian");
    write(&path, text.as_bytes())?;
    compress(&path)
}

/// Puts a file's compressed form in its place. Without the time, so that it is the same at any.
fn compress(path: &Path) -> Result<()> {
    step::output(Command::new("gzip").args(["-9", "--no-name", "--force"]).arg(path)).map(drop)
}

/// What is in `folder`, in order of names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// As the package's metadata say.
fn maintainer() -> Result<String> {
    let path = workspace::root().join("relay/Cargo.toml");
    let manifest = fs::read_to_string(&path).context("read relay/Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("maintainer = \""));
    let name = line.context("relay/Cargo.toml names no maintainer")?;
    Ok(name.trim_end_matches('"').to_owned())
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
