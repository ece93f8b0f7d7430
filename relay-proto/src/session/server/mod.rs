//! The server's side of a connection: encoders and players that come to us.
//!
//! Owns its phases, deadlines and outputs. Must not accept anything by itself: `connect`,
//! `publish` and `play` become events, and wait for the caller's answer.

mod answers;
mod commands;
mod event;
mod streams;

use bytes::Bytes;

pub use event::{ServerEvent, ServerOutput, ServerSessionConfig};

use self::streams::NetStreams;
use super::intake;
use super::link::{Keepalive, Link, PingAnswers};
use super::media::MediaMessage;
use super::output::Outputs;
use super::request::ConnectRequest;
use crate::command::Command;
use crate::fault::PeerFault;
use crate::handshake::{HandshakeStep, ServerHandshake};
use crate::limits::HELD_BYTES_MAX;
use crate::message::{Message, MessageType};
use crate::time::Instant;

/// One client's connection.
///
/// | phase | leaves it | next |
/// |---|---|---|
/// | `Handshake` | C2 | `Connect` |
/// | `Connect` | `connect` (event) | `ConnectHeld` |
/// | `ConnectHeld` | [`accept_connect`](Self::accept_connect) | `Ready` |
/// | | [`refuse_connect`](Self::refuse_connect) | `Refused` |
/// | `Ready` | a refused `publish` or `play` | `Refused` |
///
/// While a `connect` or `publish` awaits its answer, later input is held undecoded, so that nothing
/// overtakes the answer and no media is lost; the caller should stop reading
/// ([`is_held`](Self::is_held)). In `Refused` all input is dropped, and with it the events that were
/// not polled yet: flush the output, then close.
///
/// After a fault, flush nothing and close.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerSessionConfig,
    phase: Phase,
    link: Link,
    streams: NetStreams,
    outputs: Outputs<ServerEvent>,
    /// Input that came while held.
    held_bytes: usize,
    now: Instant,
    /// By when the client must have asked for something.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Handshake(ServerHandshake),
    Connect,
    ConnectHeld { transaction_id: f64, request: Box<ConnectRequest> },
    Ready { reconnect: bool },
    Refused,
}

impl ServerSession {
    /// A connection just accepted. The handshake's random bytes are made from `seed`.
    #[must_use]
    pub fn new(config: ServerSessionConfig, now: Instant, seed: u64) -> Self {
        let keepalive = Keepalive {
            interval: config.ping_interval,
            timeout: config.ping_timeout,
            answers: PingAnswers::Due,
        };
        Self {
            phase: Phase::Handshake(ServerHandshake::new(seed)),
            link: Link::new(now, config.message_bytes_max, keepalive),
            streams: NetStreams::default(),
            outputs: Outputs::new(),
            held_bytes: 0,
            now,
            deadline: Some(now + config.handshake_timeout),
            config,
        }
    }

    /// Takes received bytes.
    ///
    /// # Errors
    /// The peer broke the protocol or a bound.
    pub fn handle_input(&mut self, now: Instant, mut input: Bytes) -> Result<(), PeerFault> {
        self.now = now;
        self.outputs.on_input();
        self.link.on_received(now, input.len());
        if matches!(self.phase, Phase::Refused) {
            return Ok(());
        }
        self.shake_hands(&mut input)?;
        if self.is_held() {
            self.held_bytes += input.len();
            if self.held_bytes > HELD_BYTES_MAX {
                return Err(PeerFault::TooMany("bytes before an answer"));
            }
        }
        self.link.handle_chunks(input);
        self.pump()?;
        self.link.acknowledge(now);
        Ok(())
    }

    /// Does what time demands: deadlines, pings.
    ///
    /// # Errors
    /// The peer missed a deadline.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), PeerFault> {
        self.now = now;
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(match self.phase {
                Phase::Handshake(_) => PeerFault::HandshakeTimeout,
                _ => PeerFault::CommandTimeout,
            });
        }
        if self.keeps_alive() { self.link.handle_timeout(now) } else { Ok(()) }
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = if self.keeps_alive() { self.link.poll_timeout() } else { None };
        self.deadline.into_iter().chain(keepalive).min()
    }

    /// The next bytes to send or event to act on, in order.
    pub fn poll_output(&mut self) -> Option<ServerOutput> {
        self.outputs.poll(&mut self.link)
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

    /// Whether an answer is due, and input waits for it.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self.phase, Phase::ConnectHeld { .. }) || self.streams.is_held()
    }

    const fn keeps_alive(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    fn shake_hands(&mut self, input: &mut Bytes) -> Result<(), PeerFault> {
        while let Phase::Handshake(handshake) = &mut self.phase {
            match handshake.handle_input(input)? {
                HandshakeStep::NeedMore => break,
                HandshakeStep::Send(bytes) => self.link.send_handshake(&bytes),
                HandshakeStep::Done => {
                    self.phase = Phase::Connect;
                    self.deadline = Some(self.now + self.config.command_timeout);
                }
            }
        }
        Ok(())
    }

    /// Handles messages until the input is used up or an answer is due.
    fn pump(&mut self) -> Result<(), PeerFault> {
        while !self.is_held() && !matches!(self.phase, Phase::Handshake(_) | Phase::Refused) {
            let Some(message) = self.link.poll_message()? else { break };
            self.on_message(message)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: Message) -> Result<(), PeerFault> {
        match message.message_type {
            MessageType::COMMAND_AMF0 | MessageType::COMMAND_AMF3 => {
                let command = Command::parse(&message.payload)?;
                self.on_command(message.stream_id, &command)
            }
            media if intake::is_media(media) => self.on_media(message),
            _ => {
                self.link.handle_control(&message);
                Ok(())
            }
        }
    }

    fn on_media(&mut self, message: Message) -> Result<(), PeerFault> {
        let Some(stream_id) = self.streams.publishing(message.stream_id) else { return Ok(()) };
        intake::media_messages(message, &mut |message: MediaMessage| {
            self.push_event(ServerEvent::Media { stream_id, message })
        })
    }

    fn push_event(&mut self, event: ServerEvent) -> Result<(), PeerFault> {
        self.outputs.push_event(&mut self.link, event)
    }

    /// The client must ask for something soon, unless it publishes or plays.
    fn rearm_deadline(&mut self) {
        self.deadline =
            (!self.streams.any_active()).then(|| self.now + self.config.command_timeout);
    }
}
