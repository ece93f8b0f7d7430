//! Joins, preludes, filters, replaced publications.

use std::time::Duration;

use bytes::Bytes;
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};

use super::Got::{
    Audio, AudioHeader, Cue, EmptyAudio, EmptyVideo, Inter, Keyframe, Metadata, VideoHeader,
};
use super::publisher::message;
use super::{Player, at, limits};
use crate::hub::egress::Segment;
use crate::hub::limits::StreamLimits;
use crate::hub::stream::{Appended, Stream};
use crate::hub::subscriber::{SubscribeFrom, SubscriberOptions};
use crate::id::StreamKey;

/// A publication with all headers, started at 0 and now at 100.
pub(super) fn published(limits: StreamLimits) -> Stream {
    let mut stream = Stream::new(limits, at(0));
    stream.on_publish(at(0));
    stream.put_all(at(0), [Metadata(1), VideoHeader(1), AudioHeader(1)]);
    stream.put_all(at(20), [Keyframe(1), Audio(1)]);
    stream.put_all(at(60), [Inter(1), Audio(2)]);
    stream.put_all(at(100), [Keyframe(2), Audio(3), Inter(2)]);
    stream
}

fn on_message_stream(message_stream_id: u32) -> SubscriberOptions {
    SubscriberOptions { message_stream_id, start: SubscribeFrom::LastKeyframe }
}

#[test]
fn a_player_gets_headers_of_the_keyframes_time_and_the_current_gop() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    assert_eq!(
        player.drain(&mut stream, at(110)),
        [
            (100, Metadata(1)),
            (100, VideoHeader(1)),
            (100, AudioHeader(1)),
            (100, Keyframe(2)),
            (100, Audio(3)),
            (100, Inter(2)),
        ]
    );
    stream.put(at(140), Inter(3));
    assert_eq!(player.drain(&mut stream, at(140)), [(140, Inter(3))]);
}

#[test]
fn without_the_gop_cache_a_player_starts_at_the_next_keyframe_at_once() {
    let mut stream = published(StreamLimits { gop_cache: false, ..limits() });
    let mut player = Player::join(&mut stream, at(110));
    assert_eq!(player.drain(&mut stream, at(110)), []);
    assert_eq!(stream.put(at(140), Inter(3)), Appended::Relayed);
    assert_eq!(player.drain(&mut stream, at(140)), []);
    assert_eq!(stream.put(at(180), Keyframe(3)), Appended::Urgent);
    let got = player.drain_got(&mut stream, at(180));
    assert_eq!(got, [Metadata(1), VideoHeader(1), AudioHeader(1), Keyframe(3)]);
    assert_eq!(stream.put(at(220), Keyframe(4)), Appended::Relayed);
}

#[test]
fn players_at_one_place_share_one_segment() {
    let mut stream = published(limits());
    let mut players: Vec<_> = (0..3).map(|_| Player::join(&mut stream, at(110))).collect();
    players.iter_mut().for_each(|player| drop(player.drain(&mut stream, at(110))));
    let start = stream.log_range().end;
    stream.put_all(at(140), [Inter(3), Audio(4)]);
    for player in &players {
        let segment = stream.poll_segment(at(140), player.key, 1_024, 1 << 20);
        assert_eq!(segment, Segment::Shared { range: start..start + 2 });
    }
}

#[test]
fn a_player_on_another_message_stream_gets_the_same_with_its_own_id() {
    let mut stream = published(limits());
    let mut usual = Player::join(&mut stream, at(110));
    let mut other = Player::join_with(&mut stream, at(110), on_message_stream(7));
    assert_eq!(usual.drain(&mut stream, at(110)), other.drain(&mut stream, at(110)));
    let inter = message(Inter(3), 0x0123_4567, 9_000);
    stream.append(at(140), inter);
    // Three chunks, each with an extended timestamp.
    assert_eq!(other.drain(&mut stream, at(140)), [(0x0123_4567, Inter(3))]);
}

#[test]
fn a_gop_larger_than_the_log_is_joined_at_the_next_keyframe() {
    let mut stream = published(limits());
    for number in 0..300 {
        let now = at(200 + 20 * u64::from(number));
        stream.append(now, message(Inter(number), 200 + 20 * number, 10_000));
        assert!(stream.log_bytes() <= limits().log_bytes_max);
    }
    let mut player = Player::join(&mut stream, at(7_000));
    assert_eq!(player.drain(&mut stream, at(7_000)), []);
    stream.put(at(7_010), Keyframe(9));
    let got = player.drain_got(&mut stream, at(7_010));
    assert_eq!(got, [Metadata(1), VideoHeader(1), AudioHeader(1), Keyframe(9)]);
}

