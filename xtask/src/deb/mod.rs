//! `cargo xtask deb`: the Debian package, with its bill of materials and checksums beside it.
//!
//! The order of things; what each is made of stands in the modules below. cargo-deb makes the package
//! from `relay/Cargo.toml` and from what is staged here.

mod bill;
mod build;
mod copy;
mod cross;
mod inspect;
mod manual;
mod stage;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use self::cross::Cross;
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
    /// Package for another architecture, with a cross compiler
    #[arg(long, value_name = "ARCHITECTURE", conflicts_with = "trial")]
    cross: Option<Cross>,
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
        let package = make(kind, arguments.revision, arguments.cross)?;
        if !arguments.verify {
            return Ok(());
        }
        verify::same_elsewhere(&package, arguments.cross)
    })
}

/// The part of CI: the packaging, with the binary that tests use.
pub(crate) fn check() -> Result<()> {
    package(Kind::Trial, 1).map(drop)
}

/// Where [`package`] puts it.
pub(crate) fn place(kind: Kind, revision: u32) -> Result<PathBuf> {
    let name = file_name(revision, &architecture()?);
    Ok(work_folder(kind, None).join("out").join(name))
}

fn file_name(revision: u32, architecture: &str) -> String {
    format!("edgerelay_{}_{architecture}.deb", version(revision))
}

/// Where everything of one kind of package is made.
fn work_folder(kind: Kind, cross: Option<Cross>) -> PathBuf {
    match cross {
        Some(cross) => folder().join(format!("{}-{}", kind.label(), cross.debian())),
        None => folder().join(kind.label()),
    }
}

fn version(revision: u32) -> String {
    format!("{}-{revision}", env!("CARGO_PKG_VERSION"))
}

/// Makes the package for this machine, looks at it, and returns where it is.
pub(crate) fn package(kind: Kind, revision: u32) -> Result<PathBuf> {
    make(kind, revision, None)
}

fn make(kind: Kind, revision: u32, cross: Option<Cross>) -> Result<PathBuf> {
    setup::install(&PACKAGES)?;
    CARGO_DEB.install()?;
    if let Some(cross) = cross {
        cross.install()?;
    }
    let folder = work_folder(kind, cross);
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
            build::for_release(&epoch, cross)?
        }
        Kind::Trial => {
            ebpf::if_it_can_be_had()?;
            build::for_tests()?
        }
    };
    // What runs here, to say what stands in its manual pages.
    let native = if cross.is_some() { build::for_tests()? } else { binary.clone() };
    let built = folder.join("stage");
    let stage = Cross::built_below(&built, cross);
    stage::fill(&stage, &binary, &native, &version(revision), &epoch)?;
    let architecture = cross.map_or_else(architecture, |cross| Ok(cross.debian().to_owned()))?;
    let package = output.join(file_name(revision, &architecture));
    let mut pack = pack(kind, &built, revision, &epoch, &package);
    if let Some(cross) = cross {
        pack.args(["--target", cross.triple()]);
    }
    step::run(&mut pack)?;
    inspect::inspect(&package, &stage, &native)?;
    if kind == Kind::Release {
        bill::write(&package.with_extension("cdx.json"), &epoch)?;
    }
    bill::sum_up(&output)?;
    println!("deb: {}", package.display());
    Ok(package)
}

/// cargo-deb, which finds what is built as cargo would have put it below `built`.
fn pack(kind: Kind, built: &Path, revision: u32, epoch: &str, package: &Path) -> Command {
    let mut command = Command::new(CARGO_DEB.program());
    command.current_dir(workspace::root());
    command.args(["--no-build", "--locked", "--strip", "--package", "edgerelay"]);
    command.args(["--deb-revision", &revision.to_string(), "--output"]).arg(package);
    if kind == Kind::Trial {
        command.arg("--fast");
    }
    // The time of every file in the package.
    command.env("CARGO_TARGET_DIR", built).env("SOURCE_DATE_EPOCH", epoch);
    command
}

fn folder() -> PathBuf {
    workspace::target().join("deb")
}

/// The machine's architecture, in Debian's words.
fn architecture() -> Result<String> {
    step::output(Command::new("dpkg").arg("--print-architecture"))
}
