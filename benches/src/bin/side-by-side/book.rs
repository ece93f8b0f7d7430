//! The page: how it was measured, and a table and a chart for each scenario that there are figures of.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::charts;
use super::digest;
use super::outcome::ScenarioOutcome;
use super::scenario::{FIRST_CONGESTION, Question, SCENARIOS, Scenario};
use super::store::Store;
use super::table;

/// Where a book keeps its figures.
pub(crate) fn figures_path(folder: &Path) -> PathBuf {
    folder.join("benchmarks/results.json")
}

/// Writes the figures, and `benchmarks.md` with its charts from them, into a folder.
pub(crate) fn write(store: &Store, folder: &Path) -> Result<()> {
    let charts = folder.join("benchmarks");
    fs::create_dir_all(&charts).with_context(|| format!("create {}", charts.display()))?;
    store.write(&figures_path(folder))?;
    let mut page = method(FIRST_CONGESTION)?;
    for scenario in &SCENARIOS {
        let Some(outcome) = store.find(scenario.name, FIRST_CONGESTION) else { continue };
        let others: Vec<_> = store.beside(scenario.name, FIRST_CONGESTION).collect();
        section(&mut page, scenario, outcome, &others)?;
        let chart = format!("{}.svg", scenario.name);
        if charts::draw(scenario, outcome, &charts.join(&chart))? {
            writeln!(page, "\n![{}](benchmarks/{chart})", scenario.title)?;
        }
    }
    for digest in digest::of(store) {
        write!(page, "\n## {}\n\n{}\n\n", digest.title, digest.note)?;
        write_rows(&mut page, &digest.rows)?;
    }
    let path = folder.join("benchmarks.md");
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))
}

fn method(congestion: &str) -> Result<String> {
    let mut page = String::new();
    write!(
        page,
        "# Benchmarks\n\n\
         Written by `cargo xtask bench --book`; do not edit. Ratios within one run mean something, \
         single figures only on their machine. All figures of all rounds are in \
         [results.json](benchmarks/results.json).\n\n\
         ## How to repeat it\n\n\
         `cargo xtask bench --book` as root, on a machine with two cores, nothing else to do and an \
         hour and a half; `--only SCENARIO` does one part, and `--congestion NAME` one congestion \
         control. It builds the relay, installs nginx with its RTMP module from Debian, xiu from \
         crates.io and node-media-server from npm, and rewrites this page. The last two have their \
         versions in `xtask/src/bench.rs`; what each server is told is in \
         `benches/src/bin/side-by-side/contender.rs`.\n\n\
         ## Method\n\n\
         - The server has core 0, the load generator core 1.\n\
         - Everybody runs in one network namespace, over loopback, with {congestion} as congestion \
         control. Columns that name another one are of the same load under that.\n\
         - `rtmp-load` publishes synthetic H.264 and AAC, frame by frame in real time, plays it, and \
         checks each message a player gets: sequence, checksum, timestamps, start at a keyframe.\n\
         - In each round all contenders in turn, each started anew, warmed up and measured. System \
         calls are counted with perf in the warm-up, outside the window. Windows in which the host \
         took more than 3 % of the core are measured again, twice at most; the least disturbed \
         counts, and is marked if it had more.\n\
         - A run of everything would take hours; so xiu and node-media-server take part in one \
         fan-out, one many-to-many, among idle players (xiu lets nobody wait) and in the join storm. \
         They push in other ways or not at all.\n\
         - Processor time is that of the server's tasks and its children's (`schedstat`), and holds \
         what the kernel does for its sends. `s/Gbit` is the median over all rounds with its range; \
         ratios are medians of the ratios within a round. They are of `s/Gbit`; of what was carried \
         where a capacity is searched for; of processor time in the join storm, where whoever gives \
         newcomers a picture at once delivers more; of memory among players that wait.\n\
         - `players/core` is extrapolated: players, times 0.95, over the share of a core.\n\
         - `connect` is from the player's TCP connect to the answer to RTMP's `connect`, `join` from \
         there to its first keyframe.\n\
         - `loader %` is the load generator's share of its own core; `late` how much later than due \
         its publishers sent. They may be half a millisecond late for everybody, so that one wake-up \
         serves many. Latency counts from when they sent.\n\
         - `floor` is a program that sends the same bytes with io_uring and does nothing else: each \
         message by itself, each video frame, or every 100 and 350 ms.\n\
         - Servers run on their defaults, but for limits on connections. `edgerelay 0s` and the like \
         name the merge window.\n\
         - A capacity is searched for: amounts are tried, each with a server started anew, until one \
         that is carried and one that is not are within 5 % of each other or time is up. Carried \
         means: less than 95 % of the core, nothing lost, everybody let in, all of the stream \
         delivered, and 99 % of messages within a second. 100 players are checked; what the others \
         get is counted. Other columns are of the most that was carried. Where the load generator \
         was the limit, or nothing was, the page says that the figure is a lower bound; `at 95 % cpu` \
         extrapolates from it. A full load generator reads later: a server that leaves Nagle's \
         algorithm on, as nginx-rtmp does, then sends fewer and larger pieces, and carries more.\n\
         - Two shards have both cores, one of which they share with the load generator. So nothing is \
         said about how much they carry: what is compared is processor time for the same load.\n"
    )?;
    Ok(page)
}

fn section(
    page: &mut String,
    scenario: &Scenario,
    outcome: &ScenarioOutcome,
    others: &[(&str, &ScenarioOutcome)],
) -> Result<()> {
    let machine = &outcome.machine;
    let rounds = outcome.rounds();
    write!(
        page,
        "\n## {}\n\n`{}`, {rounds} round{}, windows of {} s; {}, {} cores, Linux {}.\n\n",
        scenario.title,
        scenario.name,
        if rounds == 1 { "" } else { "s" },
        outcome.window_seconds,
        machine.processor,
        machine.cores,
        machine.kernel,
    )?;
    let versions = versions(outcome);
    if !versions.is_empty() {
        write!(page, "{versions}.\n\n")?;
    }
    write_rows(page, &table::rows(scenario, outcome, others))?;
    if scenario.question == Question::Shards {
        write!(
            page,
            "\nIf cores are all that shards share, two carry at most 2 over this ratio times what \
             one does. This machine has no third core to load them from, so that is not measured.\n"
        )?;
    }
    for contender in &outcome.contenders {
        if let Some(failure) = contender.failures.first() {
            let count = contender.failures.len();
            let reason = failure.lines().next().unwrap_or_default();
            writeln!(page, "\n{} failed {count} times: {reason}", contender.name)?;
        }
    }
    Ok(())
}

/// Who was measured, each name once: windows and shards of edgerelay are of one release.
fn versions(outcome: &ScenarioOutcome) -> String {
    let versions = outcome.contenders.iter().filter_map(|contender| {
        let name = contender.name.split_whitespace().next()?;
        Some(format!("{name} {}", contender.version.as_ref()?))
    });
    let mut versions: Vec<String> = versions.collect();
    versions.dedup();
    versions.join(", ")
}

fn write_rows(page: &mut String, rows: &[Vec<String>]) -> Result<()> {
    for (place, row) in rows.iter().enumerate() {
        writeln!(page, "| {} |", row.join(" | "))?;
        if place == 0 {
            writeln!(page, "|{}", "---|".repeat(row.len()))?;
        }
    }
    Ok(())
}