#[test]
fn a_joiner_gets_the_headers_of_its_keyframe_and_later_changes_in_order() {
    let mut stream = published(limits());
    stream.put_all(at(140), [VideoHeader(1), Keyframe(3), Metadata(2), AudioHeader(2), Audio(4)]);
    let mut player = Player::join(&mut stream, at(150));
    let got = player.drain_got(&mut stream, at(150));
    assert_eq!(
        got,
        [
            Metadata(1),
            VideoHeader(1),
            AudioHeader(1),
            Keyframe(3),
            Metadata(2),
            AudioHeader(2),
            Audio(4)
        ]
    );
    stream.put(at(180), Keyframe(4));
    let mut late = Player::join(&mut stream, at(190));
    let got = late.drain_got(&mut stream, at(190));
    assert_eq!(got, [Metadata(2), VideoHeader(1), AudioHeader(2), Keyframe(4)]);
    assert_eq!(player.drain_got(&mut stream, at(190)), [Keyframe(4)]);
}

#[test]
fn repeated_headers_empty_messages_and_odd_data_are_relayed_as_they_come() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    let odd = [VideoHeader(1), EmptyVideo, EmptyAudio, Cue(1), VideoHeader(1), Keyframe(3)];
    stream.put_all(at(140), odd);
    assert_eq!(player.drain_got(&mut stream, at(140)), odd);
    let nothing = MediaMessage { kind: MediaKind::Data, timestamp: 9, payload: Payload::new() };
    assert_eq!(stream.append(at(150), nothing), Appended::Relayed);
}

#[test]
fn a_stream_without_video_is_joined_at_recent_audio() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.put(at(0), AudioHeader(1));
    for number in 0..200 {
        stream.put(at(20 * u64::from(number)), Audio(number));
    }
    let mut player = Player::join(&mut stream, at(4_000));
    let got = player.drain_got(&mut stream, at(4_000));
    assert_eq!(got.first(), Some(&AudioHeader(1)));
    let expected: Vec<_> = (149..200).map(Audio).collect();
    assert_eq!(got.get(1..), Some(&expected[..]));
}

#[test]
fn a_player_that_waits_gets_the_publication_from_its_first_message() {
    let mut stream = Stream::new(limits(), at(0));
    let mut player = Player::join(&mut stream, at(0));
    assert_eq!(player.drain(&mut stream, at(5_000)), []);
    stream.on_publish(at(5_000));
    let all = [Metadata(1), AudioHeader(1), Audio(1), VideoHeader(1), Keyframe(1), Inter(1)];
    let mut got = Vec::new();
    for (step, message) in (0_u64..).zip(all) {
        stream.put(at(5_000 + step), message);
        got.extend(player.drain_got(&mut stream, at(5_000 + step)));
    }
    assert_eq!(got, all);
}

#[test]
fn video_before_the_first_keyframe_is_withheld() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    let mut player = Player::join(&mut stream, at(0));
    assert_eq!(stream.put(at(0), Inter(1)), Appended::Withheld);
    stream.put_all(at(10), [Inter(2), Audio(1), Keyframe(1), Inter(3)]);
    assert_eq!(stream.frames_withheld(), 2);
    assert_eq!(player.drain_got(&mut stream, at(10)), [Keyframe(1), Inter(3)]);
}

#[test]
fn video_that_never_has_keyframes_is_relayed_in_the_end() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    let mut player = Player::join(&mut stream, at(0));
    stream.put_all(at(0), [VideoHeader(1), Inter(0)]);
    player.drain(&mut stream, at(0));
    assert_eq!(stream.put(at(29_999), Inter(1)), Appended::Withheld);
    stream.put(at(30_000), Inter(2));
    stream.put(at(30_040), Inter(3));
    let mut late = Player::join(&mut stream, at(30_050));
    let got = late.drain_got(&mut stream, at(30_050));
    assert_eq!(got, [VideoHeader(1), Inter(3)]);
}

#[test]
fn a_replaced_publication_ends_then_the_new_one_starts_at_its_keyframe() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    stream.put(at(140), Inter(3));
    stream.on_publish(at(150));
    // The new publisher's clock starts at zero; it speaks before it shows anything.
    for (got, timestamp) in [(AudioHeader(2), 0), (Audio(50), 0), (Audio(51), 20)] {
        stream.append(at(150), message(got, timestamp, 0));
    }
    assert_eq!(player.drain(&mut stream, at(150)), [(140, Inter(3))]);
    for (got, timestamp) in [(VideoHeader(2), 0), (Inter(50), 0), (Keyframe(50), 40)] {
        stream.append(at(190), message(got, timestamp, 0));
    }
    let got = player.drain(&mut stream, at(190));
    assert_eq!(got, [(181, VideoHeader(2)), (181, AudioHeader(2)), (181, Keyframe(50))]);
    assert_eq!(stream.subscriber(player.key).map(|stats| stats.skips), Some(0));
}

