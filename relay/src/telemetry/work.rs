//! What is counted of the work on streams, by the one thread that has it done. Rare enough for a lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of a phase, seconds.
pub const PHASE_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// The counts.
#[derive(Debug, Default)]
pub struct WorkCounters(Mutex<WorkCounts>);

/// All that is counted, at one moment.
#[derive(Clone, Debug, Default)]
pub struct WorkCounts {
    /// Streams that went from one state to another.
    pub transitions: BTreeMap<(&'static str, &'static str), u64>,
    /// How long parts of streams' ways took.
    pub phases: BTreeMap<&'static str, PhaseTimes>,
    /// Decisions of the scaler by outcome.
    pub decisions: BTreeMap<&'static str, u64>,
    /// Workers by state.
    pub workers: BTreeMap<&'static str, u64>,
    /// Streams that are to be worked on.
    pub streams: u64,
    /// Of these, streams that wait for a place.
    pub streams_pending: u64,
    /// Streams given up.
    pub streams_failed: u64,
}

/// How long one part of a stream's way took, over all streams.
#[derive(Clone, Debug, Default)]
pub struct PhaseTimes {
    /// How many took at most as long as the bucket of the same place.
    pub buckets: [u64; PHASE_BUCKETS.len()],
    /// How many in all.
    pub count: u64,
    /// Seconds in all.
    pub sum: f64,
}

impl WorkCounters {
    /// Nothing yet. What is known to happen is there from the start, at zero, so that a rate over
    /// its first event is seen.
    #[must_use]
    pub fn new(
        workers: &[&'static str],
        transitions: &[(&'static str, &'static str)],
        phases: &[&'static str],
        decisions: &[&'static str],
    ) -> Self {
        let zeros = |names: &[&'static str]| names.iter().map(|name| (*name, 0)).collect();
        Self(Mutex::new(WorkCounts {
            transitions: transitions.iter().map(|pair| (*pair, 0)).collect(),
            phases: phases.iter().map(|name| (*name, PhaseTimes::default())).collect(),
            decisions: zeros(decisions),
            workers: zeros(workers),
            ..WorkCounts::default()
        }))
    }

    /// What there is now.
    #[must_use]
    pub fn counts(&self) -> WorkCounts {
        self.lock().clone()
    }

    /// A stream changed its state.
    pub fn on_transition(&self, from: &'static str, to: &'static str) {
        *self.lock().transitions.entry((from, to)).or_default() += 1;
    }

    /// A stream has a part of its way behind it.
    pub fn on_phase(&self, phase: &'static str, took: Duration) {
        let mut counts = self.lock();
        let times = counts.phases.entry(phase).or_default();
        let seconds = took.as_secs_f64();
        for (bucket, bound) in times.buckets.iter_mut().zip(PHASE_BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
        times.count += 1;
        times.sum += seconds;
    }

    /// The scaler decided.
    pub fn on_decision(&self, outcome: &'static str) {
        *self.lock().decisions.entry(outcome).or_default() += 1;
    }

    /// There are so many workers in a state.
    pub fn set_workers(&self, state: &'static str, count: usize) {
        self.lock().workers.insert(state, count as u64);
    }

    /// There are so many streams.
    pub fn set_streams(&self, streams: usize, pending: usize, failed: usize) {
        let mut counts = self.lock();
        counts.streams = streams as u64;
        counts.streams_pending = pending as u64;
        counts.streams_failed = failed as u64;
    }

    fn lock(&self) -> MutexGuard<'_, WorkCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_counts_in_every_bucket_that_it_fits() {
        let counters = WorkCounters::default();
        counters.on_phase("queue", Duration::from_millis(300));
        counters.on_phase("queue", Duration::from_secs(90));
        let counts = counters.counts();
        let times = &counts.phases["queue"];
        assert_eq!(times.buckets, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(times.count, 2);
        assert!((times.sum - 90.3).abs() < 0.001);
    }
}
