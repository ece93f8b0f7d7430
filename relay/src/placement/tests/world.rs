//! The world around a placement: it does as it is told, and watches what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::*;
use super::{key, name};
use crate::id::{StreamKey, WorkerId};
use edgerelay_proto::time::Instant;

/// A worker, as those who run it see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    Starting,
    Ready,
    Stopping,
}

/// A stream on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) worker: WorkerId,
    pub(super) attempt: Attempt,
    pub(super) finishing: bool,
}

/// A placement and all that it acts on. Every output is checked against what was before.
pub(super) struct World {
    pub(super) placement: Placement,
    pub(super) settings: PlacementSettings,
    pub(super) now: Instant,
    pub(super) workers: BTreeMap<WorkerId, Running>,
    pub(super) carried: BTreeMap<StreamKey, Carried>,
    pub(super) published: BTreeSet<StreamKey>,
    pub(super) states: BTreeMap<StreamKey, StreamState>,
    /// What there was to do since it was last asked, in words.
    pub(super) told: Vec<String>,
    pub(super) phases: Vec<(Phase, Duration)>,
    pub(super) transitions: Vec<Transition>,
    last_attempt: Attempt,
}

impl World {
    pub(super) fn new(settings: PlacementSettings) -> Self {
        let mut world = Self {
            placement: Placement::new(settings.clone()),
            settings,
            now: Instant::from_millis(1_000),
            workers: BTreeMap::new(),
            carried: BTreeMap::new(),
            published: BTreeSet::new(),
            states: BTreeMap::new(),
            told: Vec::new(),
            phases: Vec::new(),
            transitions: Vec::new(),
            last_attempt: Attempt(0),
        };
        world.placement.handle_timeout(world.now);
        world.drain();
        world
    }

    pub(super) fn handle(&mut self, input: Input) {
        match &input {
            Input::Published { stream, .. } => {
                self.published.insert(stream.clone());
            }
            Input::Ended { stream } => {
                self.published.remove(stream);
            }
            Input::WorkerReady { worker, .. } | Input::WorkerFound { worker, .. } => {
                let state = self.workers.entry(*worker).or_insert(Running::Ready);
                if *state == Running::Starting {
                    *state = Running::Ready;
                }
            }
            Input::WorkerLost { worker, loss, .. } => match loss {
                Loss::Exited | Loss::StartFailed => {
                    self.workers.remove(worker);
                }
                Loss::Silent if self.settings.fleet == Fleet::Given => {
                    self.workers.remove(worker);
                }
                Loss::Silent => {}
            },
            Input::Failed { stream, attempt, .. } | Input::Flushed { stream, attempt }
                if self.carried.get(stream).is_some_and(|carried| carried.attempt == *attempt) =>
            {
                self.carried.remove(stream);
            }
            _ => {}
        }
        self.placement.handle(self.now, input);
        self.drain();
    }

