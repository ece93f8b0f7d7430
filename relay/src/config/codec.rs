//! The types of settings: how each is read, bounded, written and described.
//!
//! A codec judges one value alone. What depends on several settings stands in `check`.

use std::net::SocketAddr;
use std::time::Duration;

use super::fault::Origin;
use super::limits;
use super::settings::MergeWindow;
use super::unit::{parse_duration, parse_size, render_duration, render_size};
use super::url::{self, Target};
use super::value::{Value, quote};

/// A value that a codec refuses.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) origin: Origin,
    pub(super) what: String,
    pub(super) expected: String,
}

/// How a setting of type `T` is written.
pub(super) trait Codec<T> {
    /// What is accepted, for messages and for the documentation.
    fn expected(&self) -> String;
    /// Reads and bounds a value.
    fn read(&self, value: &Value) -> Result<T, Vec<Wrong>>;
    /// The value as it would be written.
    fn write(&self, field: &T) -> toml::Value;

    /// Refuses `value`: it `what`.
    fn refuse<R>(&self, value: &Value, what: String) -> Result<R, Vec<Wrong>> {
        Err(vec![Wrong { origin: value.origin.clone(), what, expected: self.expected() }])
    }

    /// Refuses `value` for what it is.
    fn refuse_type<R>(&self, value: &Value) -> Result<R, Vec<Wrong>> {
        self.refuse(value, format!("is {}", value.describe()))
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Codec<bool> for Flag {
    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, value: &Value) -> Result<bool, Vec<Wrong>> {
        value.as_boolean().map_or_else(|| self.refuse_type(value), Ok)
    }

    fn write(&self, field: &bool) -> toml::Value {
        (*field).into()
    }
}

/// A whole number.
pub(super) struct Count {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Codec<usize> for Count {
    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn read(&self, value: &Value) -> Result<usize, Vec<Wrong>> {
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        match number {
            Some(number) if (self.min..=self.max).contains(&number) => {
                usize::try_from(number).or_else(|_| self.refuse_type(value))
            }
            _ => self.refuse_type(value),
        }
    }

    fn write(&self, field: &usize) -> toml::Value {
        i64::try_from(*field).unwrap_or(i64::MAX).into()
    }
}

/// Bytes, written with a unit or as a plain number.
pub(super) struct Size {
    pub(super) bounds: (u64, u64),
    /// What zero means, where it lies outside the bounds and is accepted all the same.
    pub(super) zero: Option<&'static str>,
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Codec<T> for Size {
    fn expected(&self) -> String {
        let (min, max) = self.bounds;
        let range = format!("a size from {} to {}", render_size(min), render_size(max));
        or_zero(self.zero, 0, range)
    }

    fn read(&self, value: &Value) -> Result<T, Vec<Wrong>> {
        let bytes = match (value.as_integer(), value.as_text()) {
            (Some(number), _) => u64::try_from(number).ok(),
            (None, Some(text)) => match parse_size(text) {
                Some(bytes) => Some(bytes),
                None => {
                    let what = format!("{} is not a size", quote(text));
                    return Codec::<T>::refuse(self, value, what);
                }
            },
            (None, None) => None,
        };
        let (min, max) = self.bounds;
        bytes
            .filter(|bytes| (min..=max).contains(bytes) || (*bytes == 0 && self.zero.is_some()))
            .and_then(|bytes| T::try_from(bytes).ok())
            .map_or_else(|| Codec::<T>::refuse_type(self, value), Ok)
    }

    fn write(&self, field: &T) -> toml::Value {
        render_size((*field).try_into().unwrap_or(u64::MAX)).into()
    }
}

/// A duration.
pub(super) struct Period {
    pub(super) bounds: (Duration, Duration),
    /// What zero means, where it lies outside the bounds and is accepted all the same.
    pub(super) zero: Option<&'static str>,
}

impl Codec<Duration> for Period {
    fn expected(&self) -> String {
        let (min, max) = self.bounds;
        let range = format!("a duration from {} to {}", render_duration(min), render_duration(max));
        or_zero(self.zero, "0s", range)
    }

