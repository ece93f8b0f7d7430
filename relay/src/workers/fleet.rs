//! The workers of an edge: carries out what the placement and the scaler decide, and tells them what
//! happens.
//!
//! Decides nothing itself but when a worker that says nothing any more counts as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use edgerelay_proto::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use super::NO_STATE;
use super::backend::Backend;
use super::scaling::Scaling;
use super::snapshots;
use crate::config::{Config, WORKER_APP};
use crate::id::{LegId, ShardId, StreamKey, WorkerId};
use crate::message::{
    LegEnd, NodeEvent, PipelineFailure, PipelineState, ShardMessage, ShardSnapshot, StreamReport,
    WorkRequest, WorkSnapshot,
};
use crate::placement::{
    Attempt, Failure, Input, Loss, Output, Placement, PlacementSettings, Stop, StreamState,
    Withdrawal,
};
use crate::scaler::Scaler;
use crate::telemetry::WorkCounters;

/// How often the shards are asked what publishers sent.
const LOOK: Duration = Duration::from_secs(1);
/// How often the control plane is shown what goes on, at most.
const SHOW_PAUSE: Duration = Duration::from_millis(100);
/// A worker that told of a stream so lately is there. It does so every second.
const HEARD_LATELY: Duration = Duration::from_secs(3);

/// The edge's side of its workers.
pub(super) struct Fleet {
    pub(super) config: Arc<Config>,
    pub(super) shards: Vec<mpsc::Sender<ShardMessage>>,
    pub(super) backend: Backend,
    pub(super) counters: Arc<WorkCounters>,
    pub(super) view: watch::Sender<WorkSnapshot>,
    pub(super) placement: Placement,
    pub(super) streams: BTreeMap<StreamKey, Known>,
    pub(super) attempts: BTreeMap<Attempt, Carried>,
    /// Workers that said that they end when their streams do.
    leaving: BTreeSet<WorkerId>,
    pub(super) scaling: Scaling,
    started: std::time::Instant,
}

/// A stream that was announced and is not over.
pub(super) struct Known {
    /// The shard that brings it on.
    shard: ShardId,
    publication: u64,
    frames_in: u64,
    /// What its worker said last, over all attempts.
    pub(super) report: StreamReport,
}

/// An attempt that has a leg, or had one.
pub(super) struct Carried {
    stream: StreamKey,
    worker: WorkerId,
    shard: ShardId,
    /// What its worker has sent upstream, once it relays.
    bytes_out: Option<u64>,
    /// When its worker last said something of it, if it ever did.
    heard: Option<Instant>,
}

impl Fleet {
    pub(super) fn new(
        config: Arc<Config>,
        shards: Vec<mpsc::Sender<ShardMessage>>,
        backend: Backend,
        counters: Arc<WorkCounters>,
        view: watch::Sender<WorkSnapshot>,
    ) -> Self {
        let scaling = Scaling::new(Scaler::new(&config.workers, 0));
        let placement = Placement::new(PlacementSettings::new(&config.workers));
        Self {
            config,
            shards,
            backend,
            counters,
            view,
            placement,
            streams: BTreeMap::new(),
            attempts: BTreeMap::new(),
            leaving: BTreeSet::new(),
            scaling,
            started: std::time::Instant::now(),
        }
    }

