//! Media without an encoder: messages that look like H.264 and AAC and carry a number each, so that
//! a receiver knows at once what it missed. Pure.

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};

/// Milliseconds between two messages.
const STEP_MS: u32 = 20;
/// Messages from one keyframe to the next; a multiple of `AUDIO_EVERY`, so that it is video.
const GOP: u64 = 60;
/// Every third message is audio.
const AUDIO_EVERY: u64 = 3;
/// Where the marks stand: behind the FLV video header and the NAL unit's length and type.
const MARKS_AT: usize = 10;

const VIDEO_CONFIGURATION: &[u8] =
    b"\x17\0\0\0\0\x01\x42\xc0\x1e\xff\xe1\0\x04\x67\x42\xc0\x1e\x01\0\x04\x68\xce\x3c\x80";
const AUDIO_CONFIGURATION: &[u8] = b"\xaf\0\x12\x10";

/// What a publisher sends, message after message.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Tells one publisher's messages from another's.
    publisher: u32,
    number: u64,
    first_timestamp: u32,
    message_bytes: usize,
    filler: Bytes,
}

impl Source {
    /// Messages of `message_bytes` each, marked as `publisher`'s.
    pub(crate) fn new(publisher: u32, message_bytes: usize) -> Self {
        let filler: Vec<u8> = (0..message_bytes).map(|index| (index * 31 % 251) as u8).collect();
        Self { publisher, number: 0, first_timestamp: 0, message_bytes, filler: filler.into() }
    }

    /// The same with timestamps from `first` on, modulo 2³².
    pub(crate) fn starting_at(mut self, first: u32) -> Self {
        self.first_timestamp = first;
        self
    }

    /// The decoder configurations.
    pub(crate) fn head() -> [MediaMessage; 2] {
        [
            message(MediaKind::Video, 0, Bytes::from_static(VIDEO_CONFIGURATION)),
            message(MediaKind::Audio, 0, Bytes::from_static(AUDIO_CONFIGURATION)),
        ]
    }

    /// Messages made so far.
    pub(crate) fn made(&self) -> u64 {
        self.number
    }

    /// The next message.
    pub(crate) fn next_message(&mut self) -> MediaMessage {
        let number = self.number;
        self.number += 1;
        let kind = if number % AUDIO_EVERY == 2 { MediaKind::Audio } else { MediaKind::Video };
        let mut body = BytesMut::with_capacity(self.message_bytes + 32);
        match kind {
            MediaKind::Audio => body.put_slice(b"\xaf\x01\0\0\0\0\0\0\0\0"),
            _ => {
                let key = number.is_multiple_of(GOP);
                body.put_slice(if key { b"\x17\x01\0\0\0" } else { b"\x27\x01\0\0\0" });
                body.put_u32(u32::try_from(self.message_bytes).expect("a small message"));
                body.put_u8(if key { 0x65 } else { 0x41 });
            }
        }
        body.put_u32(self.publisher);
        body.put_u64(number);
        body.put_slice(&self.filler);
        let passed = u32::try_from(number).expect("a short test") * STEP_MS;
        message(kind, self.first_timestamp.wrapping_add(passed), body.freeze())
    }
}

fn message(kind: MediaKind, timestamp: u32, body: Bytes) -> MediaMessage {
    let mut payload = Payload::new();
    payload.push(body);
    MediaMessage { kind, timestamp, payload }
}

/// What a receiver has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink {
    /// Marked messages received.
    pub(crate) received: u64,
    /// Times the number was not the one after the last.
    pub(crate) gaps: u64,
    /// Times the timestamp was before the last one.
    pub(crate) steps_back: u64,
    /// Times a run began with something else than a keyframe.
    pub(crate) bad_starts: u64,
    /// Times a publisher's first message came without both decoder configurations before it.
    pub(crate) bare_starts: u64,
    /// Whose message came first, and its number.
    pub(crate) first: Option<(u32, u64)>,
    /// Whose messages came last, and their number.
    pub(crate) last: Option<(u32, u64)>,
    last_timestamp: u32,
    /// Decoder configurations since the last marked message: video's, audio's.
    configured: [bool; 2],
}

impl Sink {
    /// Looks at one received message.
    pub(crate) fn take(&mut self, message: &MediaMessage) {
        // Time is a circle: half of it lies ahead.
        let step = message.timestamp.wrapping_sub(self.last_timestamp);
        if self.received > 0 && step > u32::MAX / 2 {
            self.steps_back += 1;
        }
        self.last_timestamp = message.timestamp;
        let (head, filled) = message.payload.prefix::<{ MARKS_AT + 12 }>();
        if message.kind == MediaKind::Data {
            return;
        }
        if head[1] == 0 {
            self.configured[usize::from(message.kind == MediaKind::Audio)] = true;
        }
        if head[1] != 1 || filled < head.len() {
            return;
        }
        let (publisher, number) = head[MARKS_AT..].split_at(4);
        let publisher = u32::from_be_bytes(publisher.try_into().expect("four bytes"));
        let number = u64::from_be_bytes(number.try_into().expect("eight bytes"));
        self.received += 1;
        self.first.get_or_insert((publisher, number));
        let configured = std::mem::take(&mut self.configured) == [true; 2];
        let in_run = match self.last {
            Some((whose, last)) if whose == publisher => {
                if number != last + 1 {
                    self.gaps += 1;
                }
                number == last + 1
            }
            _ => {
                self.bare_starts += u64::from(!configured);
                false
            }
        };
        if !in_run && head[0] != 0x17 {
            self.bad_starts += 1;
        }
        self.last = Some((publisher, number));
    }

    /// Nothing is missing since the first message, which was a keyframe behind its decoder's
    /// configuration.
    pub(crate) fn is_unbroken(&self) -> bool {
        let faults = self.gaps + self.steps_back + self.bad_starts + self.bare_starts;
        self.received > 0 && faults == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(skip: &[u64], from: u64, to: u64) -> Sink {
        let mut source = Source::new(1, 100);
        let mut sink = Sink::default();
        Source::head().iter().for_each(|message| sink.take(message));
        for number in 0..to {
            let message = source.next_message();
            if number >= from && !skip.contains(&number) {
                sink.take(&message);
            }
        }
        sink
    }

    #[test]
    fn an_unbroken_run_from_a_keyframe_is_one() {
        assert!(sink(&[], 0, 120).is_unbroken());
        assert!(sink(&[], GOP, 120).is_unbroken());
    }

    #[test]
    fn a_missing_message_is_a_gap() {
        assert_eq!(sink(&[70], 0, 120).gaps, 1);
        assert!(!sink(&[70], 0, 120).is_unbroken());
    }

    #[test]
    fn a_start_between_keyframes_is_bad() {
        assert_eq!(sink(&[], 3, 60).bad_starts, 1);
    }

    #[test]
    fn a_start_without_configurations_is_bare() {
        let mut sink = Sink::default();
        sink.take(&Source::head()[0]);
        sink.take(&Source::new(1, 100).next_message());
        assert_eq!((sink.bare_starts, sink.bad_starts), (1, 0));
        assert!(!sink.is_unbroken());
        // Those of the publisher before do not count for the next one.
        sink.take(&Source::new(2, 100).next_message());
        assert_eq!(sink.bare_starts, 2);
    }

    #[test]
    fn time_that_goes_back_is_seen() {
        let mut sink = sink(&[], 0, 60);
        Source::head().iter().for_each(|message| sink.take(message));
        assert_eq!(sink.steps_back, 1);
    }

    #[test]
    fn nothing_is_not_unbroken() {
        assert!(!Sink::default().is_unbroken());
    }
}
