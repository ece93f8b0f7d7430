//! Where log lines go: text on a terminal, the journal under systemd, JSON elsewhere or on request.
//!
//! Lines carry no stream key and no query argument; see [`super::redact`].

use std::io::{self, IsTerminal};

use rustix::fs::fstat;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The operator's `log.level` is no filter.
    #[error(
        "log.level {level:?} is not a filter such as \"info\" or \"info,edgerelay::shard=debug\""
    )]
    Level {
        /// What was configured.
        level: String,
        /// Where it fails.
        source: ParseError,
    },
    /// The process set up logging before.
    #[error("logging is set up already")]
    Installed(#[from] TryInitError),
    /// What logged is not there any more.
    #[error("logging has ended")]
    Gone(#[source] reload::Error),
}

/// Where lines go and how they look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Human,
    Json,
    Journal,
}

impl Output {
    fn choose(format: LogFormat, stderr: StandardError) -> Self {
        match (format, stderr) {
            (LogFormat::Human, _) | (LogFormat::Auto, StandardError::Terminal) => Self::Human,
            (LogFormat::Journald, _) | (LogFormat::Auto, StandardError::Journal) => Self::Journal,
            (LogFormat::Json, _) | (LogFormat::Auto, StandardError::Other) => Self::Json,
        }
    }
}

/// What standard error is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StandardError {
    Terminal,
    Journal,
    Other,
}

impl StandardError {
    fn detect() -> Self {
        if io::stderr().is_terminal() {
            Self::Terminal
        } else if std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream)) {
            Self::Journal
        } else {
            Self::Other
        }
    }
}

/// Whether `JOURNAL_STREAM`, `device:inode`, names our standard error. A child whose output was
/// redirected inherits the variable all the same.
fn is_stderr(journal_stream: &str) -> bool {
    let Some((device, inode)) = journal_stream.split_once(':') else { return false };
    let Ok(stat) = fstat(io::stderr()) else { return false };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
}

/// Changes what is logged while the process runs.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Logs by `level` from now on.
    ///
    /// # Errors
    ///
    /// [`LoggingError::Level`] when it is no filter: then everything stays as it is.
    pub fn set(&self, level: &str) -> Result<(), LoggingError> {
        self.0.reload(filter(level)?).map_err(LoggingError::Gone)
    }
}

/// Sets up logging for the whole process. Called once, by the supervisor, before anything logs.
///
/// # Errors
///
/// [`LoggingError::Level`] when the filter does not parse, [`LoggingError::Installed`] on a second
/// call.
pub fn init(config: &LogConfig) -> Result<LogLevel, LoggingError> {
    let (filter, level) = reload::Layer::new(filter(&config.level)?);
    let output = Output::choose(config.format, StandardError::detect());
    let (layer, journal_fault) = match output {
        Output::Journal => match tracing_journald::layer() {
            Ok(layer) => (layer.boxed(), None),
            Err(fault) => (human(), Some(fault)),
        },
        Output::Human => (human(), None),
        Output::Json => (fmt::layer().json().with_writer(io::stderr).boxed(), None),
    };
    Registry::default().with(filter).with(layer).try_init()?;
    if let Some(fault) = journal_fault {
        tracing::warn!(%fault, "the journal cannot be reached, logging to standard error");
    }
    Ok(LogLevel(level))
}

fn human<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed()
}

fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|source| LoggingError::Level { level: level.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_standard_error() {
        let auto = |stderr| Output::choose(LogFormat::Auto, stderr);
        assert_eq!(auto(StandardError::Terminal), Output::Human);
        assert_eq!(auto(StandardError::Journal), Output::Journal);
        assert_eq!(auto(StandardError::Other), Output::Json);
    }

    #[test]
    fn an_explicit_format_is_kept_wherever_standard_error_goes() {
        for stderr in [StandardError::Terminal, StandardError::Journal, StandardError::Other] {
            assert_eq!(Output::choose(LogFormat::Human, stderr), Output::Human);
            assert_eq!(Output::choose(LogFormat::Json, stderr), Output::Json);
            assert_eq!(Output::choose(LogFormat::Journald, stderr), Output::Journal);
        }
    }

    #[test]
    fn an_inherited_journal_variable_is_not_our_standard_error() {
        assert!(!is_stderr("1:1"));
        assert!(!is_stderr(""));
        assert!(!is_stderr("x:y"));
        let stat = fstat(io::stderr()).unwrap();
        assert!(is_stderr(&format!("{}:{}", stat.st_dev, stat.st_ino)));
    }

    #[test]
    fn a_level_that_is_no_filter_is_named_in_the_error() {
        assert!(filter("info,edgerelay::shard=debug").is_ok());
        let error = filter("edgerelay=loudest").err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("edgerelay=loudest")));
    }
}
