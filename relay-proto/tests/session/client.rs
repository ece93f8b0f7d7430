//! Our client against servers of other makes, played by a script.

use bytes::{Bytes, BytesMut};
use core::time::Duration;
use edgerelay_proto::amf0::Value;
use edgerelay_proto::chunk::{ChunkDecoder, ChunkLimits};
use edgerelay_proto::command::{Command, Status};
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::handshake::BLOCK_BYTES;
use edgerelay_proto::message::{Message, MessageType};
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession, RtmpUrl,
};
use edgerelay_proto::time::Instant;

use crate::wire::{ClientBytes, amf};

struct Script {
    session: ClientSession,
    server: ClientBytes,
    decoder: ChunkDecoder,
    handshake_left: usize,
    now: Instant,
    events: Vec<ClientEvent>,
    sent: Vec<Message>,
}

impl Script {
    fn new(url: &str, mode: ClientMode) -> Self {
        let config = ClientConfig::new(RtmpUrl::parse(url).unwrap(), mode);
        let mut script = Self {
            session: ClientSession::new(config, Instant::EPOCH, 9),
            server: ClientBytes::default(),
            decoder: ChunkDecoder::new(ChunkLimits::default()),
            handshake_left: 1 + 2 * BLOCK_BYTES,
            now: Instant::EPOCH,
            events: Vec::new(),
            sent: Vec::new(),
        };
        script.drain();
        script
    }

    fn publish() -> Self {
        Self::new("rtmp://h/live/key123?token=hush", ClientMode::Publish)
    }

    fn deliver(&mut self) {
        let input = self.server.out.split().freeze();
        self.session.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(mut bytes) => {
                    let handshake = bytes.split_to(self.handshake_left.min(bytes.len()));
                    self.handshake_left -= handshake.len();
                    self.decoder.handle_input(bytes);
                    while let Some(message) = self.decoder.poll_message().unwrap() {
                        self.sent.push(message);
                    }
                }
                ClientOutput::Event(event) => self.events.push(event),
            }
        }
    }

    fn connect_result(&mut self) {
        let information = Status::notice("NetConnection.Connect.Success", "").to_value();
        let result = Command::result(1.0, Value::Null, information);
        self.server.command(0, &result);
    }

    fn stream_result(&mut self) {
        let result = Command::result(4.0, Value::Null, 1.0.into());
        self.server.command(0, &result);
    }

    fn status(&mut self, status: Status<'_>) {
        self.server.command(1, &Command::on_status(&status));
    }

    fn ready(mode: ClientMode, code: &str) -> Self {
        let mut script = Self::new("rtmp://h/live/key123?token=hush", mode);
        script.server.handshake();
        script.deliver();
        script.connect_result();
        script.deliver();
        script.stream_result();
        script.status(Status::notice(code, ""));
        script.deliver();
        assert_eq!(script.events, [ClientEvent::Ready { stream_id: 1 }]);
        script.events.clear();
        script
    }

    fn commands(&self) -> Vec<Command> {
        self.sent
            .iter()
            .filter(|message| message.message_type == MessageType::COMMAND_AMF0)
            .map(|message| Command::parse(&message.payload).unwrap())
            .collect()
    }

    fn command_names(&self) -> Vec<String> {
        self.commands().into_iter().map(|command| command.name).collect()
    }
}