#[test]
fn a_publication_without_video_replaces_one_with_video() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    stream.on_publish(at(150));
    stream.put_all(at(150), [AudioHeader(2), Audio(50)]);
    assert_eq!(player.drain_got(&mut stream, at(1_149)), []);
    stream.put(at(1_150), Audio(51));
    assert_eq!(player.drain_got(&mut stream, at(1_150)), [AudioHeader(2), Audio(50), Audio(51)]);
}

#[test]
fn after_the_end_players_get_the_rest_and_wait_for_the_next_publication() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    stream.put(at(140), Inter(3));
    stream.on_unpublish(at(150));
    assert_eq!(stream.put(at(160), Inter(4)), Appended::Unpublished);
    assert_eq!(player.drain_got(&mut stream, at(160)), [Inter(3)]);
    let mut late = Player::join(&mut stream, at(170));
    assert_eq!(late.drain_got(&mut stream, at(170)), []);
    stream.handle_timeout(at(200));
    assert_eq!(stream.log_bytes(), 0);
    stream.on_publish(at(9_000));
    stream.put_all(at(9_000), [VideoHeader(2), Keyframe(9)]);
    assert_eq!(player.drain_got(&mut stream, at(9_000)), [VideoHeader(2), Keyframe(9)]);
    assert_eq!(late.drain_got(&mut stream, at(9_000)), [VideoHeader(2), Keyframe(9)]);
}

#[test]
fn a_paused_player_goes_on_at_the_newest_keyframe() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    stream.set_paused(at(110), player.key, true);
    stream.put_all(at(140), [Inter(3), Keyframe(3), Inter(4)]);
    assert_eq!(player.drain(&mut stream, at(140)), []);
    stream.set_paused(at(150), player.key, false);
    assert_eq!(player.drain_got(&mut stream, at(150)), [Keyframe(3), Inter(4)]);
    // Nothing is lost by a pause within a group of pictures.
    stream.set_paused(at(150), player.key, true);
    stream.put(at(180), Inter(5));
    stream.set_paused(at(190), player.key, false);
    assert_eq!(player.drain_got(&mut stream, at(190)), [Inter(5)]);
    assert_eq!(stream.subscriber(player.key).map(|stats| stats.skips), Some(0));
}

#[test]
fn a_player_without_video_gets_audio_and_video_again_from_a_keyframe() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    stream.set_receive_video(player.key, false);
    stream.put_all(at(140), [Inter(3), Audio(4), VideoHeader(2), Keyframe(3), Audio(5)]);
    assert_eq!(player.drain_got(&mut stream, at(140)), [Audio(4), Audio(5)]);
    stream.set_receive_video(player.key, true);
    stream.put_all(at(180), [Inter(4), Audio(6), Keyframe(4), Inter(5)]);
    assert_eq!(
        player.drain_got(&mut stream, at(180)),
        [Audio(6), VideoHeader(2), Keyframe(4), Inter(5)]
    );
    stream.put(at(220), Inter(6));
    let segment = stream.poll_segment(at(220), player.key, 1_024, 1 << 20);
    assert!(matches!(segment, Segment::Shared { .. }), "{segment:?}");
}

#[test]
fn a_player_without_audio_gets_its_newest_header_when_it_comes_back() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    stream.set_receive_audio(player.key, false);
    let got = player.drain_got(&mut stream, at(110));
    assert_eq!(got, [Metadata(1), VideoHeader(1), Keyframe(2), Inter(2)]);
    stream.put_all(at(140), [AudioHeader(2), Audio(4), Inter(3)]);
    assert_eq!(player.drain_got(&mut stream, at(140)), [Inter(3)]);
    stream.set_receive_audio(player.key, true);
    stream.put_all(at(180), [Inter(4), Audio(5)]);
    let got = player.drain_got(&mut stream, at(180));
    assert_eq!(got, [Inter(4), AudioHeader(2), Audio(5)]);
}

#[test]
fn a_segment_keeps_within_its_bounds() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    for number in 0..40 {
        stream.append(at(140), message(Inter(number), 140, 1_000));
    }
    let mut counts = Vec::new();
    for (iovecs_max, bytes_max) in [(10, 1 << 20), (1_024, 3_100), (1, 1)] {
        let got = player.take_within(&mut stream, at(140), iovecs_max, bytes_max);
        counts.push(got.map(|messages| messages.len()));
        stream.on_sent(at(140), player.key);
    }
    assert_eq!(counts, [Ok(5), Ok(3), Ok(1)]);
}

