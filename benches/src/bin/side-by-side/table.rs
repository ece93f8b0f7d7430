//! A scenario as rows of text: for the terminal, and for the page.

use super::outcome::{ContenderOutcome, ScenarioOutcome};
use super::round::Figures;
use super::statistics::Spread;

/// The columns.
pub(crate) const HEAD: [&str; 13] = [
    "contender",
    "s/Gbit (range)",
    "to nginx-rtmp",
    "to floor",
    "cpu %",
    "players/core",
    "p50 ms",
    "p99 ms",
    "join ms",
    "KiB/player",
    "syscalls/s",
    "switches/s",
    "lost",
];

/// One row for each contender.
pub(crate) fn rows(scenario: &ScenarioOutcome) -> Vec<Vec<String>> {
    scenario.contenders.iter().map(|contender| row(scenario, contender)).collect()
}

fn row(scenario: &ScenarioOutcome, contender: &ContenderOutcome) -> Vec<String> {
    let median = |of: fn(&Figures) -> Option<f64>, digits: usize| {
        contender.spread(of).map_or("-".into(), |spread| format!("{:.digits$}", spread.median))
    };
    let ratio = |spread: Option<&Spread>| {
        spread.map_or("-".into(), |spread| format!("{:.2}", spread.median))
    };
    let cost = contender.spread(|figures| figures.cpu_per_gigabit);
    let counting = contender.counting.as_ref();
    let calls = counting.and_then(|figures| figures.system_calls_per_second);
    let players = f64::from(scenario.players.max(1));
    let resident = contender.spread(|figures| Some(figures.resident_grown_kib));
    let marked = if contender.marked() > 0 {
        format!(" ({} marked)", contender.marked())
    } else {
        String::new()
    };
    vec![
        contender.name.clone(),
        cost.map_or("-".into(), |cost| {
            format!("{:.3} ({:.3}-{:.3})", cost.median, cost.min, cost.max)
        }),
        ratio(scenario.ratio_to_nginx_rtmp.get(&contender.name)),
        ratio(scenario.ratio_to_floor.get(&contender.name)),
        median(|figures| Some(figures.cpu_share * 100.0), 1),
        contender
            .players_on_a_core(scenario.players)
            .map_or("-".into(), |players| format!("{players:.0}")),
        median(|figures| figures.latency_p50_ms, 1),
        median(|figures| figures.latency_p99_ms, 1),
        median(|figures| figures.join_p50_ms, 0),
        resident.map_or("-".into(), |kib| format!("{:.1}", kib.median / players)),
        calls.map_or("-".into(), |calls| format!("{calls:.0}")),
        median(|figures| Some(figures.switches_per_second), 0),
        format!("{}{marked}", contender.lost()),
    ]
}

/// Prints a scenario to the terminal.
pub(crate) fn print(scenario: &ScenarioOutcome) {
    let rows = rows(scenario);
    let head: Vec<String> = HEAD.map(str::to_owned).into();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    println!("\n{}: {}", scenario.name, scenario.title);
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().enumerate();
        let line: Vec<String> =
            cells.map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        println!("  {}", line.join("  ").trim_end());
    }
    for contender in &scenario.contenders {
        for failure in &contender.failures {
            println!("  {}: {}", contender.name, failure);
        }
    }
}
