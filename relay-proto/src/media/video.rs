//! Video tag headers. FLV 10.1 Annex E.4.3; Enhanced RTMP v2, "Enhanced Video".

use super::codec::VideoCodec;
use super::enhanced::{self, Track};
use super::reader::PayloadReader;
use crate::payload::Payload;

/// What a video message is to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoFrame {
    /// Decoding can start here.
    Keyframe,
    /// Needs frames before it.
    Inter,
    /// Needs frames before it, and none needs it.
    Disposable,
    /// A decoder configuration.
    SequenceHeader,
    /// The end of a sequence.
    EndOfSequence,
    /// Enhanced RTMP metadata, such as colour information.
    Metadata,
    /// An FLV command frame (client-side seeking).
    Command,
    /// No bytes at all: relayed, and not the end of anything.
    Empty,
    /// A frame or packet type nobody assigned.
    Unknown,
}

/// What the header of a video message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoInfo {
    /// The codec.
    pub codec: VideoCodec,
    /// What the message is.
    pub frame: VideoFrame,
    /// Presentation minus decoding time, milliseconds; zero where the codec has none.
    pub composition_time: i32,
    /// Nanoseconds to add to the message's timestamp, from an Enhanced RTMP ModEx prologue.
    pub timestamp_nanos: u32,
    /// Which track of a multitrack stream.
    pub track: Track,
    /// Whether the header is an Enhanced RTMP one.
    pub enhanced: bool,
    /// Where the first track's body starts: the configuration or the frame.
    pub body_offset: usize,
}

impl VideoInfo {
    const EMPTY: Self = Self {
        codec: VideoCodec::Unknown,
        frame: VideoFrame::Empty,
        composition_time: 0,
        timestamp_nanos: 0,
        track: Track::Only,
        enhanced: false,
        body_offset: 0,
    };

    /// Whether decoding can start here.
    #[must_use]
    pub const fn is_keyframe(&self) -> bool {
        matches!(self.frame, VideoFrame::Keyframe)
    }

    /// Whether it is a decoder configuration.
    #[must_use]
    pub const fn is_sequence_header(&self) -> bool {
        matches!(self.frame, VideoFrame::SequenceHeader)
    }

    /// Whether a subscriber may start here: a keyframe of the main track. Other tracks of a
    /// multitrack stream have their keyframes at other times.
    #[must_use]
    pub const fn is_join_point(&self) -> bool {
        self.is_keyframe() && self.track.is_main()
    }
}

/// Reads the header of a video message. Never fails.
#[must_use]
pub fn inspect_video(payload: &Payload) -> VideoInfo {
    let mut reader = PayloadReader::new(payload);
    let Some(first) = reader.u8() else { return VideoInfo::EMPTY };
    if first & 0x80 == 0 { legacy(first, reader) } else { enhanced(first, reader) }
}

/// FLV frame types, shared with Enhanced RTMP.
const fn coded_frame(frame_type: u8) -> VideoFrame {
    match frame_type {
        // 4 is a keyframe made by a server.
        1 | 4 => VideoFrame::Keyframe,
        2 => VideoFrame::Inter,
        3 => VideoFrame::Disposable,
        5 => VideoFrame::Command,
        _ => VideoFrame::Unknown,
    }
}

fn legacy(first: u8, mut reader: PayloadReader<'_>) -> VideoInfo {
    let codec = VideoCodec::from_codec_id(first & 0x0F);
    let mut info = VideoInfo { codec, frame: coded_frame(first >> 4), ..VideoInfo::EMPTY };
    let has_packet_type = matches!(codec, VideoCodec::Avc | VideoCodec::Hevc | VideoCodec::Av1);
    if has_packet_type && info.frame != VideoFrame::Command {
        match reader.u8() {
            Some(0) => info.frame = VideoFrame::SequenceHeader,
            Some(1) => {}
            Some(2) => info.frame = VideoFrame::EndOfSequence,
            // A tag cut off after its first byte cannot be a frame to join at.
            Some(_) | None => info.frame = VideoFrame::Unknown,
        }
        info.composition_time = reader.i24().unwrap_or(0);
    }
    info.body_offset = reader.position();
    info
}

fn enhanced(first: u8, mut reader: PayloadReader<'_>) -> VideoInfo {
    const PACKET_METADATA: u8 = 4;
    const PACKET_MULTITRACK: u8 = 6;

    let frame_type = (first >> 4) & 0x07;
    if coded_frame(frame_type) == VideoFrame::Command && first & 0x0F != PACKET_METADATA {
        return VideoInfo {
            frame: VideoFrame::Command,
            enhanced: true,
            body_offset: reader.position(),
            ..VideoInfo::EMPTY
        };
    }
    let header = enhanced::read_header(&mut reader, first & 0x0F, PACKET_MULTITRACK);
    let codec = header.four_cc.map_or(VideoCodec::Unknown, VideoCodec::from_four_cc);
    let mut composition_time = 0;
    let frame = match header.packet_type {
        _ if header.four_cc.is_none() => VideoFrame::Unknown,
        // 5 is AV1's configuration in MPEG-2 TS form.
        0 | 5 => VideoFrame::SequenceHeader,
        1 => {
            if codec.has_composition_time() {
                composition_time = reader.i24().unwrap_or(0);
            }
            coded_frame(frame_type)
        }
        2 => VideoFrame::EndOfSequence,
        3 => coded_frame(frame_type),
        PACKET_METADATA => VideoFrame::Metadata,
        _ => VideoFrame::Unknown,
    };
    VideoInfo {
        codec,
        frame,
        composition_time,
        timestamp_nanos: header.nanos,
        track: header.track,
        enhanced: true,
        body_offset: reader.position(),
    }
}
