//! What both sides of a session share below commands: chunks, control messages, acknowledgements,
//! pings. RTMP 1.0 §5.4, §6.2. Must not know commands.

use core::fmt;
use core::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::amf0::{self, Value};
use crate::chunk::{
    CSID_COMMAND, CSID_CONTROL, CSID_DATA, ChunkDecoder, ChunkEncoder, ChunkLimits,
};
use crate::command::Command;
use crate::fault::PeerFault;
use crate::limits::{
    ACK_INTERVAL, ACK_INTERVAL_BYTES_MAX, ACK_INTERVAL_BYTES_MIN, SESSION_REPLY_BYTES_MAX,
};
use crate::media::PayloadReader;
use crate::message::{Message, MessageType};
use crate::time::Instant;

/// User control event types. RTMP 1.0 §7.1.7.
pub(super) mod event {
    pub(in crate::session) const STREAM_BEGIN: u16 = 0;
    pub(in crate::session) const STREAM_EOF: u16 = 1;
    pub(in crate::session) const SET_BUFFER_LENGTH: u16 = 3;
    pub(in crate::session) const PING_REQUEST: u16 = 6;
    pub(in crate::session) const PING_RESPONSE: u16 = 7;
}

/// What a control message means to the session above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// It was dealt with here.
    Done,
    /// The peer limits our window: it expects ours to be announced.
    PeerBandwidth(u32),
    StreamBegin,
    StreamEof,
}

/// When an idle peer is pinged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keepalive {
    /// Silence before a ping; zero turns pings off.
    pub(super) interval: Duration,
    /// Silence after it.
    pub(super) timeout: Duration,
    pub(super) answers: PingAnswers,
}

/// Whether a peer can be held to answering pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PingAnswers {
    /// Clients must: RTMP 1.0 §7.1.7.
    Due,
    /// No document says that a server must. One that ever did is held to it.
    DueOnceSeen,
}

pub(super) struct Link {
    decoder: ChunkDecoder,
    encoder: ChunkEncoder,
    out: BytesMut,
    /// Bytes of replies since the last input, for their bound.
    replied: usize,
    received: u64,
    acknowledged: u64,
    ack_interval: u64,
    /// When it was said last, or when the first bytes came.
    acknowledged_at: Option<Instant>,
    keepalive: Keepalive,
    heard: Instant,
    pinged: Option<Instant>,
    /// Whether a ping was ever answered.
    answered: bool,
}

