//! [`Placement`]: takes what happened, hands out what is to be done.
//!
//! Owns the state and the order of things: an input is applied, then streams are placed, then workers
//! are started and stopped. How streams fare stands in `course`, how they find a worker in `queue`,
//! how many workers there are in `fleet`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::input::Input;
use super::output::{Attempt, Output};
use super::retry::Retries;
use super::settings::PlacementSettings;
use super::stream::Stream;
use super::worker::Worker;
use crate::id::{StreamKey, WorkerId};

/// While anything is timed, time is looked at this often at least.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// A longer step than this between two inputs, while anything is timed, is not time that workers
/// had: the clock jumped, or this process stood still. Time-outs then begin anew.
const STEP_MAX: Duration = Duration::from_secs(5);

/// Which worker carries which stream. See the [module](super) for how it is used.
#[derive(Debug)]
pub struct Placement {
    pub(super) settings: PlacementSettings,
    /// The latest time that was passed in; it does not go back.
    pub(super) now: Instant,
    /// So many workers the scaler wants.
    pub(super) desired: usize,
    pub(super) streams: BTreeMap<StreamKey, Stream>,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    /// The streams without a place, in the order of their tickets.
    pub(super) waiting: BTreeMap<u64, StreamKey>,
    /// Workers that did not come up, or did not last.
    pub(super) starts: Retries,
    /// No worker is started before then.
    pub(super) start_at: Option<Instant>,
    pub(super) outputs: VecDeque<Output>,
    tickets: u64,
    attempts: u64,
}

impl Placement {
    /// Nothing is published and no worker runs. Call [`Placement::handle_timeout`] to have the first
    /// workers started, once those that run already are told of.
    #[must_use]
    pub fn new(settings: PlacementSettings) -> Self {
        let desired = settings.workers_min;
        Self {
            settings,
            now: Instant::EPOCH,
            desired,
            streams: BTreeMap::new(),
            workers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            starts: Retries::new(),
            start_at: None,
            outputs: VecDeque::new(),
            tickets: 0,
            attempts: 0,
        }
    }

    /// Takes in that something happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.advance(now);
        match input {
            // Said often, and never a reason to place, start or stop anything.
            Input::Fed { stream } => return self.on_fed(&stream),
            Input::Received { stream, attempt } => return self.on_received(&stream, attempt),
            Input::Progressed { stream, attempt } => return self.on_progressed(&stream, attempt),
            Input::Hindered { stream, attempt } => return self.on_hindered(&stream, attempt),
            Input::Published { stream, need } => self.on_published(stream, need),
            Input::Ended { stream } => self.on_ended(&stream),
            Input::Failed { stream, attempt, failure, detail } => {
                self.on_failed(&stream, attempt, failure, detail);
            }
            Input::Flushed { stream, attempt } => self.on_flushed(&stream, attempt),
            Input::Desired { workers } => self.desired = workers,
            Input::WorkerReady { worker, room } => self.on_worker_ready(worker, room),
            Input::WorkerFound { worker, room, streams } => {
                self.on_worker_found(worker, room, streams);
            }
            Input::WorkerLost { worker, loss, detail } => {
                self.on_worker_lost(worker, loss, &detail);
            }
            Input::Drain { worker } => self.on_drain(worker),
            Input::Retry { stream } => self.on_retry(&stream),
        }
        self.settle();
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.expire_workers();
        self.expire_streams();
        self.settle();
    }

    /// The next thing to do or to record.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Placement::handle_timeout`] is to be called; none while nothing is timed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.worker_deadlines().chain(self.stream_deadlines()).min()?;
        Some(due.min(self.now + TICK))
    }

    /// New settings, such as after a reload. What is placed stays where it is.
    pub fn configure(&mut self, now: Instant, settings: PlacementSettings) {
        self.advance(now);
        self.settings = settings;
        self.settle();
    }

    pub(super) const fn next_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    pub(super) const fn next_attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt(self.attempts)
    }

    fn advance(&mut self, now: Instant) {
        let step = now.saturating_since(self.now);
        self.now = self.now.max(now);
        if step > STEP_MAX {
            self.restart_worker_clocks();
            self.restart_stream_clocks();
        }
    }

    fn settle(&mut self) {
        self.place_waiting();
        self.adjust_fleet();
        // Workers that were started just now have places to give.
        self.place_waiting();
    }
}
