//! How many workers there are: which are started and stopped, found and lost.
//!
//! Architecture invariant: a worker is told to stop in [`Placement::stop`] only, which refuses while
//! it carries anything.

use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::input::Loss;
use super::output::{Output, Stop};
use super::planner::Placement;
use super::retry::{RetrySettings, Verdict};
use super::room::Room;
use super::settings::Fleet;
use super::state::StreamState;
use super::worker::{Worker, WorkerState};
use crate::id::{StreamKey, WorkerId};

/// How long a worker that was found keeps places for the streams it says it works on. An encoder
/// that lost its connection is back within seconds.
const HOLD: Duration = Duration::from_secs(30);

impl Placement {
    pub(super) fn on_worker_ready(&mut self, id: WorkerId, room: Option<Room>) {
        let now = self.now;
        match self.workers.get_mut(&id) {
            None => self.on_worker_found(id, room, Vec::new()),
            Some(worker) if worker.state == WorkerState::Starting => {
                worker.enter(WorkerState::Ready, now);
                worker.room = room.unwrap_or(worker.room);
                let streams: Vec<StreamKey> = worker.streams.keys().cloned().collect();
                self.starts.on_success(now);
                for key in streams {
                    self.begin(&key);
                }
            }
            Some(_) => {}
        }
    }

    pub(super) fn on_worker_found(
        &mut self,
        id: WorkerId,
        room: Option<Room>,
        streams: Vec<StreamKey>,
    ) {
        if self.workers.contains_key(&id) {
            return self.on_worker_ready(id, room);
        }
        let mut worker =
            Worker::new(WorkerState::Ready, room.unwrap_or(self.settings.room), self.now);
        for key in streams {
            let elsewhere = self.state_of(&key).is_some_and(StreamState::holds_worker);
            if !elsewhere && worker.held.len() < worker.room.streams {
                worker.held.insert(key, self.settings.need);
                worker.held_until = self.now + HOLD;
            }
        }
        self.workers.insert(id, worker);
        // What runs was wanted before. The scaler lets it go if it is not any more.
        self.desired = self.desired.max(self.active());
    }

    pub(super) fn on_worker_lost(&mut self, id: WorkerId, loss: Loss, detail: &str) {
        let Some(worker) = self.workers.get(&id) else { return };
        // One that was to end anyway says nothing of how the next will fare.
        if !matches!(worker.state, WorkerState::Stopping | WorkerState::Draining) {
            let settings = RetrySettings { retries_max: u32::MAX, ..self.settings.retry };
            if let Verdict::Again { at } = self.starts.on_failure(self.now, &settings) {
                self.start_at = Some(at);
            }
        }
        for key in self.streams_of(id) {
            self.lose_worker(&key, detail);
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.held.clear();
        if loss == Loss::Silent && self.settings.fleet == Fleet::Managed {
            return self.stop(id, Stop::Kill);
        }
        self.workers.remove(&id);
        // The next worker of this number is another one.
        for stream in self.streams.values_mut().filter(|stream| stream.avoid == Some(id)) {
            stream.avoid = None;
        }
    }

    pub(super) fn on_drain(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if !matches!(worker.state, WorkerState::Starting | WorkerState::Ready) {
            return;
        }
        worker.enter(WorkerState::Draining, now);
        worker.held.clear();
        for key in self.streams_of(id) {
            if self.state_of(&key) == Some(StreamState::Assigned) {
                self.displace(&key);
            }
        }
    }

    /// A stream got stuck on a worker at `since`. If none of its streams got on after that, it is the
    /// worker.
    pub(super) fn suspect(&mut self, id: WorkerId, since: Instant) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let none_gets_on = worker.progress_at.is_none_or(|at| at <= since);
        if worker.state == WorkerState::Ready && none_gets_on {
            worker.enter(WorkerState::Suspect, now);
        }
    }

