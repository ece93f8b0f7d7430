//! Our server and our client with each other, in memory: publish, play, and time's wraps.

use std::collections::VecDeque;

use bytes::Bytes;
use core::time::Duration;
use edgerelay_proto::chunk::{CSID_AUDIO, CSID_DATA, CSID_VIDEO, encode_media};
use edgerelay_proto::limits::REPORT_BYTES_MAX;
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession, MediaKind, MediaMessage,
    RtmpUrl, ServerEvent, ServerOutput, ServerSession, ServerSessionConfig,
};
use edgerelay_proto::time::Instant;

const CHUNK_SIZE: u32 = 65_536;

struct Pair {
    server: ServerSession,
    client: ClientSession,
    to_server: VecDeque<Bytes>,
    to_client: VecDeque<Bytes>,
    now: Instant,
    server_events: Vec<ServerEvent>,
    client_events: Vec<ClientEvent>,
}

impl Pair {
    fn new(mode: ClientMode) -> Self {
        let url = RtmpUrl::parse("rtmp://relay.example/live/cam1?token=x").unwrap();
        let now = Instant::EPOCH;
        let mut pair = Self {
            server: ServerSession::new(ServerSessionConfig::default(), now, 1),
            client: ClientSession::new(ClientConfig::new(url, mode), now, 2),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            now,
            server_events: Vec::new(),
            client_events: Vec::new(),
        };
        pair.run();
        pair
    }

    /// Carries bytes to and fro until both are silent.
    fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.client.poll_output() {
                quiet = false;
                match output {
                    ClientOutput::Send(bytes) => self.to_server.push_back(bytes),
                    ClientOutput::Event(event) => self.client_events.push(event),
                }
            }
            while let Some(output) = self.server.poll_output() {
                quiet = false;
                match output {
                    ServerOutput::Send(bytes) => self.to_client.push_back(bytes),
                    ServerOutput::Event(event) => self.on_server_event(event),
                }
            }
            while let Some(bytes) = self.to_server.pop_front() {
                quiet = false;
                self.server.handle_input(self.now, bytes).unwrap();
            }
            while let Some(bytes) = self.to_client.pop_front() {
                quiet = false;
                self.client.handle_input(self.now, bytes).unwrap();
            }
            if quiet {
                return;
            }
        }
    }

    fn on_server_event(&mut self, event: ServerEvent) {
        match &event {
            ServerEvent::Connect(_) => self.server.accept_connect().unwrap(),
            ServerEvent::Publish(request) => {
                self.server.accept_publish(request.stream_id).unwrap();
            }
            ServerEvent::Play(request) => self.server.accept_play(request.stream_id),
            _ => {}
        }
        self.server_events.push(event);
    }
}

fn wire(message: &MediaMessage) -> Vec<Bytes> {
    let csid = match message.kind {
        MediaKind::Audio => CSID_AUDIO,
        MediaKind::Video => CSID_VIDEO,
        MediaKind::Data => CSID_DATA,
    };
    let kind = message.kind.message_type();
    let wire = encode_media(csid, kind, 1, message.timestamp, &message.payload, CHUNK_SIZE);
    core::iter::once(wire.header).chain(wire.body.iter().cloned()).collect()
}

fn media(kind: MediaKind, timestamp: u32, body: Vec<u8>) -> MediaMessage {
    MediaMessage { kind, timestamp, payload: Payload::from(Bytes::from(body)) }
}

