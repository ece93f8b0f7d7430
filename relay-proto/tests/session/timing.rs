//! Deadlines, pings and acknowledgements, in simulated time.

use core::time::Duration;

use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::message::MessageType;
use edgerelay_proto::session::ServerSessionConfig;
use edgerelay_proto::time::Instant;

use crate::wire::{Answers, Server};

fn seconds(seconds: u64) -> Instant {
    Instant::EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_silent_client_misses_the_handshake_deadline() {
    let mut server = Server::new();
    assert_eq!(server.session.poll_timeout(), Some(seconds(10)));
    assert_eq!(server.session.handle_timeout(seconds(9)), Ok(()));
    assert_eq!(server.session.handle_timeout(seconds(10)), Err(PeerFault::HandshakeTimeout));
}

#[test]
fn a_client_that_asks_for_nothing_misses_the_command_deadline() {
    let mut server = Server::new();
    server.client.handshake();
    server.deliver().unwrap();
    assert_eq!(server.session.handle_timeout(seconds(10)), Err(PeerFault::CommandTimeout));

    let mut server = Server::new();
    server.now = seconds(5);
    server.client.handshake().connect(&[("app", "live".into())]);
    server.deliver().unwrap();
    assert_eq!(server.session.poll_timeout(), Some(seconds(15)));
    assert_eq!(server.session.handle_timeout(seconds(15)), Err(PeerFault::CommandTimeout));
}

#[test]
fn a_trickle_of_bytes_does_not_push_the_deadline_out() {
    let mut server = Server::new();
    for second in 0..10 {
        server.now = seconds(second);
        server.input(bytes::Bytes::from_static(&[3])).unwrap();
    }
    assert_eq!(server.session.handle_timeout(seconds(10)), Err(PeerFault::HandshakeTimeout));
}

#[test]
fn the_application_may_take_its_time() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.publisher("cam1");
    server.deliver().unwrap();
    assert_eq!(server.session.poll_timeout(), None);
    server.session.accept_connect().unwrap();
    server.drain().unwrap();
    assert_eq!(server.session.handle_timeout(seconds(59)), Ok(()));
}

#[test]
fn a_client_that_stopped_must_ask_for_something_again() {
    let mut server = Server::new();
    server.client.player("cam1");
    server.deliver().unwrap();
    server.now = seconds(30);
    server.client.call(1, "closeStream", 0.0, &[]);
    server.deliver().unwrap();
    assert_eq!(server.session.handle_timeout(seconds(40)), Err(PeerFault::CommandTimeout));
}

#[test]
fn an_idle_player_is_pinged_and_lives_if_it_says_anything() {
    let mut server = Server::new();
    server.client.player("cam1");
    server.deliver().unwrap();
    server.take();
    assert_eq!(server.session.poll_timeout(), Some(seconds(60)));
    server.session.handle_timeout(seconds(60)).unwrap();
    server.drain().unwrap();
    let pings = server.messages(MessageType::USER_CONTROL);
    assert_eq!(&pings[0].payload.to_contiguous()[..], [0, 6, 0, 0, 0xEA, 0x60]);
    server.now = seconds(80);
    server.client.message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 7, 0, 0, 0xEA, 0x60]);
    server.deliver().unwrap();
    assert_eq!(server.session.handle_timeout(seconds(90)), Ok(()));
    assert_eq!(server.session.poll_timeout(), Some(seconds(140)));
}

#[test]
fn an_idle_player_that_answers_no_ping_is_closed() {
    let mut server = Server::new();
    server.client.player("cam1");
    server.deliver().unwrap();
    server.session.handle_timeout(seconds(60)).unwrap();
    assert_eq!(server.session.poll_timeout(), Some(seconds(90)));
    assert_eq!(server.session.handle_timeout(seconds(90)), Err(PeerFault::PingTimeout));
}

#[test]
fn ping_requests_are_answered_with_their_own_time() {
    let mut server = Server::new();
    server.client.player("cam1");
    server.deliver().unwrap();
    server.take();
    server.client.message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 6, 1, 2, 3, 4]);
    server.deliver().unwrap();
    let answer = &server.messages(MessageType::USER_CONTROL)[0];
    assert_eq!(&answer.payload.to_contiguous()[..], [0, 7, 1, 2, 3, 4]);
}

fn acknowledgements(server: &Server) -> Vec<u32> {
    server
        .messages(MessageType::ACKNOWLEDGEMENT)
        .iter()
        .map(|message| u32::from_be_bytes(message.payload.to_contiguous()[..].try_into().unwrap()))
        .collect()
}

#[test]
fn wirecast_is_acknowledged_without_asking() {
    let mut server = Server::new();
    // It announces a window, and would be closed by its own clock before that is full.
    server.client.publisher("cam1").chunk_size(65_536).message(
        2,
        MessageType::WINDOW_ACK_SIZE,
        0,
        0,
        2_500_000_u32.to_be_bytes().to_vec(),
    );
    server.deliver().unwrap();
    // 800 kbit/s for ten seconds.
    for frame in 0..250_u32 {
        server.client.message(6, MessageType::VIDEO, 1, frame * 40, vec![0x27; 4_000]);
        server.now += Duration::from_millis(40);
        server.deliver().unwrap();
    }
    let acknowledged = acknowledgements(&server);
    assert!(acknowledged.len() >= 3, "{acknowledged:?}");
    assert!(acknowledged.is_sorted());
    assert!(u64::from(*acknowledged.last().unwrap()) <= server.session.bytes_received());
}

#[test]
fn the_peers_window_sets_the_pace() {
    let mut server = Server::new();
    server
        .client
        .publisher("cam1")
        .message(2, MessageType::WINDOW_ACK_SIZE, 0, 0, 10_000_u32.to_be_bytes().to_vec())
        .message(2, MessageType::WINDOW_ACK_SIZE, 0, 0, 0_u32.to_be_bytes().to_vec());
    server.deliver().unwrap();
    for _ in 0..10 {
        server.client.message(6, MessageType::VIDEO, 1, 0, vec![0x27; 5_000]);
        server.deliver().unwrap();
    }
    assert!(acknowledgements(&server).len() >= 4);
}

#[test]
fn acknowledgements_go_on_past_four_gigabytes() {
    let mut server = Server::new();
    server.client.publisher("cam1");
    server.deliver().unwrap();
    server.take();
    server.client.chunk_size(65_536);
    server.deliver().unwrap();
    // One refcounted message of 8 MB, over and over.
    server.client.message(6, MessageType::VIDEO, 1, 0, vec![0x27; 8_000_000]);
    let message = server.client.out.split().freeze();
    let mut last = 0;
    for _ in 0..540 {
        server.input(message.clone()).unwrap();
        let sent = acknowledgements(&server);
        server.take();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0], server.session.bytes_received() as u32);
        last = sent[0];
    }
    assert!(server.session.bytes_received() > u64::from(u32::MAX));
    assert!(last < 100_000_000, "it wrapped");
}
