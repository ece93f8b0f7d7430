//! Chunk headers as they are on the wire: parsing without state. RTMP 1.0 §5.3.1.

use super::EXTENDED_TIMESTAMP;

/// Basic header 3, message header 11, extended timestamp 4.
pub(super) const HEADER_BYTES_MAX: usize = 18;

/// The basic header. RTMP 1.0 §5.3.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BasicHeader {
    pub(super) format: u8,
    pub(super) csid: u32,
}

/// The message header, as much of it as the format has. RTMP 1.0 §5.3.1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MessageHeader {
    /// Timestamp (type 0) or timestamp delta (types 1 and 2), extension applied.
    pub(super) time: Option<Time>,
    /// Length and type id (types 0 and 1).
    pub(super) length_and_type: Option<(usize, u8)>,
    /// Message stream id (type 0).
    pub(super) stream_id: Option<u32>,
}

/// A timestamp field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) millis: u32,
    pub(super) extended: bool,
}

/// Reads the basic header off `input`; `None` when more bytes are needed.
pub(super) fn take_basic(input: &mut &[u8]) -> Option<BasicHeader> {
    let (&first, rest) = input.split_first()?;
    let (csid, rest) = match (first & 0x3F, rest) {
        (0, [low, rest @ ..]) => (64 + u32::from(*low), rest),
        (1, [low, high, rest @ ..]) => (64 + u32::from(*low) + 256 * u32::from(*high), rest),
        (0 | 1, _) => return None,
        (csid, rest) => (u32::from(csid), rest),
    };
    *input = rest;
    Some(BasicHeader { format: first >> 6, csid })
}

/// Reads the message header of a chunk of `format` off `input`; `None` when more bytes are needed.
/// Type 3 has none here: whether an extended timestamp follows depends on the chunk stream.
pub(super) fn take_message(format: u8, input: &mut &[u8]) -> Option<MessageHeader> {
    if format >= 3 {
        return Some(MessageHeader::default());
    }
    let mut rest = *input;
    let mut header = MessageHeader::default();
    let field = take_u24(&mut rest)?;
    if format <= 1 {
        let length = take_u24(&mut rest)?;
        let (&message_type, after) = rest.split_first()?;
        rest = after;
        header.length_and_type = Some((usize::try_from(length).ok()?, message_type));
    }
    if format == 0 {
        header.stream_id = Some(u32::from_le_bytes(take(&mut rest)?));
    }
    let extended = field == EXTENDED_TIMESTAMP;
    let millis = if extended { u32::from_be_bytes(take(&mut rest)?) } else { field };
    header.time = Some(Time { millis, extended });
    *input = rest;
    Some(header)
}

fn take_u24(input: &mut &[u8]) -> Option<u32> {
    let [a, b, c] = take(input)?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

pub(super) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}