    fn read(&self, value: &Value) -> Result<Duration, Vec<Wrong>> {
        let Some(text) = value.as_text() else { return self.refuse_type(value) };
        let Some(duration) = parse_duration(text) else {
            return self.refuse(value, format!("{} is not a duration", quote(text)));
        };
        let (min, max) = self.bounds;
        if (min..=max).contains(&duration) || (duration.is_zero() && self.zero.is_some()) {
            Ok(duration)
        } else {
            self.refuse_type(value)
        }
    }

    fn write(&self, field: &Duration) -> toml::Value {
        render_duration(*field).into()
    }
}

pub(super) fn or_zero(
    meaning: Option<&str>,
    zero: impl std::fmt::Display,
    range: String,
) -> String {
    match meaning {
        Some(meaning) => format!("{range}, or {zero} ({meaning})"),
        None => range,
    }
}

/// `"auto"` or a duration.
pub(super) struct Merge;

impl Merge {
    const FIXED: Period = Period { bounds: limits::MERGE_WINDOW_MAX, zero: None };
}

impl Codec<MergeWindow> for Merge {
    fn expected(&self) -> String {
        format!("\"auto\", or {}", Self::FIXED.expected())
    }

    fn read(&self, value: &Value) -> Result<MergeWindow, Vec<Wrong>> {
        if value.as_text() == Some("auto") {
            return Ok(MergeWindow::Auto);
        }
        Self::FIXED.read(value).map(MergeWindow::Fixed).map_err(|wrongs| {
            let expected = self.expected();
            wrongs.into_iter().map(|wrong| Wrong { expected: expected.clone(), ..wrong }).collect()
        })
    }

    fn write(&self, field: &MergeWindow) -> toml::Value {
        match field {
            MergeWindow::Auto => "auto".into(),
            MergeWindow::Fixed(window) => render_duration(*window).into(),
        }
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Codec<T> for Choice<T> {
    fn expected(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("{word:?}")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }

    fn read(&self, value: &Value) -> Result<T, Vec<Wrong>> {
        let word = value.as_text();
        let found = self.0.iter().find(|(name, _)| Some(*name) == word);
        found.map_or_else(|| self.refuse_type(value), |(_, choice)| Ok(*choice))
    }

    fn write(&self, field: &T) -> toml::Value {
        self.0.iter().find(|(_, choice)| choice == field).map_or("", |(word, _)| *word).into()
    }
}

/// A text that a function judges.
pub(super) struct Text {
    pub(super) accepts: fn(&str) -> bool,
    pub(super) expected: fn() -> String,
}

impl Text {
    /// `node.name`.
    pub(super) const NODE_NAME: Self = Self {
        accepts: |name| name.len() <= limits::NODE_NAME_BYTES_MAX && name.chars().all(is_name_char),
        expected: || {
            let max = limits::NODE_NAME_BYTES_MAX;
            format!("at most {max} letters, digits, '.', '-' and '_', or \"\" (the host name)")
        },
    };

    /// `app.name`. RTMP applications may have several segments, such as `v2/pub`.
    pub(super) const APP_NAME: Self = Self {
        accepts: |name| {
            name.len() <= limits::APP_NAME_BYTES_MAX
                && name.split('/').all(|part| !part.is_empty() && part.chars().all(is_name_char))
        },
        expected: || {
            let max = limits::APP_NAME_BYTES_MAX;
            format!("1 to {max} letters, digits, '.', '-' and '_', with '/' between them")
        },
    };

    /// `accounting.pin_dir`.
    pub(super) const FOLDER: Self = Self {
        accepts: |path| is_absolute_path(path),
        expected: || format!("an absolute path of at most {} bytes", limits::PATH_BYTES_MAX),
    };

    /// `accounting.cgroup`.
    pub(super) const FOLDER_OR_NONE: Self = Self {
        accepts: |path| path.is_empty() || is_absolute_path(path),
        expected: || {
            let max = limits::PATH_BYTES_MAX;
            format!("an absolute path of at most {max} bytes, or \"\" (all of the machine)")
        },
    };

    /// `log.level`.
    pub(super) const LOG_LEVEL: Self = Self {
        accepts: |level| level.split(',').all(is_log_directive),
        expected: || {
            "off, error, warn, info, debug or trace, and MODULE=LEVEL after commas".to_owned()
        },
    };
}

pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

pub(super) fn is_absolute_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= limits::PATH_BYTES_MAX && !path.contains('\0')
}

fn is_log_directive(directive: &str) -> bool {
    let is_level = |level: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|known| level.eq_ignore_ascii_case(known))
    };
    match directive.split_once('=') {
        Some((module, level)) => {
            !module.is_empty()
                && module.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_'))
                && is_level(level)
        }
        None => is_level(directive),
    }
}

impl Codec<String> for Text {
    fn expected(&self) -> String {
        (self.expected)()
    }

