//! Script data: `@setDataFrame` taken off, `onMetaData` summarised.
//!
//! Must not fail on any input: data that cannot be decoded is relayed as it came.

use crate::amf0::{self, Value};
use crate::limits::DATA_BYTES_DECODED_MAX;
use crate::payload::Payload;

/// What `onMetaData` said, as far as statistics want it. Zero where it did not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamMetadata {
    /// Picture width.
    pub width: u32,
    /// Picture height.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: f64,
    /// Video kilobits per second.
    pub video_kbps: f64,
    /// Audio kilobits per second.
    pub audio_kbps: f64,
    /// Audio samples per second.
    pub audio_sample_rate: u32,
    /// Audio channels.
    pub audio_channels: u32,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
}

impl StreamMetadata {
    /// Reads a data message without its `@setDataFrame`. `None` when it is not `onMetaData`, or
    /// too long to be looked at.
    #[must_use]
    pub fn read(payload: &Payload) -> Option<Self> {
        if payload.len() > DATA_BYTES_DECODED_MAX || !is_metadata(payload) {
            return None;
        }
        let (values, _fault) = amf0::decode_leading(&payload.to_contiguous());
        let mut metadata = Self::default();
        if let Some(properties) = values.get(1) {
            metadata.fill(properties);
        }
        Some(metadata)
    }

    fn fill(&mut self, properties: &Value) {
        const ENCODER_BYTES_MAX: usize = 256;

        let number = |name| properties.get(name).and_then(Value::as_number).unwrap_or(0.0);
        // The casts saturate, and turn not-a-number into zero.
        self.width = number("width") as u32;
        self.height = number("height") as u32;
        self.frame_rate = match number("framerate") {
            rate if rate > 0.0 && rate.is_finite() => rate,
            _ => Some(number("fps")).filter(|rate| *rate > 0.0 && rate.is_finite()).unwrap_or(0.0),
        };
        self.video_kbps = number("videodatarate");
        self.audio_kbps = number("audiodatarate");
        self.audio_sample_rate = number("audiosamplerate") as u32;
        self.audio_channels = match number("audiochannels") as u32 {
            0 => match properties.get("stereo").and_then(Value::as_bool) {
                Some(true) => 2,
                Some(false) => 1,
                None => 0,
            },
            channels => channels,
        };
        self.encoder = properties
            .get("encoder")
            .and_then(Value::as_str)
            .map(|encoder| encoder.chars().take(ENCODER_BYTES_MAX).collect());
    }
}

/// Whether a data message without its `@setDataFrame` is `onMetaData`.
fn is_metadata(payload: &Payload) -> bool {
    const ON_METADATA: &[u8; 13] = b"\x02\x00\x0aonMetaData";
    let (head, filled) = payload.prefix::<13>();
    filled == head.len() && head == *ON_METADATA
}

/// The data message without a leading `@setDataFrame`: what a subscriber gets. The rest stays raw,
/// and is empty when the encoder sent the bare word.
#[must_use]
pub fn strip_set_data_frame(payload: &Payload) -> Payload {
    const SET_DATA_FRAME: &[u8; 16] = b"\x02\x00\x0d@setDataFrame";
    let (head, filled) = payload.prefix::<16>();
    if filled == head.len() && head == *SET_DATA_FRAME {
        payload.slice(SET_DATA_FRAME.len(), payload.len())
    } else {
        payload.clone()
    }
}
