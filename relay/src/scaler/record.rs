//! The record of decisions as JSON lines, and its replay.
//!
//! Opens no file: lines go in and out as text.

use serde::{Deserialize, Serialize};

use super::decision::Decision;
use super::scale::Scaler;
use crate::config::ScalingConfig;
use edgerelay_proto::time::Instant;

/// What a scaler began with: the first line of a record, and again after a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// Workers at least.
    pub min: usize,
    /// Workers at most.
    pub max: usize,
    /// The policy and its figures.
    pub scaling: ScalingConfig,
    /// Workers that there were to be until then.
    pub running: usize,
}

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordLine {
    /// A scaler began.
    Opening(Opening),
    /// It decided.
    Decision(Decision),
}

impl RecordLine {
    /// The line, without its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serialising plain data with text keys cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a replay found, all of it as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Scalers that began.
    pub openings: usize,
    /// Decisions that came out as recorded.
    pub decisions: usize,
}

/// Why a record is not one of this scaler.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFault {
    /// A line is not one of a record.
    #[error("line {line}: {fault}")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        fault: serde_json::Error,
    },
    /// A decision comes before any opening.
    #[error("line {line}: a decision before any opening")]
    NotOpened {
        /// Counted from 1.
        line: usize,
    },
    /// The same inputs lead to another decision, or to none.
    #[error("line {line}: decided otherwise: {}", .decided.as_ref().map_or("not at all".to_owned(), |decided| RecordLine::Decision((**decided).clone()).to_json()))]
    Otherwise {
        /// Counted from 1.
        line: usize,
        /// The decision now.
        decided: Option<Box<Decision>>,
    },
}

/// Decides anew what a record says was decided. Empty lines are passed over.
///
/// # Errors
///
/// The first line that is wrong or comes out otherwise.
pub fn replay<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Replayed, ReplayFault> {
    let mut replayed = Replayed::default();
    let mut scaler: Option<Scaler> = None;
    for (index, text) in lines.into_iter().enumerate() {
        let line = index + 1;
        if text.trim().is_empty() {
            continue;
        }
        let read = serde_json::from_str(text);
        match read.map_err(|fault| ReplayFault::Unreadable { line, fault })? {
            RecordLine::Opening(opening) => {
                scaler = Some(Scaler::open(opening));
                replayed.openings += 1;
            }
            RecordLine::Decision(recorded) => {
                let scaler = scaler.as_mut().ok_or(ReplayFault::NotOpened { line })?;
                let now = Instant::from_micros(recorded.at_micros);
                let decided = scaler.handle_sample(now, recorded.sample);
                if decided.as_ref() != Some(&recorded) {
                    return Err(ReplayFault::Otherwise { line, decided: decided.map(Box::new) });
                }
                replayed.decisions += 1;
            }
        }
    }
    Ok(replayed)
}
