//! Frames held for a subscriber that is expected.

use super::Got::{Audio, AudioHeader, Inter, Keyframe, Metadata, VideoHeader};
use super::scenarios::published;
use super::{Player, at, limits};
use crate::hub::stream::Stream;
use crate::hub::subscriber::{SubscribeFrom, SubscriberOptions};

fn expected() -> SubscriberOptions {
    SubscriberOptions { start: SubscribeFrom::Held, ..SubscriberOptions::default() }
}

#[test]
fn whoever_is_expected_gets_the_publication_from_its_first_keyframe() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.hold();
    stream.put_all(at(0), [VideoHeader(1), AudioHeader(1), Keyframe(1), Inter(1)]);
    stream.put_all(at(1_000), [Keyframe(2), Inter(2)]);
    // Frames that nobody has use for go now, but these.
    stream.handle_timeout(at(2_000));
    let mut leg = Player::join_with(&mut stream, at(2_000), expected());
    let got: Vec<_> = leg.drain(&mut stream, at(2_000)).into_iter().map(|(_, got)| got).collect();
    let all = [VideoHeader(1), AudioHeader(1), Keyframe(1), Inter(1), Keyframe(2), Inter(2)];
    assert_eq!(got, all);
    stream.release_hold();
    stream.handle_timeout(at(2_000));
    assert_eq!(stream.frames(stream.log_range()).count(), 2, "the last group alone stays");
}

#[test]
fn whoever_is_expected_again_gets_what_came_since_the_last_keyframe_before() {
    let mut stream = published(limits());
    stream.hold();
    stream.put_all(at(1_100), [Keyframe(3), Inter(3)]);
    stream.handle_timeout(at(2_000));
    let mut leg = Player::join_with(&mut stream, at(2_000), expected());
    let got: Vec<_> = leg.drain(&mut stream, at(2_000)).into_iter().map(|(_, got)| got).collect();
    assert_eq!(got[..4], [Metadata(1), VideoHeader(1), AudioHeader(1), Keyframe(2)]);
    assert_eq!(got.last(), Some(&Inter(3)));
}

#[test]
fn nothing_is_held_that_would_be_skipped() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.hold();
    stream.put_all(at(0), [VideoHeader(1), Keyframe(1), Inter(1)]);
    stream.put_all(at(9_000), [Keyframe(2), Inter(2)]);
    stream.put_all(at(12_000), [Keyframe(3), Inter(3)]);
    stream.handle_timeout(at(12_000));
    assert_eq!(stream.frames(stream.log_range()).count(), 4, "ten seconds back, no more");
    let mut leg = Player::join_with(&mut stream, at(12_000), expected());
    let got: Vec<_> = leg.drain(&mut stream, at(12_000)).into_iter().map(|(_, got)| got).collect();
    assert_eq!(got, [VideoHeader(1), Keyframe(2), Inter(2), Keyframe(3), Inter(3)]);
}

#[test]
fn sound_alone_is_held_as_well_and_a_hold_follows_a_replaced_publication() {
    let mut stream = Stream::new(limits(), at(0));
    stream.on_publish(at(0));
    stream.hold();
    stream.put_all(at(0), [AudioHeader(1), Audio(1)]);
    stream.on_publish(at(100));
    stream.put_all(at(100), [AudioHeader(2), Audio(2)]);
    stream.put_all(at(5_000), [Audio(3)]);
    stream.handle_timeout(at(5_000));
    let mut leg = Player::join_with(&mut stream, at(5_000), expected());
    let got: Vec<_> = leg.drain(&mut stream, at(5_000)).into_iter().map(|(_, got)| got).collect();
    assert_eq!(got, [AudioHeader(2), Audio(2), Audio(3)]);
}
