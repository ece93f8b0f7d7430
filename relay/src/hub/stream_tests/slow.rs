//! Slow subscribers: skips, their counts, the end of patience, and what the log keeps for them.

use std::time::Duration;

use super::Got::{Audio, AudioHeader, Inter, Keyframe, VideoHeader};
use super::publisher::message;
use super::{Player, at, limits};
use crate::hub::egress::Segment;
use crate::hub::limits::StreamLimits;
use crate::hub::stream::Stream;
use crate::hub::subscriber::SubscriberFault;

/// One second is a group of pictures of 25 frames.
fn publish_seconds(stream: &mut Stream, seconds: std::ops::Range<u32>, padding: usize) {
    for frame in seconds.start * 25..seconds.end * 25 {
        let got = if frame % 25 == 0 { Keyframe(frame) } else { Inter(frame) };
        let now = at(u64::from(frame) * 40);
        stream.append(now, message(got, frame * 40, padding));
    }
}

fn published(limits: StreamLimits) -> Stream {
    let mut stream = Stream::new(limits, at(0));
    stream.on_publish(at(0));
    stream.put(at(0), VideoHeader(1));
    publish_seconds(&mut stream, 0..1, 0);
    stream
}

#[test]
fn a_player_that_lags_too_long_skips_to_the_newest_keyframe() {
    let mut stream = published(limits());
    let mut slow = Player::join(&mut stream, at(1_000));
    assert!(slow.take(&mut stream, at(1_000)).is_ok());
    publish_seconds(&mut stream, 1..13, 0);
    // The send took twelve seconds: two more than the lag limit.
    stream.on_sent(at(13_000), slow.key);
    let got = slow.drain_got(&mut stream, at(13_000));
    assert_eq!((got.first(), got.len()), (Some(&Keyframe(300)), 25));
    let stats = stream.subscriber(slow.key).expect("subscribed");
    assert_eq!((stats.skips, stats.frames_dropped), (1, 275));
}

#[test]
fn a_player_within_the_lag_limit_gets_everything() {
    let mut stream = published(limits());
    let mut slow = Player::join(&mut stream, at(1_000));
    assert!(slow.take(&mut stream, at(1_000)).is_ok());
    publish_seconds(&mut stream, 1..10, 0);
    stream.on_sent(at(10_000), slow.key);
    let got = slow.drain_got(&mut stream, at(10_000));
    assert_eq!((got.first(), got.len()), (Some(&Keyframe(25)), 225));
    assert_eq!(stream.subscriber(slow.key).map(|stats| stats.skips), Some(0));
}

#[test]
fn a_player_with_too_many_bytes_to_go_skips() {
    let mut stream = published(limits());
    let mut slow = Player::join(&mut stream, at(1_000));
    assert!(slow.take(&mut stream, at(1_000)).is_ok());
    // 600 kB, the limit is half a MiB.
    publish_seconds(&mut stream, 1..4, 8_000);
    stream.on_sent(at(4_000), slow.key);
    assert_eq!(slow.drain_got(&mut stream, at(4_000)).first(), Some(&Keyframe(75)));
}

#[test]
fn a_player_that_fell_off_the_log_waits_for_a_keyframe_and_gets_new_headers() {
    let mut stream = published(limits());
    let mut slow = Player::join(&mut stream, at(1_000));
    assert!(slow.take(&mut stream, at(1_000)).is_ok());
    stream.put(at(1_000), VideoHeader(2));
    for number in 0..200 {
        stream.append(at(1_000), message(Inter(number), 1_000, 10_000));
    }
    stream.on_sent(at(1_010), slow.key);
    assert_eq!(slow.drain_got(&mut stream, at(1_010)), []);
    stream.put_all(at(1_040), [Inter(900), Keyframe(901)]);
    assert_eq!(
        slow.drain(&mut stream, at(1_040)),
        [(1_040, VideoHeader(2)), (1_040, Keyframe(901))]
    );
    let stats = stream.subscriber(slow.key).expect("subscribed");
    assert_eq!((stats.skips, stats.frames_dropped), (1, 202));
}

#[test]
fn a_player_without_video_skips_to_recent_audio() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.put_all(at(0), [AudioHeader(1), Audio(0)]);
    let mut slow = Player::join(&mut stream, at(0));
    assert!(slow.take(&mut stream, at(0)).is_ok());
    for number in 1..=600 {
        stream.put(at(20 * u64::from(number)), Audio(number));
    }
    stream.on_sent(at(12_000), slow.key);
    let got = slow.drain_got(&mut stream, at(12_000));
    assert_eq!((got.first(), got.last()), (Some(&Audio(550)), Some(&Audio(600))));
}