#[test]
fn a_frame_of_very_many_slices_is_copied_and_counted() {
    let mut stream = published(StreamLimits { chunk_size: 16, ..limits() });
    let mut player = Player::join(&mut stream, at(110));
    let mut whole = message(Inter(77), 140, 64 * 1_024);
    let bytes = whole.payload.to_contiguous();
    whole.payload = Payload::new();
    for slice in bytes.chunks(50) {
        whole.payload.push(Bytes::copy_from_slice(slice));
    }
    stream.append(at(140), whole);
    assert_eq!(stream.bytes_copied(), bytes.len() as u64);
    assert_eq!(player.drain_got(&mut stream, at(140)).last(), Some(&Inter(77)));
}

#[test]
fn another_shard_starts_from_the_backlog() {
    let mut home = published(limits());
    home.put_all(at(140), [Metadata(2), Inter(3)]);
    let mut other = Stream::new(limits(), at(150));
    let mut waiting = Player::join(&mut other, at(150));
    other.on_publish(at(150));
    for message in home.backlog() {
        other.append(at(150), message);
    }
    let mut at_home = Player::join(&mut home, at(150));
    let got = waiting.drain(&mut other, at(150));
    assert_eq!(got, at_home.drain(&mut home, at(150)));
    assert_eq!(got.first(), Some(&(100, Metadata(1))));
}

#[test]
fn a_snapshot_tells_rates_and_codecs() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    let mut player = Player::join(&mut stream, at(0));
    stream.put_all(at(0), [Metadata(1), VideoHeader(1), AudioHeader(1)]);
    for number in 0..500 {
        let now = at(20 * u64::from(number));
        stream.append(now, message(Keyframe(number), 20 * number, 991));
        player.drain(&mut stream, now);
    }
    let now = at(10_000);
    let snapshot = stream.snapshot(now, &StreamKey::new("live", "cam"), true);
    assert_eq!(snapshot.video.map(|video| video.codec.label()), Some("H264"));
    assert_eq!(snapshot.audio.map(|audio| audio.codec.label()), Some("AAC"));
    assert_eq!(snapshot.frames_in, 503);
    // 50 frames of 1 000 bytes a second, and the first header.
    assert_eq!(snapshot.video_bits_per_second, 400_000 + 9 * 8 / 10);
    assert!(snapshot.bits_per_second_out > snapshot.video_bits_per_second);
    assert_eq!(snapshot.age, Duration::from_secs(10));
}

#[test]
fn a_snapshot_tells_of_the_main_track_unless_it_is_silent() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    let codec_after = |stream: &mut Stream, tag: &'static [u8]| {
        let payload = Payload::from(Bytes::from_static(tag));
        stream.append(at(0), MediaMessage { kind: MediaKind::Video, timestamp: 0, payload });
        let snapshot = stream.snapshot(at(0), &StreamKey::new("live", "cam"), true);
        snapshot.video.map(|video| video.codec.label())
    };
    // Sequence starts: track 1, then the default one, then track 1 again.
    let side = b"\x96\0av01\x01\x81";
    assert_eq!(codec_after(&mut stream, side), Some("AV1"));
    assert_eq!(codec_after(&mut stream, b"\x90hvc1\x01"), Some("HEVC"));
    assert_eq!(codec_after(&mut stream, side), Some("HEVC"));
}

#[test]
fn a_key_of_one_that_left_means_nobody() {
    let mut stream = published(limits());
    let gone = Player::join(&mut stream, at(110));
    assert!(stream.unsubscribe(gone.key).is_some());
    let mut player = Player::join(&mut stream, at(110));
    assert_ne!(gone.key, player.key);
    assert_eq!(stream.poll_segment(at(110), gone.key, 1_024, 1 << 20), Segment::Idle);
    assert!(player.take(&mut stream, at(110)).is_ok());
    stream.on_sent(at(110), gone.key);
    assert_eq!(player.take(&mut stream, at(120)), Err(Segment::Idle), "still in flight");
    assert!(stream.unsubscribe(gone.key).is_none());
    assert_eq!(stream.subscribers_len(), 1);
}

#[test]
fn frames_a_player_does_not_want_do_not_hide_those_it_wants() {
    let mut stream = published(limits());
    let mut player = Player::join(&mut stream, at(110));
    player.drain(&mut stream, at(110));
    stream.set_receive_video(player.key, false);
    stream.put(at(140), Inter(3));
    stream.set_receive_video(player.key, true);
    stream.on_publish(at(150));
    stream.put_all(at(150), [VideoHeader(2), Keyframe(50)]);
    // One poll passes over the old publication's rest and joins the new one.
    let got = player.take(&mut stream, at(150)).map(|messages| messages.len());
    assert_eq!(got, Ok(2));
}
