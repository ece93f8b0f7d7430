//! The course of a run: everybody connects, a warm-up, the measured window. Takes the figures at its
//! edges and every second. Must not touch connections.

use std::time::Duration;

use edgerelay_proto::time::Instant;
use serde::Serialize;

use super::arrivals::Progress;
use super::settings::Plan;
use crate::measure::{Group, Measures, Sent};
use crate::net::clock;
use crate::population::Populations;
use crate::tally::Tally;

const SECOND: Duration = Duration::from_secs(1);

/// Hears how a run goes.
pub trait Watcher {
    /// A second passed.
    fn on_second(&mut self, second: &Second);
    /// Everybody is there, or was waited for long enough.
    fn on_ready(&mut self, at: Instant, complete: bool);
    /// The measured window begins.
    fn on_window_begin(&mut self, at: Instant);
    /// It ends.
    fn on_window_end(&mut self, at: Instant);
}

/// Figures at one instant.
#[derive(Clone, Debug)]
pub struct Edge {
    /// When.
    pub at: Instant,
    /// What players got until then, in the order of [`Group::ALL`].
    pub tallies: [Tally; Group::ALL.len()],
    /// What publishers sent until then.
    pub sent: Sent,
    /// Processor time used until then.
    pub processor_time: Duration,
    /// Publishers present.
    pub publishers: u64,
    /// Players present, in the order of [`Group::ALL`].
    pub players: [u64; Group::ALL.len()],
}

impl Edge {
    fn take(at: Instant, measures: &Measures, populations: &Populations) -> Self {
        Self {
            at,
            tallies: measures.tallies(),
            sent: measures.sent,
            processor_time: clock::processor_time(),
            publishers: populations.publishers.present,
            players: Group::ALL.map(|group| populations.players(group).present),
        }
    }

    /// What all players got.
    #[must_use]
    pub fn delivered(&self) -> Tally {
        self.tallies.iter().fold(Tally::default(), |sum, tally| sum.plus(tally))
    }

    /// What went wrong for players that are owed everything.
    #[must_use]
    pub fn owed(&self) -> Tally {
        Group::ALL
            .into_iter()
            .zip(&self.tallies)
            .filter(|(group, _)| group.is_owed_all())
            .fold(Tally::default(), |sum, (_, tally)| sum.plus(tally))
    }
}

/// What one second brought.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Second {
    /// Its end, microseconds on the machine's monotonic clock.
    pub at_us: u64,
    /// What the run is at.
    pub phase: &'static str,
    /// Publishers present.
    pub publishers: u64,
    /// Players present, idle ones included.
    pub players: u64,
    /// Bits received per second.
    pub bits_per_second: f64,
    /// Messages received per second.
    pub messages_per_second: f64,
    /// Messages sent by publishers per second.
    pub sent_per_second: f64,
    /// Faults of players that are owed everything, so far.
    pub faults: u64,
    /// Of these, messages lost.
    pub lost: u64,
    /// Share of one core that this process used.
    pub processor_share: f64,
}

/// The measured window.
#[derive(Clone, Debug)]
pub struct Measured {
    /// At its beginning.
    pub begin: Edge,
    /// At its end.
    pub end: Edge,
    /// Everybody was there in time.
    pub ready: bool,
    /// It was as long as it should.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Warming { until: Instant },
    Measuring { until: Instant },
    Over,
}

impl Phase {
    const fn label(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Warming { .. } => "warming",
            Self::Measuring { .. } => "measuring",
            Self::Over => "over",
        }
    }
}

pub(super) struct Phases {
    phase: Phase,
    progress: Progress,
    plan: Plan,
    ready_deadline: Instant,
    ready: bool,
    begin: Option<Edge>,
    end: Option<Edge>,
    last: Edge,
}

