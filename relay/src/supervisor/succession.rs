//! A node takes the place of another, and later another takes its own. What crosses between the two
//! processes is the hand-over's; here is what either of them does about it.

use std::net::TcpListener;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::entry::{ControlEntry, bind_socket};
use super::handover::{HandoverError, Predecessor, Successor};
use super::line::{Heard, Line};
use super::listeners::open;
use super::notify::Notifier;
use super::{Failure, Node, SHARD_PATIENCE};
use crate::message::ShardMessage;
use crate::telemetry::ClientRole;

/// The place that a node is about to take.
pub(super) struct Taking {
    pub(super) predecessor: Predecessor,
    /// What each shard is going to accept from.
    pub(super) rtmp: Vec<Vec<TcpListener>>,
    pub(super) entry: ControlEntry,
}

impl Node {
    /// Begins to accept connections, once the node before does not any more.
    pub(super) async fn take_over(&mut self, taking: Taking) -> Result<(), Failure> {
        let Taking { predecessor, rtmp, entry } = taking;
        let relieved = spawn_blocking(move || predecessor.relieve()).await;
        let relieved = relieved.map_err(std::io::Error::other).and_then(|relieved| relieved);
        self.before =
            relieved.map_err(|error| Failure::Start { what: "in the place of another", error })?;
        for listener in rtmp.iter().flatten() {
            open(listener).map_err(|error| Failure::Start { what: "listening again", error })?;
        }
        for (shard, listeners) in self.shards.iter().zip(rtmp) {
            // A shard that has ended is found out by the watch over it.
            let _ended = shard.mailbox.send(ShardMessage::Listen(listeners)).await;
        }
        // The control socket is the one thing that cannot be handed over: its place was free just now.
        let socket = bind_socket(&self.reloader.config()).unwrap_or_else(|error| {
            tracing::error!(%error, "no control socket: commands cannot reach this node");
            None
        });
        self.control = entry.open(socket)?;
        tracing::info!("took over");
        Ok(())
    }

    /// Starts a successor and waits until it is ready; meanwhile all goes on.
    pub(super) fn offer(&self) -> JoinHandle<Result<Successor, HandoverError>> {
        let copies: Result<Vec<_>, _> = self.listeners.iter().map(TcpListener::try_clone).collect();
        spawn_blocking(move || Successor::start(&copies.map_err(HandoverError::Copy)?))
    }

    /// Leaves everything that comes from now on to the successor; what is left is a line to it.
    pub(super) async fn give_way(
        &mut self,
        successor: Successor,
        notifier: &mut Notifier,
    ) -> Option<Line> {
        tracing::info!(pid = successor.pid(), "another process takes over; serving who is here");
        notifier.replaced_by(successor.pid());
        if let Some(control) = self.control.take() {
            // First, so that its place in the file system is free. Answers under way are finished, and
            // connections that come wait.
            let _panicked = spawn_blocking(move || control.shutdown()).await;
        }
        for shard in &self.shards {
            // One that hangs accepts nothing either, and is the watchdog's.
            let stop = shard.mailbox.send(ShardMessage::StopListening);
            let _untold = timeout(SHARD_PATIENCE, stop).await;
        }
        self.listeners.clear();
        successor.begin()
    }

    /// Whether the process whose place this one took still serves whom it has. To systemd both are one
    /// service, which ends with this process: so this one waits for the other.
    pub(super) fn is_awaited(&mut self) -> bool {
        if self.before.as_mut().is_some_and(|line| line.hear() == Heard::Gone) {
            self.before = None;
        }
        self.before.is_some()
    }

    /// The service ends; said again, it ends at once. The process before has to know.
    pub(super) fn pass_on_the_end(&self) {
        if let Some(line) = &self.before {
            line.tell_end();
        }
    }

    /// Whether no client is left.
    pub(super) fn is_left(&self) -> bool {
        let clients = [ClientRole::Idle, ClientRole::Publisher, ClientRole::Player];
        let open =
            |role| self.shards.iter().map(move |shard| shard.counters.connections_open(role));
        clients.into_iter().flat_map(open).sum::<u64>() == 0
    }
}

/// What became of an offer, as soon as there is one and it is known.
pub(super) async fn answered(
    offer: &mut Option<JoinHandle<Result<Successor, HandoverError>>>,
) -> Result<Successor, HandoverError> {
    let Some(offer) = offer else { return std::future::pending().await };
    offer.await.unwrap_or_else(|panic| Err(HandoverError::Copy(std::io::Error::other(panic))))
}