#[test]
fn a_push_says_what_encoders_say() {
    let mut script = Script::publish();
    assert_eq!(script.handshake_left, BLOCK_BYTES, "C0 and C1 go out unasked");
    script.server.handshake();
    script.deliver();
    assert_eq!(script.command_names(), ["connect"]);
    let connect = &script.commands()[0];
    let text = |name| connect.object.get(name).and_then(Value::as_str);
    assert_eq!((text("app"), text("tcUrl")), (Some("live"), Some("rtmp://h/live")));
    assert_eq!(connect.object.get("capsEx").and_then(Value::as_number), Some(7.0));
    assert!(connect.object.get("fourCcList").and_then(Value::items).is_some());

    script.connect_result();
    script.deliver();
    assert_eq!(script.command_names(), ["connect", "releaseStream", "FCPublish", "createStream"]);
    assert!(script.sent.iter().any(|message| message.message_type == MessageType::SET_CHUNK_SIZE));
    script.stream_result();
    script.deliver();
    let publish = script.commands().pop().unwrap();
    assert_eq!(publish.name, "publish");
    assert_eq!(publish.text(0), Some("key123?token=hush"));
    assert_eq!(publish.text(1), Some("live"));
    assert!(script.events.is_empty());
    script.status(Status::notice("NetStream.Publish.Start", ""));
    script.deliver();
    assert_eq!(script.events, [ClientEvent::Ready { stream_id: 1 }]);
    assert_eq!(script.session.stream_id(), Some(1));
}

#[test]
fn the_query_of_the_application_goes_into_connect() {
    let mut script = Script::new("rtmp://b.example/live2?backup=1/key", ClientMode::Publish);
    script.server.handshake();
    script.deliver();
    let connect = &script.commands()[0];
    let text = |name| connect.object.get(name).and_then(Value::as_str);
    assert_eq!(text("app"), Some("live2?backup=1"));
    assert_eq!(text("tcUrl"), Some("rtmp://b.example/live2?backup=1"));
}

#[test]
fn what_servers_send_besides_changes_nothing() {
    let mut script = Script::publish();
    script.server.handshake();
    script.deliver();
    script
        .server
        .message(2, MessageType::WINDOW_ACK_SIZE, 0, 0, 2_500_000_u32.to_be_bytes().to_vec())
        .message(2, MessageType::SET_PEER_BANDWIDTH, 0, 0, vec![0, 0x4C, 0x4B, 0x40, 2])
        .chunk_size(4_096)
        .message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 0, 0, 0, 0, 0])
        .message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 6, 0, 0, 0, 5])
        .call(0, "onBWDone", 0.0, &[8192.0.into()])
        // An increment where a sum is due, as some servers count.
        .message(2, MessageType::ACKNOWLEDGEMENT, 0, 0, vec![0, 0, 0, 1])
        .message(2, MessageType::ACKNOWLEDGEMENT, 0, 0, vec![0, 0, 0, 1])
        .call(0, "_result", 77.0, &[9.0.into()])
        .call(0, "_result", 4.0, &[9.0.into()]);
    script.connect_result();
    script.deliver();
    script.server.call(0, "_error", 2.0, &[]).call(0, "_error", 3.0, &[]);
    script.server.call(
        0,
        "onFCPublish",
        0.0,
        &[Status::notice("NetStream.Publish.Start", "").to_value()],
    );
    script.stream_result();
    script.deliver();
    script.server.call(0, "_result", 5.0, &[]);
    script.status(Status::notice("NetStream.Publish.Start", ""));
    script.deliver();
    assert_eq!(script.events, [ClientEvent::Ready { stream_id: 1 }]);
    let pong = script.sent.iter().find(|message| message.message_type == MessageType::USER_CONTROL);
    assert_eq!(&pong.unwrap().payload.to_contiguous()[..], [0, 7, 0, 0, 0, 5]);
}

#[test]
fn a_refusal_is_reported_without_our_key() {
    let mut script = Script::publish();
    script.server.handshake();
    script.deliver();
    script.connect_result();
    script.deliver();
    script.stream_result();
    script.status(Status::error("NetStream.Publish.BadName", "key123 is taken (token=hush)"));
    script.deliver();
    let [ClientEvent::Rejected { code, description }] = &script.events[..] else {
        panic!("{:?}", script.events)
    };
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(!description.contains("key123") && !description.contains("hush"), "{description}");
}

