//! Connections to the control socket: who they are, and how many each may have.
//!
//! What is said on them is the server's, who may ask for what is `access`'s.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;

use axum::{Router, middleware};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::access::{self, Access, Peer};
use super::server::{ACCEPT_RETRY_DELAY, ServerLimits, admit, converse};
use super::socket::{ControlSocket, SocketNode};

/// Connections of one user at once, so that none can keep the others out.
const USER_CONNECTIONS_MAX: usize = 16;

/// What those are told who have more.
const TOO_MANY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    connection: close\r\ncontent-length: 55\r\n\r\n\
    {\"error\":\"too many connections of this user are open\"}\n";

/// Serves the control socket until `stop` turns true or its sender is gone. The socket goes then.
pub(super) async fn serve(
    socket: ControlSocket,
    router: Router,
    limits: ServerLimits,
    stop: watch::Receiver<bool>,
) {
    let ControlSocket { listener, node } = socket;
    match into_tokio(listener) {
        Ok(listener) => accept(listener, &node, &router, limits, stop).await,
        Err(fault) => tracing::error!(%fault, "the control socket cannot be served"),
    }
}

fn into_tokio(listener: StdListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn accept(
    listener: UnixListener,
    node: &SocketNode,
    router: &Router,
    limits: ServerLimits,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let mut users = Users::default();
    let own_uid = rustix::process::geteuid().as_raw();
    let mut connections = JoinSet::new();
    loop {
        let admitted = admit(&permits, listener.accept(), &mut connections, &mut stop);
        let (permit, socket) = match admitted.await {
            Some((permit, Ok((socket, _)))) => (permit, socket),
            Some((_, Err(fault))) => {
                tracing::warn!(%fault, "a connection to the control socket could not be accepted");
                sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
            None => break,
        };
        let Ok(peer) = socket.peer_cred() else { continue };
        let peer = Peer { uid: peer.uid(), gid: peer.gid() };
        let Some(own_permit) = users.admit(peer.uid) else {
            turn_away(socket);
            continue;
        };
        let access = access::decide(own_uid, peer, node.gate());
        if access == Access::Nothing {
            tracing::info!(uid = peer.uid, gid = peer.gid, "control socket: refused");
        }
        let permitted = middleware::from_fn_with_state(access, access::permitted);
        let (router, stop) = (router.clone().layer(permitted), stop.clone());
        connections.spawn(async move {
            converse(socket, router, limits, stop).await;
            drop((permit, own_permit));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Says why, as far as that goes without waiting for anybody.
fn turn_away(socket: UnixStream) {
    if let Ok(mut socket) = socket.into_std() {
        let _unheard = socket.write(TOO_MANY.as_bytes());
    }
}

/// The connections that each user has.
#[derive(Debug, Default)]
struct Users(BTreeMap<u32, Arc<Semaphore>>);

impl Users {
    /// A place for one more of `uid`, unless it has as many as it may.
    fn admit(&mut self, uid: u32) -> Option<OwnedSemaphorePermit> {
        // So there are never more users here than connections.
        self.0.retain(|_, places| places.available_permits() < USER_CONNECTIONS_MAX);
        let places = self.0.entry(uid);
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(USER_CONNECTIONS_MAX)));
        Arc::clone(places).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_places_and_others_have_theirs() {
        let mut users = Users::default();
        let held: Vec<_> = (0..USER_CONNECTIONS_MAX).map(|_| users.admit(7).unwrap()).collect();
        assert!(users.admit(7).is_none());
        assert!(users.admit(0).is_some());
        drop(held);
        assert!(users.admit(7).is_some());
        assert_eq!(users.0.len(), 1, "who is gone is forgotten");
    }

    #[test]
    fn the_words_for_those_turned_away_are_as_long_as_they_say() {
        let (head, body) = TOO_MANY.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
