//! Vectors for tag inspection: legacy tags, Enhanced RTMP v1 and v2, decoder configurations.

use bytes::Bytes;

use super::*;
use crate::payload::Payload;

fn payload(parts: &[&[u8]]) -> Payload {
    Bytes::from(parts.concat()).into()
}

/// The same bytes, one slice for each: what a peer with a chunk size of 1 gives.
fn shattered(payload: &Payload) -> Payload {
    let mut pieces = Payload::new();
    for at in 0..payload.len() {
        pieces.push(payload.slice(at, at + 1).to_contiguous());
    }
    pieces
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn video(parts: &[&[u8]]) -> VideoInfo {
    let whole = payload(parts);
    let info = inspect_video(&whole);
    assert_eq!(info, inspect_video(&shattered(&whole)), "slices change nothing");
    info
}

fn audio(parts: &[&[u8]]) -> AudioInfo {
    let whole = payload(parts);
    let info = inspect_audio(&whole);
    assert_eq!(info, inspect_audio(&shattered(&whole)), "slices change nothing");
    info
}

// x264, 1920x1080 at 30, High 4.0.
const AVC_1080: &str = "1700000000\
    01640029ffe1001b67640029acd940780227e5c044000003000400000300f03c60c65801000668ebe3cb22c0fdf8f800";
// x264, 854x480 at 25, Baseline 3.0.
const AVC_480: &str = "1700000000\
    0142c01effe100196742c01ed900d83de6f011000003000100000300320f162e4801000568cb83cb20";
// x264, interlaced 1920x1080, High 4:4:4.
const AVC_INTERLACED: &str = "1700000000\
    01f40028ffe1001a67f40028919d00f0089f970110000003001000000303c1f162ea01000568de0f1920fff8f800";
// x265, 1918x1078, Main 4.0.
const HEVC: &str = "01016000000090000000000078f000fcfdf8f800000f0420\
    0001001840010c01ffff016000000300900000030000030078959409\
    210001002c420101016000000300900000030000030078a003c0801107536595952930bc05a020000003002000000303c1\
    22000100064401c073c189";

#[test]
fn legacy_avc_keyframes_and_sequence_headers_are_told_apart() {
    let header = video(&[&[0x17, 0, 0, 0, 0, 1]]);
    assert_eq!(header.frame, VideoFrame::SequenceHeader);
    let keyframe = video(&[&[0x17, 1, 0, 0, 67, 0]]);
    assert_eq!((keyframe.codec, keyframe.frame), (VideoCodec::Avc, VideoFrame::Keyframe));
    assert_eq!(keyframe.composition_time, 67);
    assert!(keyframe.is_join_point() && !header.is_join_point());
    assert_eq!(video(&[&[0x27, 1, 0, 0, 0]]).frame, VideoFrame::Inter);
    assert_eq!(video(&[&[0x37, 1, 0, 0, 0]]).frame, VideoFrame::Disposable);
    assert_eq!(video(&[&[0x17, 2, 0, 0, 0]]).frame, VideoFrame::EndOfSequence);
    assert_eq!(video(&[&[0x57, 0]]).frame, VideoFrame::Command);
}

#[test]
fn a_negative_composition_time_keeps_its_sign() {
    assert_eq!(video(&[&[0x27, 1, 0xFF, 0xFF, 0xBE]]).composition_time, -66);
    let enhanced = video(&[&[0xA1], b"hvc1", &[0x80, 0, 0]]);
    assert_eq!(enhanced.composition_time, -8_388_608);
}

#[test]
fn an_empty_message_is_empty_and_not_the_end_of_a_sequence() {
    assert_eq!(video(&[]).frame, VideoFrame::Empty);
    assert_eq!(audio(&[]).packet, AudioPacket::Empty);
}

#[test]
fn a_tag_cut_after_its_first_byte_is_no_keyframe() {
    assert_eq!(video(&[&[0x17]]).frame, VideoFrame::Unknown);
    assert_eq!(video(&[&[0x91]]).frame, VideoFrame::Unknown);
    assert_eq!(video(&[&[0x91], b"hv"]).frame, VideoFrame::Unknown);
    assert_eq!(audio(&[&[0xAF]]).packet, AudioPacket::Unknown);
}

#[test]
fn other_legacy_codecs_have_keyframes_without_a_packet_type() {
    let info = video(&[&[0x12, 0, 0, 0x84]]);
    assert_eq!(
        (info.codec, info.frame, info.body_offset),
        (VideoCodec::H263, VideoFrame::Keyframe, 1)
    );
    // HEVC as Chinese encoders sent it before Enhanced RTMP.
    let info = video(&[&[0x1C, 0, 0, 0, 0]]);
    assert_eq!((info.codec, info.frame), (VideoCodec::Hevc, VideoFrame::SequenceHeader));
}

#[test]
fn every_enhanced_video_codec_is_known_by_its_four_cc() {
    for (four_cc, codec) in [
        (b"avc1", VideoCodec::Avc),
        (b"hvc1", VideoCodec::Hevc),
        (b"vvc1", VideoCodec::Vvc),
        (b"av01", VideoCodec::Av1),
        (b"vp08", VideoCodec::Vp8),
        (b"vp09", VideoCodec::Vp9),
    ] {
        let start = video(&[&[0x90], four_cc, &[1]]);
        assert_eq!((start.codec, start.frame), (codec, VideoFrame::SequenceHeader));
        let with_time = matches!(codec, VideoCodec::Avc | VideoCodec::Hevc | VideoCodec::Vvc);
        let coded = video(&[&[0x91], four_cc, &[0, 0, 40, 9]]);
        assert_eq!(coded.frame, VideoFrame::Keyframe);
        assert_eq!(coded.composition_time, if with_time { 40 } else { 0 });
        assert_eq!(coded.body_offset, if with_time { 8 } else { 5 });
        let coded_x = video(&[&[0xA3], four_cc, &[0, 0, 40, 9]]);
        assert_eq!((coded_x.frame, coded_x.composition_time), (VideoFrame::Inter, 0));
        assert_eq!(coded_x.body_offset, 5);
        assert_eq!(video(&[&[0x92], four_cc]).frame, VideoFrame::EndOfSequence);
        assert_eq!(video(&[&[0x94], four_cc, &[2]]).frame, VideoFrame::Metadata);
    }
}

#[test]
fn an_mpeg2_ts_sequence_start_is_a_sequence_header() {
    assert_eq!(video(&[&[0x95], b"av01", &[0x80]]).frame, VideoFrame::SequenceHeader);
}

#[test]
fn a_four_cc_nobody_assigned_is_reported_and_its_keyframes_found() {
    let info = video(&[&[0x91], b"DJI\0", &[1]]);
    assert_eq!((info.codec, info.frame), (VideoCodec::FourCc(*b"DJI\0"), VideoFrame::Keyframe));
    let info = audio(&[&[0x90], b"????", &[1]]);
    assert_eq!(
        (info.codec, info.packet),
        (AudioCodec::FourCc(*b"????"), AudioPacket::SequenceHeader)
    );
}

#[test]
fn an_enhanced_command_frame_has_no_four_cc() {
    let info = video(&[&[0xD1, 0]]);
    assert_eq!((info.frame, info.codec), (VideoFrame::Command, VideoCodec::Unknown));
}

#[test]
fn multitrack_video_names_its_track() {
    // Multitrack, one track, sequence start, track 3.
    let one = video(&[&[0x96, 0x00], b"hvc1", &[3, 1, 2]]);
    assert_eq!((one.frame, one.track), (VideoFrame::SequenceHeader, Track::One(3)));
    assert_eq!(one.body_offset, 7);
    // A keyframe of a track that is not the main one is no place to join at.
    let side = video(&[&[0x96, 0x01], b"hvc1", &[3, 0, 0, 0]]);
    assert!(side.is_keyframe() && !side.is_join_point());
    assert!(video(&[&[0x96, 0x01], b"hvc1", &[0, 0, 0, 0]]).is_join_point());
    // Many tracks of one codec: id and size open each.
    let many = video(&[&[0x96, 0x13], b"av01", &[0, 0, 0, 1, 7], &[1, 0, 0, 1, 8]]);
    assert_eq!(
        (many.codec, many.frame, many.track),
        (VideoCodec::Av1, VideoFrame::Keyframe, Track::Many)
    );
    assert_eq!(many.body_offset, 10);
    // Many tracks of many codecs: the FourCC opens each.
    let codecs = video(&[&[0x96, 0x20], b"avc1", &[0, 0, 0, 1, 7], b"vp09", &[1, 0, 0, 1, 8]]);
    assert_eq!((codecs.codec, codecs.track), (VideoCodec::Avc, Track::Many));
    assert_eq!(codecs.frame, VideoFrame::SequenceHeader);
}

#[test]
fn mod_ex_prologues_are_walked_over() {
    // TimestampOffsetNano of 0x0102FF, then coded frames.
    let info = video(&[&[0x97, 2, 1, 2, 0xFF, 0x01], b"hvc1", &[0, 0, 5]]);
    assert_eq!((info.codec, info.frame), (VideoCodec::Hevc, VideoFrame::Keyframe));
    assert_eq!((info.timestamp_nanos, info.composition_time), (0x0102FF, 5));
    // An unknown kind with its size in three bytes, then a second prologue, then the codec.
    let info = video(&[&[0x97, 0xFF, 0x01, 0x2B], &[0; 300], &[0x57, 0, 9, 0x00], b"av01", &[1]]);
    assert_eq!((info.codec, info.frame), (VideoCodec::Av1, VideoFrame::SequenceHeader));
    // Before multitrack.
    let info = audio(&[&[0x97, 2, 0, 0, 9, 0x05, 0x01], b"Opus", &[2, 1]]);
    assert_eq!((info.codec, info.track), (AudioCodec::Opus, Track::One(2)));
    assert_eq!((info.packet, info.timestamp_nanos), (AudioPacket::Coded, 9));
}

#[test]
fn endless_or_truncated_mod_ex_is_unknown() {
    let endless = [0x97].into_iter().chain([0, 0, 0x07].into_iter().cycle().take(300));
    let endless: Vec<u8> = endless.collect();
    assert_eq!(video(&[&endless]).frame, VideoFrame::Unknown);
    assert_eq!(video(&[&[0x97, 200, 1, 2, 3]]).frame, VideoFrame::Unknown);
    assert_eq!(video(&[&[0x97]]).frame, VideoFrame::Unknown);
}

#[test]
fn every_enhanced_audio_codec_is_known_by_its_four_cc() {
    for (four_cc, codec) in [
        (b"mp4a", AudioCodec::Aac),
        (b".mp3", AudioCodec::Mp3),
        (b"Opus", AudioCodec::Opus),
        (b"ac-3", AudioCodec::Ac3),
        (b"ec-3", AudioCodec::Eac3),
        (b"fLaC", AudioCodec::Flac),
    ] {
        let start = audio(&[&[0x90], four_cc, &[1]]);
        assert_eq!((start.codec, start.packet), (codec, AudioPacket::SequenceHeader));
        assert_eq!(audio(&[&[0x91], four_cc, &[1]]).packet, AudioPacket::Coded);
        assert_eq!(audio(&[&[0x92], four_cc]).packet, AudioPacket::EndOfSequence);
        assert_eq!(audio(&[&[0x94], four_cc, &[1, 6]]).packet, AudioPacket::MultichannelConfig);
    }
    let many = audio(&[&[0x95, 0x11], b"mp4a", &[0, 0, 0, 1, 7], &[1, 0, 0, 1, 8]]);
    assert_eq!((many.codec, many.track), (AudioCodec::Aac, Track::Many));
}

#[test]
fn legacy_audio_says_rate_and_channels() {
    let aac = audio(&[&[0xAF, 0, 0x11, 0x90]]);
    assert!(aac.is_sequence_header());
    assert!(!audio(&[&[0xAF, 1, 0x21]]).is_sequence_header());
    let mp3 = audio(&[&[0x2B, 0xFF]]);
    assert_eq!((mp3.codec, mp3.sample_rate, mp3.channels), (AudioCodec::Mp3, 22_050, 2));
    let speex = audio(&[&[0xB2, 0xFF]]);
    assert_eq!((speex.codec, speex.sample_rate, speex.channels), (AudioCodec::Speex, 16_000, 1));
}

fn summary(bytes: &[u8]) -> VideoSummary {
    let payload = payload(&[bytes]);
    VideoSummary::read(&inspect_video(&payload), &payload)
}

#[test]
fn avc_configurations_say_size_profile_level_and_rate() {
    let high = summary(&hex(AVC_1080));
    assert_eq!((high.width, high.height, high.frame_rate), (1920, 1080, 30.0));
    assert_eq!((high.profile, high.level, high.codec.label()), (Some("High"), 4.1, "H264"));
    let baseline = summary(&hex(AVC_480));
    assert_eq!((baseline.width, baseline.height, baseline.frame_rate), (854, 480, 25.0));
    assert_eq!((baseline.profile, baseline.compat, baseline.level), (Some("Baseline"), 0xC0, 3.0));
    let interlaced = summary(&hex(AVC_INTERLACED));
    assert_eq!((interlaced.width, interlaced.height), (1920, 1080));
    assert_eq!(interlaced.profile, Some("High 4:4:4"));
}

#[test]
fn hevc_configurations_say_size_profile_and_level() {
    let read = summary(&[b"\x90hvc1".as_slice(), &hex(HEVC)].concat());
    assert_eq!((read.width, read.height), (1918, 1078));
    assert_eq!((read.codec, read.profile, read.level), (VideoCodec::Hevc, Some("Main"), 4.0));
}

#[test]
fn av1_configurations_say_profile_and_level() {
    let record = hex("812100000a0d2000000cc4ff6736be48086801");
    let read = summary(&[b"\x90av01".as_slice(), &record].concat());
    assert_eq!((read.codec, read.profile, read.level), (VideoCodec::Av1, Some("High"), 2.1));
}

#[test]
fn a_damaged_configuration_keeps_the_codec() {
    let whole = hex(AVC_1080);
    for len in 0..whole.len() {
        let read = summary(&whole[..len]);
        assert!(read.width == 0 || read.width == 1920, "cut at {len}: {read:?}");
    }
    let zeros = [hex("1700000000"), vec![0; 64]].concat();
    assert_eq!(summary(&zeros).codec, VideoCodec::Avc);
}

#[test]
fn audio_configurations_say_profile_rate_and_channels() {
    let read = |bytes: &[u8]| {
        let payload = payload(&[bytes]);
        AudioSummary::read(&inspect_audio(&payload), &payload)
    };
    let aac = read(&[0xAF, 0, 0x11, 0x90, 0x56, 0xE5, 0]);
    assert_eq!((aac.profile, aac.sample_rate, aac.channels), (Some("LC"), 48_000, 2));
    // HE-AAC, explicit: 24 kHz core, 48 kHz heard.
    let sbr = read(&[0xAF, 0, 0x2B, 0x11, 0x88, 0x00]);
    assert_eq!((sbr.profile, sbr.sample_rate, sbr.channels), (Some("SBR"), 48_000, 2));
    let opus = read(b"\x90OpusOpusHead\x01\x06\x00\x00\x80\xbb\0\0\0\0\0");
    assert_eq!((opus.codec.label(), opus.sample_rate, opus.channels), ("Opus", 48_000, 6));
    let flac = read(b"\x90fLaCfLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\0\0\0\0");
    assert_eq!((flac.sample_rate, flac.channels), (44_100, 2));
    // Without a configuration the tag header speaks.
    let mp3 = read(&[0x2F, 0xFF]);
    assert_eq!((mp3.sample_rate, mp3.channels), (44_100, 2));
}

fn amf_string(text: &str) -> Vec<u8> {
    let mut out = vec![2];
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
    out
}

fn amf_metadata(marker: &[u8]) -> Vec<u8> {
    let mut out = amf_string("onMetaData");
    out.extend(marker);
    for (name, value) in [("width", 1280.0_f64), ("height", 720.0), ("framerate", 29.97)] {
        out.extend(&amf_string(name)[1..]);
        out.push(0);
        out.extend(value.to_be_bytes());
    }
    out.extend(&amf_string("stereo")[1..]);
    out.extend([1, 1]);
    out.extend([0, 0, 9]);
    out
}

#[test]
fn metadata_is_read_from_objects_and_ecma_arrays() {
    for marker in [&[3][..], &[8, 0, 0, 0, 0]] {
        let metadata = StreamMetadata::read(&payload(&[&amf_metadata(marker)])).unwrap();
        assert_eq!((metadata.width, metadata.height, metadata.frame_rate), (1280, 720, 29.97));
        assert_eq!(metadata.audio_channels, 2);
    }
}

#[test]
fn metadata_without_a_value_or_cut_short_never_fails() {
    let whole = amf_metadata(&[3]);
    let bare = StreamMetadata::read(&payload(&[&amf_string("onMetaData")]));
    assert_eq!(bare, Some(StreamMetadata::default()));
    for len in 0..whole.len() {
        let _ = StreamMetadata::read(&payload(&[&whole[..len]]));
    }
    assert_eq!(StreamMetadata::read(&payload(&[&amf_string("onTextData")])), None);
}

#[test]
fn metadata_fills_what_the_bitstream_left_open_and_nothing_else() {
    let metadata =
        StreamMetadata { width: 640, height: 360, frame_rate: 24.0, ..StreamMetadata::default() };
    let mut known = summary(&hex(AVC_1080));
    known.fill_from(&metadata);
    assert_eq!((known.width, known.height), (1920, 1080));
    let mut open = VideoSummary { codec: VideoCodec::Av1, ..VideoSummary::default() };
    open.fill_from(&metadata);
    assert_eq!((open.width, open.height, open.frame_rate), (640, 360, 24.0));
}

#[test]
fn set_data_frame_is_taken_off_and_the_rest_is_untouched() {
    let inner = amf_metadata(&[3]);
    let wrapped = payload(&[&amf_string("@setDataFrame"), &inner]);
    assert_eq!(strip_set_data_frame(&wrapped), payload(&[&inner]));
    assert_eq!(strip_set_data_frame(&shattered(&wrapped)), payload(&[&inner]));
    assert!(strip_set_data_frame(&payload(&[&amf_string("@setDataFrame")])).is_empty());
    // What is not AMF0 at all is passed on.
    let garbage = payload(&[&[0xFE, 0xED, 0xFA, 0xCE]]);
    assert_eq!(strip_set_data_frame(&garbage), garbage);
}
