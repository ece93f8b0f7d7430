//! Headers of media messages, without an allocation for each.
//!
//! Owns the memory that headers are cut from, and when it is used again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::encoder::put_header;
use super::header::HEADER_BYTES_MAX;
use crate::message::MessageType;

/// What headers are cut from: room for some 170.
const BUFFER_BYTES: usize = 2 * 1024;
/// Buffers with headers in use that are kept for later: those of twenty seconds of media.
const SPENT_BUFFERS_MAX: usize = 8;

/// Encodes the first chunk's header of one stream's messages.
///
/// They are cut from one buffer after another. A buffer is used again once nobody holds a header cut
/// from it, so that nothing is allocated while messages come and go.
#[derive(Debug, Default)]
pub struct MediaHeaders {
    /// None before the first message.
    buffer: Option<BytesMut>,
    spent: VecDeque<BytesMut>,
}

impl MediaHeaders {
    /// Allocates nothing before the first message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`encode_media_header`](super::encode_media_header).
    #[must_use]
    pub fn encode(
        &mut self,
        csid: u32,
        message_type: MessageType,
        stream_id: u32,
        timestamp: u32,
        payload_len: usize,
    ) -> Bytes {
        let mut buffer = self.take_buffer();
        put_header(csid, message_type, stream_id, timestamp, payload_len, &mut buffer);
        let header = buffer.split().freeze();
        self.buffer = Some(buffer);
        header
    }

    /// A buffer with room for a header: the one in use, a spent one that is free, or a new one.
    fn take_buffer(&mut self) -> BytesMut {
        if let Some(buffer) = self.buffer.take() {
            if buffer.capacity() >= HEADER_BYTES_MAX {
                return buffer;
            }
            if self.spent.len() == SPENT_BUFFERS_MAX {
                self.spent.pop_front();
            }
            self.spent.push_back(buffer);
        }
        let free = self.spent.iter_mut().position(|spent| spent.try_reclaim(BUFFER_BYTES));
        let buffer = free.and_then(|at| self.spent.remove(at));
        buffer.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{CSID_VIDEO, encode_media_header};

    fn encode_and_hold(count: u32, held: usize) {
        let mut headers = MediaHeaders::new();
        let mut in_use = VecDeque::new();
        for number in 0..count {
            // From some message on they need an extended timestamp.
            let (timestamp, len) = (number * 10_000, number as usize * 7);
            let kind = MessageType::VIDEO;
            let header = headers.encode(CSID_VIDEO, kind, 1, timestamp, len);
            in_use.push_back((header, encode_media_header(CSID_VIDEO, kind, 1, timestamp, len)));
            if in_use.len() > held {
                let (header, expected) = in_use.pop_front().unwrap();
                assert_eq!(header, expected);
            }
        }
        for (header, expected) in in_use {
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn headers_in_use_are_never_written_over() {
        for held in [0, 1, 100, 400, 5_000] {
            encode_and_hold(6_000, held);
        }
    }
}
