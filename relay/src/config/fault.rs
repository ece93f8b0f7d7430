//! What is wrong with a configuration, and where.
//!
//! Owns the errors and their text. A value that may hold a stream key is never quoted here: the
//! position says where to look.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::limits::ERRORS_MAX;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// A file's path, an environment variable's name, or a command-line flag.
    #[serde(serialize_with = "serialize_text")]
    pub file: Arc<str>,
    /// Counted from 1. Zero: the file as a whole.
    pub line: usize,
    /// Counted from 1, in characters. Zero: the file as a whole.
    pub column: usize,
}

impl Origin {
    /// `file` as a whole: it could not be read, or the value is a default.
    pub(super) fn whole(file: &str) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

fn serialize_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{origin}: {}{what}; expected {expected}", Prefix(key))]
pub struct ConfigError {
    /// Where it was written.
    #[serde(flatten)]
    pub origin: Origin,
    /// The key's full path, such as `app[0].push[1].url`; empty where no key is concerned.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What would have been right.
    pub expected: String,
}

struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            key => write!(f, "{key}: "),
        }
    }
}

/// All that is wrong with a configuration, in reading order, at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct ConfigErrors {
    /// The errors, at most twenty.
    pub errors: Vec<ConfigError>,
    /// How many more there were.
    pub omitted: usize,
}

impl ConfigErrors {
    pub(super) fn push(&mut self, error: ConfigError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        } else {
            self.omitted += 1;
        }
    }

    /// Puts the errors in reading order: files as they were read, then by position.
    pub(super) fn sort(&mut self, files: &[Arc<str>]) {
        self.errors.sort_by_key(|error| {
            let rank = files.iter().position(|file| *file == error.origin.file);
            (rank.unwrap_or(usize::MAX), error.origin.line, error.origin.column)
        });
    }

    /// Whether a setting at or below `path` is wrong, so that nothing should be concluded from it.
    pub(super) fn concern(&self, path: &str) -> bool {
        self.errors.iter().any(|error| {
            error
                .key
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        })
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}
