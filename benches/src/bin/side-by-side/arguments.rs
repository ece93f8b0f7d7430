//! The arguments. `cargo xtask bench` gives the paths.

use std::path::PathBuf;

use clap::Parser;

use super::scenario::FIRST_CONGESTION;

/// Measures edgerelay beside other RTMP servers, in one run.
#[derive(Debug, Parser)]
#[command(name = "side-by-side")]
pub(crate) struct Arguments {
    /// The relay.
    #[arg(long)]
    pub(crate) relay: PathBuf,
    /// The load generator.
    #[arg(long)]
    pub(crate) load: PathBuf,
    /// nginx, with its RTMP module installed.
    #[arg(long)]
    pub(crate) nginx: Option<PathBuf>,
    /// xiu.
    #[arg(long)]
    pub(crate) xiu: Option<PathBuf>,
    /// The folder with `node_modules/node-media-server`.
    #[arg(long)]
    pub(crate) node_media_server: Option<PathBuf>,
    /// Only this scenario; may be given again.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Only contenders whose name begins so; may be given again.
    #[arg(long)]
    pub(crate) contender: Vec<String>,
    /// Measured rounds.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// From everybody being there to the window, seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) warmup: u64,
    /// What is measured, seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) window: u64,
    /// The congestion control of everybody; given again, the scenarios that want a second column
    /// are measured under that too.
    #[arg(long, default_values = [FIRST_CONGESTION, "bbr"])]
    pub(crate) congestion: Vec<String>,
    /// Write all figures of this run there.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Bring the page, its charts and its figures in this folder up to date: the scenarios of this
    /// run are replaced, the others stay.
    #[arg(long)]
    pub(crate) book: Option<PathBuf>,
    /// Add the rounds to those that the book has, instead.
    #[arg(long, requires = "book")]
    pub(crate) add_rounds: bool,
    /// Measure nothing: write the page and its charts from the figures that the book has.
    #[arg(long, requires = "book")]
    pub(crate) redraw: bool,
    /// We are in a namespace with this congestion control already.
    #[arg(long, hide = true)]
    pub(crate) inside: Option<String>,
}

impl Arguments {
    pub(crate) fn wants(&self, contender: &str) -> bool {
        self.contender.is_empty() || self.contender.iter().any(|it| contender.starts_with(it))
    }
}
