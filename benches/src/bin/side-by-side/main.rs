//! The side-by-side: edgerelay, the servers that it replaces and the floor, under the same load, in
//! one run. Owns the order of rounds; what is started and measured stands in the modules.

mod arguments;
mod book;
mod charts;
mod contender;
mod load;
mod namespace;
mod outcome;
mod process;
mod round;
mod scenario;
mod statistics;
mod table;
mod usage;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser as _;

use self::arguments::Arguments;
use self::contender::Contender;
use self::outcome::{Outcome, ScenarioOutcome};
use self::round::{Bench, Kind};
use self::scenario::{SCENARIOS, Scenario};

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.inside {
        return namespace::enter(&arguments.congestion);
    }
    let scenarios = chosen_scenarios(&arguments)?;
    let bench = Bench::new(&arguments)?;
    let mut outcome = Outcome::new(&arguments);
    for scenario in scenarios {
        let contenders: Vec<Contender> = Contender::all(&arguments)
            .into_iter()
            .filter(|contender| contender.takes_part(scenario))
            .filter(|contender| arguments.wants(&contender.name()))
            .collect();
        let measured = run(&bench, scenario, &contenders, arguments.rounds)?;
        table::print(&measured);
        outcome.scenarios.push(measured);
        // Written after each scenario: a long run that is cut short leaves what it has.
        outcome.write(&arguments)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen_scenarios(arguments: &Arguments) -> Result<Vec<&'static Scenario>> {
    if arguments.only.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let by_name = |name: &String| {
        let names = || SCENARIOS.map(|scenario| scenario.name).join(", ");
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.with_context(|| format!("no scenario is named {name:?}; there are: {}", names()))
    };
    arguments.only.iter().map(by_name).collect()
}

/// All contenders in each round, in turn, so that a machine that gets slower does so for all. A
/// round before the first warms up and counts system calls, which costs time.
fn run(
    bench: &Bench,
    scenario: &'static Scenario,
    contenders: &[Contender],
    rounds: usize,
) -> Result<ScenarioOutcome> {
    let mut outcome = ScenarioOutcome::new(scenario, contenders);
    for round in 0..=rounds {
        let kind = if round == 0 { Kind::Counting } else { Kind::Measured };
        for (place, contender) in contenders.iter().enumerate() {
            let name = contender.name();
            match bench.round(scenario, contender, kind) {
                Ok(figures) => {
                    eprintln!("{} {name} round {round}: {}", scenario.name, figures.line());
                    outcome.take(place, kind, figures);
                }
                Err(error) => {
                    eprintln!("{} {name} round {round}: {error:#}", scenario.name);
                    outcome.failed(place, format!("{error:#}"));
                }
            }
        }
    }
    Ok(outcome)
}
