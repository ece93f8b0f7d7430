//! How a stream fares: its publication, its attempts, its failures, its end.
//!
//! Every change of state goes through [`Placement::transit`], by the table in `state`.

use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::input::Failure;
use super::output::{Attempt, Output, Phase, Transition, Withdrawal};
use super::planner::Placement;
use super::retry::Verdict;
use super::state::{Event, StreamState};
use super::stream::Stream;
use super::worker::WorkerState;
use crate::config::Resources;
use crate::id::{StreamKey, WorkerId};

/// Said again within so long, a stream was fed all the time in between.
const FED_STEADILY: Duration = Duration::from_secs(2);

impl Placement {
    pub(super) fn on_published(&mut self, key: StreamKey, need: Option<Resources>) {
        let need = need.unwrap_or(self.settings.need);
        match self.streams.get(&key).map(|stream| stream.state) {
            None => {
                let stream = Stream::new(self.now, self.next_ticket(), need);
                self.waiting.insert(stream.ticket, key.clone());
                self.outputs.push_back(Output::Transition(Transition {
                    stream: key.clone(),
                    from: None,
                    to: stream.state,
                    event: Event::Published,
                    worker: None,
                    failure: None,
                }));
                self.streams.insert(key, stream);
            }
            Some(StreamState::Draining) => {
                // The new publication cuts the rest of the old one short, as it does in a push.
                self.withdraw(&key, Withdrawal::Abort);
                self.requeue(&key, Event::Republished, Some(need));
            }
            Some(StreamState::Failed) => self.requeue(&key, Event::Republished, Some(need)),
            Some(_) => {}
        }
    }

    pub(super) fn on_retry(&mut self, key: &StreamKey) {
        if self.state_of(key) == Some(StreamState::Failed) {
            self.requeue(key, Event::Retried, None);
        }
    }

    /// Starts a stream over: it waits again, behind all that wait already.
    fn requeue(&mut self, key: &StreamKey, event: Event, need: Option<Resources>) {
        let (now, ticket) = (self.now, self.next_ticket());
        self.transit(key, event, None);
        self.release(key);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.restart();
        if event == Event::Republished {
            stream.published_at = now;
            stream.clock.published = Some(now);
        }
        stream.need = need.unwrap_or(stream.need);
        stream.ticket = ticket;
        self.waiting.insert(ticket, key.clone());
    }