/// Without buffers: commands in them hold stream keys.
impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("received", &self.received)
            .field("acknowledged", &self.acknowledged)
            .field("heard", &self.heard)
            .field("pinged", &self.pinged)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(now: Instant, message_bytes_max: usize, keepalive: Keepalive) -> Self {
        let limits = ChunkLimits { message_bytes_max, ..ChunkLimits::default() };
        Self {
            decoder: ChunkDecoder::new(limits),
            encoder: ChunkEncoder::new(),
            out: BytesMut::new(),
            replied: 0,
            received: 0,
            acknowledged: 0,
            ack_interval: ACK_INTERVAL_BYTES_MAX,
            acknowledged_at: None,
            keepalive,
            heard: now,
            pinged: None,
            answered: false,
        }
    }

    /// Takes note of received bytes, handshake included.
    pub(super) fn on_received(&mut self, now: Instant, len: usize) {
        self.received += len as u64;
        self.heard = now;
        self.pinged = None;
        self.replied = 0;
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) const fn copied(&self) -> u64 {
        self.decoder.copied_bytes()
    }

    pub(super) fn handle_chunks(&mut self, input: Bytes) {
        self.decoder.handle_input(input);
    }

    pub(super) fn poll_message(&mut self) -> Result<Option<Message>, PeerFault> {
        if self.replied > SESSION_REPLY_BYTES_MAX {
            return Err(PeerFault::TooMany("replies"));
        }
        self.decoder.poll_message()
    }

    /// Acknowledges what came, if enough came since the last time. The sequence number is
    /// cumulative and wraps at 2³².
    ///
    /// Not more often than that: an encoder that closes with an acknowledgement unread resets the
    /// connection, and what it had not sent yet is lost.
    pub(super) fn acknowledge(&mut self, now: Instant) {
        let since = now.saturating_since(*self.acknowledged_at.get_or_insert(now));
        let unsaid = self.received - self.acknowledged;
        let overdue = since >= ACK_INTERVAL && unsaid >= ACK_INTERVAL_BYTES_MIN;
        if unsaid >= self.ack_interval || overdue {
            self.acknowledged_at = Some(now);
            self.acknowledged = self.received;
            // The low 32 bits are what is meant.
            self.send_control(MessageType::ACKNOWLEDGEMENT, self.received as u32);
        }
    }

    pub(super) fn handle_control(&mut self, message: &Message) -> Control {
        let mut reader = PayloadReader::new(&message.payload);
        match message.message_type {
            MessageType::WINDOW_ACK_SIZE => {
                // A window of zero is no window.
                if let Some(window @ 1..) = reader.array().map(u32::from_be_bytes) {
                    self.ack_interval = u64::from(window).min(ACK_INTERVAL_BYTES_MAX);
                }
                Control::Done
            }
            MessageType::SET_PEER_BANDWIDTH => reader
                .array()
                .map_or(Control::Done, |bytes| Control::PeerBandwidth(u32::from_be_bytes(bytes))),
            MessageType::USER_CONTROL => {
                let Some(event) = reader.u16() else { return Control::Done };
                match event {
                    event::STREAM_BEGIN => Control::StreamBegin,
                    event::STREAM_EOF => Control::StreamEof,
                    event::PING_REQUEST => {
                        let timestamp = reader.array().map_or(0, u32::from_be_bytes);
                        self.send_user_control(event::PING_RESPONSE, &[timestamp]);
                        Control::Done
                    }
                    event::PING_RESPONSE => {
                        self.answered = true;
                        Control::Done
                    }
                    _ => Control::Done,
                }
            }
            _ => Control::Done,
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.keepalive.interval.is_zero() {
            return None;
        }
        Some(match self.pinged {
            Some(pinged) => pinged + self.keepalive.timeout,
            None => self.heard + self.keepalive.interval,
        })
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), PeerFault> {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return Ok(());
        }
        if self.pinged.is_none() {
            self.ping(now);
        } else if self.answered || self.keepalive.answers == PingAnswers::Due {
            return Err(PeerFault::PingTimeout);
        } else {
            // Nothing follows from silence; the next ping is due after as much of it.
            self.pinged = None;
            self.heard = now;
        }
        Ok(())
    }

    pub(super) fn ping(&mut self, now: Instant) {
        self.pinged = Some(now);
        // Milliseconds wrap, as every RTMP time does.
        self.send_user_control(event::PING_REQUEST, &[now.as_millis() as u32]);
    }

    pub(super) fn send_handshake(&mut self, bytes: &Bytes) {
        self.out.put_slice(bytes);
    }

    pub(super) fn send_chunk_size(&mut self, chunk_size: u32) {
        self.send_control(MessageType::SET_CHUNK_SIZE, chunk_size);
        self.encoder.set_chunk_size(chunk_size);
    }

    pub(super) fn send_control(&mut self, message_type: MessageType, value: u32) {
        let payload = Bytes::copy_from_slice(&value.to_be_bytes());
        self.send(CSID_CONTROL, message_type, 0, payload);
    }

    pub(super) fn send_peer_bandwidth(&mut self, bandwidth: u32) {
        const LIMIT_DYNAMIC: u8 = 2;

        let mut payload = BytesMut::with_capacity(5);
        payload.put_u32(bandwidth);
        payload.put_u8(LIMIT_DYNAMIC);
        self.send(CSID_CONTROL, MessageType::SET_PEER_BANDWIDTH, 0, payload.freeze());
    }

    pub(super) fn send_user_control(&mut self, event: u16, values: &[u32]) {
        let mut payload = BytesMut::with_capacity(2 + 4 * values.len());
        payload.put_u16(event);
        for value in values {
            payload.put_u32(*value);
        }
        self.send(CSID_CONTROL, MessageType::USER_CONTROL, 0, payload.freeze());
    }

    pub(super) fn send_command(&mut self, stream_id: u32, command: &Command) {
        self.send(CSID_COMMAND, MessageType::COMMAND_AMF0, stream_id, command.encode());
    }

    pub(super) fn send_data(&mut self, stream_id: u32, values: &[Value]) {
        let mut payload = BytesMut::new();
        amf0::encode_all(values, &mut payload);
        self.send(CSID_DATA, MessageType::DATA_AMF0, stream_id, payload.freeze());
    }

    /// All that is to be sent, as one piece. No memory is kept: replies are rare, and connections
    /// many.
    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out).freeze())
    }

    fn send(&mut self, csid: u32, message_type: MessageType, stream_id: u32, payload: Bytes) {
        let before = self.out.len();
        let message = Message { message_type, stream_id, timestamp: 0, payload: payload.into() };
        self.encoder.encode(csid, &message, &mut self.out);
        self.replied += self.out.len() - before;
    }
}
