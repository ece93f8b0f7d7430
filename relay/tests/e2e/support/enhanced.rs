//! Enhanced RTMP by hand: streams whose tags are laid out as version 2 of its specification shows
//! them. No encoder at hand makes these. What stands in the coded pictures and sounds is counted
//! filler: nobody decodes it. Pure.

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::session::{MediaKind, MediaMessage};

/// Groups of pictures in a script, and pictures in a group.
pub(crate) const GROUPS: usize = 4;
const GROUP_PICTURES: u32 = 5;
/// Milliseconds from picture to picture.
const STEP_MS: u32 = 40;

const HEVC: [u8; 4] = *b"hvc1";
const AV1: [u8; 4] = *b"av01";
const OPUS: [u8; 4] = *b"Opus";
const AAC: [u8; 4] = *b"mp4a";

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const VIDEO_METADATA: u8 = 4;
const AUDIO_MULTITRACK: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
const MOD_EX: u8 = 7;

const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// The first byte's upper half: a keyframe, another picture, and sound with a FourCC.
const KEY: u8 = 0x90;
const INTER: u8 = 0xA0;
const SOUND: u8 = 0x90;

/// x265's for 1918×1078.
const HEVC_CONFIGURATION: &str = "01016000000090000000000078f000fcfdf8f800000f0420\
    0001001840010c01ffff016000000300900000030000030078959409\
    210001002c420101016000000300900000030000030078a003c0801107536595952930bc05a020000003002000000303c1\
    22000100064401c073c189";
const AV1_CONFIGURATION: &str = "810c0c000a0b00000024cf7f0dbfff3008";
const AAC_CONFIGURATION: &str = "1190";
const OPUS_CONFIGURATION: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

/// A stream to publish.
pub(crate) struct Script {
    /// What statistics call its video and its audio.
    pub(crate) codecs: (&'static str, &'static str),
    /// Metadata and decoder configurations, in the order in which a player gets them on joining.
    pub(crate) head: Vec<MediaMessage>,
    /// Each begins with a keyframe of the main track and has no other.
    pub(crate) groups: [Vec<MediaMessage>; GROUPS],
}

/// One track's part of a tag.
struct Body {
    four_cc: [u8; 4],
    bytes: Vec<u8>,
}

/// What a track shows or sounds like at one moment.
#[derive(Clone, Copy)]
enum Moment {
    Start,
    /// A picture or sound with its number, and whether it is the first of its group.
    Coded {
        number: u32,
        first: bool,
    },
}

impl Script {
    /// HEVC in all its packet types, with Opus.
    pub(crate) fn hevc() -> Self {
        let video = |moment| match moment {
            Moment::Start => vec![
                plain(KEY, SEQUENCE_START, &hevc(moment)),
                plain(KEY, VIDEO_METADATA, &Body { four_cc: HEVC, bytes: colour_info() }),
            ],
            Moment::Coded { first: true, .. } => {
                vec![plain(KEY, CODED_FRAMES, &late(&hevc(moment)))]
            }
            Moment::Coded { number, .. } if number % 2 == 0 => {
                vec![plain(INTER, CODED_FRAMES, &late(&hevc(moment)))]
            }
            Moment::Coded { .. } => vec![plain(INTER, CODED_FRAMES_X, &hevc(moment))],
        };
        Self::new(("HEVC", "Opus"), video, |moment| {
            vec![plain(SOUND, packet(moment), &opus(moment))]
        })
    }

    /// AV1 with Opus, all coded ones with nanoseconds in front.
    pub(crate) fn av1_with_nanoseconds() -> Self {
        let video = |moment| match moment {
            Moment::Start => vec![plain(KEY, SEQUENCE_START, &av1(moment))],
            Moment::Coded { number, first } => {
                let picture = if first { KEY } else { INTER };
                vec![with_nanoseconds(&plain(picture, CODED_FRAMES, &av1(moment)), number * 111)]
            }
        };
        let audio = |moment| match moment {
            Moment::Start => vec![plain(SOUND, SEQUENCE_START, &opus(moment))],
            Moment::Coded { number, .. } => {
                vec![with_nanoseconds(&plain(SOUND, CODED_FRAMES, &opus(moment)), number * 7)]
            }
        };
        Self::new(("AV1", "Opus"), video, audio)
    }

    /// Two video tracks of different codecs in messages of their own, the second with its keyframes
    /// at other times; two audio tracks of one codec in one message.
    pub(crate) fn tracks_apart() -> Self {
        let video = |moment| {
            let (main, side) = match moment {
                Moment::Start => (KEY, KEY),
                Moment::Coded { first: true, .. } => (KEY, INTER),
                Moment::Coded { number, .. } if number % GROUP_PICTURES == 3 => (INTER, KEY),
                Moment::Coded { .. } => (INTER, INTER),
            };
            let side =
                tracks(side, VIDEO_MULTITRACK, ONE_TRACK, packet(moment), &[(1, av1(moment))]);
            vec![plain(main, packet_x(moment), &hevc(moment)), side]
        };
        let audio = |moment| {
            let both = [(0, opus(moment)), (1, opus(moment))];
            vec![tracks(SOUND, AUDIO_MULTITRACK, MANY_TRACKS, packet(moment), &both)]
        };
        Self::new(("HEVC", "Opus"), video, audio)
    }

