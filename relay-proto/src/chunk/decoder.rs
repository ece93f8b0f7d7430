//! Input bytes to messages.
//!
//! Owns the input not yet decoded and the chunk streams. Must not copy payload of a peer whose
//! chunks are of a sensible size.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::EXTENDED_TIMESTAMP;
use super::assembly::ChunkStream;
use super::header::{self, BasicHeader, HEADER_BYTES_MAX, MessageHeader};
use crate::fault::PeerFault;
use crate::limits::{
    CHUNK_SIZE_INITIAL, CHUNK_STREAMS_MAX, MESSAGE_BYTES_MAX_DEFAULT, PARTIAL_MESSAGES_MAX,
};
use crate::message::{Message, MessageType};

/// The bounds of a [`ChunkDecoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Longest message accepted.
    pub message_bytes_max: usize,
    /// Chunk streams accepted.
    pub chunk_streams_max: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self { message_bytes_max: MESSAGE_BYTES_MAX_DEFAULT, chunk_streams_max: CHUNK_STREAMS_MAX }
    }
}

impl ChunkLimits {
    /// Payload bytes of all unfinished messages together.
    #[must_use]
    pub const fn partial_bytes_max(&self) -> usize {
        self.message_bytes_max.saturating_mul(PARTIAL_MESSAGES_MAX)
    }
}

/// Decodes the chunk streams of one direction of a connection.
///
/// Call [`handle_input`](Self::handle_input) with what was received, then
/// [`poll_message`](Self::poll_message) until it returns `None`: by then all input is consumed.
/// Splitting the input differently gives the same messages. After a fault, close the connection.
///
/// # Copies
/// A message's payload is slices of the input, one per chunk and input boundary. Bytes are copied,
/// and counted in [`copied_bytes`](Self::copied_bytes), only where
/// - the peer's chunk size is below [`COALESCE_BYTES`](crate::limits::COALESCE_BYTES), or
/// - a message has more slices than
///   [`PAYLOAD_SLICES_FREE`](crate::limits::PAYLOAD_SLICES_FREE), beyond two for each
///   `COALESCE_BYTES` of it: then the short ones are copied together, which leaves two more
///   slices than that at most, or
/// - an unfinished message is spread thin over the input, see below.
///
/// # Memory
/// Beside the input not yet polled for: at most
/// [`partial_bytes_max`](ChunkLimits::partial_bytes_max) bytes of unfinished messages, up to twice
/// that where they are copied. Slices keep alive the buffers they are in. The payload of an unfinished message comes from a window of the
/// input of at most `PINNED_FACTOR` times its bytes plus `PINNED_BYTES_FREE`, or is copied out of
/// it: so what is pinned is bounded by `PINNED_FACTOR * partial_bytes_max + chunk_streams_max *
/// (PINNED_BYTES_FREE + 2 * RECEIVE_BYTES_MAX)`, where input comes in buffers of at most
/// `RECEIVE_BYTES_MAX`.
#[derive(Debug)]
pub struct ChunkDecoder {
    limits: ChunkLimits,
    chunk_size: usize,
    input: VecDeque<Bytes>,
    /// The first bytes of a chunk header whose rest has not come yet.
    carry: [u8; HEADER_BYTES_MAX],
    carry_len: usize,
    streams: Vec<ChunkStream>,
    /// The chunk whose payload is being read: its stream's place in `streams`, bytes to come.
    open: Option<(usize, usize)>,
    /// Bytes of input consumed so far.
    position: u64,
    partial_bytes: usize,
    copied_bytes: u64,
}

impl ChunkDecoder {
    /// A decoder at the start of a connection, after the handshake.
    #[must_use]
    pub fn new(limits: ChunkLimits) -> Self {
        Self {
            limits,
            chunk_size: CHUNK_SIZE_INITIAL as usize,
            input: VecDeque::new(),
            carry: [0; HEADER_BYTES_MAX],
            carry_len: 0,
            streams: Vec::new(),
            open: None,
            position: 0,
            partial_bytes: 0,
            copied_bytes: 0,
        }
    }

