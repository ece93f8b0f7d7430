//! What a run measures: counts by group of players, and distributions of times.
//!
//! Pure: times are passed in. Must not decide what to do about any of it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::tally::Tally;

/// The longest time a distribution holds; longer ones count as this.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Digits a distribution keeps.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why a player is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// To watch all the time.
    Steady,
    /// To join, watch a little, and leave.
    Churn,
    /// To read slower than the stream is.
    Slow,
    /// To stop reading.
    Stalled,
    /// To wait for what does not come.
    Idle,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Steady, Self::Churn, Self::Slow, Self::Stalled, Self::Idle];

    /// The name in reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Churn => "churn",
            Self::Slow => "slow",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
        }
    }

    /// Whether a relay owes these players every frame.
    #[must_use]
    pub const fn is_owed_all(self) -> bool {
        matches!(self, Self::Steady | Self::Churn)
    }
}

/// A distribution of times, in microseconds.
#[derive(Clone, Debug)]
pub struct Times {
    histogram: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Self {
        let max = TIME_MAX.as_micros() as u64;
        let histogram = Histogram::new_with_bounds(1, max, SIGNIFICANT_DIGITS)
            .expect("constant bounds that are in order");
        Self { histogram }
    }
}

impl Times {
    /// Adds one.
    pub fn record(&mut self, time: Duration) {
        self.histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.histogram.clear();
    }

    /// The figures for a report; none when nothing was recorded.
    #[must_use]
    pub fn summary(&self) -> Option<TimesSummary> {
        (!self.histogram.is_empty()).then(|| TimesSummary {
            count: self.histogram.len(),
            min_us: self.histogram.min(),
            mean_us: self.histogram.mean().round() as u64,
            p50_us: self.histogram.value_at_quantile(0.5),
            p90_us: self.histogram.value_at_quantile(0.9),
            p99_us: self.histogram.value_at_quantile(0.99),
            p999_us: self.histogram.value_at_quantile(0.999),
            max_us: self.histogram.max(),
        })
    }
}

/// A distribution in few figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct TimesSummary {
    pub count: u64,
    pub min_us: u64,
    pub mean_us: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// What publishers did. Counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages handed to sockets or their queues.
    pub messages: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

/// Everything a run measures.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    tallies: [Tally; Group::ALL.len()],
    /// What publishers sent.
    pub sent: Sent,
    /// Sent until received, of frames sent while the player was watching.
    pub latency: Times,
    /// Due until sent.
    pub lateness: Times,
    /// Connecting until the first keyframe: players that stay.
    pub join: Times,
    /// The same of churning players.
    pub churn_join: Times,
    /// Connecting until `connect` is answered, of all.
    pub connect: Times,
}

impl Measures {
    /// The counts of a group.
    #[must_use]
    pub const fn tally(&self, group: Group) -> &Tally {
        &self.tallies[group as usize]
    }

    /// The counts of a group, to add to.
    pub const fn tally_mut(&mut self, group: Group) -> &mut Tally {
        &mut self.tallies[group as usize]
    }

    /// The counts of every group.
    #[must_use]
    pub const fn tallies(&self) -> [Tally; Group::ALL.len()] {
        self.tallies
    }

    /// A player of `group` got its first keyframe, so long after it began to connect.
    pub fn on_joined(&mut self, group: Group, took: Duration) {
        match group {
            Group::Churn => self.churn_join.record(took),
            _ => self.join.record(took),
        }
    }

    /// A window begins: what is measured per window begins anew.
    pub fn begin_window(&mut self) {
        self.latency.clear();
        self.lateness.clear();
        self.churn_join.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_out_as_recorded() {
        let mut times = Times::default();
        assert_eq!(times.summary(), None);
        for millis in 1..=1_000 {
            times.record(Duration::from_millis(millis));
        }
        let summary = times.summary().unwrap();
        assert_eq!(summary.count, 1_000);
        assert!(summary.p50_us.abs_diff(500_000) <= 500);
        assert!(summary.p99_us.abs_diff(990_000) <= 1_000);
        assert!(summary.max_us.abs_diff(1_000_000) <= 1_000);
    }

    #[test]
    fn a_time_beyond_all_bounds_counts_as_the_longest() {
        let mut times = Times::default();
        times.record(Duration::MAX);
        assert!(times.summary().unwrap().max_us >= 120_000_000);
    }

    #[test]
    fn each_group_has_its_own_counts() {
        let mut measures = Measures::default();
        measures.tally_mut(Group::Churn).lost = 3;
        let lost = Group::ALL.map(|group| measures.tally(group).lost);
        assert_eq!(lost, [0, 3, 0, 0, 0]);
    }
}
