//! The arguments. `cargo xtask bench` gives the paths.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

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
    #[arg(long, default_value_t = 3)]
    pub(crate) warmup: u64,
    /// What is measured, seconds.
    #[arg(long, default_value_t = 8)]
    pub(crate) window: u64,
    /// The congestion control of everybody.
    #[arg(long, default_value = "reno")]
    pub(crate) congestion: String,
    /// Write all figures there.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Write the page and its charts into this folder.
    #[arg(long)]
    pub(crate) book: Option<PathBuf>,
    /// We are in the namespace already.
    #[arg(long, hide = true)]
    pub(crate) inside: bool,
}

impl Arguments {
    pub(crate) fn wants(&self, contender: &str) -> bool {
        self.contender.is_empty() || self.contender.iter().any(|it| contender.starts_with(it))
    }

    pub(crate) const fn window(&self) -> Duration {
        Duration::from_secs(self.window)
    }
}