    /// Two video tracks of different codecs in one message; two audio tracks of different codecs in
    /// messages of their own.
    pub(crate) fn tracks_together() -> Self {
        let video = |moment| {
            let first = matches!(moment, Moment::Start | Moment::Coded { first: true, .. });
            let picture = if first { KEY } else { INTER };
            let both = [(0, hevc(moment)), (1, av1(moment))];
            let how = MANY_TRACKS_MANY_CODECS;
            vec![tracks(picture, VIDEO_MULTITRACK, how, packet_x(moment), &both)]
        };
        let audio = |moment| {
            let one = |track| tracks(SOUND, AUDIO_MULTITRACK, ONE_TRACK, packet(moment), &[track]);
            vec![one((0, opus(moment))), one((1, aac(moment)))]
        };
        Self::new(("HEVC", "Opus"), video, audio)
    }

    fn new(
        codecs: (&'static str, &'static str),
        video: impl Fn(Moment) -> Vec<Bytes>,
        audio: impl Fn(Moment) -> Vec<Bytes>,
    ) -> Self {
        let at = |moment, timestamp| {
            let pictures = video(moment).into_iter().map(|tag| (MediaKind::Video, tag));
            let sounds = audio(moment).into_iter().map(|tag| (MediaKind::Audio, tag));
            let all = pictures.chain(sounds);
            all.map(move |(kind, tag)| MediaMessage { kind, timestamp, payload: tag.into() })
                .collect::<Vec<_>>()
        };
        let mut head = vec![metadata()];
        head.extend(at(Moment::Start, 0));
        let groups = std::array::from_fn(|group| {
            let first = u32::try_from(group).expect("few groups") * GROUP_PICTURES;
            let numbers = first..first + GROUP_PICTURES;
            let coded = |number| Moment::Coded { number, first: number == first };
            numbers.flat_map(|number| at(coded(number), number * STEP_MS)).collect()
        });
        Self { codecs, head, groups }
    }

    /// The last message of the group with this index.
    pub(crate) fn last_of(&self, group: usize) -> &MediaMessage {
        self.groups[group].last().expect("a group has messages")
    }

    /// The last message of all.
    pub(crate) fn last(&self) -> &MediaMessage {
        self.last_of(GROUPS - 1)
    }
}

fn metadata() -> MediaMessage {
    // An empty ECMA array.
    let payload = Bytes::from_static(b"\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09").into();
    MediaMessage { kind: MediaKind::Data, timestamp: 0, payload }
}

/// `colorInfo` with an empty object.
fn colour_info() -> Vec<u8> {
    b"\x02\0\x09colorInfo\x03\0\0\x09".to_vec()
}

fn hevc(moment: Moment) -> Body {
    body(HEVC, &hex(HEVC_CONFIGURATION), moment)
}

fn av1(moment: Moment) -> Body {
    body(AV1, &hex(AV1_CONFIGURATION), moment)
}

fn opus(moment: Moment) -> Body {
    body(OPUS, OPUS_CONFIGURATION, moment)
}

fn aac(moment: Moment) -> Body {
    body(AAC, &hex(AAC_CONFIGURATION), moment)
}

/// A decoder configuration, or filler that no other moment and codec has. A keyframe's is longer
/// than a chunk and than a read.
fn body(four_cc: [u8; 4], configuration: &[u8], moment: Moment) -> Body {
    let bytes = match moment {
        Moment::Start => configuration.to_vec(),
        Moment::Coded { number, first } => {
            let len = if first { 150_000 } else { 300 + number };
            let seed = number.wrapping_mul(0x9E37) ^ u32::from_be_bytes(four_cc);
            (0..len).map(|at| (at.wrapping_mul(31) ^ seed.rotate_right(at % 32)) as u8).collect()
        }
    };
    Body { four_cc, bytes }
}

/// Video with a composition time, as [`CODED_FRAMES`] of HEVC has it.
fn late(body: &Body) -> Body {
    Body { bytes: [&[0, 0, 80], &body.bytes[..]].concat(), ..*body }
}

const fn packet(moment: Moment) -> u8 {
    match moment {
        Moment::Start => SEQUENCE_START,
        Moment::Coded { .. } => CODED_FRAMES,
    }
}

/// As [`packet`], for video that comes without a composition time.
const fn packet_x(moment: Moment) -> u8 {
    match moment {
        Moment::Start => SEQUENCE_START,
        Moment::Coded { .. } => CODED_FRAMES_X,
    }
}

fn plain(high: u8, packet: u8, body: &Body) -> Bytes {
    [&[high | packet], &body.four_cc[..], &body.bytes].concat().into()
}

/// A ModEx prologue in front of a tag's packet type.
fn with_nanoseconds(tag: &Bytes, nanos: u32) -> Bytes {
    const TIMESTAMP_OFFSET_NANO: u8 = 0;
    const NANO_BYTES: u8 = 3;

    let (high, packet) = (tag[0] & 0xF0, tag[0] & 0x0F);
    let mut out = BytesMut::with_capacity(tag.len() + 5);
    out.put_slice(&[high | MOD_EX, NANO_BYTES - 1]);
    out.put_uint(nanos.into(), NANO_BYTES.into());
    out.put_u8(TIMESTAMP_OFFSET_NANO << 4 | packet);
    out.put_slice(&tag[1..]);
    out.freeze()
}

/// A multitrack tag of `how` kind.
fn tracks(high: u8, multitrack: u8, how: u8, packet: u8, tracks: &[(u8, Body)]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(&[high | multitrack, how << 4 | packet]);
    for (index, (id, body)) in tracks.iter().enumerate() {
        if index == 0 || how == MANY_TRACKS_MANY_CODECS {
            out.put_slice(&body.four_cc);
        }
        out.put_u8(*id);
        if how != ONE_TRACK {
            out.put_uint(body.bytes.len() as u64, 3);
        }
        out.put_slice(&body.bytes);
    }
    out.freeze()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}
