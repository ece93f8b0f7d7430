//! The page: how it was measured, and a table and a chart for each scenario.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::charts;
use super::outcome::Outcome;
use super::table;

/// Writes `benchmarks.md` and its charts into a folder.
pub(crate) fn write(outcome: &Outcome, folder: &Path) -> Result<()> {
    let charts = folder.join("benchmarks");
    fs::create_dir_all(&charts).with_context(|| format!("create {}", charts.display()))?;
    let mut page = String::new();
    let machine = &outcome.machine;
    write!(
        page,
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; do not edit. Ratios within one run mean something, single \
         figures only on this machine.\n\n\
         ## Method\n\n\
         - Machine: {}, {} cores, Linux {}. The server has core 0, the load generator core 1.\n\
         - Everybody runs in one network namespace, over loopback, with {} as congestion control.\n\
         - `rtmp-load` publishes synthetic H.264 and AAC, frame by frame in real time, plays it, and \
         checks each message a player gets: sequence, checksum, timestamps, start at a keyframe.\n\
         - {} rounds; in each round all contenders in turn, each started anew, warmed up and measured \
         for {} s. A round before counts system calls with perf and is not part of the figures. \
         Windows in which the host took more than 3 % of the core are measured again, twice at \
         most, and then marked.\n\
         - Processor time is that of the server's tasks and its children's (`schedstat`), and holds \
         what the kernel does for its sends. `s/Gbit` is the median over all rounds with its range; \
         ratios are medians of the ratios within a round.\n\
         - `players/core` is extrapolated: players, times 0.95, over the share of a core.\n\
         - `floor` is a program that sends the same bytes with io_uring and does nothing else: each \
         message by itself, each video frame, or every 100 and 350 ms.\n\
         - Servers run on their defaults, but for limits on connections. `edgerelay 0s` and the like \
         name the merge window.\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        outcome.congestion,
        outcome.rounds,
        outcome.window_seconds
    )?;
    for scenario in &outcome.scenarios {
        write!(page, "\n## {}\n\n", scenario.title)?;
        writeln!(page, "| {} |", table::HEAD.join(" | "))?;
        writeln!(page, "|{}", "---|".repeat(table::HEAD.len()))?;
        for row in table::rows(scenario) {
            writeln!(page, "| {} |", row.join(" | "))?;
        }
        for contender in &scenario.contenders {
            if let Some(failure) = contender.failures.first() {
                let count = contender.failures.len();
                let reason = failure.lines().next().unwrap_or_default();
                writeln!(page, "\n{} failed {count} times: {reason}", contender.name)?;
            }
        }
        let chart = format!("{}.svg", scenario.name);
        if charts::draw(scenario, &charts.join(&chart))? {
            writeln!(page, "\n![{}](benchmarks/{chart})", scenario.title)?;
        }
    }
    let path = folder.join("benchmarks.md");
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))
}
