//! Long publications in simulated time: the 24-bit and 32-bit limits of timestamps.

use super::Got::{Audio, Inter, Keyframe, VideoHeader};
use super::publisher::message;
use super::{Player, at, limits};
use crate::hub::stream::Stream;

/// Publishes from `start`, a frame every `step` milliseconds of both clocks, `frames` times, every
/// tenth a keyframe, and follows with a player and now and then with a new one.
fn run(start: u32, step: u32, frames: u32) {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.append(at(0), message(VideoHeader(1), 0, 0));
    let mut player = Player::join(&mut stream, at(0));
    let mut expected = Vec::new();
    let mut got = Vec::new();
    for number in 0..frames {
        let now = at(u64::from(number) * u64::from(step));
        let timestamp = start.wrapping_add(number.wrapping_mul(step));
        let frame = if number % 10 == 0 { Keyframe(number) } else { Inter(number) };
        // Long enough for continuation chunks, which repeat an extended timestamp.
        stream.append(now, message(frame, timestamp, 6_000));
        // Audio a little behind, across the wrap too.
        let audio_timestamp = timestamp.wrapping_sub(15);
        stream.append(now, message(Audio(number), audio_timestamp, 0));
        expected.extend([(timestamp, frame), (audio_timestamp, Audio(number))]);
        got.extend(player.drain(&mut stream, now));
        if number % 97 == 0 {
            let keyframe = number - number % 10;
            let stamp = start.wrapping_add(keyframe.wrapping_mul(step));
            let joined = Player::join(&mut stream, now).drain(&mut stream, now);
            assert_eq!(joined.first(), Some(&(stamp, VideoHeader(1))));
            assert_eq!(joined.get(1), Some(&(stamp, Keyframe(keyframe))));
        }
        stream.handle_timeout(now);
    }
    got.retain(|(_, got)| !matches!(got, VideoHeader(_)));
    assert_eq!(got, expected);
}

#[test]
fn an_hour_across_the_24_bit_limit() {
    run(0x00FF_FFFF - 1_800_000, 1_000, 3_600);
}

#[test]
fn frames_at_the_24_bit_limit_itself() {
    run(0x00FF_FFFF - 100, 1, 300);
}

#[test]
fn fifty_days() {
    run(0, 600_000, 7_200);
}

#[test]
fn frames_across_the_32_bit_wrap() {
    run(u32::MAX - 2_000, 40, 200);
}

#[test]
fn a_publication_replaced_at_the_wrap_goes_on_behind_it() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.append(at(0), message(Keyframe(1), u32::MAX, 0));
    let mut player = Player::join(&mut stream, at(0));
    assert_eq!(player.drain(&mut stream, at(0)), [(u32::MAX, Keyframe(1))]);
    stream.on_publish(at(40));
    stream.append(at(40), message(Keyframe(2), 123_456, 0));
    stream.append(at(80), message(Inter(3), 123_496, 0));
    assert_eq!(player.drain(&mut stream, at(80)), [(0, Keyframe(2)), (40, Inter(3))]);
}
