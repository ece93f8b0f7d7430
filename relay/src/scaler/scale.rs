//! [`Scaler`]: samples and time in, decisions out.
//!
//! Owns the limits and the steps: min and max, the cooldown, the step, the dry run. What a sample
//! asks for stands in `policy`.

use std::collections::VecDeque;
use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::cooldown::Cooldown;
use super::decision::{Decision, Hold, Occasion, Outcome};
use super::policy::wish;
use super::record::Opening;
use super::sample::{Sample, WorkerCounts};
use crate::config::{ScalingConfig, ScalingPolicy, WorkersConfig};

/// Decisions kept for the API: an hour's at a look every ten seconds.
pub const DECISIONS_KEPT_MAX: usize = 360;

/// A pause between two looks counts for this many polls at most. A clock that jumped, or a process
/// that stood still, has not seen a quiet time.
const POLLS_COUNTED_MAX: u32 = 2;

/// Decides how many workers there shall be. See the [module](super) for how it is used.
#[derive(Clone, Debug)]
pub struct Scaler {
    opening: Opening,
    current: usize,
    last_look: Option<Instant>,
    /// Streams that waited at the last look: only more of them are a reason not to wait for the next.
    pending_seen: u64,
    cooldown: Cooldown,
    decisions: VecDeque<Decision>,
}

impl Scaler {
    /// A scaler of a node on which `running` workers run already.
    #[must_use]
    pub fn new(config: &WorkersConfig, running: usize) -> Self {
        Self::open(Opening {
            min: config.min,
            max: config.max,
            scaling: config.scaling.clone(),
            running,
        })
    }

    /// A scaler as a record says it began.
    #[must_use]
    pub fn open(opening: Opening) -> Self {
        Self {
            current: opening.running.clamp(opening.min.min(opening.max), opening.max),
            opening,
            last_look: None,
            pending_seen: 0,
            cooldown: Cooldown::default(),
            decisions: VecDeque::new(),
        }
    }

    /// What a record of this scaler begins with. After a reload, a new scaler is opened with
    /// [`Scaler::desired`] workers, and its record goes on with its own opening.
    #[must_use]
    pub const fn opening(&self) -> &Opening {
        &self.opening
    }

    /// How many workers there shall be.
    #[must_use]
    pub const fn desired(&self) -> usize {
        self.current
    }

    /// The latest decisions, oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter()
    }

    /// When the next sample is due; none: at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.last_look? + self.scaling().poll)
    }

    /// Takes in a sample. None, and no change, where it is not time and nothing is urgent.
    pub fn handle_sample(&mut self, now: Instant, sample: Sample) -> Option<Decision> {
        let occasion = self.occasion(now, &sample)?;
        let current = self.current(&sample);
        let elapsed = self.last_look.map_or(Duration::ZERO, |last| now.saturating_since(last));
        let elapsed = elapsed.min(self.scaling().poll.saturating_mul(POLLS_COUNTED_MAX));
        let wish = wish(self.scaling(), &sample, current);
        let (min, max) = (self.opening.min.min(self.opening.max), self.opening.max);
        let wanted = wish.wants.map(|wants| wants.clamp(min, max));
        let (desired, outcome) = match wanted {
            Some(wanted) if wanted > current => {
                self.cooldown.interrupt();
                (wanted.min(current.saturating_add(self.step())), Outcome::Out)
            }
            Some(wanted) if wish.complete && wanted == current => {
                self.cooldown.interrupt();
                (current, Outcome::Steady)
            }
            Some(wanted) if wish.complete => {
                self.consider_fewer(wanted, elapsed, occasion, &sample)
            }
            _ => {
                self.cooldown.interrupt();
                (current, Outcome::Hold(Hold::Missing))
            }
        };
        let decision = Decision {
            at_micros: now.as_micros(),
            occasion,
            sample,
            readings: wish.readings,
            current,
            wanted,
            desired,
            outcome,
            applied: !self.scaling().dry_run,
        };
        self.last_look = Some(now);
        self.pending_seen = sample.pending.unwrap_or(0);
        if decision.applied {
            self.current = desired;
        }
        if self.decisions.len() == DECISIONS_KEPT_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision.clone());
        Some(decision)
    }

    fn consider_fewer(
        &mut self,
        wanted: usize,
        elapsed: Duration,
        occasion: Occasion,
        sample: &Sample,
    ) -> (usize, Outcome) {
        let (enough, lasted) = self.cooldown.extend(wanted, elapsed);
        let cooldown = self.scaling().cooldown;
        let current = self.current(sample);
        if lasted < cooldown || occasion == Occasion::Waiting {
            let remaining = cooldown.saturating_sub(lasted).as_millis();
            let remaining_millis = u64::try_from(remaining).unwrap_or(u64::MAX);
            return (current, Outcome::Hold(Hold::Cooldown { remaining_millis }));
        }
        // Idle workers are stopped and no others, so fewer than carry streams there cannot be.
        let floor = enough.max(sample.workers.busy);
        if floor >= current {
            return (current, Outcome::Hold(Hold::Busy));
        }
        let desired = floor.max(current.saturating_sub(self.step()));
        if desired == enough {
            self.cooldown.interrupt();
        }
        (desired, Outcome::In)
    }

    fn occasion(&self, now: Instant, sample: &Sample) -> Option<Occasion> {
        let Some(last) = self.last_look else { return Some(Occasion::Poll) };
        // A clock that went back says nothing about when it is time.
        if now < last || now >= last + self.scaling().poll {
            return Some(Occasion::Poll);
        }
        let waits = sample.pending.is_some_and(|pending| pending > self.pending_seen);
        // One more for each look is that policy's pace; only from nothing there is no use in waiting.
        let paced = self.scaling().policy == ScalingPolicy::QueueRatio && sample.workers.ready > 0;
        let room = self.current(sample) < self.opening.max && sample.workers.starting == 0;
        (waits && room && !paced).then_some(Occasion::Waiting)
    }

    /// How many workers there were to be, or are: those that were found have their cooldown too.
    fn current(&self, sample: &Sample) -> usize {
        let WorkerCounts { starting, ready, .. } = sample.workers;
        self.current.max(starting.saturating_add(ready)).min(self.opening.max)
    }

    const fn scaling(&self) -> &ScalingConfig {
        &self.opening.scaling
    }

    /// Workers added or removed at once, at most.
    fn step(&self) -> usize {
        match self.scaling().step_max {
            0 => usize::MAX,
            step => step,
        }
    }
}