    /// Appends received bytes, without copying them.
    pub fn handle_input(&mut self, input: Bytes) {
        if !input.is_empty() {
            self.input.push_back(input);
        }
    }

    /// The next whole message. Set Chunk Size and Abort are yielded too, already applied.
    ///
    /// # Errors
    /// The peer broke the chunk format or a limit.
    pub fn poll_message(&mut self) -> Result<Option<Message>, PeerFault> {
        loop {
            let (place, missing) = match self.open {
                Some(open) => open,
                None => match self.read_header()? {
                    Some(open) => open,
                    None => return Ok(None),
                },
            };
            self.open = Some((place, missing));
            if missing > 0 && !self.read_payload(place, missing)? {
                return Ok(None);
            }
            if self.open.is_some_and(|(_, missing)| missing > 0) {
                continue;
            }
            self.open = None;
            let Some(stream) = self.streams.get_mut(place) else { continue };
            let received = stream.received();
            if let Some(message) = stream.take_complete() {
                self.partial_bytes = self.partial_bytes.saturating_sub(received);
                self.apply(&message)?;
                return Ok(Some(message));
            }
        }
    }

    /// Payload bytes held of unfinished messages.
    #[must_use]
    pub const fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    /// Audio, video and data bytes that were copied, ever; commands do not count. Zero with a peer whose chunks are of a sensible size.
    #[must_use]
    pub const fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// The peer's chunk size.
    #[must_use]
    pub const fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Reads a chunk's headers and opens the chunk; `None` when the input ends before they do.
    fn read_header(&mut self) -> Result<Option<(usize, usize)>, PeerFault> {
        let (head, filled) = self.peek();
        let bytes = head.get(..filled).unwrap_or_default();
        let mut rest = bytes;
        let parsed = self.parse_header(&mut rest)?;
        let Some((basic, header)) = parsed else {
            self.carry = head;
            self.carry_len = filled;
            self.input.clear();
            return Ok(None);
        };
        self.consume_header(&head, bytes.len() - rest.len());
        self.open_chunk(basic, &header).map(Some)
    }

    /// The next bytes of input, as many as a header can need.
    fn peek(&self) -> ([u8; HEADER_BYTES_MAX], usize) {
        let mut head = self.carry;
        let mut filled = self.carry_len;
        for bytes in &self.input {
            let room = head.get_mut(filled..).unwrap_or_default();
            for (to, from) in room.iter_mut().zip(bytes) {
                *to = *from;
                filled += 1;
            }
        }
        (head, filled)
    }

    fn parse_header(
        &self,
        input: &mut &[u8],
    ) -> Result<Option<(BasicHeader, MessageHeader)>, PeerFault> {
        let Some(basic) = header::take_basic(input) else { return Ok(None) };
        let Some(header) = header::take_message(basic.format, input) else { return Ok(None) };
        if basic.format == 3 {
            let Some(stream) = self.streams.iter().find(|stream| stream.csid == basic.csid) else {
                return Err(PeerFault::ChunkWithoutHeader { csid: basic.csid, format: 3 });
            };
            if stream.time.extended && !skip_repeated_time(stream, input) {
                return Ok(None);
            }
        }
        Ok(Some((basic, header)))
    }

    /// Drops `len` header bytes: those carried over first. Carried bytes that turned out not to be
    /// of the header go back to the input.
    fn consume_header(&mut self, head: &[u8; HEADER_BYTES_MAX], len: usize) {
        self.position += len as u64;
        let carried = core::mem::take(&mut self.carry_len);
        if let Some(back) = head.get(len..carried)
            && !back.is_empty()
        {
            self.input.push_front(Bytes::copy_from_slice(back));
        }
        let mut left = len.saturating_sub(carried);
        while left > 0 {
            let Some(first) = self.input.front_mut() else { return };
            let take = left.min(first.len());
            first.advance(take);
            left -= take;
            if first.is_empty() {
                self.input.pop_front();
            }
        }
    }

