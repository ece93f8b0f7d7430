//! Accepting, and giving up on it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream as Peer};
use std::rc::Rc;

use edgerelay_uring::{listener_ref, socket_ref, stop_listening};
use tokio_uring::net::TcpListener;

use crate::peers::run;

fn listen() -> (Rc<TcpListener>, SocketAddr) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (Rc::new(TcpListener::from_std(listener)), address)
}

#[test]
fn an_accepted_stream_has_the_addresses_and_takes_options() {
    run(async {
        let (listener, address) = listen();
        assert_eq!(listener_ref(&listener).local_addr().unwrap().as_socket(), Some(address));
        let peer = Peer::connect(address).unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        let socket = socket_ref(&stream);
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(from));
        socket.set_tcp_nodelay(true).unwrap();
        assert!(socket.tcp_nodelay().unwrap());
    });
}

#[test]
fn a_pending_accept_ends_when_listening_stops() {
    run(async {
        let (listener, address) = listen();
        let pending = tokio_uring::spawn({
            let listener = Rc::clone(&listener);
            async move { listener.accept().await.map(|(_, from)| from) }
        });
        let first = Peer::connect(address).unwrap();
        assert_eq!(pending.await.unwrap().unwrap(), first.local_addr().unwrap());
        let pending = tokio_uring::spawn({
            let listener = Rc::clone(&listener);
            async move { listener.accept().await.map(|(_, from)| from) }
        });
        tokio::task::yield_now().await;
        stop_listening(&listener).unwrap();
        let error = pending.await.unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert!(Peer::connect(address).is_err());
        // And so does an accept that begins afterwards.
        assert!(listener.accept().await.is_err());
    });
}
