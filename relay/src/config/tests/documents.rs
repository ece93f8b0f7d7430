//! What is written about the configuration says what the code does.

use std::collections::{BTreeMap, BTreeSet};

use super::super::codec::Codec;
use super::super::keys::{Visitor, visit_config};
use super::*;

pub(super) const BOOK: &str = include_str!("../../../../docs/configuration.md");
const PACKAGED: &str = include_str!("../../../../packaging/edgerelay.toml");

/// Collects each key with its default and what it accepts.
#[derive(Default)]
pub(super) struct Catalogue {
    path: Vec<&'static str>,
    pub(super) keys: BTreeMap<String, (String, String)>,
}

impl Catalogue {
    pub(super) fn new() -> Self {
        let mut catalogue = Self::default();
        visit_config(&mut Config::default(), &mut catalogue);
        catalogue
    }
}

impl Visitor for Catalogue {
    fn setting<T: Clone + 'static, C: Codec<T>>(
        &mut self,
        key: &'static str,
        field: &mut T,
        codec: &C,
    ) {
        self.path.push(key);
        let facts = (codec.write(field).to_string(), codec.expected());
        self.keys.insert(self.path.join("."), facts);
        self.path.pop();
    }

    fn table<T>(&mut self, key: &'static str, field: &mut T, visit: fn(&mut T, &mut Self)) {
        self.path.push(key);
        visit(field, self);
        self.path.pop();
    }

    fn tables<T: Default>(
        &mut self,
        key: &'static str,
        _: &mut Vec<T>,
        visit: fn(&mut T, &mut Self),
    ) {
        self.table(key, &mut T::default(), visit);
    }
}

#[test]
fn the_book_lists_every_key_with_its_default_and_bounds() {
    let mut rows = BTreeMap::new();
    for line in BOOK.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, default, accepts, meaning] = cells[..] else { panic!("row {line:?}") };
        assert!(!meaning.is_empty(), "{key} is not explained");
        let unquoted = |cell: &str| cell.trim_matches('`').to_owned();
        let facts = (unquoted(default), accepts.to_owned());
        assert_eq!(rows.insert(unquoted(key), facts), None, "{key} is listed twice");
    }
    for (key, facts) in &Catalogue::new().keys {
        assert_eq!(rows.get(key), Some(facts), "{key}");
    }
    let known: BTreeSet<_> = Catalogue::new().keys.into_keys().collect();
    assert_eq!(rows.into_keys().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_packaged_file_changes_nothing() {
    let mut config = accepted(PACKAGED);
    assert_eq!(config.node.name, "edge-host");
    config.node.name.clear();
    assert_eq!(config, Config::default());
}

/// Settings are commented out as `#key = value`, prose as `# text`.
#[test]
fn the_packaged_file_shows_every_key_with_its_default() {
    let shown: String = PACKAGED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with([' ', '#']) => setting,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut config = accepted(&shown);

    let mut path = String::new();
    let mut keys = BTreeSet::new();
    for line in shown.lines() {
        if let Some(section) = line.strip_prefix('[') {
            path = section.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.insert(format!("{path}.{key}"));
        }
    }
    assert_eq!(keys, Catalogue::new().keys.into_keys().collect::<BTreeSet<_>>());

    // The examples of upstreams are no defaults.
    assert_eq!((config.apps[0].push.len(), config.apps[0].origin.len()), (1, 1));
    config.apps[0].push.clear();
    config.apps[0].origin.clear();
    config.node.name.clear();
    assert_eq!(config, Config::default());
}
