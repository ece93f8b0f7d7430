//! Settings as written, each with its position, before anybody knows their types.
//!
//! Owns reading TOML text, environment values and flags into one tree, and laying one tree over
//! another. Knows no key.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::fault::{ConfigError, Origin};
use super::limits::QUOTED_CHARS_MAX;

/// A setting as written.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) origin: Origin,
    pub(super) shape: Shape,
}

/// What was written.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A TOML string.
    Text(String),
    /// An environment value or a flag: its type is what the key's is.
    Untyped(String),
    /// A TOML integer.
    Integer(i128),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML type that no key takes, as [`Value::kind`] calls it.
    Foreign(&'static str),
    /// An array, or an array of tables.
    List(Vec<Value>),
    /// A table.
    Table(Table),
}

/// Keys in a table, each with where it first appeared.
pub(super) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Origin,
    pub(super) value: Value,
}

impl Value {
    /// The value as a message quotes it.
    pub(super) fn describe(&self) -> String {
        match &self.shape {
            Shape::Text(text) | Shape::Untyped(text) => quote(text),
            Shape::Integer(number) => number.to_string(),
            Shape::Boolean(flag) => flag.to_string(),
            Shape::Foreign(_) | Shape::List(_) | Shape::Table(_) => self.kind().to_owned(),
        }
    }

    /// The value's type with its article: what a message says of values that may hold a secret.
    pub(super) fn kind(&self) -> &'static str {
        match &self.shape {
            Shape::Text(_) | Shape::Untyped(_) => "a string",
            Shape::Integer(_) => "a number",
            Shape::Boolean(_) => "a boolean",
            Shape::Foreign(kind) => kind,
            Shape::List(_) => "an array",
            Shape::Table(_) => "a table",
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Text(text) | Shape::Untyped(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_integer(&self) -> Option<i128> {
        match &self.shape {
            Shape::Integer(number) => Some(*number),
            Shape::Untyped(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn as_boolean(&self) -> Option<bool> {
        match &self.shape {
            Shape::Boolean(flag) => Some(*flag),
            Shape::Untyped(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The items of an array, or of a comma list.
    pub(super) fn items(&self) -> Option<Vec<Value>> {
        match &self.shape {
            Shape::List(items) => Some(items.clone()),
            Shape::Untyped(text) => Some(self.split(text)),
            _ => None,
        }
    }

    fn split(&self, text: &str) -> Vec<Value> {
        let mut column = self.origin.column;
        let mut items = Vec::new();
        for part in text.split(',') {
            let lead = part.chars().take_while(|c| c.is_whitespace()).count();
            let trimmed = part.trim();
            if !trimmed.is_empty() {
                let origin = Origin { column: column + lead, ..self.origin.clone() };
                items.push(Value { origin, shape: Shape::Untyped(trimmed.to_owned()) });
            }
            column += part.chars().count() + 1;
        }
        items
    }
}

/// `text` in quotes, cut where it is long.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Reads a file's text. Every syntax error is returned, with an empty table beside it.
pub(super) fn parse_file(file: &Arc<str>, text: &str) -> Result<Table, Vec<ConfigError>> {
    let lines = LineIndex::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(lines.table(table.into_inner()));
    }
    let describe = |error: &toml::de::Error| {
        let message = error.message().replace('\n', ", ");
        let (what, expected) =
            message.split_once(", expected ").unwrap_or((&message, "TOML: [section], key = value"));
        ConfigError {
            origin: lines.origin(error.span().map_or(0, |span| span.start)),
            key: String::new(),
            what: format!("not valid TOML: {what}"),
            expected: expected.to_owned(),
        }
    };
    Err(errors.iter().map(describe).collect())
}

/// Reads what came in one environment variable or flag: quoted strings, arrays and inline tables
/// as TOML, everything else as it stands.
pub(super) fn parse_untyped(source: &Arc<str>, text: &str) -> Value {
    if text.starts_with(['[', '"', '\'', '{'])
        && let Ok(value) = DeValue::parse(text)
    {
        let lines = LineIndex::new(source, text);
        let span = value.span();
        return lines.value(span.start, value.into_inner());
    }
    let origin = Origin { file: Arc::clone(source), line: 1, column: 1 };
    Value { origin, shape: Shape::Untyped(text.to_owned()) }
}

/// Lays `over` onto `base`: tables are merged, arrays of tables appended, all else replaced.
pub(super) fn merge(base: &mut Table, over: Table) {
    for (key, entry) in over {
        match base.get_mut(&key) {
            Some(below) => match (&mut below.value.shape, entry.value.shape) {
                (Shape::Table(below), Shape::Table(above)) => merge(below, above),
                (Shape::List(below), Shape::List(above)) if all_tables(below, &above) => {
                    below.extend(above);
                }
                (_, shape) => {
                    let value = Value { origin: entry.value.origin, shape };
                    *below = Entry { key: entry.key, value };
                }
            },
            None => {
                base.insert(key, entry);
            }
        }
    }
}

/// A table that holds `value` at `path`.
pub(super) fn nest(path: &[&str], value: Value) -> Table {
    let key = Origin { column: 1, line: 1, file: Arc::clone(&value.origin.file) };
    let Some((first, rest)) = path.split_first() else { return Table::new() };
    let value = if rest.is_empty() {
        value
    } else {
        Value { origin: key.clone(), shape: Shape::Table(nest(rest, value)) }
    };
    Table::from([((*first).to_owned(), Entry { key, value })])
}

fn all_tables(below: &[Value], above: &[Value]) -> bool {
    !above.is_empty() && below.iter().chain(above).all(|item| matches!(item.shape, Shape::Table(_)))
}

/// Turns byte offsets of one text into lines and columns.
struct LineIndex<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    fn new(file: &'a Arc<str>, text: &'a str) -> Self {
        let starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, starts }
    }

    fn origin(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        Origin { file: Arc::clone(self.file), line, column }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        table
            .into_iter()
            .map(|(key, value)| {
                let origin = self.origin(key.span().start);
                let start = value.span().start;
                let value = self.value(start, value.into_inner());
                (key.into_inner().into_owned(), Entry { key: origin, value })
            })
            .collect()
    }

    fn value(&self, start: usize, value: DeValue<'_>) -> Value {
        let shape = match value {
            DeValue::String(text) => Shape::Text(text.into_owned()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or(Shape::Foreign("a number beyond all bounds"), Shape::Integer),
            DeValue::Boolean(flag) => Shape::Boolean(flag),
            DeValue::Float(_) => Shape::Foreign("a fraction"),
            DeValue::Datetime(_) => Shape::Foreign("a date"),
            DeValue::Array(items) => Shape::List(
                items
                    .into_iter()
                    .map(|item| self.value(item.span().start, item.into_inner()))
                    .collect(),
            ),
            DeValue::Table(table) => Shape::Table(self.table(table)),
        };
        Value { origin: self.origin(start), shape }
    }
}
