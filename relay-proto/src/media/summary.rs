//! What a stream's video and audio are, for statistics: read from sequence headers and metadata.

use super::audio::AudioInfo;
use super::bits::BitReader;
use super::codec::{AudioCodec, VideoCodec};
use super::metadata::StreamMetadata;
use super::video::VideoInfo;
use super::{avc, hevc};
use crate::payload::Payload;

/// Bytes of a sequence header that are looked at.
const CONFIG_BYTES_MAX: usize = 1_024;

/// A stream's video.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoSummary {
    /// The codec.
    pub codec: VideoCodec,
    /// Picture width; zero while unknown.
    pub width: u32,
    /// Picture height; zero while unknown.
    pub height: u32,
    /// Frames per second; zero while unknown.
    pub frame_rate: f64,
    /// The profile's name, where the codec has one and it is known.
    pub profile: Option<&'static str>,
    /// The constraint flags of an AVC configuration; zero for others.
    pub compat: u8,
    /// The level, as in 4.1; zero while unknown.
    pub level: f32,
}

impl VideoSummary {
    /// What a video message says. Only a sequence header says more than the codec.
    #[must_use]
    pub fn read(info: &VideoInfo, payload: &Payload) -> Self {
        let mut summary = Self { codec: info.codec, ..Self::default() };
        if info.is_sequence_header() {
            let body = payload.slice(info.body_offset, info.body_offset + CONFIG_BYTES_MAX);
            summary.read_config(&body.to_contiguous());
        }
        summary
    }

    /// Fills what the sequence header left open. Encoders' metadata may be wrong, so it never
    /// overrides what the bitstream says.
    pub fn fill_from(&mut self, metadata: &StreamMetadata) {
        if self.width == 0 || self.height == 0 {
            self.width = metadata.width;
            self.height = metadata.height;
        }
        // The declared rate is the real one where the bitstream's timing is often a placeholder.
        if metadata.frame_rate > 0.0 {
            self.frame_rate = metadata.frame_rate;
        }
    }

    fn read_config(&mut self, record: &[u8]) {
        let picture = match self.codec {
            VideoCodec::Avc => avc::parse(record).and_then(|config| {
                self.profile = avc::profile_name(config.profile_idc);
                self.compat = config.compat;
                self.level = f32::from(config.level_idc) / 10.0;
                config.picture
            }),
            VideoCodec::Hevc => hevc::parse(record).and_then(|config| {
                self.profile = hevc::profile_name(config.profile_idc);
                self.level = f32::from(config.level_idc) / 30.0;
                config.picture
            }),
            VideoCodec::Av1 => {
                self.read_av1(record);
                None
            }
            _ => None,
        };
        if let Some(picture) = picture {
            self.width = picture.width;
            self.height = picture.height;
            self.frame_rate = picture.frame_rate;
        }
    }

    /// AV1 in ISOBMFF §2.3.3: profile and level index stand in the second byte.
    fn read_av1(&mut self, record: &[u8]) {
        let Some(byte) = record.get(1) else { return };
        self.profile = match byte >> 5 {
            0 => Some("Main"),
            1 => Some("High"),
            2 => Some("Professional"),
            _ => None,
        };
        let index = byte & 0x1F;
        self.level = f32::from(2 + (index >> 2)) + f32::from(index & 0x03) / 10.0;
    }
}

/// A stream's audio.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioSummary {
    /// The codec.
    pub codec: AudioCodec,
    /// The profile's name, where the codec has one and it is known.
    pub profile: Option<&'static str>,
    /// Channels; zero while unknown.
    pub channels: u32,
    /// Samples per second; zero while unknown.
    pub sample_rate: u32,
}

impl AudioSummary {
    /// What an audio message says: the tag header, and the configuration in a sequence header.
    #[must_use]
    pub fn read(info: &AudioInfo, payload: &Payload) -> Self {
        let mut summary = Self {
            codec: info.codec,
            profile: None,
            channels: info.channels,
            sample_rate: info.sample_rate,
        };
        if info.is_sequence_header() {
            let body = payload.slice(info.body_offset, info.body_offset + CONFIG_BYTES_MAX);
            summary.read_config(&body.to_contiguous());
        }
        summary
    }

    /// Fills what the messages left open.
    pub const fn fill_from(&mut self, metadata: &StreamMetadata) {
        if self.channels == 0 {
            self.channels = metadata.audio_channels;
        }
        if self.sample_rate == 0 {
            self.sample_rate = metadata.audio_sample_rate;
        }
    }

    fn read_config(&mut self, config: &[u8]) {
        let read = match self.codec {
            AudioCodec::Aac => self.read_aac(config),
            AudioCodec::Opus => self.read_opus(config),
            AudioCodec::Flac => self.read_flac(config),
            _ => None,
        };
        // A configuration that cannot be read leaves what the tag header said.
        read.unwrap_or(());
    }

    /// AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1.
    fn read_aac(&mut self, config: &[u8]) -> Option<()> {
        let mut bits = BitReader::new(config);
        let object_type = match bits.bits(5)? {
            31 => 32 + bits.bits(6)?,
            short => short,
        };
        self.profile = match object_type {
            1 => Some("Main"),
            2 => Some("LC"),
            3 => Some("SSR"),
            4 => Some("LTP"),
            5 => Some("SBR"),
            29 => Some("PS"),
            42 => Some("xHE"),
            _ => None,
        };
        self.sample_rate = read_sampling_frequency(&mut bits)?;
        self.channels = match bits.bits(4)? {
            7 => 8,
            channels => channels,
        };
        // With explicit SBR or PS the rate that is heard comes second.
        if matches!(object_type, 5 | 29) {
            self.sample_rate = read_sampling_frequency(&mut bits)?;
        }
        Some(())
    }

    /// The identification header, RFC 7845 §5.1. Opus always plays at 48 kHz.
    fn read_opus(&mut self, config: &[u8]) -> Option<()> {
        const CHANNELS_OFFSET: usize = 9;

        self.sample_rate = 48_000;
        if config.starts_with(b"OpusHead") {
            self.channels = u32::from(*config.get(CHANNELS_OFFSET)?);
        }
        Some(())
    }

    /// STREAMINFO, RFC 9639 §8.2, behind the stream marker and the block header.
    fn read_flac(&mut self, config: &[u8]) -> Option<()> {
        const RATE_OFFSET: usize = 4 + 10;

        let block = config.strip_prefix(b"fLaC").unwrap_or(config);
        let mut bits = BitReader::new(block.get(RATE_OFFSET..)?);
        self.sample_rate = bits.bits(20)?;
        self.channels = bits.bits(3)? + 1;
        Some(())
    }
}

/// ISO/IEC 14496-3 table 1.16.
fn read_sampling_frequency(bits: &mut BitReader<'_>) -> Option<u32> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    const EXPLICIT: u32 = 15;

    match bits.bits(4)? {
        EXPLICIT => bits.bits(24),
        index => RATES.get(index as usize).copied(),
    }
}
