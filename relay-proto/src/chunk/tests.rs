//! Chunk streams: byte vectors of what encoders send, limits, copies and memory, and the round trip.

mod bounds;
mod properties;
mod timestamps;
mod vectors;

use bytes::{BufMut, Bytes, BytesMut};

use super::{ChunkDecoder, ChunkLimits};
use crate::fault::PeerFault;
use crate::message::{Message, MessageType};
use crate::payload::Payload;

/// Everything the decoder yields for `inputs`, and the fault that ended it.
fn drain(decoder: &mut ChunkDecoder, inputs: &[Bytes]) -> (Vec<Message>, Option<PeerFault>) {
    let mut messages = Vec::new();
    for input in inputs {
        decoder.handle_input(input.clone());
        loop {
            match decoder.poll_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => return (messages, Some(fault)),
            }
        }
    }
    (messages, None)
}

/// Decodes `wire` whole and byte by byte, checks that both give the same, and returns that.
fn decode(wire: &[u8]) -> Result<Vec<Message>, PeerFault> {
    let wire = Bytes::copy_from_slice(wire);
    let bytewise: Vec<Bytes> = (0..wire.len()).map(|at| wire.slice(at..=at)).collect();
    let whole = drain(&mut ChunkDecoder::new(ChunkLimits::default()), &[wire]);
    assert_eq!(whole, drain(&mut ChunkDecoder::new(ChunkLimits::default()), &bytewise));
    let (messages, fault) = whole;
    fault.map_or(Ok(messages), Err)
}

fn message(message_type: MessageType, stream_id: u32, timestamp: u32, body: &[u8]) -> Message {
    let payload = Payload::from(Bytes::copy_from_slice(body));
    Message { message_type, stream_id, timestamp, payload }
}

/// A type 0 header on a chunk stream below 64, with a timestamp that needs no extension.
fn type0(csid: u8, timestamp: u32, len: usize, message_type: MessageType) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u8(csid);
    out.put_uint(u64::from(timestamp), 3);
    out.put_uint(len as u64, 3);
    out.put_u8(message_type.0);
    out.put_u32_le(1);
    out
}

fn set_chunk_size(size: u32) -> Vec<u8> {
    [b"\x02\0\0\0\0\0\x04\x01\0\0\0\0".as_slice(), &size.to_be_bytes()].concat()
}
