//! One chunk stream: the header it remembers and the message it is assembling.
//!
//! Owns the choice between keeping a slice and copying it. Must not know about other streams.

use bytes::{Bytes, BytesMut};

use super::header::{MessageHeader, Time};
use crate::limits::{COALESCE_BYTES, PAYLOAD_SLICES_FREE, PINNED_BYTES_FREE, PINNED_FACTOR};
use crate::message::{Message, MessageType};
use crate::payload::Payload;

/// State of one chunk stream.
#[derive(Debug)]
pub(super) struct ChunkStream {
    pub(super) csid: u32,
    /// The last timestamp field: what a type 3 chunk that starts a message adds again, and what a
    /// repeated extended timestamp equals.
    pub(super) time: Time,
    /// Absolute timestamp of the current or last message.
    pub(super) timestamp: u32,
    len: usize,
    message_type: u8,
    stream_id: u32,
    /// A message has begun and is not complete.
    in_message: bool,
    received: usize,
    slices: Payload,
    /// Short slices, copied together; they follow `slices`.
    tail: BytesMut,
    /// Position in the connection's input where the message began.
    began_at: u64,
    /// This message's bytes lie so far apart that they are copied out of the receive buffers.
    copying: bool,
}

impl ChunkStream {
    pub(super) fn new(csid: u32) -> Self {
        Self {
            csid,
            time: Time::default(),
            timestamp: 0,
            len: 0,
            message_type: 0,
            stream_id: 0,
            in_message: false,
            received: 0,
            slices: Payload::new(),
            tail: BytesMut::new(),
            began_at: 0,
            copying: false,
        }
    }

    /// Payload bytes of the unfinished message.
    pub(super) const fn received(&self) -> usize {
        self.received
    }

    /// Payload bytes the message still lacks.
    pub(super) const fn missing(&self) -> usize {
        self.len.saturating_sub(self.received)
    }

    /// Whether a chunk with this header goes on with the unfinished message. Type 3 does; so does a
    /// header that repeats the message's own length and type, since §5.3.1.2.4 only says that
    /// continuations *should* be of type 3. Any other header abandons the unfinished message.
    pub(super) fn continues(&self, header: &MessageHeader) -> bool {
        self.in_message
            && header.length_and_type.is_none_or(|fields| fields == (self.len, self.message_type))
            && header.stream_id.is_none_or(|stream_id| stream_id == self.stream_id)
    }

    /// Starts a message. Fields the header lacks are those of the message before; of a new chunk
    /// stream they are zero. Timestamps are modulo 2³².
    pub(super) fn begin(&mut self, header: &MessageHeader, position: u64) {
        self.discard();
        if let Some((len, message_type)) = header.length_and_type {
            self.len = len;
            self.message_type = message_type;
        }
        self.time = header.time.unwrap_or(self.time);
        match header.stream_id {
            Some(stream_id) => {
                self.stream_id = stream_id;
                self.timestamp = self.time.millis;
            }
            None => self.timestamp = self.timestamp.wrapping_add(self.time.millis),
        }
        self.in_message = true;
        self.began_at = position;
    }

    /// Whether it is part of a stream, not of the conversation about it.
    pub(super) fn is_media(&self) -> bool {
        use MessageType as Type;
        let media = [Type::AUDIO, Type::VIDEO, Type::DATA_AMF0, Type::DATA_AMF3, Type::AGGREGATE];
        media.contains(&MessageType(self.message_type))
    }

    /// Adds payload that ends at `position` of the input; returns how many bytes were copied.
    pub(super) fn push(&mut self, slice: Bytes, chunk_size: usize, position: u64) -> usize {
        let len = slice.len();
        self.received += len;
        let mut copied = 0;
        if !self.copying && !self.slices.is_empty() && self.pins_too_much(position) {
            copied = self.copy_out();
        }
        let slices_free = PAYLOAD_SLICES_FREE + 2 * self.received / COALESCE_BYTES;
        let crumbs = len < COALESCE_BYTES && self.slices.slices().len() >= slices_free;
        if self.copying || chunk_size < COALESCE_BYTES || crumbs {
            self.tail.extend_from_slice(&slice);
            copied + len
        } else {
            self.flush_tail();
            self.slices.push(slice);
            copied
        }
    }

    /// The message, when its last byte is there.
    pub(super) fn take_complete(&mut self) -> Option<Message> {
        if !self.in_message || self.missing() > 0 {
            return None;
        }
        self.flush_tail();
        let payload = core::mem::take(&mut self.slices);
        self.discard();
        Some(Message {
            message_type: MessageType(self.message_type),
            stream_id: self.stream_id,
            timestamp: self.timestamp,
            payload,
        })
    }

    /// Forgets the unfinished message, keeping the header. Abort Message, RTMP 1.0 §5.4.2.
    pub(super) fn discard(&mut self) {
        self.in_message = false;
        self.copying = false;
        self.received = 0;
        self.slices = Payload::new();
        self.tail = BytesMut::new();
    }

    /// A slice keeps its whole receive buffer alive. A peer that spreads an unfinished message thin
    /// between others would hold buffers many times the message's size.
    fn pins_too_much(&self, position: u64) -> bool {
        let window = position.saturating_sub(self.began_at);
        window > PINNED_BYTES_FREE + PINNED_FACTOR * self.received as u64
    }

    fn copy_out(&mut self) -> usize {
        self.flush_tail();
        let slices = core::mem::take(&mut self.slices);
        self.tail.reserve(slices.len());
        for slice in slices.slices() {
            self.tail.extend_from_slice(slice);
        }
        self.copying = true;
        slices.len()
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.slices.push(self.tail.split().freeze());
        }
    }
}