#[test]
fn a_refused_connect_or_create_stream_is_a_rejection() {
    let error =
        |id| Command::error(id, Status::error("NetConnection.Connect.Rejected", "auth").to_value());
    let mut script = Script::publish();
    script.server.handshake().command(0, &error(1.0));
    script.deliver();
    assert!(
        matches!(&script.events[..], [ClientEvent::Rejected { description, .. }] if description == "auth")
    );
    let mut script = Script::publish();
    script.server.handshake();
    script.connect_result();
    script.server.command(0, &error(4.0));
    script.deliver();
    assert!(matches!(script.events[..], [ClientEvent::Rejected { .. }]));
    // Later words change nothing.
    script.stream_result();
    script.status(Status::notice("NetStream.Publish.Start", ""));
    script.deliver();
    assert_eq!(script.events.len(), 1);
}

#[test]
fn a_server_that_ends_an_accepted_publication_is_a_rejection() {
    let mut script = Script::ready(ClientMode::Publish, "NetStream.Publish.Start");
    script.status(Status::error("NetStream.Publish.Denied", ""));
    script.deliver();
    assert!(matches!(script.events[..], [ClientEvent::Rejected { .. }]));
}

#[test]
fn every_step_has_a_deadline() {
    let mut script = Script::publish();
    assert_eq!(script.session.handle_timeout(seconds(9)), Ok(()));
    assert_eq!(script.session.handle_timeout(seconds(10)), Err(PeerFault::HandshakeTimeout));
    let mut script = Script::publish();
    script.now = seconds(8);
    script.server.handshake();
    script.deliver();
    script.now = seconds(16);
    script.connect_result();
    script.deliver();
    assert_eq!(script.session.poll_timeout(), Some(seconds(26)));
    assert_eq!(script.session.handle_timeout(seconds(26)), Err(PeerFault::CommandTimeout));
}

fn seconds(seconds: u64) -> Instant {
    Instant::EPOCH + Duration::from_secs(seconds)
}

impl Script {
    /// Lets time pass until `now`, then counts the pings sent so far.
    fn pings_at(&mut self, now: Instant) -> usize {
        self.session.handle_timeout(now).unwrap();
        self.drain();
        let is_ping = |message: &&Message| {
            message.message_type == MessageType::USER_CONTROL
                && message.payload.prefix::<2>() == ([0, 6], 2)
        };
        self.sent.iter().filter(is_ping).count()
    }
}

#[test]
fn a_silent_server_that_ever_answered_a_ping_is_given_up() {
    let mut script = Script::ready(ClientMode::Publish, "NetStream.Publish.Start");
    assert_eq!(script.session.poll_timeout(), Some(seconds(60)));
    assert_eq!(script.pings_at(seconds(59)), 0);
    assert_eq!(script.pings_at(seconds(60)), 1);
    script.now = seconds(70);
    script.server.message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 7, 0, 0, 0xEA, 0x60]);
    script.deliver();
    assert_eq!(script.session.poll_timeout(), Some(seconds(130)));
    assert_eq!(script.pings_at(seconds(130)), 2);
    // Anything counts as a sign of life.
    script.now = seconds(150);
    script.server.message(2, MessageType::ACKNOWLEDGEMENT, 0, 0, vec![0, 0, 0, 1]);
    script.deliver();
    assert_eq!(script.pings_at(seconds(210)), 3);
    assert_eq!(script.session.poll_timeout(), Some(seconds(240)));
    assert_eq!(script.session.handle_timeout(seconds(240)), Err(PeerFault::PingTimeout));
}

#[test]
fn a_server_that_answers_no_pings_is_kept() {
    let mut script = Script::ready(ClientMode::Play, "NetStream.Play.Start");
    assert_eq!(script.pings_at(seconds(60)), 1);
    assert_eq!(script.pings_at(seconds(90)), 1);
    assert_eq!(script.session.poll_timeout(), Some(seconds(150)));
    assert_eq!(script.pings_at(seconds(150)), 2);
    assert_eq!(script.pings_at(seconds(180)), 2);
    script.session.close();
    assert_eq!(script.session.poll_timeout(), None);
}

