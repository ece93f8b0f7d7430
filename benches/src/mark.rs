//! What a synthetic message says about itself: whose it is, which one, when it was sent, and a
//! checksum over all of it. Must not know how messages travel.

use bytes::{BufMut as _, Bytes, BytesMut};
use crc32fast::Hasher;
use edgerelay_proto::payload::Payload;
use edgerelay_proto::time::Instant;

/// Where the marks stand: behind the FLV header and what pretends to be the codec's.
pub const MARK_AT: usize = 10;

/// Bytes before the filler: the codec's header and the marks.
pub const HEAD_BYTES: usize = MARK_AT + 28;

/// Says that marks follow.
const MAGIC: u32 = 0x6572_6c64;

/// The marks of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The stream.
    pub stream: u32,
    /// The message's number in its stream.
    pub sequence: u64,
    /// When it was sent, on the machine's monotonic clock.
    pub stamp: Instant,
}

/// What the marks of a received message look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As they were sent.
    Whole(Mark),
    /// Damaged, or the payload is.
    Corrupt,
    /// There are none.
    Unmarked,
}

/// Whether checksums are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// They are.
    Verified,
    /// They are ignored; the marks are read all the same.
    Ignored,
}

/// Puts a message's head together. `filler` is the checksum's state after the filler, so that the
/// filler need not be gone through for every message.
#[must_use]
pub fn write_head(codec: &[u8; MARK_AT], mark: &Mark, filler: &Hasher) -> Bytes {
    let mut head = BytesMut::with_capacity(HEAD_BYTES);
    head.put_slice(codec);
    head.put_u32(MAGIC);
    head.put_u32(mark.stream);
    head.put_u64(mark.sequence);
    head.put_u64(mark.stamp.as_micros());
    let mut checksum = filler.clone();
    checksum.update(&head);
    head.put_u32(checksum.finalize());
    head.freeze()
}

/// Reads the marks of a payload.
#[must_use]
pub fn read(payload: &Payload, checksums: Checksums) -> Reading {
    let (head, filled) = payload.prefix::<HEAD_BYTES>();
    let [.., c0, c1, c2, c3] = head;
    let (covered, marks) = (&head[..HEAD_BYTES - 4], &head[MARK_AT..]);
    let (Some((magic, rest)), true) = (take_u32(marks), filled == HEAD_BYTES) else {
        return Reading::Unmarked;
    };
    if magic != MAGIC {
        return Reading::Unmarked;
    }
    let Some(mark) = read_fields(rest) else { return Reading::Unmarked };
    let expected = u32::from_be_bytes([c0, c1, c2, c3]);
    if checksums == Checksums::Verified && checksum(payload, covered) != expected {
        return Reading::Corrupt;
    }
    Reading::Whole(mark)
}

/// Of the filler first, then of the head.
fn checksum(payload: &Payload, head: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    let mut skip = HEAD_BYTES;
    for slice in payload.slices() {
        let skipped = skip.min(slice.len());
        skip -= skipped;
        hasher.update(&slice[skipped..]);
    }
    hasher.update(head);
    hasher.finalize()
}

fn read_fields(fields: &[u8]) -> Option<Mark> {
    let (stream, rest) = take_u32(fields)?;
    let (sequence, rest) = take_u64(rest)?;
    let (stamp, _) = take_u64(rest)?;
    Some(Mark { stream, sequence, stamp: Instant::from_micros(stamp) })
}

fn take_u32(input: &[u8]) -> Option<(u32, &[u8])> {
    input.split_first_chunk().map(|(field, rest)| (u32::from_be_bytes(*field), rest))
}

fn take_u64(input: &[u8]) -> Option<(u64, &[u8])> {
    input.split_first_chunk().map(|(field, rest)| (u64::from_be_bytes(*field), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODEC: [u8; MARK_AT] = [0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41];

    fn message(filler: &'static [u8]) -> (Mark, Vec<u8>) {
        let mark = Mark { stream: 7, sequence: u64::MAX - 1, stamp: Instant::from_micros(42) };
        let mut hasher = Hasher::new();
        hasher.update(filler);
        let mut bytes = write_head(&CODEC, &mark, &hasher).to_vec();
        bytes.extend_from_slice(filler);
        (mark, bytes)
    }

    fn cut(bytes: &[u8], at: usize) -> Payload {
        let mut payload = Payload::new();
        payload.push(Bytes::copy_from_slice(&bytes[..at]));
        payload.push(Bytes::copy_from_slice(&bytes[at..]));
        payload
    }

    #[test]
    fn marks_are_read_however_the_payload_is_cut() {
        let (mark, bytes) = message(b"some filler");
        for at in 0..=bytes.len() {
            assert_eq!(read(&cut(&bytes, at), Checksums::Verified), Reading::Whole(mark));
        }
    }

    #[test]
    fn every_changed_bit_is_seen() {
        let (_, bytes) = message(b"some filler");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let reading = read(&cut(&changed, 5), Checksums::Verified);
            assert!(!matches!(reading, Reading::Whole(_)), "bit {bit}");
        }
    }

    #[test]
    fn ignored_checksums_leave_the_marks() {
        let (mark, mut bytes) = message(b"some filler");
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(read(&cut(&bytes, 5), Checksums::Ignored), Reading::Whole(mark));
    }

    #[test]
    fn a_short_or_foreign_message_has_no_marks() {
        let (_, bytes) = message(b"");
        let short = cut(&bytes[..HEAD_BYTES - 1], 3);
        assert_eq!(read(&short, Checksums::Verified), Reading::Unmarked);
        assert_eq!(read(&cut(&[0; 100], 50), Checksums::Verified), Reading::Unmarked);
    }
}
