//! Messages for a stream, each with a number in its last four bytes.

use bytes::Bytes;
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};
use edgerelay_proto::time::Instant;

use super::{CUE, Got, METADATA};
use crate::hub::stream::{Appended, Stream};

/// The message that a player will see as `got`, padded by `padding` bytes.
pub(super) fn message(got: Got, timestamp: u32, padding: usize) -> MediaMessage {
    let (kind, head, number): (_, &[u8], _) = match got {
        Got::Metadata(number) => (MediaKind::Data, METADATA, Some(number)),
        Got::Cue(number) => (MediaKind::Data, CUE, Some(number)),
        Got::VideoHeader(number) => (MediaKind::Video, &[0x17, 0, 0, 0, 0], Some(number)),
        Got::Keyframe(number) => (MediaKind::Video, &[0x17, 1, 0, 0, 0], Some(number)),
        Got::Inter(number) => (MediaKind::Video, &[0x27, 1, 0, 0, 0], Some(number)),
        Got::AudioHeader(number) => (MediaKind::Audio, &[0xAF, 0], Some(number)),
        Got::Audio(number) => (MediaKind::Audio, &[0xAF, 1], Some(number)),
        Got::EmptyVideo => (MediaKind::Video, &[], None),
        Got::EmptyAudio => (MediaKind::Audio, &[], None),
    };
    let mut body = head.to_vec();
    if let Some(number) = number {
        body.resize(head.len() + padding, 0);
        body.extend(number.to_be_bytes());
    }
    MediaMessage { kind, timestamp, payload: Payload::from(Bytes::from(body)) }
}

impl Stream {
    /// Appends at `now`, with the same as timestamp.
    pub(super) fn put(&mut self, now: Instant, got: Got) -> Appended {
        let timestamp = u32::try_from(now.as_millis()).expect("within 49 days");
        self.append(now, message(got, timestamp, 0))
    }

    pub(super) fn put_all(&mut self, now: Instant, all: impl IntoIterator<Item = Got>) {
        for got in all {
            self.put(now, got);
        }
    }
}
