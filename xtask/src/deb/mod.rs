//! `cargo xtask deb`: the Debian package, with its bill of materials and checksums beside it.
//!
//! The order of things; what each is made of stands in the modules below. cargo-deb makes the package
//! from `relay/Cargo.toml` and from what is staged here.

mod bill;
mod build;
mod copy;
mod inspect;
mod manual;
mod stage;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::pinned::Pinned;
use crate::{ebpf, setup, step, workspace};

const CARGO_DEB: Pinned = Pinned { name: "cargo-deb", version: "3.8.0" };

/// Debian packages that make the package, and why.
const PACKAGES: [(&str, &str); 3] = [
    ("dpkg-dev", "dpkg-shlibdeps finds the libraries that the binary needs"),
    ("binutils", "strip"),
    ("gzip", "compresses the changelog"),
];

/// What `cargo xtask deb` is told.
#[derive(Args)]
pub(crate) struct DebArguments {
    /// Build once more in another folder, and compare
    #[arg(long, conflicts_with = "trial")]
    verify: bool,
    /// Package the binary that tests use: to try the packaging, not to ship
    #[arg(long)]
    trial: bool,
    /// Which package of this version it is
    #[arg(long, default_value_t = 1)]
    revision: u32,
}

/// What kind of package is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To ship: optimised, the same bytes wherever it is built.
    Release,
    /// To try the packaging with: built as tests are, in a minute.
    Trial,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Trial => "trial",
        }
    }
}

/// `cargo xtask deb`.
pub(crate) fn deb(arguments: &DebArguments) -> Result<()> {
    let kind = if arguments.trial { Kind::Trial } else { Kind::Release };
    step::timed("deb", || {
        let package = package(kind, arguments.revision)?;
        if arguments.verify { verify::same_elsewhere(&package) } else { Ok(()) }
    })
}

/// The part of CI: the packaging, with the binary that tests use.
pub(crate) fn check() -> Result<()> {
    package(Kind::Trial, 1).map(drop)
}

/// Where [`package`] puts it.
pub(crate) fn place(kind: Kind, revision: u32) -> Result<PathBuf> {
    let name = format!("edgerelay_{}_{}.deb", version(revision), architecture()?);
    Ok(folder().join(kind.label()).join("out").join(name))
}

fn version(revision: u32) -> String {
    format!("{}-{revision}", env!("CARGO_PKG_VERSION"))
}

/// Makes the package, looks at it, and returns where it is.
pub(crate) fn package(kind: Kind, revision: u32) -> Result<PathBuf> {
    setup::install(&PACKAGES)?;
    CARGO_DEB.install()?;
    let folder = folder().join(kind.label());
    // What an earlier version left would be summed up with this one's.
    let output = folder.join("out");
    if output.exists() {
        fs::remove_dir_all(&output).with_context(|| format!("remove {}", output.display()))?;
    }
    fs::create_dir_all(&output).with_context(|| format!("make {}", output.display()))?;
    let epoch = build::epoch()?;
    let binary = match kind {
        Kind::Release => {
            ebpf::ebpf()?;
            build::for_release(&epoch)?
        }
        Kind::Trial => {
            ebpf::if_it_can_be_had()?;
            build::for_tests()?
        }
    };
    let stage = folder.join("stage");
    stage::fill(&stage, &binary, &version(revision), &epoch)?;
    let package = place(kind, revision)?;
    pack(kind, &stage, revision, &epoch, &package)?;
    inspect::inspect(&package, &stage)?;
    if kind == Kind::Release {
        bill::write(&package.with_extension("cdx.json"), &epoch)?;
    }
    bill::sum_up(&output)?;
    println!("deb: {}", package.display());
    Ok(package)
}

fn pack(kind: Kind, stage: &Path, revision: u32, epoch: &str, package: &Path) -> Result<()> {
    let mut command = std::process::Command::new(CARGO_DEB.program());
    command.current_dir(workspace::root());
    command.args(["--no-build", "--locked", "--strip", "--package", "edgerelay"]);
    command.args(["--deb-revision", &revision.to_string(), "--output"]).arg(package);
    if kind == Kind::Trial {
        command.arg("--fast");
    }
    // Where it looks for what is built. The time of every file in the package.
    command.env("CARGO_TARGET_DIR", stage).env("SOURCE_DATE_EPOCH", epoch);
    step::run(&mut command)
}

fn folder() -> PathBuf {
    workspace::target().join("deb")
}

/// The machine's architecture, in Debian's words.
fn architecture() -> Result<String> {
    step::output(std::process::Command::new("dpkg").arg("--print-architecture"))
}
