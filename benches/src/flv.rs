//! FLV files as sources: parsed once, replayed over and over with timestamps that go on.
//! FLV 10.1 Annex E. Pure: the bytes come from the caller.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use edgerelay_proto::media::{inspect_audio, inspect_video};
use edgerelay_proto::session::{MediaKind, MediaMessage};

/// From the last message of one round to the first of the next, where the file does not say.
const ROUND_GAP_MS: u32 = 33;

/// Why bytes are no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The first bytes are not an FLV header.
    #[error("expected an FLV file")]
    Header,
    /// There is nothing to send.
    #[error("expected audio or video in the file")]
    Empty,
}

/// A parsed file.
#[derive(Clone, Debug)]
pub struct FlvFile {
    /// Metadata and decoder configurations.
    opening: Vec<MediaMessage>,
    /// Coded frames, from the first keyframe on, timestamps from zero.
    frames: Vec<MediaMessage>,
    round_ms: u32,
}

impl FlvFile {
    /// Parses a file. What is cut off at its end is left out.
    ///
    /// # Errors
    /// It is none, or holds no frames.
    pub fn parse(mut input: Bytes) -> Result<Self, FlvError> {
        const HEADER_BYTES: usize = 9;
        const BACK_POINTER_BYTES: usize = 4;

        if !input.starts_with(b"FLV") || input.len() < HEADER_BYTES + BACK_POINTER_BYTES {
            return Err(FlvError::Header);
        }
        input.advance(HEADER_BYTES + BACK_POINTER_BYTES);
        let mut opening = Vec::new();
        let mut frames = Vec::new();
        while let Some((kind, timestamp, body)) = take_tag(&mut input) {
            let Some(kind) = kind else { continue };
            let message = MediaMessage { kind, timestamp, payload: body.into() };
            if is_opening(&message) {
                opening.push(MediaMessage { timestamp: 0, ..message });
            } else if kind != MediaKind::Data {
                frames.push(message);
            }
        }
        let is_key = |message: &MediaMessage| {
            message.kind == MediaKind::Video && inspect_video(&message.payload).is_keyframe()
        };
        let begin = frames.iter().position(is_key).unwrap_or(0);
        frames.drain(..begin);
        let first = frames.first().ok_or(FlvError::Empty)?.timestamp;
        for frame in &mut frames {
            frame.timestamp = frame.timestamp.saturating_sub(first);
        }
        // Not always that of the last tag: audio and video are interleaved roughly.
        let last = frames.iter().map(|frame| frame.timestamp).max().unwrap_or(0);
        Ok(Self { opening, frames, round_ms: last + ROUND_GAP_MS })
    }
}

/// Walks through a file without end.
#[derive(Clone, Debug)]
pub struct Replay {
    file: Rc<FlvFile>,
    place: usize,
    /// Milliseconds of the rounds behind us.
    passed_ms: u64,
}

impl Replay {
    /// At the beginning.
    #[must_use]
    pub const fn new(file: Rc<FlvFile>) -> Self {
        Self { file, place: 0, passed_ms: 0 }
    }

    /// Metadata and decoder configurations.
    #[must_use]
    pub fn opening(&self) -> Vec<MediaMessage> {
        self.file.opening.clone()
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_at(&self) -> Duration {
        let within = self.file.frames.get(self.place).map_or(0, |frame| frame.timestamp);
        Duration::from_millis(self.passed_ms + u64::from(within))
    }

    /// Whether the next message is a keyframe, or the file has none.
    #[must_use]
    pub fn is_at_keyframe(&self) -> bool {
        self.place == 0
            || self.file.frames.get(self.place).is_some_and(|frame| {
                frame.kind == MediaKind::Video && inspect_video(&frame.payload).is_keyframe()
            })
    }

    /// The next message.
    pub fn take(&mut self) -> MediaMessage {
        // Modulo 2³², as RTMP's timestamps are.
        let timestamp = self.next_at().as_millis() as u32;
        let message = self.file.frames.get(self.place).map(|frame| MediaMessage {
            kind: frame.kind,
            timestamp,
            payload: frame.payload.clone(),
        });
        self.place += 1;
        if self.place >= self.file.frames.len() {
            self.place = 0;
            self.passed_ms += u64::from(self.file.round_ms);
        }
        message.expect("a file without frames is refused")
    }
}

fn is_opening(message: &MediaMessage) -> bool {
    match message.kind {
        MediaKind::Data => true,
        MediaKind::Video => inspect_video(&message.payload).is_sequence_header(),
        MediaKind::Audio => inspect_audio(&message.payload).is_sequence_header(),
    }
}

/// The next tag: its kind if it is one we know, its timestamp and its body.
fn take_tag(input: &mut Bytes) -> Option<(Option<MediaKind>, u32, Bytes)> {
    const TAG_HEADER_BYTES: usize = 11;
    const BACK_POINTER_BYTES: usize = 4;

    let [tag_type, l0, l1, l2, t0, t1, t2, top, ..] = *input.get(..TAG_HEADER_BYTES)? else {
        return None;
    };
    let len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    let timestamp = u32::from_be_bytes([top, t0, t1, t2]);
    let kind = match tag_type & 0x1F {
        8 => Some(MediaKind::Audio),
        9 => Some(MediaKind::Video),
        18 => Some(MediaKind::Data),
        _ => None,
    };
    if input.len() < TAG_HEADER_BYTES + len {
        return None;
    }
    input.advance(TAG_HEADER_BYTES);
    let body = input.split_to(len);
    input.advance(BACK_POINTER_BYTES.min(input.len()));
    Some((kind, timestamp, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(tag_type: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
        let [_, l0, l1, l2] = (body.len() as u32).to_be_bytes();
        let [top, t0, t1, t2] = timestamp.to_be_bytes();
        let mut bytes = vec![tag_type, l0, l1, l2, t0, t1, t2, top, 0, 0, 0];
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(&(body.len() as u32 + 11).to_be_bytes());
        bytes
    }

    fn file() -> Bytes {
        [
            b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec(),
            tag(18, 0, b"\x02\0\x0aonMetaData"),
            tag(9, 0, b"\x17\0\0\0\0configuration"),
            tag(9, 960, b"\x27\x01\0\0\0before"),
            tag(9, 1_000, b"\x17\x01\0\0\0key"),
            tag(8, 1_010, b"\xaf\x01sound"),
            tag(9, 1_040, b"\x27\x01\0\0\0inter"),
            tag(8, 1_035, b"\xaf\x01late"),
            tag(9, 1_080, b"\x27\x01\0\0\0cut off")[..14].to_vec(),
        ]
        .concat()
        .into()
    }

    #[test]
    fn rounds_follow_one_another_in_time_from_keyframe_to_keyframe() {
        let mut replay = Replay::new(Rc::new(FlvFile::parse(file()).unwrap()));
        assert_eq!(replay.opening().len(), 2);
        let mut times = Vec::new();
        for place in 0..9 {
            assert_eq!(replay.is_at_keyframe(), place % 4 == 0);
            let at = replay.next_at();
            let message = replay.take();
            assert_eq!(u128::from(message.timestamp), at.as_millis());
            times.push(message.timestamp);
        }
        assert_eq!(times, [0, 10, 40, 35, 73, 83, 113, 108, 146]);
    }

    #[test]
    fn other_bytes_are_no_source() {
        assert_eq!(FlvFile::parse(Bytes::from_static(b"RIFF")).unwrap_err(), FlvError::Header);
        let head = file().slice(..13);
        assert_eq!(FlvFile::parse(head).unwrap_err(), FlvError::Empty);
    }
}
