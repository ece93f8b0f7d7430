//! The side-by-side: edgerelay, the servers that it replaces and the floor, under the same load, in
//! one run. Owns the order of rounds; what is started and measured stands in the modules.

mod accounting;
mod arguments;
mod book;
mod capacity;
mod charts;
mod contender;
mod digest;
mod load;
mod namespace;
mod outcome;
mod process;
mod round;
mod scenario;
mod statistics;
mod store;
mod table;
mod usage;
mod version;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser as _;

use self::arguments::Arguments;
use self::contender::Contender;
use self::outcome::ScenarioOutcome;
use self::round::Bench;
use self::scenario::{FIRST_CONGESTION, SCENARIOS, Scenario};
use self::store::Store;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(folder) = arguments.book.as_ref().filter(|_| arguments.redraw) {
        book::write(&Store::read(&book::figures_path(folder))?, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios = chosen_scenarios(&arguments)?;
    if let Some(congestion) = &arguments.inside {
        measure(&arguments, &scenarios, congestion)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = arguments.json.as_ref().filter(|path| path.exists()) {
        fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    }
    for congestion in &arguments.congestion {
        if !scenarios.iter().any(|scenario| scenario.is_measured_under(congestion)) {
            continue;
        }
        if namespace::knows(congestion) {
            namespace::enter(congestion)?;
        } else {
            eprintln!("SKIPPED: {congestion}, because the kernel does not have it");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures what is wanted under one congestion control, in whose namespace we are.
fn measure(arguments: &Arguments, scenarios: &[&Scenario], congestion: &str) -> Result<()> {
    let bench = Bench::new(arguments)?;
    let mut measured = Store::default();
    for scenario in scenarios {
        if !scenario.is_measured_under(congestion) {
            continue;
        }
        let again = congestion != FIRST_CONGESTION;
        let contenders: Vec<Contender> = Contender::asked(scenario, again, arguments)
            .into_iter()
            .filter(|contender| arguments.wants(&contender.name()))
            .collect();
        let mut outcome = ScenarioOutcome::new(scenario, &contenders, arguments);
        if let Some(folder) = arguments.book.as_ref().filter(|_| arguments.add_rounds) {
            let book = Store::read(&book::figures_path(folder))?;
            if let Some(earlier) = book.find(scenario.name, congestion) {
                outcome.go_on_from(earlier.clone())?;
            }
        }
        run(&bench, scenario, &contenders, arguments.rounds, &mut outcome);
        let title = format!("{}: {}, {congestion}", scenario.name, scenario.title);
        table::print(&title, &table::rows(scenario, &outcome, &[]));
        for contender in &outcome.contenders {
            for failure in &contender.failures {
                println!("  {}: {failure}", contender.name);
            }
        }
        // Written after each scenario: a long run that is cut short leaves what it has.
        write(arguments, scenario, congestion, &outcome)?;
        measured.put(scenario.name, congestion, outcome);
    }
    for digest in digest::of(&measured) {
        table::print(digest.title, &digest.rows);
    }
    Ok(())
}

/// Brings the JSON file and the book up to date, where they are asked for.
fn write(
    arguments: &Arguments,
    scenario: &Scenario,
    congestion: &str,
    outcome: &ScenarioOutcome,
) -> Result<()> {
    if let Some(path) = &arguments.json {
        let mut store = Store::read(path)?;
        store.put(scenario.name, congestion, outcome.clone());
        store.write(path)?;
    }
    if let Some(folder) = &arguments.book {
        let mut store = Store::read(&book::figures_path(folder))?;
        store.put(scenario.name, congestion, outcome.clone());
        book::write(&store, folder)?;
    }
    Ok(())
}

fn chosen_scenarios(arguments: &Arguments) -> Result<Vec<&'static Scenario>> {
    if arguments.only.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let by_name = |name: &String| {
        let names = || SCENARIOS.map(|scenario| scenario.name).join(", ");
        Scenario::named(name)
            .with_context(|| format!("no scenario is named {name:?}; there are: {}", names()))
    };
    arguments.only.iter().map(by_name).collect()
}

/// All contenders in each round, in turn, so that a machine that gets slower does so for all.
fn run(
    bench: &Bench,
    scenario: &Scenario,
    contenders: &[Contender],
    rounds: usize,
    outcome: &mut ScenarioOutcome,
) {
    for round in 1..=rounds {
        for (place, contender) in contenders.iter().enumerate() {
            let name = contender.name();
            match bench.round(scenario, contender, outcome.carried(place)) {
                Ok(figures) => {
                    eprintln!("{} {name} round {round}: {}", scenario.name, figures.line());
                    outcome.take(place, figures);
                }
                Err(error) => {
                    eprintln!("{} {name} round {round}: {error:#}", scenario.name);
                    outcome.failed(place, format!("{error:#}"));
                }
            }
        }
    }
}
