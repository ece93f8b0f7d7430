//! What a worker does: for each stream that comes its pipeline, from the stream's beginning to its end,
//! and reports to the node that sent it.
//!
//! A passthrough needs no process: the shards push the stream on, and here that is only watched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::command::Signals;
use super::presets;
use super::restarts::{self, Patience};
use super::snapshots;
use crate::config::{Config, WORKER_APP};
use crate::id::StreamKey;
use crate::message::{
    ClientRole, NodeEvent, PipelineState, ShardMessage, ShardSnapshot, StreamReport, WorkSnapshot,
    WorkedStream,
};

/// How often streams are looked at, and their senders told.
const LOOK: Duration = Duration::from_secs(1);
/// A push that sent nothing for so long while frames came is not relaying.
const PUSH_SILENCE_MAX: Duration = Duration::from_secs(5);
/// What pipelines have to end when the node stops: a little more than a command takes.
const END_MAX: Duration = Duration::from_secs(8);

/// The pipelines of a worker.
pub(super) struct Pipelines {
    config: Arc<Config>,
    shards: Vec<mpsc::Sender<ShardMessage>>,
    guard: PathBuf,
    streams: BTreeMap<StreamKey, Pipeline>,
    /// Told when a command's report changed.
    changed: mpsc::Sender<StreamKey>,
    view: watch::Sender<WorkSnapshot>,
}

struct Pipeline {
    publication: u64,
    began: Instant,
    frames_in: watch::Sender<u64>,
    over: watch::Sender<bool>,
    work: Work,
}

enum Work {
    /// The shards push it.
    Passthrough(Passthrough),
    Command {
        report: watch::Receiver<StreamReport>,
        task: JoinHandle<()>,
    },
}

struct Passthrough {
    report: StreamReport,
    /// Whether an upstream has accepted the push that goes out now: what goes before that is no media.
    accepted: bool,
    /// When a push last got on, or nothing came that it could have sent.
    got_on: Instant,
}

impl Pipelines {
    pub(super) fn new(
        config: Arc<Config>,
        shards: Vec<mpsc::Sender<ShardMessage>>,
        guard: PathBuf,
        view: watch::Sender<WorkSnapshot>,
    ) -> (Self, mpsc::Receiver<StreamKey>) {
        // One place for each of the few commands that a worker runs; a full queue only delays.
        let (changed, changes) = mpsc::channel(64);
        (Self { config, shards, guard, streams: BTreeMap::new(), changed, view }, changes)
    }

