//! What lies beside the package: the bill of materials (CycloneDX) and the checksums.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::copy;
use crate::pinned::Pinned;
use crate::step;

const CARGO_CYCLONEDX: Pinned = Pinned { name: "cargo-cyclonedx", version: "0.5.9" };

/// The file that the tool writes beside each manifest.
const WRITTEN: &str = "bill";

/// Writes which crates, in which versions and under which licences, are in the binary.
pub(super) fn write(bill: &Path, epoch: &str) -> Result<()> {
    CARGO_CYCLONEDX.install()?;
    // In a copy, because it writes beside the manifest of every crate.
    let checkout = super::folder().join("bill");
    copy::checkout(&checkout)?;
    let mut command = Command::new(CARGO_CYCLONEDX.program());
    command.current_dir(&checkout).env("SOURCE_DATE_EPOCH", epoch);
    command.args(["cyclonedx", "--manifest-path", "relay/Cargo.toml", "--format", "json"]);
    command.args(["--spec-version", "1.5", "--no-build-deps", "--quiet"]);
    command.args(["--override-filename", WRITTEN]);
    step::run(&mut command)?;
    let path = checkout.join(format!("relay/{WRITTEN}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    // Where the copy was is nobody's matter, and differs.
    let text = text.replace(&format!("{}", checkout.display()), "/usr/src/edgerelay");
    if !text.contains("pkg:cargo/edgerelay-proto@") {
        bail!("the bill of materials does not name our own crates");
    }
    fs::write(bill, text).with_context(|| format!("write {}", bill.display()))?;
    fs::remove_dir_all(&checkout).with_context(|| format!("remove {}", checkout.display()))
}

/// Writes `SHA256SUMS` of what is in `folder`.
pub(super) fn sum_up(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        names.push(entry?.file_name());
    }
    names.sort();
    let sums = step::output(Command::new("sha256sum").current_dir(folder).args(&names))?;
    println!("{sums}");
    let path = folder.join("SHA256SUMS");
    fs::write(&path, sums + "\n").with_context(|| format!("write {}", path.display()))
}