#[test]
fn a_push_reaches_the_server_with_its_name_and_its_media() {
    let mut pair = Pair::new(ClientMode::Publish);
    assert_eq!(pair.client_events, [ClientEvent::Ready { stream_id: 1 }]);
    let requests: Vec<_> = pair.server_events.drain(..).collect();
    assert!(matches!(&requests[0], ServerEvent::Connect(request)
        if request.app == "live" && request.caps.reconnect() && request.caps.multitrack()));
    assert!(matches!(&requests[1], ServerEvent::Publish(request)
        if request.name == "cam1" && request.args == "token=x"));

    let sent = [
        media(MediaKind::Video, 0, vec![0x17; 200_000]),
        media(MediaKind::Audio, 0, vec![0xAF; 300]),
        media(MediaKind::Video, 33, vec![0x27; 10]),
    ];
    for message in &sent {
        pair.to_server.extend(wire(message));
    }
    pair.run();
    let received: Vec<_> = pair
        .server_events
        .drain(..)
        .filter_map(|event| match event {
            ServerEvent::Media { stream_id: 1, message } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(received, sent);

    pair.client.close();
    pair.run();
    assert_eq!(pair.server_events, [ServerEvent::Unpublish { stream_id: 1 }]);
}

#[test]
fn a_pull_gets_what_the_server_sends_and_hears_of_the_end() {
    let mut pair = Pair::new(ClientMode::Play);
    assert_eq!(pair.client_events, [ClientEvent::Ready { stream_id: 1 }]);
    pair.client_events.clear();
    let sent = [
        media(MediaKind::Data, 0, b"\x02\x00\x0aonMetaData\x05".to_vec()),
        media(MediaKind::Video, 40, vec![0x17; 100_000]),
        media(MediaKind::Audio, 44, vec![0xAF; 300]),
    ];
    for message in &sent {
        pair.to_client.extend(wire(message));
    }
    pair.run();
    let expected: Vec<_> = sent.into_iter().map(ClientEvent::Media).collect();
    assert_eq!(pair.client_events, expected);
    pair.client_events.clear();
    pair.server.stream_eof(1);
    pair.run();
    assert_eq!(pair.client_events, [ClientEvent::Eof]);
}

#[test]
fn a_refusal_reaches_the_client() {
    let mut pair = Pair::new(ClientMode::Publish);
    pair.client_events.clear();
    pair.server.refuse_publish(1, "NetStream.Publish.Denied", "Replaced.");
    pair.run();
    let rejected = ClientEvent::Rejected {
        code: "NetStream.Publish.Denied".to_owned(),
        description: "Replaced.".to_owned(),
    };
    assert_eq!(pair.client_events, [rejected]);
}

#[test]
fn a_drain_reaches_the_client() {
    let mut pair = Pair::new(ClientMode::Publish);
    pair.client_events.clear();
    assert!(pair.server.request_reconnect(None, "Draining."));
    pair.run();
    assert!(matches!(pair.client_events[..], [ClientEvent::ReconnectRequest { tc_url: None, .. }]));
}

#[test]
fn a_report_reaches_who_pushes_and_an_endless_one_is_not_said() {
    let mut pair = Pair::new(ClientMode::Publish);
    pair.client_events.clear();
    pair.server.report(1, &"x".repeat(REPORT_BYTES_MAX));
    pair.server.report(1, &"x".repeat(REPORT_BYTES_MAX + 1));
    pair.run();
    assert_eq!(pair.client_events, [ClientEvent::Report { text: "x".repeat(REPORT_BYTES_MAX) }]);
    let mut player = Pair::new(ClientMode::Play);
    player.client_events.clear();
    player.server.report(1, "not for players");
    player.run();
    assert_eq!(player.client_events, []);
}

/// Half an hour before a boundary to half an hour after it, a frame every 100 ms.
fn hour_around(boundary: u32) {
    const FRAME_MILLIS: u32 = 100;
    const HALF_HOUR_MILLIS: u32 = 30 * 60 * 1_000;

    let mut pair = Pair::new(ClientMode::Publish);
    pair.server_events.clear();
    let start = boundary.wrapping_sub(HALF_HOUR_MILLIS);
    for step in 0..2 * HALF_HOUR_MILLIS / FRAME_MILLIS {
        let timestamp = start.wrapping_add(step * FRAME_MILLIS);
        // Every twenty-fifth frame is of several chunks, whose headers repeat the time.
        let len = if step % 25 == 0 { 70_000 } else { 50 };
        let message = media(MediaKind::Video, timestamp, vec![0x27; len]);
        pair.to_server.extend(wire(&message));
        pair.now += Duration::from_millis(u64::from(FRAME_MILLIS));
        pair.run();
        pair.server.handle_timeout(pair.now).unwrap();
        pair.client.handle_timeout(pair.now).unwrap();
        let received = pair.server_events.pop();
        assert_eq!(received, Some(ServerEvent::Media { stream_id: 1, message }), "at {timestamp}");
    }
    assert!(pair.server_events.is_empty());
}

#[test]
fn an_hour_across_the_24_bit_boundary_keeps_every_timestamp() {
    hour_around(0x0100_0000);
}

#[test]
fn an_hour_across_the_31_bit_boundary_keeps_every_timestamp() {
    hour_around(0x8000_0000);
}

#[test]
fn an_hour_across_the_32_bit_wrap_keeps_every_timestamp() {
    hour_around(0);
}