    /// Works until `stop`.
    pub(super) async fn run(
        mut self,
        mut changes: mpsc::Receiver<StreamKey>,
        mut events: mpsc::Receiver<NodeEvent>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = events.recv() => self.on_event(event),
                Some(stream) = changes.recv() => self.tell(&stream),
                _ = looks.tick() => {
                    if !self.streams.is_empty() {
                        let parts = snapshots::take(&self.shards).await;
                        self.look(&parts);
                    }
                }
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.show();
        }
        let ends = self.streams.into_values().filter_map(|pipeline| pipeline.end());
        let all = async {
            for end in ends.collect::<Vec<_>>() {
                let _panicked = end.await;
            }
        };
        let _late = timeout(END_MAX, all).await;
    }

    fn on_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::StreamBegan { stream, publication, .. } => self.begin(&stream, publication),
            NodeEvent::StreamEnded { stream, publication } => {
                let known = self.streams.get(&stream).map(|pipeline| pipeline.publication);
                if known == Some(publication)
                    && let Some(pipeline) = self.streams.remove(&stream)
                {
                    // It comes to its end by itself, and nothing waits for that here.
                    drop(pipeline.end());
                }
            }
            NodeEvent::PushReady { stream } => {
                if let Some(pipeline) = self.streams.get_mut(&stream)
                    && let Work::Passthrough(passthrough) = &mut pipeline.work
                {
                    passthrough.report.state = PipelineState::Relaying;
                    passthrough.report.reason.clear();
                    passthrough.accepted = true;
                    passthrough.got_on = Instant::now();
                    self.tell(&stream);
                }
            }
            // A worker has no workers of its own.
            NodeEvent::LegReady { .. }
            | NodeEvent::LegReport { .. }
            | NodeEvent::LegLost { .. }
            | NodeEvent::LegLeaving { .. }
            | NodeEvent::LegFlushed { .. } => {}
        }
    }

    fn begin(&mut self, stream: &StreamKey, publication: u64) {
        let before = self.streams.remove(stream).and_then(Pipeline::end);
        let (frames_in, frames_seen) = watch::channel(0);
        let (over, is_over) = watch::channel(false);
        let signals = Signals { frames_in: frames_seen, over: is_over };
        let input = self.input(stream);
        let pipeline = &self.config.workers.pipeline;
        let work = match presets::command(pipeline, stream, &input) {
            None => Work::Passthrough(Passthrough {
                report: StreamReport::starting(),
                accepted: false,
                got_on: Instant::now(),
            }),
            Some(command) => {
                let (report, reported) = watch::channel(StreamReport::starting());
                self.announce(stream.clone(), reported.clone());
                let guard = self.guard.clone();
                let mut patience = Patience::from(&self.config.workers);
                if &*stream.app == WORKER_APP {
                    // The node that it comes from tries again, here or with another worker.
                    patience.retries_max = 0;
                }
                let task = tokio::spawn(async move {
                    if let Some(before) = before {
                        // Two commands for one stream would fight over its upstream.
                        let _panicked = before.await;
                    }
                    restarts::run(guard, command, patience, signals, report).await;
                });
                Work::Command { report: reported, task }
            }
        };
        let began = Instant::now();
        let pipeline = Pipeline { publication, began, frames_in, over, work };
        self.streams.insert(stream.clone(), pipeline);
        self.tell(stream);
    }

    /// Where a command gets its stream: from us.
    fn input(&self, stream: &StreamKey) -> String {
        let listen = self.config.rtmp.listen.first().copied();
        let (host, port) = listen.map_or(("127.0.0.1".to_owned(), 1935), |address| {
            let host = match address.ip() {
                ip if !ip.is_unspecified() && ip.is_ipv4() => ip.to_string(),
                ip if !ip.is_unspecified() => format!("[{ip}]"),
                ip if ip.is_ipv4() => "127.0.0.1".to_owned(),
                _ => "[::1]".to_owned(),
            };
            (host, address.port())
        });
        format!("rtmp://{host}:{port}/{}/{}", stream.app, stream.name)
    }

    /// Has every change of a command's report told at once.
    fn announce(&self, stream: StreamKey, mut reported: watch::Receiver<StreamReport>) {
        let changed = self.changed.clone();
        tokio::spawn(async move {
            let mut state = PipelineState::Starting;
            while reported.changed().await.is_ok() {
                let now = reported.borrow_and_update().state;
                if now != state && changed.send(stream.clone()).await.is_err() {
                    return;
                }
                state = now;
            }
        });
    }

    fn look(&mut self, parts: &[ShardSnapshot]) {
        let now = Instant::now();
        // Well before whoever sent the stream takes it for stuck.
        let silence_max = PUSH_SILENCE_MAX.min(self.config.workers.stall_timeout / 2);
        for (key, pipeline) in &mut self.streams {
            let of_stream = parts.iter().flat_map(|part| &part.streams);
            let frames_in =
                of_stream.filter(|it| it.stream == *key && it.home).map(|it| it.frames_in).sum();
            let came_in = pipeline.frames_in.send_replace(frames_in) != frames_in;
            if let Work::Passthrough(passthrough) = &mut pipeline.work {
                let clients = parts.iter().flat_map(|part| &part.clients);
                let pushes = clients
                    .filter(|it| it.role == ClientRole::Push && it.stream.as_ref() == Some(key));
                let bytes_out = pushes.map(|push| push.bytes_out).sum();
                passthrough.look(now, silence_max, came_in, bytes_out);
            }
        }
        let streams: Vec<_> = self.streams.keys().cloned().collect();
        streams.iter().for_each(|stream| self.tell(stream));
    }

    /// Tells the node that a stream comes from how it fares.
    fn tell(&self, stream: &StreamKey) {
        if &*stream.app != WORKER_APP {
            return;
        }
        let Some(pipeline) = self.streams.get(stream) else { return };
        let Ok(text) = serde_json::to_string(&pipeline.report()) else { return };
        for shard in &self.shards {
            let stream = stream.clone();
            let text = text.clone();
            // A shard that is too busy to hear it hears the next.
            let _full = shard.try_send(ShardMessage::Report { stream, text });
        }
    }

    fn show(&self) {
        let streams = self.streams.iter().map(|(key, pipeline)| {
            let report = pipeline.report();
            (key.clone(), WorkedStream::at_worker(report, pipeline.began.elapsed()))
        });
        let streams = streams.collect();
        self.view.send_modify(|view| view.streams = streams);
    }
}

