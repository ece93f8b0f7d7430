//! Looks at a package as its users' tools will: lintian, man, the three shells, and the relay's own
//! check of the examples.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::stage;
use crate::{setup, step, workspace};

/// Debian packages that look at the package, and why.
const PACKAGES: [(&str, &str); 4] = [
    ("lintian", "knows Debian's policy"),
    ("man-db", "renders the manual pages"),
    ("zsh", "loads its completions"),
    ("fish", "loads its completions"),
];

/// For each shell, what has it load the completions in `$1`, and print the commands that it knows.
const SHELLS: [(&str, &[&str], &str); 3] = [
    (
        "bash",
        &["--norc", "-c"],
        "source $1/edgerelay && COMP_WORDS=(edgerelay '') COMP_CWORD=1 && \
         $(complete -p edgerelay | sed 's/.*-F \\([^ ]*\\).*/\\1/') edgerelay '' edgerelay && \
         echo ${COMPREPLY[@]}",
    ),
    (
        "zsh",
        &["-f", "-c"],
        "fpath=($1 $fpath); autoload -Uz compinit && compinit -u -D && \
         [[ $_comps[edgerelay] == _edgerelay ]] && source $1/_edgerelay && \
         _describe() { print -l ${(P)4} } && _edgerelay_commands",
    ),
    ("fish", &["--no-config", "-c"], "source $argv[2]/edgerelay.fish; complete -C 'edgerelay '"),
];

/// Fails at the first thing that is wrong. `native` is a relay that runs here.
pub(super) fn inspect(package: &Path, stage: &Path, native: &Path) -> Result<()> {
    setup::install(&PACKAGES)?;
    manual_pages(stage)?;
    completions(stage)?;
    examples(native)?;
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error,warning", "--tag-display-limit", "0"]);
    // Of use to whoever runs CI as root, which is what a container does.
    lintian.arg("--allow-root").arg(package);
    step::run(&mut lintian)
}

/// Each page renders without a warning.
fn manual_pages(stage: &Path) -> Result<()> {
    let pages = stage::files(&stage::manual_pages(stage))?;
    for page in &pages {
        let mut man = Command::new("man");
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        let output = man.args(["--warnings", "--local-file", "--encoding=UTF-8"]).arg(page);
        let output = output.output().context("start man")?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !complaints.is_empty() {
            bail!("man {}: {complaints}", page.display());
        }
    }
    println!("deb: {} manual pages render without a warning", pages.len());
    Ok(())
}

/// Each shell loads its completions and knows the commands.
fn completions(stage: &Path) -> Result<()> {
    for (shell, flags, script) in SHELLS {
        let mut command = Command::new(shell);
        command.args(flags).arg(script).arg(shell).arg(stage::completions(stage, shell));
        let known = step::output(&mut command)?;
        for word in ["run", "check", "doctor", "accounting", "config"] {
            if !known.contains(word) {
                bail!("{shell} does not complete `edgerelay {word}`, but {known:?}");
            }
        }
        println!("deb: {shell} completes the commands");
    }
    Ok(())
}

/// The configuration that is installed, and the examples, are accepted.
fn examples(native: &Path) -> Result<()> {
    let mut configurations = stage::files(&workspace::root().join("packaging/examples"))?;
    configurations.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    configurations.push(workspace::root().join("packaging/edgerelay.toml"));
    for path in configurations {
        step::run(Command::new(native).args(["check", "--config"]).arg(path))?;
    }
    Ok(())
}