#[test]
fn closing_says_goodbye() {
    let mut script = Script::ready(ClientMode::Publish, "NetStream.Publish.Start");
    script.session.close();
    script.drain();
    assert_eq!(script.command_names()[5..], ["FCUnpublish", "deleteStream"]);
    assert_eq!(script.session.stream_id(), None);
}

#[test]
fn a_pull_gets_the_stream_without_the_players_notices() {
    let mut script = Script::ready(ClientMode::Play, "NetStream.Play.Start");
    script
        .server
        .message(5, MessageType::DATA_AMF0, 1, 0, amf(&["|RtmpSampleAccess".into(), true.into()]))
        .message(5, MessageType::DATA_AMF0, 1, 0, amf(&["onStatus".into(), Value::Null]))
        .message(5, MessageType::DATA_AMF0, 1, 0, amf(&["onMetaData".into(), Value::Null]))
        .message(6, MessageType::VIDEO, 1, 40, vec![0x17, 1]);
    script.deliver();
    assert_eq!(script.events.len(), 2);
    assert!(matches!(&script.events[1], ClientEvent::Media(message) if message.timestamp == 40));
}

#[test]
fn a_pull_begins_with_media_where_a_server_sends_no_status() {
    let mut script = Script::new("rtmp://h/live/cam1", ClientMode::Play);
    script.server.handshake();
    script.connect_result();
    script.stream_result();
    script.server.message(6, MessageType::VIDEO, 1, 0, vec![0x17, 0]);
    script.deliver();
    assert!(matches!(
        script.events[..],
        [ClientEvent::Ready { stream_id: 1 }, ClientEvent::Media(_)]
    ));
}

#[test]
fn the_end_of_a_pulled_stream_is_reported_once_and_again_after_a_new_start() {
    let mut script = Script::ready(ClientMode::Play, "NetStream.Play.Start");
    script.status(Status::notice("NetStream.Play.UnpublishNotify", ""));
    script.server.message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 1, 0, 0, 0, 1]);
    script.status(Status::notice("NetStream.Play.Stop", ""));
    script.deliver();
    assert_eq!(script.events, [ClientEvent::Eof]);
    script.status(Status::notice("NetStream.Play.PublishNotify", ""));
    script.status(Status::notice("NetStream.Play.UnpublishNotify", ""));
    script.deliver();
    assert_eq!(script.events, [ClientEvent::Eof, ClientEvent::Eof]);
}

#[test]
fn a_reconnect_request_is_passed_on() {
    let mut script = Script::ready(ClientMode::Publish, "NetStream.Publish.Start");
    let information = Value::object([
        ("level", "status".into()),
        ("code", "NetConnection.Connect.ReconnectRequest".into()),
        ("description", "drain".into()),
        ("tcUrl", "rtmp://other/live".into()),
    ]);
    script.server.call(0, "onStatus", 0.0, &[information]);
    script.deliver();
    assert_eq!(
        script.events,
        [ClientEvent::ReconnectRequest {
            tc_url: Some("rtmp://other/live".to_owned()),
            description: "drain".to_owned()
        }]
    );
}

#[test]
fn a_server_that_speaks_another_protocol_is_a_fault() {
    let mut script = Script::publish();
    let fault = script.session.handle_input(script.now, Bytes::from_static(b"HTTP/1.1 400"));
    assert_eq!(fault.unwrap_err().reason(), "http_on_rtmp");
}

#[test]
fn answers_one_byte_at_a_time_are_the_same() {
    let mut bytes = ClientBytes::default();
    bytes.handshake();
    let mut script = Script::publish();
    script.server = bytes;
    script.connect_result();
    script.stream_result();
    script.status(Status::notice("NetStream.Publish.Start", ""));
    let mut whole: BytesMut = script.server.out.split();
    while !whole.is_empty() {
        let piece = whole.split_to(1).freeze();
        script.session.handle_input(script.now, piece).unwrap();
        script.drain();
    }
    assert_eq!(script.events, [ClientEvent::Ready { stream_id: 1 }]);
}