    /// Works until `stop`, then ends its workers.
    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<NodeEvent>,
        mut inputs: mpsc::Receiver<Input>,
        mut requests: mpsc::Receiver<WorkRequest>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.placement.handle_timeout(self.now());
        self.carry_out().await;
        self.show();
        let mut shown = tokio::time::Instant::now();
        let mut is_shown = true;
        loop {
            let due = self.placement.poll_timeout().map(|at| at.saturating_since(self.now()));
            tokio::select! {
                Some(event) = events.recv() => self.on_event(event),
                Some(input) = inputs.recv() => self.on_input(input),
                Some(request) = requests.recv() => self.on_request(request),
                () = sleep(due.unwrap_or(LOOK)) => self.placement.handle_timeout(self.now()),
                () = sleep_until(shown + SHOW_PAUSE), if !is_shown => {}
                _ = looks.tick() => {
                    let parts = snapshots::take(&self.shards).await;
                    self.look(&parts);
                }
                _ = stop.wait_for(|stop| *stop) => break,
            }
            if self.backend.is_managed() {
                self.scale();
            }
            self.carry_out().await;
            is_shown = shown.elapsed() >= SHOW_PAUSE;
            if is_shown {
                self.show();
                shown = tokio::time::Instant::now();
            }
        }
        self.backend.shut_down().await;
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.placement.handle(self.now(), input);
    }

    fn on_input(&mut self, input: Input) {
        match input {
            // It takes no connections, as one that is to end does, and its streams go on.
            Input::WorkerLost { worker, loss: Loss::Silent, detail } if self.is_heard(worker) => {
                tracing::info!(worker = worker.0, detail, "worker keeps its streams");
                self.handle(Input::Drain { worker });
            }
            Input::WorkerLost { worker, loss, ref detail } => {
                tracing::warn!(worker = worker.0, ?loss, detail, "worker lost");
                self.leaving.remove(&worker);
                self.handle(input);
            }
            input => self.handle(input),
        }
    }

    /// Whether a worker told of one of its streams lately.
    fn is_heard(&self, worker: WorkerId) -> bool {
        let now = self.now();
        let lately = |heard: Instant| now.saturating_since(heard) <= HEARD_LATELY;
        let mut carried = self.attempts.values().filter(|carried| carried.worker == worker);
        carried.any(|carried| carried.heard.is_some_and(lately))
    }

    fn on_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::StreamBegan { stream, shard, publication } => {
                let report = StreamReport::starting();
                let known = Known { shard, publication, frames_in: 0, report };
                if self.streams.insert(stream.clone(), known).is_some() {
                    // The news of its end comes from another shard, and later.
                    self.handle(Input::Ended { stream: stream.clone() });
                }
                self.handle(Input::Published { stream, need: None });
            }
            NodeEvent::StreamEnded { stream, publication } => {
                let known = self.streams.get(&stream).map(|known| known.publication);
                if known == Some(publication) {
                    self.streams.remove(&stream);
                    self.handle(Input::Ended { stream });
                }
            }
            NodeEvent::LegReady { leg } => {
                if let Some((stream, attempt)) = self.stream_of(leg) {
                    self.handle(Input::Received { stream, attempt });
                }
            }
            NodeEvent::LegReport { leg, text } => self.on_report(leg, &text),
            NodeEvent::LegLost { leg, end } => {
                let Some((stream, attempt)) = self.stream_of(leg) else { return };
                let (failure, detail) = match end {
                    LegEnd::Refused => (Failure::Refused, "the worker refused it".to_owned()),
                    LegEnd::Unreachable(why) => (Failure::Disconnected, why),
                    LegEnd::Lost(why) => (Failure::Disconnected, why.to_owned()),
                };
                self.attempts.remove(&attempt);
                self.handle(Input::Failed { stream, attempt, failure, detail });
            }
            NodeEvent::LegLeaving { leg } => {
                let carried = self.attempts.get(&Attempt(leg.0));
                let Some(worker) = carried.map(|carried| carried.worker) else { return };
                if self.leaving.insert(worker) {
                    tracing::info!(worker = worker.0, "worker ends when its streams do");
                    self.handle(Input::Drain { worker });
                }
            }
            NodeEvent::LegFlushed { leg } => {
                let Some((stream, attempt)) = self.stream_of(leg) else { return };
                self.attempts.remove(&attempt);
                self.handle(Input::Flushed { stream, attempt });
            }
            // Of our own pushes; a worker's come as reports.
            NodeEvent::PushReady { .. } => {}
        }
    }

    fn stream_of(&self, leg: LegId) -> Option<(StreamKey, Attempt)> {
        let attempt = Attempt(leg.0);
        self.attempts.get(&attempt).map(|carried| (carried.stream.clone(), attempt))
    }

    fn on_report(&mut self, leg: LegId, text: &str) {
        let now = self.now();
        let attempt = Attempt(leg.0);
        let Some(carried) = self.attempts.get_mut(&attempt) else { return };
        let Ok(report) = serde_json::from_str::<StreamReport>(text) else {
            tracing::debug!(worker = carried.worker.0, "a report that is none");
            return;
        };
        carried.heard = Some(now);
        // An upstream that accepts the stream is sent it at once.
        let relays = report.state == PipelineState::Relaying;
        let got_on = relays && Some(report.bytes_out) != carried.bytes_out;
        if relays {
            carried.bytes_out = Some(report.bytes_out);
        }
        let stream = carried.stream.clone();
        let hindered = report.state == PipelineState::Recovering && report.failure.is_none();
        let failed = failure_in(&report).map(|failure| (failure, report.reason.clone()));
        if let Some(known) = self.streams.get_mut(&stream) {
            let log = std::mem::take(&mut known.report.log);
            known.report = report;
            if known.report.log.is_empty() {
                // What the attempt before printed says more than nothing.
                known.report.log = log;
            }
        }
        if let Some((failure, detail)) = failed {
            self.attempts.remove(&attempt);
            self.handle(Input::Failed { stream, attempt, failure, detail });
        } else if got_on {
            self.handle(Input::Progressed { stream, attempt });
        } else if hindered {
            self.handle(Input::Hindered { stream, attempt });
        }
    }

    /// Another second went by.
    fn look(&mut self, parts: &[ShardSnapshot]) {
        let mut fed = Vec::new();
        for part in parts.iter().flat_map(|part| &part.streams).filter(|part| part.home) {
            if let Some(known) = self.streams.get_mut(&part.stream) {
                if part.frames_in != known.frames_in {
                    fed.push(part.stream.clone());
                }
                known.frames_in = part.frames_in;
            }
        }
        for stream in fed {
            self.handle(Input::Fed { stream });
        }
        self.scaling.on_snapshots(parts, self.shards.len());
        self.look_for_silence();
    }

    /// A worker that told of its streams and tells nothing of any of them any more hangs.
    fn look_for_silence(&mut self) {
        let now = self.now();
        let mut heard: BTreeMap<WorkerId, Option<Instant>> = BTreeMap::new();
        for carried in self.attempts.values() {
            let newest = heard.entry(carried.worker).or_default();
            *newest = (*newest).max(carried.heard);
        }
        let stall_timeout = self.config.workers.stall_timeout;
        for (worker, heard) in heard {
            if heard.is_some_and(|heard| now.saturating_since(heard) >= stall_timeout) {
                let detail = format!("said nothing for {} s", stall_timeout.as_secs_f64());
                self.attempts.retain(|_, carried| carried.worker != worker);
                self.on_input(Input::WorkerLost { worker, loss: Loss::Silent, detail });
            }
        }
    }

    /// Does what the placement says.
    async fn carry_out(&mut self) {
        while let Some(output) = self.placement.poll_output() {
            match output {
                Output::StartWorker { worker } => self.backend.start(worker),
                Output::StopWorker { worker, stop } => {
                    // Told again, it would cut short what it still does.
                    let ends_by_itself = self.leaving.remove(&worker) && self.backend.is_managed();
                    if ends_by_itself && stop == Stop::Gracefully {
                        continue;
                    }
                    if let Some(news) = self.backend.stop(worker, stop) {
                        self.handle(news);
                    }
                }
                Output::Assign { stream, worker, attempt } => {
                    self.assign(stream, worker, attempt).await;
                }
                Output::Withdraw { stream, attempt, withdrawal: Withdrawal::Abort, .. } => {
                    if let Some(carried) = self.attempts.remove(&attempt) {
                        let leg = LegId(attempt.0);
                        self.post(carried.shard, ShardMessage::EndLeg { stream, leg }).await;
                    }
                }
                // The shard knows that the stream is over, and brings the rest.
                Output::Withdraw { withdrawal: Withdrawal::Finish, .. } => {}
                Output::MarkFailed { stream, attempts, failure, detail } => {
                    tracing::error!(
                        app = &*stream.app,
                        attempts,
                        failure = failure.label(),
                        detail,
                        "no worker gets on with a stream; it is relayed to everyone else"
                    );
                    if let Some(Known { shard, publication, .. }) = self.streams.get(&stream) {
                        let (shard, publication) = (*shard, *publication);
                        self.post(shard, ShardMessage::GiveUpOn { stream, publication }).await;
                    }
                }
                Output::Transition(transition) => {
                    let from = transition.from.map_or(NO_STATE, StreamState::label);
                    tracing::info!(
                        app = &*transition.stream.app,
                        from,
                        to = transition.to.label(),
                        worker = transition.worker.map(|worker| worker.0),
                        failure = transition.failure.map(Failure::label),
                        "stream of a worker"
                    );
                    self.counters.on_transition(from, transition.to.label());
                }
                Output::Phase { phase, took } => self.counters.on_phase(phase.label(), took),
            }
        }
    }

    async fn assign(&mut self, stream: StreamKey, worker: WorkerId, attempt: Attempt) {
        let known = self.streams.get(&stream).map(|known| (known.shard, known.publication));
        let address = self.backend.address(worker);
        let (Some((shard, publication)), Some(address)) = (known, address) else {
            let (failure, detail) = (Failure::Disconnected, "it is nowhere".to_owned());
            self.handle(Input::Failed { stream, attempt, failure, detail });
            return;
        };
        let carried =
            Carried { stream: stream.clone(), worker, shard, bytes_out: None, heard: None };
        self.attempts.insert(attempt, carried);
        let url = format!("rtmp://{address}/{WORKER_APP}/{}", stream.name);
        let leg = LegId(attempt.0);
        self.post(shard, ShardMessage::StartLeg { stream, publication, leg, url }).await;
    }

    async fn post(&self, shard: ShardId, message: ShardMessage) {
        if let Some(mailbox) = self.shards.get(usize::from(shard.0)) {
            // A shard that has ended needs no news.
            let _ended = mailbox.send(message).await;
        }
    }
}

