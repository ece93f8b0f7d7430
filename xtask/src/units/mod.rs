//! `cargo xtask units`: what `systemd/` holds is read by systemd and polkit as they would on a machine
//! that it is installed on. Starts nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{setup, step, workspace};

/// Debian packages for it, and why.
const PACKAGES: [(&str, &str); 3] = [
    ("systemd", "systemd-analyze"),
    ("procps", "kill, which a unit calls"),
    ("duktape", "reads JavaScript as polkit does"),
];

/// Units that can be started, those from templates as an instance.
const UNITS: [&str; 6] = [
    "edgerelay.service",
    "edgerelay.socket",
    "edgerelay-accounting.service",
    "edgerelay-worker@1.service",
    "edgerelay-workers.slice",
    "run-edgerelay.bpf.mount",
];

/// Services, and the exposure that `systemd-analyze security` may show, in tenths.
const EXPOSURE_MAX: [(&str, u32); 3] = [
    ("edgerelay.service", 15),
    ("edgerelay-worker@.service", 15),
    ("edgerelay-accounting.service", 26),
];

/// Where the units say that the relay is installed.
const INSTALLED: &str = "/usr/bin/edgerelay";

/// Endings of files that are units.
const UNIT_ENDINGS: [&str; 4] = ["service", "socket", "slice", "mount"];

const RULES: &str = "edgerelay.rules";

/// What polkit gives a rule, and what the rule is to say.
const POLKIT: &str = include_str!("polkit.js");

/// Checks units, their exposure and the polkit rule.
pub(crate) fn check() -> Result<()> {
    setup::install(&PACKAGES)?;
    let folder = Copies::make()?;
    verify(&folder)?;
    exposure(&folder)?;
    polkit(&folder)
}

/// The units as they are installed, but for the relay: any program is in its place, as nothing is
/// started. Goes with this value.
struct Copies(PathBuf);

impl Copies {
    fn make() -> Result<Self> {
        let copies = Self(workspace::target().join(format!("units-{}", std::process::id())));
        fs::create_dir_all(&copies.0).with_context(|| format!("make {}", copies.0.display()))?;
        let stand_in = std::env::current_exe().context("find this program")?;
        let stand_in = stand_in.to_str().context("this program's path is no text")?;
        let source = workspace::root().join("systemd");
        for entry in fs::read_dir(&source).with_context(|| format!("list {}", source.display()))? {
            let path = entry?.path();
            let is_unit =
                path.extension().is_some_and(|found| UNIT_ENDINGS.iter().any(|it| found == *it));
            let Some(name) = path.file_name().filter(|_| is_unit) else { continue };
            let text = fs::read_to_string(&path)?.replace(INSTALLED, stand_in);
            fs::write(copies.0.join(name), text)?;
        }
        Ok(copies)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // Below the target folder, where more is left over.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Whatever systemd has to say of a unit is a failure: it passes over what it does not know.
fn verify(copies: &Copies) -> Result<()> {
    let mut command = Command::new("systemd-analyze");
    // Manual pages are made with the package.
    command.args(["verify", "--man=no", "--recursive-errors=no"]);
    command.args(UNITS.map(|unit| copies.path(unit)));
    let output = command.output().context("run systemd-analyze")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let of_ours: Vec<&str> = said.lines().filter(|line| is_about_ours(line, &copies.0)).collect();
    if !output.status.success() || !of_ours.is_empty() {
        bail!("systemd-analyze verify, {}:\n{said}", output.status);
    }
    println!("units: systemd-analyze verify is content with {}", UNITS.join(", "));
    Ok(())
}

/// Other units of this machine are read, too, and may be wrong.
fn is_about_ours(line: &str, folder: &Path) -> bool {
    UNITS.iter().any(|unit| line.starts_with(unit)) || line.contains(&*folder.to_string_lossy())
}

fn exposure(copies: &Copies) -> Result<()> {
    for (unit, limit) in EXPOSURE_MAX {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager", &format!("--threshold={limit}")]);
        let output = command.arg(copies.path(unit)).output().context("run systemd-analyze")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let verdict = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let verdict = verdict.trim_start_matches(|letter: char| !letter.is_ascii_alphabetic());
        println!("units: {verdict} (at most {}.{})", limit / 10, limit % 10);
        ensure!(output.status.success(), "{unit} is too exposed:\n{said}");
    }
    Ok(())
}

fn polkit(copies: &Copies) -> Result<()> {
    let rules = workspace::root().join("systemd").join(RULES);
    let rules = fs::read_to_string(&rules).with_context(|| format!("read {}", rules.display()))?;
    let (before, after) = POLKIT.split_once("// RULES\n").context("the place of the rules")?;
    let script = copies.path("polkit.js");
    fs::write(&script, format!("{before}{rules}{after}"))?;
    step::run(Command::new("duk").arg(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_other_units_is_passed_over() {
        let folder = Path::new("/checkout/units-1");
        assert!(is_about_ours("edgerelay.service: Command x is not executable", folder));
        assert!(is_about_ours("/checkout/units-1/edgerelay.service:3: Unknown key name", folder));
        assert!(!is_about_ours("/lib/systemd/system/x.service:3: Unknown key name", folder));
    }
}
