//! Synthetic messages: what looks like H.264 and AAC, and is marked so that a receiver knows at once
//! what it missed. Fillers are made once and shared; only a message's head is made anew. Pure.

use bytes::Bytes;
use crc32fast::Hasher;
use edgerelay_proto::amf0::{self, Value};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};

use crate::mark::{HEAD_BYTES, MARK_AT, Mark, write_head};
use crate::pattern::{Part, Pattern};

/// Fillers of each part. Neighbouring messages have different ones, so that bytes of one that end up
/// in another do not go unseen.
const FILLERS: usize = 8;

/// H.264 High, 1280×720.
const VIDEO_CONFIGURATION: &[u8] = b"\x17\0\0\0\0\x01\x64\0\x1f\xff\xe1\0\x1a\
    \x67\x64\0\x1f\xac\xd9\x40\x50\x05\xbb\x01\x10\0\0\x03\0\x10\0\0\x03\x03\xc0\xf1\x83\x19\x60\
    \x01\0\x06\x68\xeb\xe3\xcb\x22\xc0";

/// AAC-LC, 48 kHz, stereo.
const AUDIO_CONFIGURATION: &[u8] = b"\xaf\0\x11\x90";

/// What messages of one pattern are made from.
#[derive(Clone, Debug)]
pub struct Templates {
    parts: [Template; 3],
    pattern: Pattern,
}

#[derive(Clone, Debug)]
struct Template {
    codec: [u8; MARK_AT],
    fillers: Vec<(Bytes, Hasher)>,
}

impl Templates {
    /// Makes the fillers of `pattern`.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        let template = |part| Template::new(part, pattern.payload_bytes(part));
        Self { parts: [Part::Keyframe, Part::InterFrame, Part::Audio].map(template), pattern }
    }

    /// The pattern.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Metadata and decoder configurations: what a stream begins with.
    #[must_use]
    pub fn opening(&self) -> Vec<MediaMessage> {
        let mut opening = vec![
            message(MediaKind::Data, self.metadata()),
            message(MediaKind::Video, Bytes::from_static(VIDEO_CONFIGURATION)),
        ];
        if self.pattern.audio_bits > 0.0 {
            opening.push(message(MediaKind::Audio, Bytes::from_static(AUDIO_CONFIGURATION)));
        }
        opening
    }

    /// The payload of one message.
    #[must_use]
    pub fn payload(&self, part: Part, mark: &Mark) -> (MediaKind, Payload) {
        let [keyframe, inter, audio] = &self.parts;
        let (kind, template) = match part {
            Part::Keyframe => (MediaKind::Video, keyframe),
            Part::InterFrame => (MediaKind::Video, inter),
            Part::Audio => (MediaKind::Audio, audio),
        };
        let mut payload = Payload::new();
        let chosen = (mark.sequence as usize).wrapping_add(mark.stream as usize) % FILLERS;
        if let Some((filler, hasher)) = template.fillers.get(chosen) {
            payload.push(write_head(&template.codec, mark, hasher));
            payload.push(filler.clone());
        }
        (kind, payload)
    }

    fn metadata(&self) -> Bytes {
        let pattern = &self.pattern;
        let properties = Value::object([
            ("width", Value::Number(1280.0)),
            ("height", Value::Number(720.0)),
            ("framerate", Value::Number(pattern.fps)),
            ("videocodecid", Value::Number(7.0)),
            ("videodatarate", Value::Number(pattern.video_bits / 1_000.0)),
            ("audiocodecid", Value::Number(10.0)),
            ("audiodatarate", Value::Number(pattern.audio_bits / 1_000.0)),
            ("encoder", "rtmp-load".into()),
        ]);
        let mut bytes = bytes::BytesMut::new();
        amf0::encode_all(&["@setDataFrame".into(), "onMetaData".into(), properties], &mut bytes);
        bytes.freeze()
    }
}

impl Template {
    fn new(part: Part, payload_bytes: usize) -> Self {
        let filler_bytes = payload_bytes.saturating_sub(HEAD_BYTES);
        let seed = payload_bytes as u32;
        let fillers = (0..FILLERS as u32)
            .map(|variant| {
                let filler = noise(seed.wrapping_mul(31).wrapping_add(variant), filler_bytes);
                let mut hasher = Hasher::new();
                hasher.update(&filler);
                (filler, hasher)
            })
            .collect();
        Self { codec: codec_head(part, payload_bytes), fillers }
    }
}

fn codec_head(part: Part, payload_bytes: usize) -> [u8; MARK_AT] {
    const FLV_VIDEO_BYTES: usize = 5;
    const NAL_LENGTH_BYTES: usize = 4;

    let nal_bytes = payload_bytes.saturating_sub(FLV_VIDEO_BYTES + NAL_LENGTH_BYTES);
    let [n0, n1, n2, n3] = (nal_bytes as u32).to_be_bytes();
    match part {
        Part::Keyframe => [0x17, 1, 0, 0, 0, n0, n1, n2, n3, 0x65],
        Part::InterFrame => [0x27, 1, 0, 0, 0, n0, n1, n2, n3, 0x41],
        Part::Audio => [0xAF, 1, 0x21, 0, 0, 0, 0, 0, 0, 0],
    }
}

/// Bytes without a pattern that a byte out of place would fit into.
fn noise(seed: u32, len: usize) -> Bytes {
    let mut state = u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

fn message(kind: MediaKind, payload: Bytes) -> MediaMessage {
    MediaMessage { kind, timestamp: 0, payload: payload.into() }
}

#[cfg(test)]
mod tests {
    use edgerelay_proto::media::{VideoSummary, inspect_video};
    use edgerelay_proto::time::Instant;

    use super::*;
    use crate::mark::{Checksums, Reading, read};

    #[test]
    fn messages_are_as_long_as_the_pattern_says_and_carry_their_marks() {
        let templates = Templates::new(Pattern::default());
        for (sequence, part) in
            [Part::Keyframe, Part::InterFrame, Part::Audio].into_iter().enumerate()
        {
            let mark = Mark {
                stream: 3,
                sequence: sequence as u64,
                stamp: Instant::from_micros(1_000_000),
            };
            let (_, payload) = templates.payload(part, &mark);
            assert_eq!(payload.len(), Pattern::default().payload_bytes(part));
            assert_eq!(read(&payload, Checksums::Verified), Reading::Whole(mark));
        }
    }

    #[test]
    fn neighbours_have_different_fillers() {
        let templates = Templates::new(Pattern::default());
        let mark = |sequence| Mark { stream: 0, sequence, stamp: Instant::EPOCH };
        let (_, one) = templates.payload(Part::InterFrame, &mark(1));
        let (_, two) = templates.payload(Part::InterFrame, &mark(2));
        assert_ne!(one.slices()[1], two.slices()[1]);
    }

    #[test]
    fn the_configuration_is_one_that_parsers_take() {
        let opening = Templates::new(Pattern::default()).opening();
        let payload = &opening[1].payload;
        let info = inspect_video(payload);
        assert!(info.is_sequence_header());
        let summary = VideoSummary::read(&info, payload);
        assert_eq!((summary.width, summary.height), (1280, 720));
    }
}