impl Phases {
    pub(super) fn new(plan: &Plan, now: Instant) -> Self {
        Self {
            phase: Phase::Connecting,
            progress: Progress::Publishing,
            plan: *plan,
            ready_deadline: now + plan.course.ready_timeout,
            ready: false,
            begin: None,
            end: None,
            last: Edge::take(now, &Measures::default(), &Populations::default()),
        }
    }

    pub(super) const fn progress(&self) -> Progress {
        self.progress
    }

    /// When to call [`Self::advance`] at the latest.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let edge = match self.phase {
            Phase::Connecting => self.ready_deadline,
            Phase::Warming { until } | Phase::Measuring { until } => until,
            Phase::Over => return None,
        };
        Some(edge.min(self.last.at + SECOND))
    }

    /// Goes on if it is time; says whether the run is over.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        measures: &mut Measures,
        populations: &Populations,
        watcher: &mut dyn Watcher,
    ) -> bool {
        if now.saturating_since(self.last.at) >= SECOND {
            self.on_second(now, measures, populations, watcher);
        }
        self.note_arrivals(now, populations);
        match self.phase {
            Phase::Connecting => {
                if self.progress == Progress::Complete {
                    watcher.on_ready(now, self.ready);
                    self.phase = Phase::Warming { until: now + self.plan.course.warmup };
                }
            }
            Phase::Warming { until } if now >= until => {
                measures.begin_window();
                self.begin = Some(Edge::take(now, measures, populations));
                watcher.on_window_begin(now);
                self.phase = Phase::Measuring { until: now + self.plan.course.duration };
            }
            Phase::Measuring { until } if now >= until => {
                self.end = Some(Edge::take(now, measures, populations));
                watcher.on_window_end(now);
                self.phase = Phase::Over;
            }
            Phase::Warming { .. } | Phase::Measuring { .. } | Phase::Over => {}
        }
        self.phase == Phase::Over
    }

    fn note_arrivals(&mut self, now: Instant, populations: &Populations) {
        let late = now >= self.ready_deadline;
        if self.progress == Progress::Publishing
            && (populations.publishers.present >= self.plan.publishers || late)
        {
            self.progress = Progress::Filling;
        }
        if self.progress == Progress::Filling {
            let all = populations.publishers.present >= self.plan.publishers
                && Group::ALL
                    .into_iter()
                    .zip(self.plan.players)
                    .all(|(group, wanted)| populations.players(group).present >= wanted);
            if all || late {
                self.ready = all;
                self.progress = Progress::Complete;
            }
        }
    }

    fn on_second(
        &mut self,
        now: Instant,
        measures: &Measures,
        populations: &Populations,
        watcher: &mut dyn Watcher,
    ) {
        let edge = Edge::take(now, measures, populations);
        let seconds = now.saturating_since(self.last.at).as_secs_f64();
        let delivered = edge.delivered().since(&self.last.delivered());
        let owed = edge.owed();
        let cpu = edge.processor_time.saturating_sub(self.last.processor_time);
        watcher.on_second(&Second {
            at_us: now.as_micros(),
            phase: self.phase.label(),
            publishers: edge.publishers,
            players: edge.players.iter().sum(),
            bits_per_second: delivered.bytes as f64 * 8.0 / seconds,
            messages_per_second: delivered.messages as f64 / seconds,
            sent_per_second: (edge.sent.messages - self.last.sent.messages) as f64 / seconds,
            faults: owed.faults(),
            lost: owed.lost,
            processor_share: cpu.as_secs_f64() / seconds,
        });
        self.last = edge;
    }

    /// A run that is stopped early has the window that it had.
    pub(super) fn finish(
        self,
        now: Instant,
        measures: &Measures,
        populations: &Populations,
        watcher: &mut dyn Watcher,
    ) -> Measured {
        let complete = self.end.is_some();
        let end = self.end.unwrap_or_else(|| {
            watcher.on_window_end(now);
            Edge::take(now, measures, populations)
        });
        let begin = self.begin.unwrap_or_else(|| end.clone());
        Measured { begin, end, ready: self.ready, complete }
    }
}
