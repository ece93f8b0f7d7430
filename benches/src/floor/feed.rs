//! What the floor sends, and when. Pure: time is passed in.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use edgerelay_proto::chunk::{WireMessage, encode_media};
use edgerelay_proto::session::{MediaKind, MediaMessage, ServerSessionConfig};
use edgerelay_proto::time::Instant;

use crate::pattern::Pattern;
use crate::source::{Source, chunk_stream};
use crate::synthetic::Templates;

/// The message stream that a player of ours plays on.
pub(super) const STREAM_ID: u32 = 1;

/// How often every player is sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Every message by itself.
    PerMessage,
    /// Every video frame, with the audio before it.
    PerFrame,
    /// Whatever came together in such a time.
    Every(Duration),
}

/// What goes out in one send.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) slices: Vec<Bytes>,
    /// Where among the slices a keyframe begins, if there is one: who is new begins there.
    pub(super) keyframe_at: Option<usize>,
}

/// The stream, cut to the rhythm.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    rhythm: Rhythm,
    chunk_size: u32,
    zero: Instant,
    /// When the next piece ends, of those that a time ends.
    cut_at: Instant,
    piece: Piece,
}

impl Feed {
    /// The stream of `pattern`, beginning at `zero`.
    pub(super) fn new(pattern: Pattern, rhythm: Rhythm, zero: Instant) -> Self {
        Self {
            source: Source::synthetic(Rc::new(Templates::new(pattern)), 0),
            chunk_size: ServerSessionConfig::default().chunk_size,
            cut_at: match rhythm {
                Rhythm::Every(interval) => zero + interval,
                Rhythm::PerMessage | Rhythm::PerFrame => zero,
            },
            rhythm,
            zero,
            piece: Piece { slices: Vec::new(), keyframe_at: None },
        }
    }

    /// What every player is sent first.
    pub(super) fn opening(&self) -> Vec<Bytes> {
        let messages = self.source.opening();
        messages.iter().flat_map(|message| self.wire(message)).collect()
    }

    /// When to poll next.
    pub(super) fn next_due(&self) -> Instant {
        match self.rhythm {
            Rhythm::PerMessage | Rhythm::PerFrame => self.zero + self.source.next_at(),
            Rhythm::Every(_) => self.cut_at,
        }
    }

    /// The next piece that is due. Messages are stamped with the time they were due at.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Piece> {
        loop {
            let due = self.zero + self.source.next_at();
            if let Rhythm::Every(interval) = self.rhythm
                && due > self.cut_at
            {
                if self.cut_at > now {
                    return None;
                }
                self.cut_at += interval;
                return Some(self.cut());
            }
            if due > now {
                return None;
            }
            let keyframe = self.source.is_at_keyframe();
            let message = self.source.take(due);
            if keyframe {
                self.piece.keyframe_at = Some(self.piece.slices.len());
            }
            let wire = self.wire(&message);
            self.piece.slices.extend(wire);
            let cuts = match self.rhythm {
                Rhythm::PerMessage => true,
                Rhythm::PerFrame => message.kind == MediaKind::Video,
                Rhythm::Every(_) => false,
            };
            if cuts {
                return Some(self.cut());
            }
        }
    }

    fn cut(&mut self) -> Piece {
        std::mem::replace(&mut self.piece, Piece { slices: Vec::new(), keyframe_at: None })
    }

    fn wire(&self, message: &MediaMessage) -> impl Iterator<Item = Bytes> + use<> {
        let WireMessage { header, body, .. } = encode_media(
            chunk_stream(message.kind),
            message.kind.message_type(),
            STREAM_ID,
            message.timestamp,
            &message.payload,
            self.chunk_size,
        );
        std::iter::once(header).chain(body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of ten seconds, with the bytes and the time of each.
    fn ten_seconds(rhythm: Rhythm) -> Vec<(u64, usize)> {
        let mut feed = Feed::new(Pattern::default(), rhythm, Instant::EPOCH);
        let mut pieces = Vec::new();
        for millis in 0..10_000 {
            while let Some(piece) = feed.poll(Instant::from_millis(millis)) {
                pieces.push((millis, piece.slices.iter().map(Bytes::len).sum()));
            }
        }
        pieces
    }

    #[test]
    fn each_rhythm_sends_as_often_as_it_says() {
        let count = |rhythm| ten_seconds(rhythm).len();
        assert_eq!(count(Rhythm::PerMessage), 300 + 469);
        assert_eq!(count(Rhythm::PerFrame), 300);
        assert_eq!(count(Rhythm::Every(Duration::from_millis(100))), 99);
        assert_eq!(count(Rhythm::Every(Duration::from_millis(350))), 28);
    }

    #[test]
    fn all_rhythms_send_the_same_bytes() {
        let until = |rhythm, last: u64| -> usize {
            ten_seconds(rhythm).iter().filter(|(at, _)| *at <= last).map(|(_, len)| len).sum()
        };
        // The last piece of 350 ms ends here, on a video frame.
        let all = until(Rhythm::PerMessage, 9_800);
        assert_eq!(until(Rhythm::Every(Duration::from_millis(350)), 9_800), all);
        assert_eq!(until(Rhythm::PerFrame, 9_800), all);
    }

    #[test]
    fn who_is_new_can_begin_at_a_keyframe_within_a_piece() {
        let rhythm = Rhythm::Every(Duration::from_millis(350));
        let mut feed = Feed::new(Pattern::default(), rhythm, Instant::EPOCH);
        let mut begins = Vec::new();
        for millis in 0..10_000 {
            while let Some(piece) = feed.poll(Instant::from_millis(millis)) {
                begins.extend(piece.keyframe_at.map(|at| (millis, at)));
            }
        }
        let times: Vec<u64> = begins.iter().map(|(millis, _)| *millis).collect();
        assert_eq!(times, [350, 2_100, 4_200, 6_300, 8_050]);
        assert_eq!(begins[0].1, 0);
        assert!(begins[1].1 > 0, "frames of the group before come first");
    }
}
