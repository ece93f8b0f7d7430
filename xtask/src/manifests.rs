//! Checks the Kubernetes manifests against the schemas of Kubernetes and of KEDA, which come in Python
//! packages and are kept in `.tools`. What manifests mean to the relay is tested end to end, not here.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{setup, step, workspace};

const FOLDER: &str = "packaging/kubernetes/";

/// Checks every manifest.
pub(crate) fn check() -> Result<()> {
    setup::packages()?;
    step::timed("manifests", || {
        let python = schemas()?;
        let files = workspace::files(&["yaml"])?;
        let files = files.iter().map(|file| &file.path).filter(|path| path.starts_with(FOLDER));
        let mut validate = Command::new(python);
        validate.current_dir(workspace::root()).arg("xtask/manifests/validate.py").args(files);
        step::run(&mut validate)
    })
}

/// A Python that has the schemas. They are installed unless exactly those that are asked for are there.
fn schemas() -> Result<PathBuf> {
    let folder = workspace::root().join(".tools/manifests");
    let wanted = workspace::root().join("xtask/manifests/requirements.txt");
    let wanted_text = fs::read(&wanted).with_context(|| format!("read {}", wanted.display()))?;
    // Written last, so that what was interrupted is begun anew.
    let installed = folder.join("installed.txt");
    let python = folder.join("bin/python");
    if fs::read(&installed).is_ok_and(|text| text == wanted_text) {
        return Ok(python);
    }
    let mut venv = Command::new("python3");
    step::run(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--no-deps", "--only-binary", ":all:", "--requirement"]).arg(&wanted);
    step::run(&mut install)?;
    fs::write(&installed, wanted_text).with_context(|| format!("write {}", installed.display()))?;
    Ok(python)
}
