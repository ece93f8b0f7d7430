//! The client's side of a connection: our pushes and pulls.
//!
//! Owns the way from the handshake to an accepted `publish` or `play`. Must not depend on anything
//! a server sends besides the answers that way needs, and must not see outgoing media: once ready,
//! the caller writes it behind the session's own bytes.

mod answers;
mod config;

use bytes::Bytes;

pub use config::{ClientConfig, ClientEvent, ClientMode, ClientOutput};

use super::capabilities;
use super::intake;
use super::link::{Control, Keepalive, Link, PingAnswers, event};
use super::media::{MediaKind, MediaMessage};
use super::output::Outputs;
use crate::amf0::Value;
use crate::command::Command;
use crate::fault::PeerFault;
use crate::handshake::{ClientHandshake, HandshakeStep};
use crate::message::{Message, MessageType};
use crate::time::Instant;

/// Transaction ids: every client sends the same few commands.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE_STREAM: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE_STREAM: f64 = 4.0;
    pub(super) const PUBLISH: f64 = 5.0;
    pub(super) const CLOSE: f64 = 6.0;
}

/// What we tell a server to buffer for us when playing.
const BUFFER_LENGTH_MILLIS: u32 = 3_000;

/// One connection to a server.
///
/// | phase | leaves it | next |
/// |---|---|---|
/// | `Handshake` | S2 | `Connecting` |
/// | `Connecting` | `_result` of `connect` | `Creating` |
/// | `Creating` | `_result` of `createStream` | `Asked` |
/// | `Asked` | `NetStream.Publish.Start`, `NetStream.Play.Start` or media | `Ready` (event) |
/// | any | a refusal (event), [`close`](Self::close) | `Closed` |
///
/// After a fault or [`ClientEvent::Rejected`], close.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    phase: Phase,
    link: Link,
    outputs: Outputs<ClientEvent>,
    /// Whether the end was reported, and no new beginning since.
    ended: bool,
    now: Instant,
    /// By when the server must have taken us a phase further.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Handshake(ClientHandshake),
    Connecting,
    Creating,
    Asked { stream_id: u32 },
    Ready { stream_id: u32 },
    Closed,
}

