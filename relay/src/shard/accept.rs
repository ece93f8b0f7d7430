//! Accepts connections on the shard's own listeners and lets them in or not.
//!
//! A listener may be shared with another process, which takes over or hands over: so nothing here is
//! done to the socket itself, and an accept that is given up takes no connection with it.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use edgerelay_proto::session::{ServerSession, ServerSessionConfig};
use tokio::net::TcpListener;
use tokio_uring::net::TcpStream;

use super::bounds::ACCEPT_PAUSE;
use super::connection::{Role, Session};
use super::{Shard, random};
use crate::hub::admission::AdmissionRefusal;
use crate::telemetry::CloseReason;

/// Starts a task for each listener.
pub(super) fn start(shard: &Rc<Shard>, listeners: Vec<std::net::TcpListener>) {
    for listener in listeners {
        let watched = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
        match watched {
            Ok(listener) => {
                tokio_uring::spawn(accept(Rc::clone(shard), listener));
            }
            Err(error) => tracing::error!(%error, "a listener cannot be watched"),
        }
    }
}

/// Accepts no connections any more: the accepting tasks end and close their listeners.
pub(super) fn stop(shard: &Shard) {
    shard.accepting.send_replace(false);
}

async fn accept(shard: Rc<Shard>, listener: TcpListener) {
    let mut accepting = shard.accepting.subscribe();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = accepting.wait_for(|accepting| !*accepting) => return,
            accepted = next(&listener) => accepted,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                shard.counters.accept_failures.add(1);
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let admitted = shard.admission().admit(address.ip());
        if let Err(refusal) = admitted {
            let reason = match refusal {
                AdmissionRefusal::NodeFull => CloseReason::TooManyConnections,
                AdmissionRefusal::AddressFull => CloseReason::TooManyConnectionsPerAddress,
            };
            shard.counters.connections_rejected.add(1);
            shard.counters.closed(reason);
            tracing::debug!(%address, reason = reason.label(), "connection refused");
            // The peer may be gone already.
            let _gone = socket.shutdown(Shutdown::Both);
            continue;
        }
        shard.counters.connections_accepted.add(1);
        tracing::debug!(%address, "connection accepted");
        let session = ServerSession::new(session_config(&shard), shard.now(), random());
        shard.open(socket, address, Session::Server(Box::new(session)), Role::Idle, None);
    }
}

/// The next connection, as the ring's operations want it.
async fn next(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept().await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok((TcpStream::from_std(stream), address))
}

fn session_config(shard: &Shard) -> ServerSessionConfig {
    let config = shard.config();
    let rtmp = &config.rtmp;
    ServerSessionConfig {
        window_ack_size: rtmp.window_ack_size,
        peer_bandwidth: rtmp.window_ack_size,
        chunk_size: rtmp.chunk_size,
        message_bytes_max: rtmp.message_bytes_max,
        handshake_timeout: rtmp.handshake_timeout,
        command_timeout: rtmp.command_timeout,
        ping_interval: rtmp.ping_interval,
        ping_timeout: rtmp.ping_timeout,
    }
}
