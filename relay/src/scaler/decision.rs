//! A decision and everything that went into it.

use serde::{Deserialize, Serialize};

use super::sample::Sample;

/// What one look at the signals came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// When, in microseconds on the caller's monotonic clock.
    pub at_micros: u64,
    /// Why it was looked.
    pub occasion: Occasion,
    /// What was seen.
    pub sample: Sample,
    /// What each signal came to.
    pub readings: Vec<Reading>,
    /// How many workers there were to be until now, or are, if that is more.
    pub current: usize,
    /// How many the policy wants, within the limits; none where nothing is known.
    pub wanted: Option<usize>,
    /// How many there are to be now.
    pub desired: usize,
    /// What that is and why.
    pub outcome: Outcome,
    /// Whether `desired` is to be acted on: not in a dry run.
    pub applied: bool,
}

/// Why it was looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It was time.
    Poll,
    /// More streams wait and no worker is on its way.
    Waiting,
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Publishers and players.
    Clients,
    /// Streams.
    Streams,
    /// Bits per second of publishers.
    Bitrate,
    /// Streams that wait.
    Pending,
    /// Streams that wait for each ready worker, in hundredths.
    QueuePercent,
}

/// What one signal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The signal.
    pub signal: Signal,
    /// Its value; none where it is missing.
    pub value: Option<u64>,
    /// The value that one worker is for.
    pub threshold: u64,
    /// The value up to which no worker is needed.
    pub activation: u64,
    /// Whether the value is above its activation.
    pub active: bool,
    /// The workers it asks for.
    pub wants: Option<usize>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// More workers.
    Out,
    /// Fewer workers.
    In,
    /// As many as before, and that is right.
    Steady,
    /// As many as before, although fewer might do.
    Hold(Hold),
}

impl Outcome {
    /// The outcome in one word, for labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Steady => "steady",
            Self::Hold(Hold::Missing) => "hold_missing",
            Self::Hold(Hold::Cooldown { .. }) => "hold_cooldown",
            Self::Hold(Hold::Busy) => "hold_busy",
        }
    }
}

/// Why there are not fewer workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// A signal is missing. What is not known is no reason to stop anything.
    Missing,
    /// Fewer have not been enough for long enough.
    Cooldown {
        /// What is left of the cooldown.
        remaining_millis: u64,
    },
    /// All of them carry streams.
    Busy,
}
