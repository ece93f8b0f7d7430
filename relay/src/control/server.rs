//! The HTTP server: its TCP listeners, and what one connection may take.
//!
//! It knows nothing of the pages it serves.

use std::io;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    /// Connections at once; more wait in the kernel's queue.
    pub(super) connections_max: usize,
    /// From the end of one answer to the end of the next request's head: bounds slow heads and idle
    /// connections alike.
    pub(super) head_time_max: Duration,
    /// A connection's life, which bounds readers that never take their answer.
    pub(super) connection_time_max: Duration,
    /// What is left to an answer under way when its connection's time is up or the server stops.
    pub(super) finish_time_max: Duration,
    /// Bytes of a request's head, and of what is buffered.
    pub(super) head_bytes_max: usize,
    /// Header fields of a request.
    pub(super) head_fields_max: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 64,
            head_time_max: Duration::from_secs(10),
            connection_time_max: Duration::from_secs(120),
            finish_time_max: Duration::from_secs(2),
            head_bytes_max: 16 * 1024,
            head_fields_max: 64,
        }
    }
}

/// How long to wait after a failed accept: out of descriptors, it would fail again at once.
pub(super) const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves until `stop` turns true or its sender is gone, then lets answers under way finish.
pub(super) async fn serve(
    listeners: Vec<StdListener>,
    router: Router,
    limits: ServerLimits,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (router, permits, stop) = (router.clone(), Arc::clone(&permits), stop.clone());
        accepting.spawn(accept(listener, router, limits, permits, stop));
    }
    let _ = stop.wait_for(|stop| *stop).await;
    while accepting.join_next().await.is_some() {}
    Ok(())
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    permits: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        match admit(&permits, listener.accept(), &mut connections, &mut stop).await {
            Some((permit, Ok((socket, _)))) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    converse(socket, router, limits, stop).await;
                    drop(permit);
                });
            }
            Some((_, Err(fault))) => {
                tracing::warn!(%fault, "an HTTP connection could not be accepted");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
            None => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, by `accept`, with a place among `permits`; none when `stop` turns true. Meanwhile
/// clears up behind the `connections` that have ended.
pub(super) async fn admit<T>(
    permits: &Arc<Semaphore>,
    accept: impl Future<Output = io::Result<T>>,
    connections: &mut JoinSet<()>,
    stop: &mut watch::Receiver<bool>,
) -> Option<(OwnedSemaphorePermit, io::Result<T>)> {
    let mut next = pin!(async {
        // A permit first: what cannot be served is not accepted.
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        Some((permit, accept.await))
    });
    loop {
        tokio::select! {
            accepted = next.as_mut() => return accepted,
            _ = stop.wait_for(|stop| *stop) => return None,
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, whatever it runs over.
pub(super) async fn converse(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    limits: ServerLimits,
    mut stop: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time_max)
        .max_buf_size(limits.head_bytes_max)
        .max_headers(limits.head_fields_max)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // How a conversation ends is the client's affair: a fault of its own is no news to an operator.
    let finished = tokio::select! {
        _ = connection.as_mut() => true,
        () = sleep(limits.connection_time_max) => false,
        _ = stop.wait_for(|stop| *stop) => false,
    };
    if !finished {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(limits.finish_time_max, connection).await;
    }
}
