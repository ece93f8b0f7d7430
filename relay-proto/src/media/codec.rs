//! Codec names: FLV codec ids and Enhanced RTMP FourCCs. Must not know any bitstream.

/// A video codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoCodec {
    /// Sorenson H.263, FLV codec id 2.
    H263,
    /// Screen video, FLV codec id 3, and its version 2, id 6.
    Screen,
    /// On2 VP6 with or without alpha, FLV codec ids 4 and 5.
    Vp6,
    /// H.264, FLV codec id 7 or `avc1`.
    Avc,
    /// H.265, `hvc1`, or FLV codec id 12 as some encoders send it.
    Hevc,
    /// H.266, `vvc1`.
    Vvc,
    /// AV1, `av01`.
    Av1,
    /// VP8, `vp08`.
    Vp8,
    /// VP9, `vp09`.
    Vp9,
    /// A FourCC that Enhanced RTMP does not name.
    FourCc([u8; 4]),
    /// An FLV codec id nobody assigned, or no header at all.
    #[default]
    Unknown,
}

impl VideoCodec {
    /// The codec of an Enhanced RTMP FourCC.
    #[must_use]
    pub const fn from_four_cc(four_cc: [u8; 4]) -> Self {
        match &four_cc {
            b"avc1" => Self::Avc,
            b"hvc1" => Self::Hevc,
            b"vvc1" => Self::Vvc,
            b"av01" => Self::Av1,
            b"vp08" => Self::Vp8,
            b"vp09" => Self::Vp9,
            _ => Self::FourCc(four_cc),
        }
    }

    /// The codec of a legacy FLV codec id.
    pub(super) const fn from_codec_id(codec_id: u8) -> Self {
        match codec_id {
            2 => Self::H263,
            3 | 6 => Self::Screen,
            4 | 5 => Self::Vp6,
            7 => Self::Avc,
            12 => Self::Hevc,
            13 => Self::Av1,
            _ => Self::Unknown,
        }
    }

    /// Whether coded frames of it carry a composition time offset. Enhanced RTMP v2, video message.
    pub(super) const fn has_composition_time(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Vvc)
    }

    /// The name for people, as nginx-rtmp spells those it knows.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::H263 => "Sorenson-H263",
            Self::Screen => "ScreenVideo",
            Self::Vp6 => "On2-VP6",
            Self::Avc => "H264",
            Self::Hevc => "HEVC",
            Self::Vvc => "VVC",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::FourCc(_) => "FourCC",
            Self::Unknown => "unknown",
        }
    }
}

/// An audio codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AudioCodec {
    /// Linear PCM, FLV sound formats 0 and 3.
    Pcm,
    /// ADPCM, FLV sound format 1.
    Adpcm,
    /// MP3, FLV sound formats 2 and 14, or `.mp3`.
    Mp3,
    /// Nellymoser, FLV sound formats 4, 5 and 6.
    Nellymoser,
    /// G.711 A-law, FLV sound format 7.
    G711A,
    /// G.711 mu-law, FLV sound format 8.
    G711U,
    /// AAC, FLV sound format 10 or `mp4a`.
    Aac,
    /// Speex, FLV sound format 11.
    Speex,
    /// Opus.
    Opus,
    /// AC-3, `ac-3`.
    Ac3,
    /// Enhanced AC-3, `ec-3`.
    Eac3,
    /// FLAC, `fLaC`.
    Flac,
    /// A FourCC that Enhanced RTMP does not name.
    FourCc([u8; 4]),
    /// An FLV sound format nobody assigned, or no header at all.
    #[default]
    Unknown,
}

impl AudioCodec {
    /// The codec of an Enhanced RTMP FourCC.
    #[must_use]
    pub const fn from_four_cc(four_cc: [u8; 4]) -> Self {
        match &four_cc {
            b"mp4a" => Self::Aac,
            b".mp3" => Self::Mp3,
            b"Opus" => Self::Opus,
            b"ac-3" => Self::Ac3,
            b"ec-3" => Self::Eac3,
            b"fLaC" => Self::Flac,
            _ => Self::FourCc(four_cc),
        }
    }

    /// The codec of a legacy FLV sound format.
    pub(super) const fn from_sound_format(sound_format: u8) -> Self {
        match sound_format {
            0 | 3 => Self::Pcm,
            1 => Self::Adpcm,
            2 | 14 => Self::Mp3,
            4..=6 => Self::Nellymoser,
            7 => Self::G711A,
            8 => Self::G711U,
            10 => Self::Aac,
            11 => Self::Speex,
            _ => Self::Unknown,
        }
    }

    /// The name for people, as nginx-rtmp spells those it knows.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pcm => "LPCM",
            Self::Adpcm => "ADPCM",
            Self::Mp3 => "MP3",
            Self::Nellymoser => "Nellymoser",
            Self::G711A => "G711A",
            Self::G711U => "G711U",
            Self::Aac => "AAC",
            Self::Speex => "Speex",
            Self::Opus => "Opus",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Flac => "FLAC",
            Self::FourCc(_) => "FourCC",
            Self::Unknown => "unknown",
        }
    }
}
