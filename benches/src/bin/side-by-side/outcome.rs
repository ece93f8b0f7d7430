//! What all rounds of a scenario came to: figures, medians and ratios.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::arguments::Arguments;
use super::contender::{Contender, OTHER_PEERS, REFERENCE};
use super::round::Figures;
use super::scenario::{Scenario, Yardstick};
use super::statistics::Spread;

/// A core is called full at this share.
pub(crate) const FULL_SHARE: f64 = 0.95;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
}

/// A scenario under one congestion control.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScenarioOutcome {
    pub(crate) machine: Machine,
    /// Known by the scenario's name; not kept.
    #[serde(skip)]
    yardstick: Yardstick,
    pub(crate) window_seconds: u64,
    pub(crate) players: u32,
    pub(crate) contenders: Vec<ContenderOutcome>,
    /// The scenario's yardstick over nginx-rtmp's of the same round, by contender: processor time per
    /// gigabit, unless the scenario has another.
    pub(crate) ratio_to_nginx_rtmp: BTreeMap<String, Spread>,
    /// The same against the other peers, by peer.
    #[serde(default)]
    pub(crate) ratio_to_peers: BTreeMap<String, BTreeMap<String, Spread>>,
    /// Over that of the floor that sends alike.
    pub(crate) ratio_to_floor: BTreeMap<String, Spread>,
    /// Over that of the contender that differs in one thing: one shard for two, no accounting for some.
    pub(crate) ratio_to_basis: BTreeMap<String, Spread>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ContenderOutcome {
    pub(crate) name: String,
    /// Its release, where that is known.
    #[serde(default)]
    pub(crate) version: Option<String>,
    floor: Option<String>,
    basis: Option<String>,
    /// The measured rounds; none where one failed.
    pub(crate) rounds: Vec<Option<Figures>>,
    pub(crate) failures: Vec<String>,
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
    pub(crate) fn new(
        scenario: &Scenario,
        contenders: &[Contender],
        arguments: &Arguments,
    ) -> Self {
        let contenders = contenders.iter().map(|contender| ContenderOutcome {
            name: contender.name(),
            version: contender.version(),
            floor: contender.floor(),
            basis: contender.basis(),
            rounds: Vec::new(),
            failures: Vec::new(),
        });
        Self {
            machine: Machine::read(),
            yardstick: scenario.yardstick(),
            window_seconds: scenario.window_seconds(arguments.window),
            players: scenario.players(),
            contenders: contenders.collect(),
            ratio_to_nginx_rtmp: BTreeMap::new(),
            ratio_to_peers: BTreeMap::new(),
            ratio_to_floor: BTreeMap::new(),
            ratio_to_basis: BTreeMap::new(),
        }
    }

    /// Puts the rounds of an earlier run before those to come.
    pub(crate) fn go_on_from(&mut self, earlier: Self) -> Result<()> {
        let names = |outcome: &Self| -> Vec<String> {
            outcome.contenders.iter().map(|contender| contender.name.clone()).collect()
        };
        let alike = earlier.machine == self.machine
            && earlier.window_seconds == self.window_seconds
            && names(&earlier) == names(self);
        ensure!(alike, "the book's rounds are of other contenders, windows or machines");
        *self = Self { yardstick: self.yardstick, ..earlier };
        Ok(())
    }

    pub(crate) fn contender(&self, name: &str) -> Option<&ContenderOutcome> {
        self.contenders.iter().find(|contender| contender.name == name)
    }

    /// Measured rounds.
    pub(crate) fn rounds(&self) -> usize {
        self.contenders.iter().map(|contender| contender.rounds.len()).max().unwrap_or(0)
    }

    /// A round of the contender at `place`.
    pub(crate) fn take(&mut self, place: usize, figures: Figures) {
        let Some(contender) = self.contenders.get_mut(place) else { return };
        contender.rounds.push(Some(figures));
        self.compare();
    }

    /// A round that came to nothing.
    pub(crate) fn failed(&mut self, place: usize, why: String) {
        let Some(contender) = self.contenders.get_mut(place) else { return };
        contender.rounds.push(None);
        contender.failures.push(why);
    }

    /// What the contender at `place` carried last.
    pub(crate) fn carried(&self, place: usize) -> Option<u32> {
        let rounds = &self.contenders.get(place)?.rounds;
        let carried = |figures: &Figures| Some(figures.carried.as_ref()?.amount);
        rounds.iter().rev().flatten().find_map(carried)
    }

    fn compare(&mut self) {
        let of_round = |name: &str, round: usize| {
            self.contender(name)?.rounds.get(round)?.as_ref()?.by(self.yardstick)
        };
        let ratios = |to: &dyn Fn(&ContenderOutcome) -> Option<String>| {
            let of = |contender: &ContenderOutcome| {
                let (name, to) = (&contender.name, to(contender)?);
                let ratio = |round| Some(of_round(name, round)? / of_round(&to, round)?);
                let spread = Spread::of((0..contender.rounds.len()).filter_map(ratio))?;
                Some((name.clone(), spread))
            };
            self.contenders.iter().filter_map(of).collect()
        };
        let to_nginx = ratios(&|_| Some(REFERENCE.to_owned()));
        let to_peers = OTHER_PEERS
            .map(|peer| (peer.to_owned(), ratios(&|_| Some(peer.to_owned()))))
            .into_iter()
            .filter(|(_, ratios): &(_, BTreeMap<_, _>)| !ratios.is_empty())
            .collect();
        let to_floor = ratios(&|contender| contender.floor.clone());
        let to_basis = ratios(&|contender| contender.basis.clone());
        self.ratio_to_nginx_rtmp = to_nginx;
        self.ratio_to_peers = to_peers;
        self.ratio_to_floor = to_floor;
        self.ratio_to_basis = to_basis;
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn outcome(contenders: &[(&str, Option<&str>, &[f64])]) -> ScenarioOutcome {
        let contender = |(name, basis, costs): &(&str, Option<&str>, &[f64])| {
            let figures =
                |cost: &f64| Some(Figures { cpu_per_gigabit: Some(*cost), ..Figures::default() });
            ContenderOutcome {
                name: (*name).into(),
                version: None,
                floor: None,
                basis: basis.map(str::to_owned),
                rounds: costs.iter().map(figures).collect(),
                failures: Vec::new(),
            }
        };
        ScenarioOutcome {
            machine: Machine::read(),
            yardstick: Yardstick::Cost,
            window_seconds: 8,
            players: 10,
            contenders: contenders.iter().map(contender).collect(),
            ratio_to_nginx_rtmp: BTreeMap::new(),
            ratio_to_peers: BTreeMap::new(),
            ratio_to_floor: BTreeMap::new(),
            ratio_to_basis: BTreeMap::new(),
        }
    }

    #[test]
    fn ratios_are_of_one_round_and_of_those_that_are_compared() {
        let mut outcome = outcome(&[("one", None, &[1.0, 3.0]), ("two", Some("one"), &[2.0, 3.0])]);
        outcome.compare();
        let ratio = outcome.ratio_to_basis["two"];
        assert_eq!((ratio.min, ratio.median, ratio.max), (1.0, 1.5, 2.0));
        assert_eq!(outcome.ratio_to_basis.len(), 1);
        assert!(outcome.ratio_to_nginx_rtmp.is_empty() && outcome.ratio_to_floor.is_empty());
    }

    #[test]
    fn every_peer_that_took_part_is_compared_with() {
        let mut outcome = outcome(&[
            ("one", None, &[1.0]),
            ("nginx-rtmp", None, &[2.0]),
            ("node-media-server", None, &[4.0]),
        ]);
        outcome.compare();
        assert_eq!(outcome.ratio_to_nginx_rtmp["one"].median, 0.5);
        assert_eq!(outcome.ratio_to_peers["node-media-server"]["one"].median, 0.25);
        assert_eq!(outcome.ratio_to_peers.len(), 1);
    }

    #[test]
    fn rounds_are_added_to_rounds_of_the_same_contenders_alone() {
        let earlier = outcome(&[("one", None, &[1.0])]);
        let mut later = outcome(&[("one", None, &[])]);
        later.go_on_from(earlier.clone()).unwrap();
        assert_eq!(later.rounds(), 1);
        let mut other = outcome(&[("two", None, &[])]);
        assert!(other.go_on_from(earlier).is_err());
    }
}