    fn read(&self, value: &Value) -> Result<String, Vec<Wrong>> {
        match value.as_text() {
            Some(text) if (self.accepts)(text) => Ok(text.to_owned()),
            _ => self.refuse_type(value),
        }
    }

    fn write(&self, field: &String) -> toml::Value {
        field.as_str().into()
    }
}

/// An address to listen on.
pub(super) struct Address;

impl Codec<SocketAddr> for Address {
    fn expected(&self) -> String {
        "ADDRESS:PORT, like \"0.0.0.0:1935\" or \"[::]:1935\"".to_owned()
    }

    fn read(&self, value: &Value) -> Result<SocketAddr, Vec<Wrong>> {
        let Some(text) = value.as_text() else { return self.refuse_type(value) };
        text.parse()
            .or_else(|_| self.refuse(value, format!("{} is not an address and port", quote(text))))
    }

    fn write(&self, field: &SocketAddr) -> toml::Value {
        field.to_string().into()
    }
}

/// A push's or origin's URL template. Its text is never quoted: it may hold a key.
pub(super) struct UrlTemplate;

impl Codec<String> for UrlTemplate {
    fn expected(&self) -> String {
        url::EXPECTED.to_owned()
    }

    fn read(&self, value: &Value) -> Result<String, Vec<Wrong>> {
        let Some(template) = value.as_text() else {
            return self.refuse(value, format!("is {}", value.kind()));
        };
        match Target::parse(template) {
            Ok(_) => Ok(template.to_owned()),
            Err(what) => self.refuse(value, what),
        }
    }

    fn write(&self, field: &String) -> toml::Value {
        field.as_str().into()
    }
}

/// An array, or, in the environment, a comma list.
pub(super) struct List<C> {
    pub(super) item: C,
    pub(super) min: usize,
    pub(super) max: usize,
}

impl<T, C: Codec<T>> Codec<Vec<T>> for List<C> {
    fn expected(&self) -> String {
        format!("an array of {} to {}, each {}", self.min, self.max, self.item.expected())
    }

    fn read(&self, value: &Value) -> Result<Vec<T>, Vec<Wrong>> {
        let Some(items) = value.items() else {
            return self.refuse(value, format!("is {}", value.kind()));
        };
        if !(self.min..=self.max).contains(&items.len()) {
            return self.refuse(value, format!("has {} items", items.len()));
        }
        let mut read = Vec::with_capacity(items.len());
        let mut wrongs = Vec::new();
        for item in &items {
            match self.item.read(item) {
                Ok(item) => read.push(item),
                Err(wrong) => wrongs.extend(wrong),
            }
        }
        if wrongs.is_empty() { Ok(read) } else { Err(wrongs) }
    }

    fn write(&self, field: &Vec<T>) -> toml::Value {
        toml::Value::Array(field.iter().map(|item| self.item.write(item)).collect())
    }
}
