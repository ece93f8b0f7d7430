//! Who connects when: publishers first, players once all streams run, players that come and go once
//! everybody is there. Pure: time is passed in.

use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::settings::Settings;
use crate::measure::Group;

/// A connection to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// The publisher of a stream.
    Publish {
        /// Its number.
        stream: usize,
    },
    /// A player of a stream.
    Play {
        /// Why.
        group: Group,
        /// The stream's number.
        stream: usize,
    },
}

/// How far the run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// Publishers connect.
    Publishing,
    /// Players connect.
    Filling,
    /// Everybody is there.
    Complete,
}

/// Evenly spaced beginnings.
#[derive(Clone, Debug)]
struct Ramp {
    per_second: f64,
    begun: Option<Instant>,
    done: u64,
}

impl Ramp {
    const fn new(per_second: f64) -> Self {
        Self { per_second, begun: None, done: 0 }
    }

    fn next_due(&self) -> Option<Instant> {
        let begun = self.begun?;
        (self.per_second > 0.0)
            .then(|| begun + Duration::from_secs_f64(self.done as f64 / self.per_second))
    }

    /// Whether one is due; it counts as done then.
    fn take(&mut self, now: Instant) -> bool {
        self.begun.get_or_insert(now);
        let due = self.next_due().is_some_and(|due| due <= now);
        self.done += u64::from(due);
        due
    }
}

/// The plan of all connections.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    streams: usize,
    publishers: Ramp,
    publishers_total: usize,
    players: Ramp,
    /// Groups with how many of each are still to come.
    to_come: [(Group, usize); 4],
    players_made: usize,
    churn: Ramp,
}

impl Arrivals {
    /// The plan of `settings`.
    #[must_use]
    pub(super) fn new(settings: &Settings) -> Self {
        let crowd = settings.crowd;
        Self {
            streams: settings.streams.max(1),
            publishers: Ramp::new(settings.ramp_per_second),
            publishers_total: if settings.publishing.is_some() { settings.streams } else { 0 },
            players: Ramp::new(settings.ramp_per_second),
            to_come: [
                (Group::Steady, crowd.steady),
                (Group::Slow, crowd.slow),
                (Group::Stalled, crowd.stalled),
                (Group::Idle, crowd.idle),
            ],
            players_made: 0,
            churn: Ramp::new(settings.churn.joins_per_second),
        }
    }

    /// The next connection that is due.
    pub(super) fn poll(&mut self, now: Instant, progress: Progress) -> Option<Job> {
        let publishers_made = self.publishers.done as usize;
        if publishers_made < self.publishers_total {
            return self.publishers.take(now).then_some(Job::Publish { stream: publishers_made });
        }
        if progress >= Progress::Filling
            && let Some((group, left)) = self.to_come.iter_mut().find(|(_, left)| *left > 0)
        {
            if !self.players.take(now) {
                return None;
            }
            *left -= 1;
            let stream = self.players_made % self.streams;
            self.players_made += 1;
            return Some(Job::Play { group: *group, stream });
        }
        if progress == Progress::Complete && self.churn.take(now) {
            let stream = self.churn.done as usize % self.streams;
            return Some(Job::Play { group: Group::Churn, stream });
        }
        None
    }

    /// When to poll next, at the same progress.
    #[must_use]
    pub(super) fn next_due(&self, progress: Progress) -> Option<Instant> {
        if (self.publishers.done as usize) < self.publishers_total {
            self.publishers.next_due()
        } else if self.to_come.iter().any(|(_, left)| *left > 0) {
            if progress >= Progress::Filling { self.players.next_due() } else { None }
        } else if progress == Progress::Complete {
            self.churn.next_due()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(publishers: usize, steady: usize, stalled: usize, churn: f64) -> Arrivals {
        Arrivals {
            streams: 2,
            publishers: Ramp::new(10.0),
            publishers_total: publishers,
            players: Ramp::new(100.0),
            to_come: [
                (Group::Steady, steady),
                (Group::Slow, 0),
                (Group::Stalled, stalled),
                (Group::Idle, 0),
            ],
            players_made: 0,
            churn: Ramp::new(churn),
        }
    }

    fn drain(arrivals: &mut Arrivals, millis: u64, progress: Progress) -> Vec<Job> {
        std::iter::from_fn(|| arrivals.poll(Instant::from_millis(millis), progress)).collect()
    }

    #[test]
    fn publishers_come_at_their_rate_and_players_only_after_them() {
        let mut arrivals = arrivals(3, 2, 0, 0.0);
        assert_eq!(drain(&mut arrivals, 0, Progress::Publishing), [Job::Publish { stream: 0 }]);
        assert_eq!(arrivals.next_due(Progress::Publishing), Some(Instant::from_millis(100)));
        assert_eq!(drain(&mut arrivals, 99, Progress::Publishing), []);
        assert_eq!(drain(&mut arrivals, 500, Progress::Publishing).len(), 2);
        assert_eq!(drain(&mut arrivals, 900, Progress::Publishing), []);
        assert_eq!(drain(&mut arrivals, 1_000, Progress::Filling).len(), 1);
        assert_eq!(drain(&mut arrivals, 2_000, Progress::Filling).len(), 1);
    }

    #[test]
    fn players_are_spread_over_the_streams() {
        let mut arrivals = arrivals(0, 3, 1, 0.0);
        drain(&mut arrivals, 0, Progress::Filling);
        let rest = drain(&mut arrivals, 1_000, Progress::Filling);
        let play = |group, stream| Job::Play { group, stream };
        assert_eq!(rest, [play(Group::Steady, 1), play(Group::Steady, 0), play(Group::Stalled, 1)]);
    }

    #[test]
    fn joins_go_on_as_long_as_everybody_else_is_there() {
        let mut arrivals = arrivals(0, 0, 0, 50.0);
        assert_eq!(drain(&mut arrivals, 0, Progress::Filling), []);
        assert_eq!(drain(&mut arrivals, 0, Progress::Complete).len(), 1);
        assert_eq!(drain(&mut arrivals, 1_000, Progress::Complete).len(), 50);
        assert_eq!(arrivals.next_due(Progress::Complete), Some(Instant::from_millis(1_020)));
    }
}