    /// Lets time pass, waking the placement whenever it wants to be.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.placement.poll_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "due at {at:?} is not behind {:?}", self.now);
            self.now = at;
            self.placement.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        self.placement.handle_timeout(self.now);
        self.drain();
    }

    /// The clock moves without anybody having been woken: ahead, or back.
    pub(super) fn jump(&mut self, millis: i64) {
        let now = self.now.as_millis().saturating_add_signed(millis);
        self.now = Instant::from_millis(now);
        self.placement.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.placement.poll_output() {
            self.check(output);
        }
        self.check_views();
    }

    fn check(&mut self, output: Output) {
        match output {
            Output::StartWorker { worker } => {
                self.told.push(format!("start {worker}"));
                assert_eq!(self.workers.insert(worker, Running::Starting), None, "runs already");
                assert!(self.workers.len() <= self.settings.workers_max, "{:?}", self.workers);
            }
            Output::StopWorker { worker, stop } => {
                let word = if stop == Stop::Kill { "kill" } else { "stop" };
                self.told.push(format!("{word} {worker}"));
                let state = self.workers.get_mut(&worker).expect("a worker that runs is stopped");
                *state = Running::Stopping;
                let carries = self.carried.values().any(|carried| carried.worker == worker);
                assert!(!carries, "worker {worker} is stopped with a stream: {:?}", self.carried);
            }
            Output::Assign { stream, worker, attempt } => {
                self.told.push(format!("assign {} to {worker}", name(&stream)));
                assert_eq!(self.workers.get(&worker), Some(&Running::Ready), "not ready");
                assert!(attempt > self.last_attempt, "{attempt} is not new");
                assert!(self.published.contains(&stream), "nobody publishes it");
                self.last_attempt = attempt;
                let carried = Carried { worker, attempt, finishing: false };
                assert_eq!(self.carried.insert(stream, carried), None, "carried already");
            }
            Output::Withdraw { stream, worker, attempt, withdrawal } => {
                let carried = self.carried.get_mut(&stream).expect("it was assigned");
                assert_eq!((carried.worker, carried.attempt), (worker, attempt));
                let word = match withdrawal {
                    Withdrawal::Finish => {
                        assert!(!carried.finishing, "finished twice");
                        carried.finishing = true;
                        "finish"
                    }
                    Withdrawal::Abort => {
                        self.carried.remove(&stream);
                        "abort"
                    }
                };
                self.told.push(format!("{word} {} on {worker}", name(&stream)));
            }
            Output::MarkFailed { stream, attempts, failure, detail } => {
                let word = failure.label();
                self.told
                    .push(format!("fail {} after {attempts}: {word}: {detail}", name(&stream)));
                assert_eq!(self.states.get(&stream), Some(&StreamState::Failed));
                assert!(!self.carried.contains_key(&stream));
            }
            Output::Transition(transition) => self.check_transition(transition),
            Output::Phase { phase, took } => self.phases.push((phase, took)),
        }
    }

    fn check_transition(&mut self, transition: Transition) {
        let Transition { stream, from, to, event, .. } = &transition;
        assert_eq!(self.states.get(stream).copied(), *from, "{transition:?}");
        match from {
            None => assert_eq!((*event, *to), (Event::Published, StreamState::Pending)),
            Some(from) => assert_eq!(from.after(*event), Some(*to), "{transition:?}"),
        }
        if *to == StreamState::Done {
            self.states.remove(stream);
        } else {
            self.states.insert(stream.clone(), *to);
        }
        self.transitions.push(transition);
    }

    /// What is shown agrees with what was said.
    fn check_views(&self) {
        let views = self.placement.streams();
        let shown: BTreeMap<_, _> =
            views.iter().map(|view| (view.stream.clone(), view.state)).collect();
        assert_eq!(shown, self.states);
        for stream in &self.published {
            assert!(shown.contains_key(stream), "{} is forgotten", name(stream));
        }
        let mut places = Vec::new();
        for view in &views {
            let waits = matches!(view.state, StreamState::Pending | StreamState::Recovering);
            assert_eq!(view.place.is_some(), waits, "{view:?}");
            assert_eq!(view.wait.is_some(), waits, "{view:?}");
            assert_eq!(view.worker.is_some(), view.state.holds_worker(), "{view:?}");
            assert!(view.failures <= self.settings.retry.retries_max + 1, "{view:?}");
            let carried = self.carried.get(&view.stream);
            if view.state == StreamState::Assigned {
                assert_eq!(carried, None);
            } else {
                let known = carried.map(|carried| (carried.worker, carried.attempt));
                assert_eq!(known, view.worker.zip(view.attempt), "{view:?}");
            }
            places.extend(view.place);
        }
        places.sort_unstable();
        assert_eq!(places, (1..=places.len()).collect::<Vec<_>>());
        for worker in self.placement.workers() {
            assert!(worker.streams.len() <= worker.room.streams, "{worker:?}");
            assert!(self.workers.contains_key(&worker.worker), "{worker:?} does not run");
        }
        let load = self.placement.load();
        assert_eq!(load.pending, places.len());
        assert_eq!(
            load.failed,
            shown.values().filter(|state| **state == StreamState::Failed).count()
        );
    }

    pub(super) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    pub(super) fn state(&self, stream: &str) -> Option<StreamState> {
        self.states.get(&key(stream)).copied()
    }

    pub(super) fn view(&self, stream: &str) -> StreamView {
        let views = self.placement.streams();
        views.into_iter().find(|view| view.stream == key(stream)).expect("the stream is known")
    }

    pub(super) fn attempt(&self, stream: &str) -> Attempt {
        self.carried.get(&key(stream)).expect("the stream is carried").attempt
    }

    pub(super) fn worker_of(&self, stream: &str) -> Option<u16> {
        self.view(stream).worker.map(|worker| worker.0)
    }

    pub(super) fn worker_state(&self, number: u16) -> Option<WorkerState> {
        let workers = self.placement.workers();
        workers.iter().find(|view| view.worker == WorkerId(number)).map(|view| view.state)
    }

    pub(super) fn publish(&mut self, stream: &str) {
        self.handle(Input::Published { stream: key(stream), need: None });
    }

    pub(super) fn end(&mut self, stream: &str) {
        self.handle(Input::Ended { stream: key(stream) });
    }

    pub(super) fn desire(&mut self, workers: usize) {
        self.handle(Input::Desired { workers });
    }

    pub(super) fn ready(&mut self, number: u16) {
        self.handle(Input::WorkerReady { worker: WorkerId(number), room: None });
    }

    pub(super) fn lose(&mut self, number: u16, loss: Loss) {
        let detail = "signal 9".to_owned();
        self.handle(Input::WorkerLost { worker: WorkerId(number), loss, detail });
    }

    pub(super) fn feed(&mut self, stream: &str) {
        self.handle(Input::Fed { stream: key(stream) });
    }

    pub(super) fn receive(&mut self, stream: &str) {
        let attempt = self.attempt(stream);
        self.handle(Input::Received { stream: key(stream), attempt });
    }

    pub(super) fn progress(&mut self, stream: &str) {
        let attempt = self.attempt(stream);
        self.handle(Input::Progressed { stream: key(stream), attempt });
    }

    pub(super) fn flush(&mut self, stream: &str) {
        let attempt = self.attempt(stream);
        self.handle(Input::Flushed { stream: key(stream), attempt });
    }

    pub(super) fn fail(&mut self, stream: &str, failure: Failure, detail: &str) {
        let attempt = self.attempt(stream);
        let detail = detail.to_owned();
        self.handle(Input::Failed { stream: key(stream), attempt, failure, detail });
    }

    /// Publishes and brings upstream, with as many ready workers as that takes.
    pub(super) fn relay(&mut self, streams: &[&str]) {
        for stream in streams {
            self.publish(stream);
        }
        for number in self.placement.workers().iter().map(|view| view.worker.0) {
            self.ready(number);
        }
        for stream in streams {
            self.progress(stream);
        }
        self.told.clear();
    }
}