    /// Starts what is missing and stops what is idle and too much.
    pub(super) fn adjust_fleet(&mut self) {
        if self.settings.fleet == Fleet::Given {
            return self.let_go();
        }
        let wanted = self.wanted();
        let may_start = self.start_at.is_none_or(|at| at <= self.now);
        while may_start && self.active() < wanted {
            let Some(id) = self.free_number() else { break };
            let worker = Worker::new(WorkerState::Starting, self.settings.room, self.now);
            self.workers.insert(id, worker);
            self.outputs.push_back(Output::StartWorker { worker: id });
        }
        let mut surplus = self.active().saturating_sub(wanted);
        let idle: Vec<(WorkerId, WorkerState)> = self
            .workers
            .iter()
            .rev()
            .filter(|(_, worker)| worker.is_idle())
            .map(|(id, worker)| (*id, worker.state))
            .collect();
        for (id, state) in idle {
            match state {
                WorkerState::Draining => self.stop(id, Stop::Gracefully),
                WorkerState::Suspect => self.stop(id, Stop::Kill),
                WorkerState::Starting | WorkerState::Ready if surplus > 0 => {
                    surplus -= 1;
                    self.stop(id, Stop::Gracefully);
                }
                WorkerState::Starting | WorkerState::Ready | WorkerState::Stopping => {}
            }
        }
    }

    /// Workers of others that are drained and empty are none of ours any more, until they are found
    /// again.
    fn let_go(&mut self) {
        let leaves = |worker: &Worker| worker.state == WorkerState::Draining && worker.is_idle();
        let gone: Vec<WorkerId> =
            self.workers.iter().filter(|(_, it)| leaves(it)).map(|(id, _)| *id).collect();
        for id in gone {
            self.stop(id, Stop::Gracefully);
        }
    }

    /// The one place where a worker is told to stop.
    fn stop(&mut self, id: WorkerId, stop: Stop) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if !worker.is_idle() {
            debug_assert!(false, "a worker with streams is to be stopped");
            return;
        }
        worker.enter(WorkerState::Stopping, now);
        self.outputs.push_back(Output::StopWorker { worker: id, stop });
    }

    /// Workers that do not start or stop in time, and places that were kept for nobody.
    pub(super) fn expire_workers(&mut self) {
        let now = self.now;
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            if worker.held_until <= now {
                worker.held.clear();
            }
            if self.deadline(id).is_none_or(|at| at > now) {
                continue;
            }
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            match worker.state {
                WorkerState::Starting => {
                    self.on_worker_lost(id, Loss::Silent, "the worker was not ready in time");
                }
                WorkerState::Stopping => self.stop(id, Stop::Kill),
                // Nobody replaces it, so it gets another chance.
                WorkerState::Suspect => worker.enter(WorkerState::Ready, now),
                WorkerState::Ready | WorkerState::Draining => {}
            }
        }
    }

    pub(super) fn worker_deadlines(&self) -> impl Iterator<Item = Instant> {
        let held = self.workers.values().filter(|worker| !worker.held.is_empty());
        let held = held.map(|worker| worker.held_until);
        let turns = self.workers.keys().filter_map(|id| self.deadline(*id));
        let starts = self.start_at.filter(|at| {
            *at > self.now && self.settings.fleet == Fleet::Managed && self.active() < self.wanted()
        });
        held.chain(turns).chain(starts)
    }

    /// When a worker has been in its state for too long.
    fn deadline(&self, id: WorkerId) -> Option<Instant> {
        let worker = self.workers.get(&id)?;
        let settings = &self.settings;
        match worker.state {
            WorkerState::Starting => Some(worker.since + settings.start_timeout),
            WorkerState::Stopping => Some(worker.since + settings.stop_timeout),
            WorkerState::Suspect if settings.fleet == Fleet::Given => {
                Some(worker.since + settings.stall_timeout)
            }
            WorkerState::Suspect | WorkerState::Ready | WorkerState::Draining => None,
        }
    }

    pub(super) fn restart_worker_clocks(&mut self) {
        let now = self.now;
        for worker in self.workers.values_mut() {
            if !matches!(worker.state, WorkerState::Ready | WorkerState::Draining) {
                worker.since = now;
            }
            worker.held_until = now + HOLD;
        }
    }

    /// Workers that take streams, or will.
    fn active(&self) -> usize {
        self.workers.values().filter(|worker| worker.state.takes_streams()).count()
    }

    /// So many of these there shall be.
    fn wanted(&self) -> usize {
        self.desired.max(self.settings.workers_min).min(self.settings.workers_max)
    }

    /// The lowest number that no worker has.
    fn free_number(&self) -> Option<WorkerId> {
        let max = u16::try_from(self.settings.workers_max).unwrap_or(u16::MAX);
        (1..=max).map(WorkerId).find(|id| !self.workers.contains_key(id))
    }

    fn streams_of(&self, id: WorkerId) -> Vec<StreamKey> {
        self.workers
            .get(&id)
            .map_or_else(Vec::new, |worker| worker.streams.keys().cloned().collect())
    }
}
