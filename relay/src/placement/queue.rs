//! How a stream finds a worker: in turn, by room, away from what failed.
//!
//! Strictly in turn: a small stream does not overtake one that waits for more room, or the large one
//! might wait for ever. One that fits no worker at all is stepped over, and one that is kept a place
//! takes it at once: nobody else may.

use std::collections::BTreeMap;

use super::planner::Placement;
use super::room::{Room, Shortage};
use super::settings::Fleet;
use super::state::{Event, StreamState};
use super::stream::Stream;
use super::view::{Load, StreamView, Wait, WorkerView};
use super::worker::{Worker, WorkerState};
use crate::config::Resources;
use crate::id::{StreamKey, WorkerId};

impl Placement {
    /// Gives places to those who wait, as far as there are any.
    pub(super) fn place_waiting(&mut self) {
        let turns: Vec<(u64, StreamKey)> =
            self.waiting.iter().map(|(ticket, key)| (*ticket, key.clone())).collect();
        let mut full = false;
        for (ticket, key) in turns {
            let Some(stream) = self.streams.get(&key) else { continue };
            if !stream.is_due(self.now) || self.outgrown(&stream.need).is_some() {
                continue;
            }
            if full && !self.workers.values().any(|worker| worker.held.contains_key(&key)) {
                continue;
            }
            let need = stream.need;
            let Some(id) = self.choose(&key, stream) else {
                full = true;
                continue;
            };
            self.waiting.remove(&ticket);
            self.place(&key, id, need);
        }
    }

    fn place(&mut self, key: &StreamKey, id: WorkerId, need: Resources) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.held.remove(key);
        worker.streams.insert(key.clone(), need);
        let ready = worker.state != WorkerState::Starting;
        if let Some(stream) = self.streams.get_mut(key) {
            stream.worker = Some(id);
        }
        self.transit(key, Event::Placed, None);
        if ready {
            self.begin(key);
        }
    }

    /// The worker for a stream: the one that works on it already, then others than the last one it
    /// failed on, ready ones, ones that are to stay, and the one with the fewest streams.
    fn choose(&self, key: &StreamKey, stream: &Stream) -> Option<WorkerId> {
        // Where others decide which workers go, none is known to be one too many.
        let mut kept = match self.settings.fleet {
            Fleet::Managed => self.desired.max(self.settings.workers_min),
            Fleet::Given => usize::MAX,
        };
        let mut best = None;
        for (id, worker) in &self.workers {
            if !self.may_carry(worker) {
                continue;
            }
            let surplus = kept == 0;
            kept = kept.saturating_sub(1);
            if worker.shortage(key, &stream.need).is_some() {
                continue;
            }
            let rank = (
                !worker.held.contains_key(key),
                worker.state == WorkerState::Suspect,
                stream.avoid == Some(*id),
                worker.state != WorkerState::Ready,
                surplus,
                worker.places_taken(),
                worker.reserved().cpu_percent,
                *id,
            );
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Whether streams may be placed on a worker. One that got stuck is ended and replaced where
    /// that is ours to do; else it is better than none.
    fn may_carry(&self, worker: &Worker) -> bool {
        worker.state.takes_streams()
            || (worker.state == WorkerState::Suspect && self.settings.fleet == Fleet::Given)
    }

    /// What `need` lacks even on an empty worker.
    fn outgrown(&self, need: &Resources) -> Option<Shortage> {
        let empty = |room: &Room| room.shortage(0, &Resources::default(), need);
        let usual = empty(&self.settings.room)?;
        let others = self.workers.values().map(|worker| empty(&worker.room));
        others.fold(Some(usual), Option::and)
    }

    /// How much there is to do and who does it.
    #[must_use]
    pub fn load(&self) -> Load {
        let mut load = Load { pending: self.waiting.len(), ..Load::default() };
        for stream in self.streams.values() {
            match stream.state {
                StreamState::Failed => load.failed += 1,
                StreamState::Done | StreamState::Draining => {}
                _ => load.streams += 1,
            }
        }
        for worker in self.workers.values() {
            match worker.state {
                WorkerState::Starting => load.workers_starting += 1,
                WorkerState::Ready => load.workers_ready += 1,
                WorkerState::Draining | WorkerState::Suspect | WorkerState::Stopping => {
                    load.workers_leaving += 1;
                }
            }
            load.workers_busy += usize::from(!worker.is_idle());
        }
        load
    }

    /// Every stream, in order of names.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamView> {
        let places: BTreeMap<&StreamKey, usize> =
            self.waiting.values().enumerate().map(|(index, key)| (key, index + 1)).collect();
        let view = |(key, stream): (&StreamKey, &Stream)| StreamView {
            stream: key.clone(),
            state: stream.state,
            since: stream.since,
            published_at: stream.published_at,
            worker: stream.worker,
            attempt: stream.attempt,
            failures: stream.retries.failures(),
            last_failure: stream.last_failure.clone(),
            place: places.get(key).copied(),
            wait: places.contains_key(key).then(|| self.wait(key, stream)),
        };
        self.streams.iter().map(view).collect()
    }

    /// Every worker, in order of numbers.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerView> {
        let view = |(id, worker): (&WorkerId, &Worker)| WorkerView {
            worker: *id,
            state: worker.state,
            since: worker.since,
            room: worker.room,
            streams: worker.streams.keys().cloned().collect(),
            reserved: worker.reserved(),
        };
        self.workers.iter().map(view).collect()
    }

    fn wait(&self, key: &StreamKey, stream: &Stream) -> Wait {
        if let Some(retry_at) = stream.retry_at.filter(|at| *at > self.now) {
            return Wait::Backoff { retry_at };
        }
        if let Some(shortage) = self.outgrown(&stream.need) {
            return Wait::TooLarge { shortage };
        }
        let roomiest = self
            .workers
            .values()
            .filter(|worker| self.may_carry(worker))
            .min_by_key(|worker| worker.places_taken());
        match (roomiest, self.start_at.filter(|at| *at > self.now)) {
            // Nothing is short where it only waits for its turn; what those before it wait for is.
            (Some(worker), _) => Wait::NoRoom {
                shortage: worker.shortage(key, &stream.need).unwrap_or(Shortage::Streams),
            },
            (None, Some(retry_at)) => Wait::StartsFail { retry_at },
            (None, None) => Wait::NoWorker,
        }
    }
}