    pub(super) fn on_ended(&mut self, key: &StreamKey) {
        match self.state_of(key) {
            Some(StreamState::Starting | StreamState::Relaying) => {
                self.withdraw(key, Withdrawal::Finish);
                self.transit(key, Event::Ended, None);
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.stall_from = Some(self.now);
                }
            }
            None | Some(StreamState::Draining | StreamState::Done) => {}
            Some(_) => self.finish(key, Event::Ended),
        }
    }

    pub(super) fn on_flushed(&mut self, key: &StreamKey, attempt: Attempt) {
        match self.state_under(key, attempt) {
            Some(StreamState::Draining) => self.finish(key, Event::Flushed),
            // It says that all is sent while its publisher goes on: it has stopped working on it.
            Some(_) => self.fail(key, Failure::Disconnected, "ended before its publisher".into()),
            None => {}
        }
    }

    pub(super) fn on_fed(&mut self, key: &StreamKey) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(key) else { return };
        // What is fed steadily was fed from the time that this was last said.
        let before = stream.fed_at.replace(now);
        let steady = before.filter(|at| now.saturating_since(*at) <= FED_STEADILY);
        if stream.attempt.is_some() {
            let from = steady.unwrap_or(now).max(stream.progress_at.unwrap_or(now));
            stream.stall_from.get_or_insert(from);
        }
    }

    pub(super) fn on_received(&mut self, key: &StreamKey, attempt: Attempt) {
        let now = self.now;
        if self.state_under(key, attempt) != Some(StreamState::Starting) {
            return;
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.clock.received.is_none() {
            stream.clock.received = Some(now);
            let begun = stream.clock.begun.take();
            self.record(Phase::Worker, begun);
        }
    }

    pub(super) fn on_hindered(&mut self, key: &StreamKey, attempt: Attempt) {
        if self.state_under(key, attempt).is_some()
            && let Some(stream) = self.streams.get_mut(key)
        {
            stream.hindered = true;
        }
    }

    pub(super) fn on_progressed(&mut self, key: &StreamKey, attempt: Attempt) {
        let now = self.now;
        let Some(state) = self.state_under(key, attempt) else { return };
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.progress_at = Some(now);
        stream.hindered = false;
        stream.stall_from = (state == StreamState::Draining).then_some(now);
        if let Some(worker) = stream.worker.and_then(|id| self.workers.get_mut(&id)) {
            worker.progress_at = Some(now);
            if worker.state == WorkerState::Suspect {
                worker.enter(WorkerState::Ready, now);
            }
        }
        if state == StreamState::Starting {
            stream.retries.on_success(now);
            let clock = &mut stream.clock;
            let (begun, received) = (clock.begun.take(), clock.received.take());
            let (published, failed) = (clock.published.take(), clock.failed.take());
            self.transit(key, Event::Progressed, None);
            self.record(Phase::Worker, begun);
            self.record(Phase::Upstream, received);
            self.record(Phase::Total, published);
            self.record(Phase::Recovery, failed);
        }
    }

    pub(super) fn on_failed(
        &mut self,
        key: &StreamKey,
        attempt: Attempt,
        failure: Failure,
        detail: String,
    ) {
        if self.state_under(key, attempt).is_some() {
            self.fail(key, failure, detail);
        }
    }

    /// The attempt under way is over and the worker knows: what was said of it ends it.
    pub(super) fn fail(&mut self, key: &StreamKey, failure: Failure, detail: String) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.state == StreamState::Draining {
            return self.finish(key, Event::Flushed);
        }
        stream.clock.failed.get_or_insert(now);
        stream.last_failure = Some((failure, detail.clone()));
        stream.avoid = stream.worker;
        let verdict = match failure {
            Failure::Upstream => stream.retries.on_hindrance(now, &self.settings.retry),
            _ => stream.retries.on_failure(now, &self.settings.retry),
        };
        let verdict = if failure == Failure::GivenUp { Verdict::Exhausted } else { verdict };
        let (attempts, ticket) = (stream.attempts, stream.ticket);
        match verdict {
            Verdict::Again { at } => {
                stream.retry_at = Some(at);
                self.waiting.insert(ticket, key.clone());
                self.transit(key, Event::AttemptFailed, Some(failure));
                self.release(key);
            }
            Verdict::Exhausted => {
                self.transit(key, Event::Exhausted, Some(failure));
                self.release(key);
                let stream = key.clone();
                self.outputs.push_back(Output::MarkFailed { stream, attempts, failure, detail });
            }
        }
    }

    /// A worker is not there for a stream any more.
    pub(super) fn lose_worker(&mut self, key: &StreamKey, detail: &str) {
        if self.state_of(key) == Some(StreamState::Assigned) {
            return self.displace(key);
        }
        self.withdraw(key, Withdrawal::Abort);
        self.fail(key, Failure::WorkerLost, detail.to_owned());
    }

    /// A place is gone before anything was sent there. The stream keeps its turn.
    pub(super) fn displace(&mut self, key: &StreamKey) {
        self.transit(key, Event::Displaced, None);
        self.release(key);
        if let Some(stream) = self.streams.get(key) {
            self.waiting.insert(stream.ticket, key.clone());
        }
    }

    /// Sends a stream to the ready worker that has a place for it.
    pub(super) fn begin(&mut self, key: &StreamKey) {
        let (now, attempt) = (self.now, self.next_attempt());
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(worker) = stream.worker else { return };
        stream.attempt = Some(attempt);
        stream.attempts = stream.attempts.saturating_add(1);
        stream.stall_from = None;
        stream.progress_at = Some(now);
        stream.hindered = false;
        stream.retry_at = None;
        let first = (stream.attempts == 1).then_some(stream.clock.published).flatten();
        stream.clock.begun = Some(now);
        stream.clock.received = None;
        self.transit(key, Event::Begun, None);
        self.record(Phase::Queue, first);
        self.outputs.push_back(Output::Assign { stream: key.clone(), worker, attempt });
    }

    /// Streams that got stuck, and ends that take too long.
    pub(super) fn expire_streams(&mut self) {
        let (now, timeout) = (self.now, self.settings.stall_timeout);
        let stalled: Vec<(StreamKey, Instant)> = self
            .streams
            .iter()
            .filter_map(|(key, stream)| Some((key.clone(), stream.stall_from?)))
            .filter(|(_, from)| *from + timeout <= now)
            .collect();
        for (key, from) in stalled {
            let Some(stream) = self.streams.get(&key) else { continue };
            let (failure, detail) = if stream.hindered {
                (Failure::Upstream, "the upstream does not take it")
            } else {
                (Failure::Stalled, "media went in and nothing came out")
            };
            if failure == Failure::Stalled
                && stream.state != StreamState::Draining
                && let Some(worker) = stream.worker
            {
                self.suspect(worker, from);
            }
            self.withdraw(&key, Withdrawal::Abort);
            self.fail(&key, failure, detail.to_owned());
        }
    }

    pub(super) fn stream_deadlines(&self) -> impl Iterator<Item = Instant> {
        let timeout = self.settings.stall_timeout;
        let retries = self.waiting.values().filter_map(|key| self.streams.get(key)?.retry_at);
        let stalls =
            self.streams.values().filter_map(move |stream| Some(stream.stall_from? + timeout));
        // A pause that is over and led to nothing ends by other things than time.
        retries.filter(|at| *at > self.now).chain(stalls)
    }

    pub(super) fn restart_stream_clocks(&mut self) {
        let now = self.now;
        for stream in self.streams.values_mut() {
            stream.stall_from = stream.stall_from.map(|_| now);
            stream.fed_at = None;
        }
    }

    /// The state of a stream, as far as `attempt` is the one under way.
    fn state_under(&self, key: &StreamKey, attempt: Attempt) -> Option<StreamState> {
        let stream = self.streams.get(key)?;
        (stream.attempt == Some(attempt)).then_some(stream.state)
    }

    pub(super) fn state_of(&self, key: &StreamKey) -> Option<StreamState> {
        Some(self.streams.get(key)?.state)
    }

    /// The one place where a stream's state changes.
    pub(super) fn transit(&mut self, key: &StreamKey, event: Event, failure: Option<Failure>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(to) = stream.state.after(event) else {
            debug_assert!(false, "{:?} on {event:?}", stream.state);
            return;
        };
        let from = Some(std::mem::replace(&mut stream.state, to));
        stream.since = self.now;
        let (stream, worker) = (key.clone(), stream.worker);
        let transition = Transition { stream, from, to, event, worker, failure };
        self.outputs.push_back(Output::Transition(transition));
    }

    fn withdraw(&mut self, key: &StreamKey, withdrawal: Withdrawal) {
        let Some(stream) = self.streams.get(key) else { return };
        if let (Some(worker), Some(attempt)) = (stream.worker, stream.attempt) {
            let stream = key.clone();
            self.outputs.push_back(Output::Withdraw { stream, worker, attempt, withdrawal });
        }
    }

    /// Gives back a stream's place.
    fn release(&mut self, key: &StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt = None;
        stream.stall_from = None;
        let worker: Option<WorkerId> = stream.worker.take();
        if let Some(worker) = worker.and_then(|id| self.workers.get_mut(&id)) {
            worker.streams.remove(key);
        }
    }

    /// A stream is over, and forgotten.
    fn finish(&mut self, key: &StreamKey, event: Event) {
        self.transit(key, event, None);
        self.release(key);
        if let Some(stream) = self.streams.remove(key) {
            self.waiting.remove(&stream.ticket);
        }
    }

    fn record(&mut self, phase: Phase, since: Option<Instant>) {
        if let Some(since) = since {
            let took = self.now.saturating_since(since);
            self.outputs.push_back(Output::Phase { phase, took });
        }
    }
}