impl Pipeline {
    fn report(&self) -> StreamReport {
        match &self.work {
            Work::Passthrough(passthrough) => passthrough.report.clone(),
            Work::Command { report, .. } => report.borrow().clone(),
        }
    }

    /// The stream is over. What still runs for it, until it has ended.
    fn end(self) -> Option<JoinHandle<()>> {
        self.over.send_replace(true);
        match self.work {
            Work::Passthrough(_) => None,
            Work::Command { task, .. } => Some(task),
        }
    }
}

impl Passthrough {
    /// A second went by, in which frames came in or not, and pushes have sent so many bytes by now.
    fn look(&mut self, now: Instant, silence_max: Duration, came_in: bool, bytes_out: u64) {
        // Fewer than before are another push's.
        self.accepted &= bytes_out > 0 && bytes_out >= self.report.bytes_out;
        if (self.accepted && bytes_out > self.report.bytes_out) || !came_in {
            self.got_on = now;
        }
        self.report.bytes_out = bytes_out;
        let silent = now - self.got_on >= silence_max;
        match self.report.state {
            PipelineState::Starting if silent => {
                self.report.state = PipelineState::Recovering;
                "the upstream does not accept it".clone_into(&mut self.report.reason);
            }
            PipelineState::Relaying if silent || !self.accepted => {
                self.report.state = PipelineState::Recovering;
                self.report.retries += 1;
                "the upstream takes nothing".clone_into(&mut self.report.reason);
            }
            PipelineState::Recovering if self.accepted && !silent => {
                self.report.state = PipelineState::Relaying;
                self.report.reason.clear();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passthrough_relays_while_a_push_that_was_accepted_gets_on() {
        let start = Instant::now();
        let mut passthrough =
            Passthrough { report: StreamReport::starting(), accepted: false, got_on: start };
        let look = |passthrough: &mut Passthrough, second: u64, came_in, bytes_out| {
            let now = start + Duration::from_secs(second);
            passthrough.look(now, PUSH_SILENCE_MAX, came_in, bytes_out);
            passthrough.report.state
        };
        // Handshakes of a push that nobody accepts.
        assert_eq!(look(&mut passthrough, 4, true, 3_000), PipelineState::Starting);
        assert_eq!(look(&mut passthrough, 5, true, 6_000), PipelineState::Recovering);
        assert_eq!(look(&mut passthrough, 6, true, 9_000), PipelineState::Recovering);
        passthrough.accepted = true;
        passthrough.got_on = start + Duration::from_secs(6);
        assert_eq!(look(&mut passthrough, 7, true, 20_000), PipelineState::Relaying);
        // A publisher that pauses is no fault of the upstream's.
        assert_eq!(look(&mut passthrough, 60, false, 20_000), PipelineState::Relaying);
        assert_eq!(look(&mut passthrough, 64, true, 20_000), PipelineState::Relaying);
        assert_eq!(look(&mut passthrough, 65, true, 20_000), PipelineState::Recovering);
        assert_eq!(look(&mut passthrough, 66, true, 30_000), PipelineState::Relaying);
        // Another push, which is not accepted so far.
        assert_eq!(look(&mut passthrough, 67, true, 3_000), PipelineState::Recovering);
        assert_eq!(look(&mut passthrough, 68, true, 6_000), PipelineState::Recovering);
        assert_eq!(passthrough.report.retries, 2);
    }
}