#[test]
fn a_player_that_takes_nothing_for_too_long_is_closed() {
    let mut stream = published(limits());
    let mut stuck = Player::join(&mut stream, at(1_000));
    let mut fine = Player::join(&mut stream, at(1_000));
    assert!(stuck.take(&mut stream, at(1_000)).is_ok());
    fine.drain(&mut stream, at(1_000));
    assert_eq!(stream.stalled(at(21_000)).count(), 0);
    assert_eq!(stuck.take(&mut stream, at(21_000)), Err(Segment::Idle));
    assert_eq!(stream.stalled(at(21_001)).collect::<Vec<_>>(), [stuck.key]);
    let close = Segment::Close(SubscriberFault::Stalled);
    assert_eq!(stuck.take(&mut stream, at(21_001)), Err(close));
    stream.unsubscribe(stuck.key);
    assert_eq!(stream.stalled(at(99_000)).count(), 0, "a silent publisher is nobody's fault");
}

#[test]
fn a_player_at_the_newest_keyframe_has_nowhere_to_skip_to() {
    let mut stream = published(limits());
    let mut late = Player::join(&mut stream, at(1_000));
    late.drain(&mut stream, at(1_000));
    publish_seconds(&mut stream, 1..2, 0);
    // The keyframe is older than the lag limit, and the publisher brings no other.
    assert_eq!(late.drain_got(&mut stream, at(15_000)).len(), 25);
    assert_eq!(stream.subscriber(late.key).map(|stats| stats.skips), Some(0));
}

#[test]
fn a_stuck_player_changes_nothing_for_the_others() {
    let mut stream = published(limits());
    let mut stuck = Player::join(&mut stream, at(1_000));
    let mut fine = Player::join(&mut stream, at(1_000));
    assert!(stuck.take(&mut stream, at(1_000)).is_ok());
    fine.drain(&mut stream, at(1_000));
    for second in 1..19 {
        publish_seconds(&mut stream, second..second + 1, 3_000);
        assert_eq!(fine.drain(&mut stream, at(u64::from(second + 1) * 1_000)).len(), 25);
        assert!(stream.log_bytes() <= limits().log_bytes_max);
    }
    assert_eq!(stream.subscriber(fine.key).map(|stats| stats.frames_dropped), Some(0));
}

#[test]
fn history_is_kept_for_the_slow_alone() {
    let mut stream = published(limits());
    let mut slow = Player::join(&mut stream, at(1_000));
    assert!(slow.take(&mut stream, at(1_000)).is_ok());
    let taken = stream.log_range().end;
    publish_seconds(&mut stream, 1..5, 0);
    stream.handle_timeout(at(5_000));
    assert_eq!(stream.log_range().start, taken);
    stream.on_sent(at(5_000), slow.key);
    slow.drain(&mut stream, at(5_000));
    stream.handle_timeout(at(5_001));
    assert_eq!(stream.log_range(), taken + 75..taken + 100, "the current GOP");
}

#[test]
fn a_keyframe_ends_the_history_that_nobody_needs() {
    let mut stream = published(limits());
    let mut fine = Player::join(&mut stream, at(1_000));
    fine.drain(&mut stream, at(1_000));
    let before = stream.log_range();
    stream.append(at(1_000), message(Keyframe(25), 1_000, 10_000));
    assert_eq!(stream.log_range(), before.end..before.end + 1);
}

#[test]
fn age_cuts_the_log_but_for_the_current_gop() {
    let short = StreamLimits { log_duration_max: Duration::from_secs(2), ..limits() };
    let mut stream = published(short);
    let mut slow = Player::join(&mut stream, at(1_000));
    assert!(slow.take(&mut stream, at(1_000)).is_ok());
    publish_seconds(&mut stream, 1..10, 0);
    let held = stream.log_range();
    assert_eq!(held.end - held.start, 51);
    for number in 0..200 {
        stream.put(at(10_000 + 40 * number), Inter(0));
    }
    let held = stream.log_range();
    assert_eq!(held.end - held.start, 225, "the current GOP is of 9 seconds");
}

#[test]
fn small_frames_are_bounded_by_their_number() {
    let mut stream = published(StreamLimits { log_frames_max: 100, ..limits() });
    for _ in 0..1_000 {
        stream.put(at(1_000), Audio(0));
    }
    let held = stream.log_range();
    assert_eq!(held.end - held.start, 100);
}
