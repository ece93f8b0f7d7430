//! Two builds, one sum: builds the package once more, in another folder, and compares all files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::cross::Cross;
use super::{build, copy};
use crate::{step, workspace};

/// Fails unless everything beside `package`, and the package, come out the same elsewhere.
pub(super) fn same_elsewhere(package: &Path, cross: Option<Cross>) -> Result<()> {
    let output = package.parent().context("the package is in a folder")?;
    let elsewhere = super::folder().join("elsewhere");
    let checkout = elsewhere.join("some other folder");
    copy::checkout(&checkout)?;
    // The pinned tools are part of neither.
    symlink(workspace::root().join(".tools"), checkout.join(".tools")).context("link .tools")?;
    let target = elsewhere.join("target");
    let mut cargo = step::cargo();
    cargo.current_dir(&checkout).env("CARGO_TARGET_DIR", &target);
    // There is no git in the copy to ask.
    cargo.env("SOURCE_DATE_EPOCH", build::epoch()?);
    cargo.args(["run", "--quiet", "--package", "xtask", "--", "deb"]);
    if let Some(cross) = cross {
        cargo.args(["--cross", cross.debian()]);
    }
    step::run(&mut cargo)?;
    let place =
        output.strip_prefix(workspace::target()).context("the output is in a target folder")?;
    compare(output, &target.join(place))?;
    fs::remove_dir_all(&elsewhere).with_context(|| format!("remove {}", elsewhere.display()))
}

fn compare(here: &Path, there: &Path) -> Result<()> {
    let read = |folder: &Path| {
        let path = folder.join("SHA256SUMS");
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let (here, there) = (read(here)?, read(there)?);
    if here != there {
        bail!("two builds in two folders differ:\n{here}and\n{there}");
    }
    println!("deb: two builds in two folders are the same:\n{here}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sums_are_an_error_that_shows_both() {
        let folder = std::env::temp_dir().join(format!("edgerelay-verify-{}", std::process::id()));
        let (one, other) = (folder.join("one"), folder.join("other"));
        for (folder, sums) in [(&one, "aa  x\n"), (&other, "bb  x\n")] {
            fs::create_dir_all(folder).expect("a folder");
            fs::write(folder.join("SHA256SUMS"), sums).expect("writes");
        }
        compare(&one, &one).expect("the same");
        let error = compare(&one, &other).expect_err("not the same").to_string();
        assert!(error.contains("aa  x") && error.contains("bb  x"), "{error}");
        fs::remove_dir_all(&folder).expect("removes");
    }
}
