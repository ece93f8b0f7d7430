//! Fills a configuration from a tree of values, noting where each came from.
//!
//! Owns unknown keys and wrong types; what several keys mean together stands in `check`.

use std::collections::BTreeMap;
use std::mem;

use super::codec::{Codec, Wrong};
use super::fault::{ConfigError, ConfigErrors, Origin};
use super::keys::{Visitor, visit_config};
use super::nearest::nearest;
use super::settings::Config;
use super::value::{Shape, Table, Value};

/// The file that defaults come from, in messages.
const BUILT_IN: &str = "(default)";

/// Where each key that was set was set, by its path.
#[derive(Debug, Default)]
pub(super) struct Positions(BTreeMap<String, Origin>);

impl Positions {
    pub(super) fn insert(&mut self, path: String, origin: Origin) {
        self.0.insert(path, origin);
    }

    /// Where `path` was written, or what contains it.
    pub(super) fn of(&self, path: &str) -> Origin {
        let mut path = path;
        loop {
            match (self.0.get(path), path.rfind(['.', '['])) {
                (Some(origin), _) => return origin.clone(),
                (None, Some(end)) => path = path.get(..end).unwrap_or(""),
                (None, None) => return Origin::whole(BUILT_IN),
            }
        }
    }

    /// Whether `path` itself was written.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// Lays `table` over `config`.
pub(super) fn read(config: &mut Config, table: &Table, errors: &mut ConfigErrors) -> Positions {
    let mut positions = Positions::default();
    let mut reader =
        Reader { table, path: String::new(), known: Vec::new(), errors, positions: &mut positions };
    visit_config(config, &mut reader);
    reader.refuse_unknown();
    positions
}

struct Reader<'a> {
    table: &'a Table,
    /// Of the table, with a dot at the end unless it is the root.
    path: String,
    /// The keys of this table that have been asked for.
    known: Vec<&'static str>,
    errors: &'a mut ConfigErrors,
    positions: &'a mut Positions,
}

impl Visitor for Reader<'_> {
    fn setting<T: Clone + 'static, C: Codec<T>>(
        &mut self,
        key: &'static str,
        field: &mut T,
        codec: &C,
    ) {
        let Some((path, value)) = self.find(key) else { return };
        if let Shape::List(items) = &value.shape {
            for (index, item) in items.iter().enumerate() {
                self.positions.insert(format!("{path}[{index}]"), item.origin.clone());
            }
        }
        match codec.read(value) {
            Ok(read) => *field = read,
            Err(wrongs) => {
                for Wrong { origin, what, expected } in wrongs {
                    self.errors.push(ConfigError { origin, key: path.clone(), what, expected });
                }
            }
        }
    }

    fn table<T>(&mut self, key: &'static str, field: &mut T, visit: fn(&mut T, &mut Self)) {
        if let Some((path, value)) = self.find(key) {
            self.descend(&path, value, field, visit);
        }
    }

    fn tables<T: Default>(
        &mut self,
        key: &'static str,
        fields: &mut Vec<T>,
        visit: fn(&mut T, &mut Self),
    ) {
        let Some((path, value)) = self.find(key) else { return };
        let Shape::List(items) = &value.shape else {
            return self.refuse(&path, value, "an array of tables, in a file");
        };
        fields.clear();
        for (index, item) in items.iter().enumerate() {
            let mut field = T::default();
            let path = format!("{path}[{index}]");
            self.positions.insert(path.clone(), item.origin.clone());
            self.descend(&path, item, &mut field, visit);
            fields.push(field);
        }
    }
}

impl<'a> Reader<'a> {
    fn find(&mut self, key: &'static str) -> Option<(String, &'a Value)> {
        self.known.push(key);
        let value = &self.table.get(key)?.value;
        let path = format!("{}{key}", self.path);
        self.positions.insert(path.clone(), value.origin.clone());
        Some((path, value))
    }

    fn descend<T>(
        &mut self,
        path: &str,
        value: &'a Value,
        field: &mut T,
        visit: fn(&mut T, &mut Self),
    ) {
        let Shape::Table(table) = &value.shape else {
            return self.refuse(path, value, "a table");
        };
        let outer_table = mem::replace(&mut self.table, table);
        let outer_path = mem::replace(&mut self.path, format!("{path}."));
        let outer_known = mem::take(&mut self.known);
        visit(field, self);
        self.refuse_unknown();
        self.table = outer_table;
        self.path = outer_path;
        self.known = outer_known;
    }

    fn refuse(&mut self, path: &str, value: &Value, expected: &str) {
        self.errors.push(ConfigError {
            origin: value.origin.clone(),
            key: path.to_owned(),
            what: format!("is {}", value.kind()),
            expected: expected.to_owned(),
        });
    }

    /// Refuses the keys of this table that nobody asked for.
    fn refuse_unknown(&mut self) {
        for (key, entry) in self.table {
            if !self.known.contains(&key.as_str()) {
                let expected = match nearest(key, &self.known) {
                    Some(known) => format!("{known:?}, the nearest known key"),
                    None => format!("one of {}", self.known.join(", ")),
                };
                self.errors.push(ConfigError {
                    origin: entry.key.clone(),
                    key: format!("{}{key}", self.path),
                    what: "unknown key".to_owned(),
                    expected,
                });
            }
        }
    }
}
