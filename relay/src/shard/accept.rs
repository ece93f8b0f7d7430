//! Accepts connections on the shard's own listeners and lets them in or not.

use std::net::{Shutdown, TcpListener};
use std::rc::Rc;

use edgerelay_proto::session::{ServerSession, ServerSessionConfig};
use edgerelay_uring::stop_listening;

use super::bounds::ACCEPT_PAUSE;
use super::connection::{Role, Session};
use super::{Shard, random};
use crate::hub::admission::AdmissionRefusal;
use crate::telemetry::CloseReason;

/// Starts a task for each listener.
pub(super) fn start(shard: &Rc<Shard>, listeners: Vec<TcpListener>) {
    for listener in listeners {
        let listener = Rc::new(tokio_uring::net::TcpListener::from_std(listener));
        shard.listeners.borrow_mut().push(Rc::clone(&listener));
        tokio_uring::spawn(accept(Rc::clone(shard), listener));
    }
}

/// Refuses connections from now on; the accepting tasks end.
pub(super) fn stop(shard: &Shard) {
    for listener in shard.listeners.borrow_mut().drain(..) {
        if let Err(error) = stop_listening(&listener) {
            tracing::debug!(%error, "could not shut a listener");
        }
    }
}

async fn accept(shard: Rc<Shard>, listener: Rc<tokio_uring::net::TcpListener>) {
    loop {
        let accepted = listener.accept().await;
        if shard.draining.get() {
            return;
        }
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
