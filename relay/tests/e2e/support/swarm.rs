//! Many publishers or players at once, on one thread of their own, each message numbered and
//! checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use edgerelay_proto::session::ClientEvent;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::eventually::eventually;
use super::rtmp::{Peer, block_on};
use super::synthetic::{Sink, Source};

/// How long one client may take to be accepted.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a player may wait for the next message before it looks whether it should stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What all clients of a swarm count together.
#[derive(Debug, Default)]
struct Totals {
    ready: AtomicU64,
    messages: AtomicU64,
    failed: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
}

/// A running swarm.
pub(crate) struct Swarm {
    clients: u64,
    totals: Arc<Totals>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Swarm {
    /// One publisher for each URL, each sending a message of `message_bytes` every `period`.
    pub(crate) fn publish(urls: Vec<String>, message_bytes: usize, period: Duration) -> Self {
        Self::start(urls.len(), move |totals| {
            let mut clients = JoinSet::new();
            for (url, publisher) in urls.into_iter().zip(1..) {
                let source = Source::new(publisher, message_bytes);
                clients.spawn(publish(url, source, period, totals.clone()));
            }
            clients
        })
    }

    /// One player for each URL.
    pub(crate) fn play(urls: Vec<String>) -> Self {
        Self::start(urls.len(), move |totals| {
            let mut clients = JoinSet::new();
            for url in urls {
                clients.spawn(play(url, totals.clone()));
            }
            clients
        })
    }

    fn start(
        clients: usize,
        spawn: impl FnOnce(Arc<Totals>) -> JoinSet<Result<(), String>> + Send + 'static,
    ) -> Self {
        let totals = Arc::new(Totals::default());
        let shared = totals.clone();
        let thread = thread::spawn(move || {
            block_on(async move {
                let mut faults = Vec::new();
                let mut clients = spawn(shared.clone());
                while let Some(outcome) = clients.join_next().await {
                    shared.done.fetch_add(1, Relaxed);
                    let fault = match outcome {
                        Ok(Ok(())) => continue,
                        Ok(Err(fault)) => fault,
                        Err(panic) => panic.to_string(),
                    };
                    shared.failed.fetch_add(1, Relaxed);
                    faults.push(fault);
                }
                faults
            })
        });
        Self { clients: clients as u64, totals, thread: Some(thread) }
    }

    /// Waits until all clients are accepted.
    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        eventually(&format!("{} clients to be accepted", self.clients), READY_LIMIT, || {
            assert!(self.is_well(), "clients failed before all were ready");
            (self.totals.ready.load(Relaxed) == self.clients).then_some(())
        });
    }

    /// Waits until all clients are done: publishers that were told to end, players whose stream is
    /// over, and whoever failed.
    #[track_caller]
    pub(crate) fn wait_until_done(&self) {
        eventually(&format!("{} clients to be done", self.clients), READY_LIMIT, || {
            (self.totals.done.load(Relaxed) == self.clients).then_some(())
        });
    }

    /// Whether no client failed, was closed, or saw a broken stream.
    pub(crate) fn is_well(&self) -> bool {
        self.totals.failed.load(Relaxed) == 0
    }

    /// Numbered messages that all clients together sent or received so far.
    pub(crate) fn messages(&self) -> u64 {
        self.totals.messages.load(Relaxed)
    }

    /// Tells all clients to end.
    pub(crate) fn stop(&self) {
        self.totals.stop.store(true, Relaxed);
    }

    /// Ends all clients and says what went wrong.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.stop();
        let thread = self.thread.take().expect("joined once");
        thread.join().expect("the swarm does not panic")
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn publish(
    url: String,
    mut source: Source,
    period: Duration,
    totals: Arc<Totals>,
) -> Result<(), String> {
    let peer = timeout(READY_LIMIT, Peer::publish(&url)).await;
    let mut peer = peer
        .map_err(|_| "a publisher waited in vain".to_owned())?
        .map_err(|error| error.to_string())?;
    totals.ready.fetch_add(1, Relaxed);
    for message in Source::head() {
        peer.send(&message).await.map_err(|error| error.to_string())?;
    }
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !totals.stop.load(Relaxed) {
        ticks.tick().await;
        let sent = peer.send(&source.next_message()).await;
        sent.map_err(|error| format!("a publisher after {}: {error}", source.made()))?;
        totals.messages.fetch_add(1, Relaxed);
    }
    peer.close().await.map_err(|error| error.to_string())
}

async fn play(url: String, totals: Arc<Totals>) -> Result<(), String> {
    let peer = timeout(READY_LIMIT, Peer::play(&url)).await;
    let mut peer = peer
        .map_err(|_| "a player waited in vain".to_owned())?
        .map_err(|error| error.to_string())?;
    totals.ready.fetch_add(1, Relaxed);
    let mut sink = Sink::default();
    while !totals.stop.load(Relaxed) {
        match timeout(LOOK_INTERVAL, peer.next_event()).await {
            Ok(Ok(ClientEvent::Media(message))) => {
                let before = sink.received;
                sink.take(&message);
                totals.messages.fetch_add(sink.received - before, Relaxed);
            }
            Ok(Ok(ClientEvent::Eof)) => break,
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => return Err(format!("a player after {sink:?}: {error}")),
        }
    }
    if sink.is_unbroken() { Ok(()) } else { Err(format!("a broken stream: {sink:?}")) }
}
