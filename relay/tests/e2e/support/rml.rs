//! The `rml_rtmp` crate as a client: RTMP by other hands than ours, scripted message by message.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;

const READ_LIMIT: Duration = Duration::from_secs(20);

/// A client of application `live`.
pub(crate) struct RmlPeer {
    stream: TcpStream,
    session: ClientSession,
    events: VecDeque<ClientSessionEvent>,
}

impl RmlPeer {
    /// Connects and publishes `name`.
    pub(crate) fn publish(relay: SocketAddr, name: &str) -> Self {
        let mut peer = Self::connect(relay);
        let kind = PublishRequestType::Live;
        let result = peer.session.request_publishing(name.to_owned(), kind).expect("a request");
        peer.handle(vec![result]);
        peer.wait_for(&ClientSessionEvent::PublishRequestAccepted);
        peer
    }

    /// Connects and plays `name`.
    pub(crate) fn play(relay: SocketAddr, name: &str) -> Self {
        let mut peer = Self::connect(relay);
        let result = peer.session.request_playback(name.to_owned()).expect("a request");
        peer.handle(vec![result]);
        peer.wait_for(&ClientSessionEvent::PlaybackRequestAccepted);
        peer
    }

    fn connect(relay: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(relay).expect("the relay accepts");
        stream.set_read_timeout(Some(READ_LIMIT)).expect("a socket");
        let mut handshake = Handshake::new(PeerType::Client);
        let hello = handshake.generate_outbound_p0_and_p1().expect("C0 and C1");
        stream.write_all(&hello).expect("the relay reads");
        let mut buffer = [0; 4096];
        let left = loop {
            let count = stream.read(&mut buffer).expect("the relay answers");
            assert!(count > 0, "closed in the handshake");
            match handshake.process_bytes(&buffer[..count]).expect("a handshake") {
                HandshakeProcessResult::InProgress { response_bytes } => {
                    stream.write_all(&response_bytes).expect("the relay reads");
                }
                HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                    stream.write_all(&response_bytes).expect("the relay reads");
                    break remaining_bytes;
                }
            }
        };
        let (session, results) = ClientSession::new(ClientSessionConfig::new()).expect("a session");
        let mut peer = Self { stream, session, events: VecDeque::new() };
        peer.handle(results);
        let results = peer.session.handle_input(&left).expect("well-formed RTMP");
        peer.handle(results);
        let result = peer.session.request_connection("live".to_owned()).expect("a request");
        peer.handle(vec![result]);
        peer.wait_for(&ClientSessionEvent::ConnectionRequestAccepted);
        peer
    }

    fn handle(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.stream.write_all(&packet.bytes).expect("the relay reads");
                }
                ClientSessionResult::RaisedEvent(event) => self.events.push_back(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }

    fn next_event(&mut self) -> ClientSessionEvent {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let count = self.stream.read(&mut buffer).expect("the relay goes on");
            assert!(count > 0, "the relay closed the connection");
            let results = self.session.handle_input(&buffer[..count]).expect("well-formed RTMP");
            self.handle(results);
        }
    }

    fn wait_for(&mut self, wanted: &ClientSessionEvent) {
        while self.next_event() != *wanted {}
    }

    /// Sends a media message.
    pub(crate) fn send(&mut self, message: &MediaMessage) {
        let data = message.payload.to_contiguous();
        let timestamp = RtmpTimestamp::new(message.timestamp);
        let result = match message.kind {
            MediaKind::Audio => self.session.publish_audio_data(data, timestamp, false),
            _ => self.session.publish_video_data(data, timestamp, false),
        };
        self.handle(vec![result.expect("a packet")]);
    }

    /// The next audio or video message.
    pub(crate) fn next_media(&mut self) -> MediaMessage {
        loop {
            let (kind, timestamp, data) = match self.next_event() {
                ClientSessionEvent::AudioDataReceived { timestamp, data } => {
                    (MediaKind::Audio, timestamp, data)
                }
                ClientSessionEvent::VideoDataReceived { timestamp, data } => {
                    (MediaKind::Video, timestamp, data)
                }
                _ => continue,
            };
            let mut payload = Payload::new();
            payload.push(data);
            return MediaMessage { kind, timestamp: timestamp.value, payload };
        }
    }
}
