//! `cargo xtask bench`: builds the relay and the load generator for release, gets the servers to
//! compare with, and runs the side-by-side. Those that come from registries are kept in `.tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{setup, step, workspace};

const XIU_VERSION: &str = "0.14.0";
const NODE_MEDIA_SERVER_VERSION: &str = "4.4.3";

/// Debian packages, where there is no npm from elsewhere, and why.
const NODE_PACKAGES: [(&str, &str); 2] =
    [("nodejs", "runs node-media-server"), ("npm", "installs node-media-server")];

/// What `cargo xtask bench` may be told.
#[derive(clap::Args)]
pub(crate) struct BenchArguments {
    /// Only this scenario; may be given again
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<String>,
    /// Measured rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Write all figures of this run there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Bring docs/benchmarks.md, its charts and its figures up to date: the scenarios of this run are
    /// replaced, the others stay
    #[arg(long)]
    book: bool,
    /// Add the rounds to those that the book has, instead
    #[arg(long, requires = "book")]
    add_rounds: bool,
    /// Measure nothing: write the page and its charts from the figures that the book has
    #[arg(long, requires = "book", conflicts_with = "add_rounds")]
    redraw: bool,
    /// Only under this congestion control; the default is reno, and bbr as a second column
    #[arg(long, value_name = "NAME")]
    congestion: Vec<String>,
    /// More arguments for the side-by-side, after `--`
    #[arg(last = true)]
    more: Vec<String>,
}

/// Runs the side-by-side.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<()> {
    setup::packages()?;
    setup::bench_packages()?;
    let packages = ["--package", "edgerelay", "--package", "edgerelay-benches", "--bins"];
    step::run(step::cargo().args(["build", "--release", "--locked"]).args(packages))?;
    let built = workspace::target().join("release");
    let mut command = Command::new(built.join("side-by-side"));
    command.arg("--relay").arg(built.join("edgerelay"));
    command.arg("--load").arg(built.join("rtmp-load"));
    command.args(["--nginx", "/usr/sbin/nginx"]);
    let tools = workspace::root().join(".tools");
    if !arguments.redraw {
        match xiu(&tools) {
            Ok(program) => drop(command.arg("--xiu").arg(program)),
            Err(error) => println!("SKIPPED: xiu, because it cannot be had: {error:#}"),
        }
        match node_media_server(&tools) {
            Ok(folder) => drop(command.arg("--node-media-server").arg(folder)),
            Err(error) => println!("SKIPPED: node-media-server: {error:#}"),
        }
    }
    for scenario in &arguments.only {
        command.args(["--only", scenario]);
    }
    command.args(["--rounds", &arguments.rounds.to_string()]);
    if let Some(file) = &arguments.json {
        command.arg("--json").arg(file);
    }
    if arguments.book {
        command.arg("--book").arg(workspace::root().join("docs"));
    }
    if arguments.add_rounds {
        command.arg("--add-rounds");
    }
    if arguments.redraw {
        command.arg("--redraw");
    }
    for congestion in &arguments.congestion {
        command.args(["--congestion", congestion]);
    }
    step::run(command.args(&arguments.more))
}

fn xiu(tools: &Path) -> Result<PathBuf> {
    let program = tools.join("bin/xiu");
    if !program.exists() {
        let install = ["install", "--quiet", "--locked", "--version", XIU_VERSION, "--root"];
        let mut cargo = step::cargo();
        cargo.args(install).arg(tools).arg("xiu").env_remove("CARGO_TARGET_DIR");
        step::run(&mut cargo)?;
    }
    Ok(program)
}

fn node_media_server(tools: &Path) -> Result<PathBuf> {
    let folder = tools.join("node-media-server");
    if !folder.join("node_modules/node-media-server").exists() {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        if !step::succeeds(Command::new("npm").arg("--version")) {
            setup::install(&NODE_PACKAGES)?;
        }
        let package = format!("node-media-server@{NODE_MEDIA_SERVER_VERSION}");
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args(["install", "--no-save", "--no-fund", "--no-audit"]);
        step::run(npm.arg("--prefix").arg(&folder).arg(package))?;
    }
    Ok(folder)
}
