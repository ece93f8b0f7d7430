//! What a hostile client can do, and where it ends.

use bytes::Bytes;
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::limits::{AGGREGATE_MESSAGES_MAX, COMMAND_BYTES_MAX, NAME_BYTES_MAX};
use edgerelay_proto::message::MessageType;
use edgerelay_proto::session::ServerSessionConfig;

use crate::wire::{Answers, Server};

fn connected() -> Server {
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", "live".into())]);
    server.deliver().unwrap();
    server
}

#[test]
fn other_protocols_are_named_in_the_fault() {
    for (first, reason) in [
        (&b"GET / HTTP/1.1\r\n"[..], "http_on_rtmp"),
        (&[0x16, 3, 1], "tls_on_rtmp"),
        (&[6], "rtmpe"),
    ] {
        let mut server = Server::new();
        let fault = server.input(Bytes::copy_from_slice(first)).unwrap_err();
        assert_eq!(fault.reason(), reason);
    }
}

#[test]
fn commands_before_connect_and_a_second_connect_are_faults() {
    let mut server = Server::new();
    server.client.handshake().call(0, "createStream", 1.0, &[]);
    assert_eq!(server.deliver().unwrap_err().reason(), "command_order");
    let mut server = connected();
    server.client.connect(&[("app", "live".into())]);
    assert_eq!(server.deliver().unwrap_err().reason(), "command_order");
}

#[test]
fn too_long_names_are_faults() {
    let mut server = Server::new();
    server.client.publisher(&"x".repeat(NAME_BYTES_MAX + 1));
    assert_eq!(server.deliver(), Err(PeerFault::StringTooLong("stream name")));
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", "x".repeat(NAME_BYTES_MAX + 1).into())]);
    assert_eq!(server.deliver(), Err(PeerFault::StringTooLong("application name")));
}

#[test]
fn a_command_without_a_name_or_beyond_the_bound_is_a_fault() {
    let mut server = connected();
    server.client.message(3, MessageType::COMMAND_AMF0, 0, 0, vec![5]);
    assert_eq!(server.deliver().unwrap_err().reason(), "bad_command");
    let mut server = connected();
    server.client.message(3, MessageType::COMMAND_AMF0, 0, 0, vec![0; COMMAND_BYTES_MAX + 1]);
    assert_eq!(server.deliver().unwrap_err().reason(), "string_too_long");
}

#[test]
fn commands_cut_short_are_no_panic() {
    let whole =
        edgerelay_proto::command::Command::new("publish", 3.0, vec!["cam1".into(), "live".into()])
            .encode();
    for len in 0..whole.len() {
        let mut server = connected();
        server.client.message(3, MessageType::COMMAND_AMF0, 1, 0, whole.slice(..len));
        let _ = server.deliver();
    }
}

#[test]
fn streams_of_one_connection_are_bounded() {
    let mut server = connected();
    for id in 0..40_u32 {
        server.client.call(0, "createStream", f64::from(id) + 2.0, &[]);
    }
    server.deliver().unwrap();
    let replies = server.replies();
    assert_eq!(replies.iter().filter(|reply| reply.starts_with("_error")).count(), 8);
    // Implicit ones too.
    server.client.call(77, "play", 0.0, &["cam1".into()]);
    assert_eq!(server.deliver(), Err(PeerFault::TooMany("message streams")));
}

#[test]
fn an_aggregate_of_countless_messages_is_a_fault() {
    let mut server = Server::new();
    server.client.publisher("cam1");
    server.deliver().unwrap();
    let tag = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let aggregate = tag.repeat(AGGREGATE_MESSAGES_MAX + 1);
    server.client.message(6, MessageType::AGGREGATE, 1, 0, aggregate);
    assert_eq!(server.deliver(), Err(PeerFault::TooMany("messages in an aggregate")));
}

#[test]
fn a_flood_of_empty_messages_in_one_input_is_a_fault() {
    let mut server = Server::new();
    server.client.publisher("cam1").message(8, MessageType::AUDIO, 1, 0, Bytes::new());
    server.deliver().unwrap();
    // Each byte is a type 3 chunk that starts a message.
    assert_eq!(server.input(vec![0xC8; 65_536].into()), Err(PeerFault::TooMany("messages")));
}

#[test]
fn a_flood_of_pings_cannot_make_the_output_grow_without_bound() {
    let mut server = connected();
    let ping = vec![0, 6, 0, 0, 0, 0];
    for _ in 0..100_000 {
        server.client.message(2, MessageType::USER_CONTROL, 0, 0, ping.clone());
    }
    assert_eq!(server.deliver(), Err(PeerFault::TooMany("replies")));
}

#[test]
fn what_is_held_while_an_answer_is_due_is_bounded() {
    let mut server = Server::with(ServerSessionConfig::default(), Answers::Never);
    server.client.handshake().connect(&[("app", "live".into())]);
    server.deliver().unwrap();
    let fault = (0..1_000).find_map(|_| server.input(vec![0; 65_536].into()).err());
    assert_eq!(fault, Some(PeerFault::TooMany("bytes before an answer")));
}

#[test]
fn random_bytes_after_the_handshake_are_a_fault_or_nothing() {
    let mut state = 1_u64;
    for _ in 0..200 {
        let mut server = connected();
        let noise: Vec<u8> = (0..2_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let _ = server.input(noise.into());
    }
}
