//! Audio tag headers. FLV 10.1 Annex E.4.2; Enhanced RTMP v2, "Enhanced Audio".

use super::codec::AudioCodec;
use super::enhanced::{self, Track};
use super::reader::PayloadReader;
use crate::payload::Payload;

/// What an audio message is to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioPacket {
    /// A decoder configuration.
    SequenceHeader,
    /// Coded sound.
    Coded,
    /// The end of a sequence.
    EndOfSequence,
    /// Enhanced RTMP's speaker layout: kept for later subscribers like a sequence header.
    MultichannelConfig,
    /// No bytes at all: relayed, and not the end of anything.
    Empty,
    /// A packet type nobody assigned.
    Unknown,
}

/// What the header of an audio message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// The codec.
    pub codec: AudioCodec,
    /// What the message is.
    pub packet: AudioPacket,
    /// Nanoseconds to add to the message's timestamp, from an Enhanced RTMP ModEx prologue.
    pub timestamp_nanos: u32,
    /// Which track of a multitrack stream.
    pub track: Track,
    /// Whether the header is an Enhanced RTMP one.
    pub enhanced: bool,
    /// Samples per second by the tag header; zero where it does not say.
    pub sample_rate: u32,
    /// Channels by the tag header; zero where it does not say.
    pub channels: u32,
    /// Where the first track's body starts: the configuration or the sound.
    pub body_offset: usize,
}

impl AudioInfo {
    const EMPTY: Self = Self {
        codec: AudioCodec::Unknown,
        packet: AudioPacket::Empty,
        timestamp_nanos: 0,
        track: Track::Only,
        enhanced: false,
        sample_rate: 0,
        channels: 0,
        body_offset: 0,
    };

    /// Whether it is a decoder configuration.
    #[must_use]
    pub const fn is_sequence_header(&self) -> bool {
        matches!(self.packet, AudioPacket::SequenceHeader)
    }
}

/// Reads the header of an audio message. Never fails.
#[must_use]
pub fn inspect_audio(payload: &Payload) -> AudioInfo {
    const SOUND_FORMAT_ENHANCED: u8 = 9;

    let mut reader = PayloadReader::new(payload);
    let Some(first) = reader.u8() else { return AudioInfo::EMPTY };
    if first >> 4 == SOUND_FORMAT_ENHANCED {
        enhanced(first, reader)
    } else {
        legacy(first, reader)
    }
}

fn legacy(first: u8, mut reader: PayloadReader<'_>) -> AudioInfo {
    let sound_format = first >> 4;
    let codec = AudioCodec::from_sound_format(sound_format);
    let packet = match codec {
        AudioCodec::Aac => match reader.u8() {
            Some(0) => AudioPacket::SequenceHeader,
            Some(1) => AudioPacket::Coded,
            Some(_) | None => AudioPacket::Unknown,
        },
        _ => AudioPacket::Coded,
    };
    let sample_rate = match (sound_format, (first >> 2) & 0x03) {
        (5 | 7 | 8 | 14, _) => 8_000,
        (4 | 11, _) => 16_000,
        (_, 0) => 5_512,
        (_, 1) => 11_025,
        (_, 2) => 22_050,
        (_, _) => 44_100,
    };
    AudioInfo {
        codec,
        packet,
        sample_rate,
        channels: 1 + u32::from(first & 0x01),
        body_offset: reader.position(),
        ..AudioInfo::EMPTY
    }
}

fn enhanced(first: u8, mut reader: PayloadReader<'_>) -> AudioInfo {
    const PACKET_MULTITRACK: u8 = 5;

    let header = enhanced::read_header(&mut reader, first & 0x0F, PACKET_MULTITRACK);
    let packet = match header.packet_type {
        _ if header.four_cc.is_none() => AudioPacket::Unknown,
        0 => AudioPacket::SequenceHeader,
        1 => AudioPacket::Coded,
        2 => AudioPacket::EndOfSequence,
        4 => AudioPacket::MultichannelConfig,
        _ => AudioPacket::Unknown,
    };
    AudioInfo {
        codec: header.four_cc.map_or(AudioCodec::Unknown, AudioCodec::from_four_cc),
        packet,
        timestamp_nanos: header.nanos,
        track: header.track,
        enhanced: true,
        body_offset: reader.position(),
        ..AudioInfo::EMPTY
    }
}
