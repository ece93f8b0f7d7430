//! Accepting.

use std::net::{Ipv4Addr, TcpStream as Peer};

use edgerelay_uring::socket_ref;
use tokio_uring::net::TcpListener;

use crate::peers::run;

#[test]
fn an_accepted_stream_has_the_addresses_and_takes_options() {
    run(async {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener);
        let peer = Peer::connect(address).unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        let socket = socket_ref(&stream);
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(from));
        socket.set_tcp_nodelay(true).unwrap();
        assert!(socket.tcp_nodelay().unwrap());
    });
}
