//! What all rounds came to: figures, medians and ratios, as JSON.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use super::arguments::Arguments;
use super::book;
use super::contender::{Contender, REFERENCE};
use super::round::{Figures, Kind};
use super::scenario::Scenario;
use super::statistics::Spread;

/// A core is called full at this share.
const FULL_SHARE: f64 = 0.95;

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) machine: Machine,
    pub(crate) congestion: String,
    pub(crate) rounds: usize,
    pub(crate) window_seconds: u64,
    pub(crate) scenarios: Vec<ScenarioOutcome>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct ScenarioOutcome {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) players: u32,
    pub(crate) contenders: Vec<ContenderOutcome>,
    /// Processor time per gigabit over nginx-rtmp's of the same round, by contender.
    pub(crate) ratio_to_nginx_rtmp: BTreeMap<String, Spread>,
    /// Over that of the floor that sends alike.
    pub(crate) ratio_to_floor: BTreeMap<String, Spread>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ContenderOutcome {
    pub(crate) name: String,
    floor: Option<String>,
    /// The counting round, then the measured ones; none where one failed.
    pub(crate) counting: Option<Figures>,
    pub(crate) rounds: Vec<Option<Figures>>,
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            machine: Machine::read(),
            congestion: arguments.congestion.clone(),
            rounds: arguments.rounds,
            window_seconds: arguments.window().as_secs(),
            scenarios: Vec::new(),
        }
    }

    /// Writes the JSON file and the page, where they are asked for.
    pub(crate) fn write(&self, arguments: &Arguments) -> Result<()> {
        if let Some(path) = &arguments.json {
            let text = serde_json::to_string_pretty(self)?;
            fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        }
        if let Some(folder) = &arguments.book {
            book::write(self, folder)?;
        }
        Ok(())
    }
}

impl Machine {
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = text("/proc/cpuinfo");
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            kernel: text("/proc/sys/kernel/osrelease").trim().into(),
            processor: model.map_or("unknown", |(_, model)| model.trim()).into(),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        }
    }
}

impl ScenarioOutcome {
    pub(crate) fn new(scenario: &Scenario, contenders: &[Contender]) -> Self {
        let contenders = contenders.iter().map(|contender| ContenderOutcome {
            name: contender.name(),
            floor: contender.floor(),
            counting: None,
            rounds: Vec::new(),
            failures: Vec::new(),
        });
        Self {
            name: scenario.name,
            title: scenario.title,
            players: scenario.players(),
            contenders: contenders.collect(),
            ratio_to_nginx_rtmp: BTreeMap::new(),
            ratio_to_floor: BTreeMap::new(),
        }
    }

    /// A round of the contender at `place`.
    pub(crate) fn take(&mut self, place: usize, kind: Kind, figures: Figures) {
        let Some(contender) = self.contenders.get_mut(place) else { return };
        match kind {
            Kind::Counting => contender.counting = Some(figures),
            Kind::Measured => contender.rounds.push(Some(figures)),
        }
        self.compare();
    }

    /// A round that came to nothing.
    pub(crate) fn failed(&mut self, place: usize, why: String) {
        let Some(contender) = self.contenders.get_mut(place) else { return };
        contender.rounds.push(None);
        contender.failures.push(why);
    }

    fn compare(&mut self) {
        let cost = |name: &str, round: usize| {
            let contender = self.contenders.iter().find(|contender| contender.name == name)?;
            contender.rounds.get(round)?.as_ref()?.cpu_per_gigabit
        };
        let ratio = |name: &str, to: &str, rounds: usize| {
            let of = |round| Some(cost(name, round)? / cost(to, round)?);
            Spread::of((0..rounds).filter_map(of))
        };
        let mut to_nginx = BTreeMap::new();
        let mut to_floor = BTreeMap::new();
        for contender in &self.contenders {
            let rounds = contender.rounds.len();
            if let Some(spread) = ratio(&contender.name, REFERENCE, rounds) {
                to_nginx.insert(contender.name.clone(), spread);
            }
            let floor = contender.floor.as_ref();
            if let Some(spread) = floor.and_then(|floor| ratio(&contender.name, floor, rounds)) {
                to_floor.insert(contender.name.clone(), spread);
            }
        }
        self.ratio_to_nginx_rtmp = to_nginx;
        self.ratio_to_floor = to_floor;
    }
}

impl ContenderOutcome {
    /// A figure over the measured rounds.
    pub(crate) fn spread(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().filter_map(of))
    }

    /// Players that one core would carry at this cost for each.
    pub(crate) fn players_on_a_core(&self, players: u32) -> Option<f64> {
        let share = self.spread(|figures| Some(figures.cpu_share))?.median;
        (share > 0.0).then(|| f64::from(players) * FULL_SHARE / share)
    }

    /// What was lost in all rounds.
    pub(crate) fn lost(&self) -> u64 {
        self.rounds.iter().flatten().map(Figures::lost).sum()
    }

    /// Rounds in which too much of the machine was stolen.
    pub(crate) fn marked(&self) -> usize {
        self.rounds.iter().flatten().filter(|figures| figures.marked).count()
    }
}
