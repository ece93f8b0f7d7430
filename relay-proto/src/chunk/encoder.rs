//! Messages to chunks.
//!
//! Owns what we put on the wire: always type 0 headers with absolute timestamps and type 3
//! continuations with the extended timestamp repeated, as most players expect. No state besides the
//! chunk size, so that the bytes of a frame are the same for every subscriber.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::header::HEADER_BYTES_MAX;
use super::{CSID_MAX, CSID_MIN, EXTENDED_TIMESTAMP};
use crate::limits::{CHUNK_SIZE_INITIAL, MESSAGE_BYTES_WIRE_MAX};
use crate::message::{Message, MessageType};
use crate::payload::Payload;
use crate::slice_list::SliceList;

/// Basic header 3, extended timestamp 4.
const CONTINUATION_BYTES_MAX: usize = 7;

/// Encodes control and command messages of one connection.
#[derive(Clone, Debug)]
pub struct ChunkEncoder {
    chunk_size: u32,
}

impl Default for ChunkEncoder {
    fn default() -> Self {
        Self { chunk_size: CHUNK_SIZE_INITIAL }
    }
}

impl ChunkEncoder {
    /// An encoder with the chunk size every connection starts with.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The chunk size in use.
    #[must_use]
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Uses another chunk size from the next message on. The caller has sent Set Chunk Size.
    pub fn set_chunk_size(&mut self, chunk_size: u32) {
        self.chunk_size = chunk_size.max(1);
    }

    /// Appends the chunks of `message` to `out`. Copies the payload: not for audio or video.
    pub fn encode(&mut self, csid: u32, message: &Message, out: &mut BytesMut) {
        let Message { message_type, stream_id, timestamp, payload } = message;
        put_header(csid, *message_type, *stream_id, *timestamp, payload.len(), out);
        let mut room = self.chunk_size as usize;
        for slice in payload.slices() {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                if room == 0 {
                    put_continuation(csid, *timestamp, out);
                    room = self.chunk_size as usize;
                }
                let (head, tail) = rest.split_at_checked(room).unwrap_or((rest, &[]));
                out.put_slice(head);
                room -= head.len();
                rest = tail;
            }
        }
    }
}

/// A media message as it is sent, ready for a gathering write.
#[derive(Clone)]
pub struct WireMessage {
    /// The first chunk's header. Apart from the body so that a subscriber with another message
    /// stream id or timestamp gets its own, see [`encode_media_header`].
    pub header: Bytes,
    /// Payload slices with the headers of the other chunks between them.
    ///
    /// With an extended timestamp (4 h 40 min and later) those headers repeat it: a subscriber with
    /// another timestamp needs another body then.
    pub body: SliceList,
    /// Bytes of header and body.
    pub wire_len: usize,
}

/// Sizes alone, as a payload.
impl fmt::Debug for WireMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WireMessage")
            .field("wire_len", &self.wire_len)
            .field("slices", &(1 + self.body.len()))
            .finish()
    }
}

/// Encodes a media message without copying its payload.
#[must_use]
pub fn encode_media(
    csid: u32,
    message_type: MessageType,
    stream_id: u32,
    timestamp: u32,
    payload: &Payload,
    chunk_size: u32,
) -> WireMessage {
    let chunk_size = chunk_size.max(1) as usize;
    let mut headers = BytesMut::with_capacity(HEADER_BYTES_MAX + CONTINUATION_BYTES_MAX);
    put_header(csid, message_type, stream_id, timestamp, payload.len(), &mut headers);
    let header = headers.split().freeze();
    let continuation = if payload.len() > chunk_size {
        put_continuation(csid, timestamp, &mut headers);
        headers.freeze()
    } else {
        Bytes::new()
    };
    let mut wire_len = header.len() + payload.len();
    let mut body = SliceList::default();
    let mut room = chunk_size;
    for slice in payload.slices() {
        let mut rest = slice.clone();
        while !rest.is_empty() {
            if room == 0 {
                wire_len += continuation.len();
                body.push(continuation.clone());
                room = chunk_size;
            }
            let head = rest.split_to(room.min(rest.len()));
            room -= head.len();
            body.push(head);
        }
    }
    WireMessage { header, body, wire_len }
}

/// The header of a media message's first chunk.
#[must_use]
pub fn encode_media_header(
    csid: u32,
    message_type: MessageType,
    stream_id: u32,
    timestamp: u32,
    payload_len: usize,
) -> Bytes {
    let mut header = BytesMut::with_capacity(HEADER_BYTES_MAX);
    put_header(csid, message_type, stream_id, timestamp, payload_len, &mut header);
    header.freeze()
}

pub(super) fn put_header(
    csid: u32,
    message_type: MessageType,
    stream_id: u32,
    timestamp: u32,
    payload_len: usize,
    out: &mut BytesMut,
) {
    debug_assert!(payload_len <= MESSAGE_BYTES_WIRE_MAX, "a message of {payload_len} bytes");
    put_basic(0, csid, out);
    out.put_uint(u64::from(timestamp.min(EXTENDED_TIMESTAMP)), 3);
    out.put_uint(payload_len.min(MESSAGE_BYTES_WIRE_MAX) as u64, 3);
    out.put_u8(message_type.0);
    out.put_u32_le(stream_id);
    put_extended(timestamp, out);
}

fn put_continuation(csid: u32, timestamp: u32, out: &mut BytesMut) {
    put_basic(3, csid, out);
    put_extended(timestamp, out);
}

fn put_extended(timestamp: u32, out: &mut BytesMut) {
    if timestamp >= EXTENDED_TIMESTAMP {
        out.put_u32(timestamp);
    }
}

/// RTMP 1.0 §5.3.1.1.
fn put_basic(format: u8, csid: u32, out: &mut BytesMut) {
    debug_assert!((CSID_MIN..=CSID_MAX).contains(&csid), "chunk stream id {csid}");
    let format = format << 6;
    let beyond = csid.saturating_sub(64);
    match (u8::try_from(csid), u8::try_from(beyond)) {
        (Ok(csid @ 0..64), _) => out.put_u8(format | csid),
        (_, Ok(beyond)) => out.put_slice(&[format, beyond]),
        _ => {
            out.put_u8(format | 1);
            out.put_u16_le(u16::try_from(beyond).unwrap_or(u16::MAX));
        }
    }
}