    fn open_chunk(
        &mut self,
        basic: BasicHeader,
        header: &MessageHeader,
    ) -> Result<(usize, usize), PeerFault> {
        if let Some((len, _)) = header.length_and_type
            && len > self.limits.message_bytes_max
        {
            return Err(PeerFault::MessageTooLarge { len, max: self.limits.message_bytes_max });
        }
        let place = self.place(basic.csid)?;
        let Some(stream) = self.streams.get_mut(place) else { return Ok((place, 0)) };
        if !stream.continues(header) {
            self.partial_bytes = self.partial_bytes.saturating_sub(stream.received());
            stream.begin(header, self.position);
        }
        Ok((place, stream.missing().min(self.chunk_size)))
    }

    fn place(&mut self, csid: u32) -> Result<usize, PeerFault> {
        if let Some(place) = self.streams.iter().position(|stream| stream.csid == csid) {
            return Ok(place);
        }
        let max = self.limits.chunk_streams_max;
        if self.streams.len() >= max {
            return Err(PeerFault::TooManyChunkStreams { max });
        }
        self.streams.push(ChunkStream::new(csid));
        Ok(self.streams.len() - 1)
    }

    /// Reads payload from the first input buffer; `false` when there is no input.
    fn read_payload(&mut self, place: usize, missing: usize) -> Result<bool, PeerFault> {
        let Some(first) = self.input.front_mut() else { return Ok(false) };
        let slice = first.split_to(missing.min(first.len()));
        if first.is_empty() {
            self.input.pop_front();
        }
        self.open = Some((place, missing - slice.len()));
        self.position += slice.len() as u64;
        self.partial_bytes += slice.len();
        let max = self.limits.partial_bytes_max();
        if self.partial_bytes > max {
            return Err(PeerFault::PartialTooLarge { max });
        }
        if let Some(stream) = self.streams.get_mut(place) {
            let copied = stream.push(slice, self.chunk_size, self.position);
            if stream.is_media() {
                self.copied_bytes += copied as u64;
            }
        }
        Ok(true)
    }

    fn apply(&mut self, message: &Message) -> Result<(), PeerFault> {
        match message.message_type {
            MessageType::SET_CHUNK_SIZE => match control_value(message)? {
                0 => return Err(PeerFault::ChunkSizeZero),
                // RTMP 1.0 §5.4.1: "the first bit MUST be zero".
                size if size >> 31 != 0 => return Err(PeerFault::ChunkSizeReserved),
                // No chunk is longer than its message, so no size is too large.
                size => self.chunk_size = usize::try_from(size).unwrap_or(usize::MAX),
            },
            MessageType::ABORT => {
                let csid = control_value(message)?;
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == csid) {
                    self.partial_bytes = self.partial_bytes.saturating_sub(stream.received());
                    stream.discard();
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Skips an extended timestamp that a type 3 chunk repeats. Some encoders send it and some do not,
/// so four bytes that are something else are payload. `false` when more bytes are needed to tell:
/// only while those there look like the timestamp.
fn skip_repeated_time(stream: &ChunkStream, input: &mut &[u8]) -> bool {
    let field = stream.time.millis;
    // After a delta some repeat the delta and some give the absolute timestamp, which then is one
    // that needs extending; a small one is not looked for, it would be found in payload.
    let absolute = if stream.timestamp >= EXTENDED_TIMESTAMP { stream.timestamp } else { field };
    let candidates = [field.to_be_bytes(), absolute.to_be_bytes()];
    match input.split_at_checked(4) {
        Some((field, rest)) => {
            if candidates.iter().any(|candidate| candidate == field) {
                *input = rest;
            }
            true
        }
        None => !candidates.iter().any(|candidate| candidate.starts_with(input)),
    }
}

fn control_value(message: &Message) -> Result<u32, PeerFault> {
    match message.payload.prefix::<4>() {
        (value, 4) => Ok(u32::from_be_bytes(value)),
        _ => Err(PeerFault::ControlTruncated(message.message_type.0)),
    }
}