/// What a report says has failed for good.
fn failure_in(report: &StreamReport) -> Option<Failure> {
    if report.state != PipelineState::Failed {
        return None;
    }
    Some(match report.failure {
        // Whoever tried again by itself has used up what tries there are: they are counted once.
        _ if report.retries > 0 => Failure::GivenUp,
        Some(PipelineFailure::Stalled) => Failure::Stalled,
        Some(PipelineFailure::Exited) | None => Failure::CommandExited,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_tried_again_by_itself_has_given_up() {
        let report = |state, retries, failure| StreamReport {
            state,
            retries,
            failure: Some(failure),
            ..StreamReport::starting()
        };
        let (exited, stalled) = (PipelineFailure::Exited, PipelineFailure::Stalled);
        for (state, retries, failure, means) in [
            (PipelineState::Recovering, 1, exited, None),
            (PipelineState::Relaying, 3, exited, None),
            (PipelineState::Failed, 0, exited, Some(Failure::CommandExited)),
            (PipelineState::Failed, 0, stalled, Some(Failure::Stalled)),
            (PipelineState::Failed, 3, exited, Some(Failure::GivenUp)),
            (PipelineState::Failed, 3, stalled, Some(Failure::GivenUp)),
        ] {
            assert_eq!(failure_in(&report(state, retries, failure)), means);
        }
    }
}