impl ClientSession {
    /// A connection just made. C0 and C1 are the first output. The handshake's random bytes are made
    /// from `seed`.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant, seed: u64) -> Self {
        let keepalive = Keepalive {
            interval: config.ping_interval,
            timeout: config.ping_timeout,
            answers: PingAnswers::DueOnceSeen,
        };
        let mut link = Link::new(now, config.message_bytes_max, keepalive);
        let mut handshake = ClientHandshake::new(seed, config.handshake);
        // Without input, all a client's handshake can do is to begin.
        if let Ok(HandshakeStep::Send(hello)) = handshake.handle_input(&mut Bytes::new()) {
            link.send_handshake(&hello);
        }
        Self {
            phase: Phase::Handshake(handshake),
            link,
            outputs: Outputs::new(),
            ended: false,
            now,
            deadline: Some(now + config.handshake_timeout),
            config,
        }
    }

    /// Takes received bytes.
    ///
    /// # Errors
    /// The server broke the protocol or a bound.
    pub fn handle_input(&mut self, now: Instant, mut input: Bytes) -> Result<(), PeerFault> {
        self.now = now;
        self.outputs.on_input();
        self.link.on_received(now, input.len());
        self.shake_hands(&mut input)?;
        self.link.handle_chunks(input);
        if !matches!(self.phase, Phase::Handshake(_)) {
            while let Some(message) = self.link.poll_message()? {
                self.on_message(message)?;
            }
        }
        self.link.acknowledge(now);
        Ok(())
    }

    /// Does what time demands: deadlines, pings.
    ///
    /// # Errors
    /// The server missed a deadline.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), PeerFault> {
        self.now = now;
        match self.deadline {
            Some(deadline) if now >= deadline => Err(match self.phase {
                Phase::Handshake(_) => PeerFault::HandshakeTimeout,
                _ => PeerFault::CommandTimeout,
            }),
            _ if self.keeps_alive() => self.link.handle_timeout(now),
            _ => Ok(()),
        }
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = if self.keeps_alive() { self.link.poll_timeout() } else { None };
        self.deadline.into_iter().chain(keepalive).min()
    }

    /// Until it is ready, the server has deadlines.
    const fn keeps_alive(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// The next bytes to send or event to act on, in order.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.poll(&mut self.link)
    }

    /// The message stream, once ready.
    #[must_use]
    pub const fn stream_id(&self) -> Option<u32> {
        match self.phase {
            Phase::Ready { stream_id } => Some(stream_id),
            _ => None,
        }
    }

    /// Bytes received so far, handshake included.
    #[must_use]
    pub const fn bytes_received(&self) -> u64 {
        self.link.received()
    }

    /// Payload bytes that had to be copied, see
    /// [`ChunkDecoder::copied_bytes`](crate::chunk::ChunkDecoder::copied_bytes).
    #[must_use]
    pub const fn bytes_copied(&self) -> u64 {
        self.link.copied()
    }

    /// Says goodbye to the server. Flush the output, then close.
    pub fn close(&mut self) {
        if let Phase::Ready { stream_id } | Phase::Asked { stream_id } = self.phase {
            if self.config.mode == ClientMode::Publish {
                self.send_named("FCUnpublish", transaction::CLOSE);
            }
            let id = Value::Number(f64::from(stream_id));
            self.link.send_command(0, &Command::new("deleteStream", 0.0, vec![id]));
        }
        self.phase = Phase::Closed;
        self.deadline = None;
    }

    fn shake_hands(&mut self, input: &mut Bytes) -> Result<(), PeerFault> {
        while let Phase::Handshake(handshake) = &mut self.phase {
            match handshake.handle_input(input)? {
                HandshakeStep::NeedMore => break,
                HandshakeStep::Send(bytes) => self.link.send_handshake(&bytes),
                HandshakeStep::Done => {
                    self.enter(Phase::Connecting);
                    self.send_connect();
                }
            }
        }
        Ok(())
    }

    /// Goes on to a phase the server must take us out of in time.
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = Some(self.now + self.config.command_timeout);
    }

    fn send_connect(&mut self) {
        let tc_url = self.config.url.tc_url();
        let mut properties = vec![
            ("app".to_owned(), self.config.url.app().into()),
            ("type".to_owned(), "nonprivate".into()),
            ("flashVer".to_owned(), self.config.flash_ver.as_str().into()),
            ("swfUrl".to_owned(), tc_url.as_str().into()),
            ("tcUrl".to_owned(), tc_url.as_str().into()),
        ];
        if self.config.mode == ClientMode::Play {
            properties.extend([
                ("fpad".to_owned(), Value::Boolean(false)),
                ("capabilities".to_owned(), Value::Number(15.0)),
                ("audioCodecs".to_owned(), Value::Number(4_071.0)),
                ("videoCodecs".to_owned(), Value::Number(252.0)),
                ("videoFunction".to_owned(), Value::Number(1.0)),
            ]);
        }
        properties.extend(capabilities::announcement());
        let mut connect = Command::new("connect", transaction::CONNECT, Vec::new());
        connect.object = Value::Object(properties);
        self.link.send_command(0, &connect);
    }

    /// A command whose argument is the stream name.
    fn send_named(&mut self, name: &str, transaction_id: f64) {
        let stream = Value::from(self.config.url.stream());
        self.link.send_command(0, &Command::new(name, transaction_id, vec![stream]));
    }

    fn on_message(&mut self, message: Message) -> Result<(), PeerFault> {
        match message.message_type {
            MessageType::COMMAND_AMF0 | MessageType::COMMAND_AMF3 => {
                let command = Command::parse(&message.payload)?;
                self.on_command(&command)
            }
            media if intake::is_media(media) => self.on_media(message),
            _ => match self.link.handle_control(&message) {
                Control::Done => Ok(()),
                Control::PeerBandwidth(bandwidth) => {
                    // RTMP 1.0 §5.4.5: answered with our window, if that is another.
                    if bandwidth != self.config.window_ack_size {
                        self.config.window_ack_size = bandwidth;
                        self.link.send_control(MessageType::WINDOW_ACK_SIZE, bandwidth);
                    }
                    Ok(())
                }
                Control::StreamBegin => {
                    self.ended = false;
                    Ok(())
                }
                Control::StreamEof => self.on_end(),
            },
        }
    }

    fn on_media(&mut self, message: Message) -> Result<(), PeerFault> {
        if self.config.mode == ClientMode::Publish {
            return Ok(());
        }
        intake::media_messages(message, &mut |message: MediaMessage| {
            if is_player_notice(&message) {
                return Ok(());
            }
            // Some servers send the stream and no status.
            if let Phase::Asked { stream_id } = self.phase {
                self.on_ready(stream_id)?;
            }
            match self.phase {
                Phase::Ready { .. } => self.push_event(ClientEvent::Media(message)),
                _ => Ok(()),
            }
        })
    }

    fn on_ready(&mut self, stream_id: u32) -> Result<(), PeerFault> {
        self.phase = Phase::Ready { stream_id };
        self.deadline = None;
        self.push_event(ClientEvent::Ready { stream_id })
    }

    fn on_end(&mut self) -> Result<(), PeerFault> {
        if self.ended || !matches!(self.phase, Phase::Ready { .. }) {
            return Ok(());
        }
        self.ended = true;
        self.push_event(ClientEvent::Eof)
    }

    fn push_event(&mut self, event: ClientEvent) -> Result<(), PeerFault> {
        self.outputs.push_event(&mut self.link, event)
    }

    fn send_create_stream(&mut self) {
        let create = Command::new("createStream", transaction::CREATE_STREAM, Vec::new());
        self.link.send_command(0, &create);
    }

    fn send_play(&mut self, stream_id: u32) {
        const START_LIVE_OR_RECORDED: f64 = -2.0;

        let arguments =
            vec![self.config.url.stream().into(), Value::Number(START_LIVE_OR_RECORDED)];
        self.link.send_command(stream_id, &Command::new("play", 0.0, arguments));
        self.link.send_user_control(event::SET_BUFFER_LENGTH, &[stream_id, BUFFER_LENGTH_MILLIS]);
    }
}

/// What a server tells the player in data messages, and is not part of the stream.
fn is_player_notice(message: &MediaMessage) -> bool {
    const SAMPLE_ACCESS: &[u8] = b"\x02\x00\x11|RtmpSampleAccess";
    const ON_STATUS: &[u8] = b"\x02\x00\x08onStatus";

    let (head, filled) = message.payload.prefix::<20>();
    let head = head.get(..filled).unwrap_or_default();
    message.kind == MediaKind::Data
        && (head.starts_with(SAMPLE_ACCESS) || head.starts_with(ON_STATUS))
}
