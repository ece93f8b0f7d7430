//! A scenario as rows of text: for the terminal, and for the page.

use super::outcome::{ContenderOutcome, FULL_SHARE, ScenarioOutcome};
use super::round::Figures;
use super::scenario::{Question, Scenario};
use super::statistics::Spread;

/// A column: its head, and how a contender's cell is made.
type Column = (&'static str, fn(&ScenarioOutcome, &ContenderOutcome) -> String);

const NAME: Column = ("contender", |_, contender| contender.name.clone());
const COST: Column = ("s/Gbit (range)", |_, contender| {
    range(contender.spread(|figures| figures.cpu_per_gigabit), 3)
});
const TO_NGINX: Column =
    ("to nginx-rtmp", |outcome, contender| ratio(outcome.ratio_to_nginx_rtmp.get(&contender.name)));
const CPU: Column =
    ("cpu %", |_, contender| median(contender, |figures| Some(figures.cpu_share * 100.0), 1));
const P50: Column =
    ("p50 ms", |_, contender| median(contender, |figures| figures.latency_p50_ms, 1));
const P99: Column =
    ("p99 ms", |_, contender| median(contender, |figures| figures.latency_p99_ms, 1));
const LOADER: Column = ("loader %, late p99 ms", |_, contender| {
    let share = median(contender, |figures| Some(figures.loader_share * 100.0), 0);
    format!("{share}, {}", median(contender, |figures| figures.lateness_p99_ms, 1))
});
const LOST: Column = ("lost", |_, contender| match contender.marked() {
    0 => contender.lost().to_string(),
    marked => format!("{} ({marked} marked)", contender.lost()),
});

const COST_COLUMNS: [Column; 15] = [
    NAME,
    COST,
    TO_NGINX,
    ("to floor", |outcome, contender| ratio(outcome.ratio_to_floor.get(&contender.name))),
    CPU,
    ("players/core", |outcome, contender| {
        let players = contender.players_on_a_core(outcome.players);
        players.map_or("-".into(), |players| format!("{players:.0}"))
    }),
    P50,
    P99,
    ("connect p50/p99 ms", |_, contender| {
        let p50 = median(contender, |figures| figures.connect_p50_ms, 1);
        format!("{p50}/{}", median(contender, |figures| figures.connect_p99_ms, 1))
    }),
    ("join ms", |_, contender| median(contender, |figures| figures.join_p50_ms, 0)),
    ("KiB/player", |outcome, contender| {
        let resident = contender.spread(|figures| Some(figures.resident_grown_kib));
        let players = f64::from(outcome.players.max(1));
        resident.map_or("-".into(), |kib| format!("{:.1}", kib.median / players))
    }),
    ("syscalls/s", |_, contender| median(contender, |figures| figures.system_calls_per_second, 0)),
    ("switches/s", |_, contender| {
        median(contender, |figures| Some(figures.switches_per_second), 0)
    }),
    LOADER,
    LOST,
];

const CAPACITY_COLUMNS: [Column; 11] = [
    NAME,
    ("carried (range)", |_, contender| {
        range(contender.spread(|figures| Some(f64::from(figures.carried.as_ref()?.amount))), 0)
    }),
    TO_NGINX,
    ("not carried", |_, contender| {
        median(contender, |figures| figures.carried.as_ref()?.not.map(f64::from), 0)
    }),
    ("limited by", |_, contender| {
        let mut limits: Vec<&str> = contender
            .rounds
            .iter()
            .flatten()
            .filter_map(|figures| Some(figures.carried.as_ref()?.limited_by.label()))
            .collect();
        limits.sort_unstable();
        limits.dedup();
        limits.join(", ")
    }),
    CPU,
    ("at 95 % cpu", |_, contender| {
        let extrapolated = |figures: &Figures| {
            Some(f64::from(figures.carried.as_ref()?.amount) * FULL_SHARE / figures.given_share())
        };
        median(contender, extrapolated, 0)
    }),
    ("Gbit/s", |outcome, contender| {
        let seconds = outcome.window_seconds.max(1) as f64;
        median(contender, |figures| Some(figures.gigabits / seconds), 2)
    }),
    P50,
    P99,
    LOADER,
];

const SHARDS_COLUMNS: [Column; 8] = [
    NAME,
    COST,
    ("to one shard", |outcome, contender| ratio(outcome.ratio_to_basis.get(&contender.name))),
    CPU,
    P50,
    P99,
    LOADER,
    LOST,
];

const ACCOUNTING_COLUMNS: [Column; 8] = [
    NAME,
    COST,
    ("on over off (range)", |outcome, contender| {
        range(outcome.ratio_to_basis.get(&contender.name).copied(), 3)
    }),
    CPU,
    P50,
    P99,
    LOADER,
    LOST,
];

/// The columns that answer a question.
const fn columns(question: Question) -> &'static [Column] {
    match question {
        Question::Cost => &COST_COLUMNS,
        Question::Capacity(_) => &CAPACITY_COLUMNS,
        Question::Shards => &SHARDS_COLUMNS,
        Question::Accounting => &ACCOUNTING_COLUMNS,
    }
}

/// The head, and a row for each contender. `others` are the outcomes under other congestion controls,
/// by their names: their costs stand in columns at the end.
pub(crate) fn rows(
    scenario: &Scenario,
    outcome: &ScenarioOutcome,
    others: &[(&str, &ScenarioOutcome)],
) -> Vec<Vec<String>> {
    let columns = columns(scenario.question);
    let mut head: Vec<String> = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    head.extend(outcome.ratio_to_peers.keys().map(|peer| format!("to {peer}")));
    for (congestion, _) in others {
        head.push(format!("{congestion}: s/Gbit"));
        head.push(format!("{congestion}: to nginx-rtmp"));
    }
    let row = |contender: &ContenderOutcome| {
        let mut row: Vec<String> =
            columns.iter().map(|(_, cell)| cell(outcome, contender)).collect();
        row.extend(outcome.ratio_to_peers.values().map(|to| ratio(to.get(&contender.name))));
        for (_, other) in others {
            let same = other.contender(&contender.name);
            let cells = [COST, TO_NGINX].map(|(_, cell)| same.map(|same| cell(other, same)));
            row.extend(cells.map(|cell| cell.unwrap_or_else(|| "-".into())));
        }
        row
    };
    [head].into_iter().chain(outcome.contenders.iter().map(row)).collect()
}

fn median(
    contender: &ContenderOutcome,
    of: impl Fn(&Figures) -> Option<f64>,
    digits: usize,
) -> String {
    contender.spread(of).map_or("-".into(), |spread| format!("{:.digits$}", spread.median))
}

fn range(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("-".into(), |spread| {
        let Spread { median, min, max } = spread;
        format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
    })
}

fn ratio(spread: Option<&Spread>) -> String {
    spread.map_or("-".into(), |spread| format!("{:.2}", spread.median))
}

/// Prints rows to the terminal.
pub(crate) fn print(title: &str, rows: &[Vec<String>]) {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    println!("\n{title}");
    for row in rows {
        let cells = row.iter().enumerate();
        let line: Vec<String> =
            cells.map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        println!("  {}", line.join("  ").trim_end());
    }
}
