//! The control plane: metrics, health, statistics and the API over HTTP, on TCP and on a unix socket,
//! on a thread of its own.
//!
//! It asks shards through their mailboxes and reads their counters; it never touches a stream, and
//! no shard waits for it. What it serves are reads, and on the control socket the wishes of
//! operators.

mod access;
mod api;
mod collector;
mod local;
mod merge;
mod pages;
#[cfg(test)]
mod sample;
mod server;
mod socket;
mod stat;
#[cfg(test)]
mod tests;
mod work;
mod xml;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::runtime;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::message::{ReloadRequest, ShardMessage, WorkRequest, WorkSnapshot};
pub use crate::telemetry::Readiness;
use crate::telemetry::{Ledger, Reloads, ShardCounters, WorkCounters};
use collector::{ANSWER_WAIT_MAX, Collector, REUSE_AGE_MAX};
use pages::Node;
use server::ServerLimits;
pub use socket::{ControlSocket, SocketError};

/// What the control plane knows the node by. Shards stand in the order of their ids.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    /// The shards' mailboxes.
    pub shards: Vec<mpsc::Sender<ShardMessage>>,
    /// The shards' counters.
    pub counters: Vec<Arc<ShardCounters>>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// What became of reloads.
    pub reloads: Arc<Reloads>,
    /// Whether the node can serve.
    pub readiness: Arc<Readiness>,
    /// What the kernel counts.
    pub ledger: Arc<Ledger>,
    /// Where to ask for a reload.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// When the process started.
    pub started: Instant,
    /// The work on streams, if there is any.
    pub work: watch::Receiver<WorkSnapshot>,
    /// Where to ask something of it. Closed where there is none.
    pub work_requests: mpsc::Sender<WorkRequest>,
    /// What is counted of it.
    pub work_counters: Arc<WorkCounters>,
}

/// The running control plane. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct ControlServer {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl ControlServer {
    /// Stops it: closes the listeners, lets answers under way finish for at most two seconds, and
    /// waits for that.
    pub fn shutdown(self) {
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }

    /// Whether its thread has ended, which without [`ControlServer::shutdown`] is a failure.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Starts the control plane on what the supervisor has bound.
///
/// # Errors
///
/// When the thread or its runtime cannot be made.
pub fn start(
    listeners: Vec<TcpListener>,
    socket: Option<ControlSocket>,
    handle: ControlHandle,
) -> io::Result<ControlServer> {
    let ledger = Arc::clone(&handle.ledger);
    let collector = Collector::new(handle.shards.clone(), ledger, ANSWER_WAIT_MAX, REUSE_AGE_MAX);
    start_with(listeners, socket, Node { handle, collector }, ServerLimits::default())
}

fn start_with(
    listeners: Vec<TcpListener>,
    socket: Option<ControlSocket>,
    node: Node,
    limits: ServerLimits,
) -> io::Result<ControlServer> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let router = pages::router(Arc::new(node));
    let thread = thread::Builder::new().name("control".to_owned()).spawn(move || {
        let local = async {
            if let Some(socket) = socket {
                local::serve(socket, router.clone(), limits, stopped.clone()).await;
            }
        };
        let public = async {
            let served = server::serve(listeners, router.clone(), limits, stopped.clone()).await;
            if let Err(fault) = served {
                tracing::error!(%fault, "the HTTP listeners cannot be served");
            }
        };
        // What goes wrong with one of them is no end to the other.
        runtime.block_on(async { tokio::join!(local, public) });
    })?;
    Ok(ControlServer { thread, stop })
}
