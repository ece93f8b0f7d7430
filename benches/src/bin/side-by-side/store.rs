//! Outcomes by scenario and congestion control, in a file: a run replaces its own scenarios and leaves
//! the others alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::outcome::ScenarioOutcome;

/// The shape of the file; it grows when a field changes its meaning.
const SCHEMA: u32 = 2;

/// Deeper than this, a value stands on one line: one round of one contender.
const DEPTH_MAX: usize = 7;

/// The outcomes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Store {
    schema: u32,
    /// By name, then by congestion control.
    scenarios: BTreeMap<String, BTreeMap<String, ScenarioOutcome>>,
}

impl Default for Store {
    fn default() -> Self {
        Self { schema: SCHEMA, scenarios: BTreeMap::new() }
    }
}

impl Store {
    /// What a file holds; nothing if there is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = Vec::new();
        let lines = Lines { pretty: PrettyFormatter::with_indent(b" "), depth: 0 };
        self.serialize(&mut Serializer::with_formatter(&mut text, lines))?;
        text.push(b'\n');
        fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Takes the place of an earlier outcome.
    pub(crate) fn put(&mut self, scenario: &str, congestion: &str, outcome: ScenarioOutcome) {
        let under = self.scenarios.entry(scenario.to_owned()).or_default();
        under.insert(congestion.to_owned(), outcome);
    }

    /// A scenario's outcomes under all congestion controls but one.
    pub(crate) fn beside<'a>(
        &'a self,
        scenario: &str,
        congestion: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a ScenarioOutcome)> {
        let all = self.scenarios.get(scenario).into_iter().flatten();
        all.map(|(name, outcome)| (name.as_str(), outcome))
            .filter(move |(name, _)| *name != congestion)
    }

    pub(crate) fn find(&self, scenario: &str, congestion: &str) -> Option<&ScenarioOutcome> {
        self.scenarios.get(scenario)?.get(congestion)
    }
}

/// Pretty down to a depth: a file whose changes can be read and that is not all line breaks.
struct Lines<'a> {
    pretty: PrettyFormatter<'a>,
    depth: usize,
}

impl Lines<'_> {
    const fn is_flat(&self) -> bool {
        self.depth > DEPTH_MAX
    }
}

impl Formatter for Lines<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        if self.is_flat() { out.write_all(b"[") } else { self.pretty.begin_array(out) }
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        let flat = self.is_flat();
        self.depth -= 1;
        if flat { out.write_all(b"]") } else { self.pretty.end_array(out) }
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        match (self.is_flat(), first) {
            (false, _) => self.pretty.begin_array_value(out, first),
            (true, true) => Ok(()),
            (true, false) => out.write_all(b","),
        }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.is_flat() { Ok(()) } else { self.pretty.end_array_value(out) }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        if self.is_flat() { out.write_all(b"{") } else { self.pretty.begin_object(out) }
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        let flat = self.is_flat();
        self.depth -= 1;
        if flat { out.write_all(b"}") } else { self.pretty.end_object(out) }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        match (self.is_flat(), first) {
            (false, _) => self.pretty.begin_object_key(out, first),
            (true, true) => Ok(()),
            (true, false) => out.write_all(b","),
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.is_flat() { out.write_all(b":") } else { self.pretty.begin_object_value(out) }
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.is_flat() { Ok(()) } else { self.pretty.end_object_value(out) }
    }

    /// More digits than the machine's noise leaves are no use.
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let digits = match value.abs() {
            large if large >= 1_000.0 => 0,
            some if some >= 1.0 => 3,
            _ => 5,
        };
        write!(out, "{value:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn a_run_replaces_its_own_scenarios_and_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let mut first = Store::read(&path).unwrap();
        first.put("a", "reno", outcome(&[("one", None, &[1.0])]));
        first.put("b", "reno", outcome(&[("one", None, &[2.0])]));
        first.write(&path).unwrap();
        let mut second = Store::read(&path).unwrap();
        second.put("b", "reno", outcome(&[("one", None, &[3.0, 4.25])]));
        second.put("b", "bbr", outcome(&[("one", None, &[5.0])]));
        second.write(&path).unwrap();
        let read = Store::read(&path).unwrap();
        let costs = |scenario, congestion| -> Vec<f64> {
            let rounds = &read.find(scenario, congestion).unwrap().contenders[0].rounds;
            rounds.iter().flatten().filter_map(|figures| figures.cpu_per_gigabit).collect()
        };
        assert_eq!(costs("a", "reno"), [1.0]);
        assert_eq!(costs("b", "reno"), [3.0, 4.25]);
        assert_eq!(costs("b", "bbr"), [5.0]);
        let text = fs::read_to_string(&path).unwrap();
        let rounds = text.lines().filter(|line| line.contains("cpu_per_gigabit")).count();
        assert_eq!(rounds, 4, "a line for each round");
    }

    #[test]
    fn what_cannot_be_read_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, "{").unwrap();
        assert!(Store::read(&path).is_err());
    }
}
