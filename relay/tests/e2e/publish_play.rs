//! What encoders send is what players get, byte for byte and with its time.

use std::time::Duration;

use tempfile::TempDir;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::{Clip, frames_of_file};
use crate::support::peers::{gstreamer_play, gstreamer_publish, gstreamer_remux, rtmpdump_play};
use crate::support::relay::Relay;
use crate::support::rml::RmlPeer;
use crate::support::synthetic::{Sink, Source};

const LIMIT: Duration = Duration::from_secs(30);

/// Publishes the clip to players that were there before it, and compares all of it.
fn whole_clip_arrives(clip: Clip) {
    let _machine = machine::shared();
    let source = clip.frames();
    let relay = Relay::start();
    let url = relay.url("cam");
    let players: Vec<Player> = (0..3).map(|_| Player::start(&url)).collect();
    relay.wait_for_role("play", 3);
    publish(clip.path(), &url, Pace::Fast).succeed(LIMIT);
    for player in players {
        let frames = player.finish(LIMIT);
        frames.is_all_of(&source).unwrap_or_else(|why| panic!("{why}\n{}", relay.log()));
    }
    assert_eq!(relay.metric("edgerelay_payload_copied_bytes_total", &[]), 0.0, "no copies");
    assert_eq!(relay.metric("edgerelay_subscriber_skips_total", &[]), 0.0, "nobody lagged");
}

#[test]
fn video_and_audio_arrive_whole() {
    whole_clip_arrives(Clip::Plain);
}

#[test]
fn b_frames_arrive_whole() {
    whole_clip_arrives(Clip::BFrames);
}

#[test]
fn audio_alone_arrives_whole() {
    whole_clip_arrives(Clip::AudioOnly);
}

#[test]
fn video_alone_arrives_whole() {
    whole_clip_arrives(Clip::VideoOnly);
}

#[test]
fn late_players_start_at_a_keyframe_and_miss_nothing_after() {
    let _machine = machine::shared();
    let source = Clip::Plain.frames();
    let relay = Relay::start();
    let url = relay.url("cam");
    let mut publisher = publish(Clip::Plain.path(), &url, Pace::RealTime);
    relay.wait_for_metric("edgerelay_frames_received_total", &[], LIMIT, |frames| frames > 120.0);
    let players: Vec<Player> = (0..4).map(|_| Player::start(&url)).collect();
    relay.wait_for_role("play", 4);
    publisher.succeed(LIMIT);
    for player in &players {
        let runs = eventually("the end of the clip", LIMIT, || {
            let runs = player.frames().run_of(&source);
            runs.ok().filter(|runs| runs.values().all(|run| run.missing_after == 0))
        });
        let video = &runs["video"];
        assert!(video.skipped_before > 0, "joined in the middle: {video:?}");
        assert_eq!(video.skipped_before % 30, 0, "starts at a keyframe: {video:?}");
    }
}

#[test]
fn gstreamer_and_rtmpdump_get_what_gstreamer_sends() {
    let _machine = machine::shared();
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    gstreamer_remux(Clip::Plain.path(), &file("source.flv")).succeed(LIMIT);
    let source = frames_of_file(&file("source.flv"));
    let relay = Relay::start();
    let url = relay.url("cam");
    let mut dump = rtmpdump_play(&url, &file("dump.flv"));
    let mut play = gstreamer_play(&url, &file("gst.flv"));
    relay.wait_for_role("play", 2);
    gstreamer_publish(Clip::Plain.path(), &url).succeed(LIMIT);
    relay.wait_for_streams(0);
    dump.stop(LIMIT);
    play.stop(LIMIT);
    for name in ["dump.flv", "gst.flv"] {
        let runs = frames_of_file(&file(name)).run_of(&source);
        let runs = runs.unwrap_or_else(|why| panic!("{name}: {why}"));
        // Audio that comes before the first keyframe is not part of a join.
        assert_eq!(runs["video"].skipped_before, 0, "{name}: {runs:?}");
        assert!(runs["audio"].skipped_before <= 1, "{name}: {runs:?}");
        assert!(runs.values().all(|run| run.missing_after <= 2), "{name}: {runs:?}");
    }
}

#[test]
fn a_player_ends_when_its_stream_does() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    let player = Player::start(&url);
    relay.wait_for_role("play", 1);
    publish(Clip::VideoOnly.path(), &url, Pace::Fast).succeed(LIMIT);
    // Long before the relay would give up waiting for another publisher.
    player.finish(LIMIT / 2);
    relay.wait_for_role("play", 0);
}

#[test]
fn statistics_describe_the_stream_and_its_clients() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    let mut publisher = publish(Clip::Plain.path(), &url, Pace::RealTime);
    relay.wait_for_streams(1);
    let _players = [Player::start(&url), Player::start(&url)];
    relay.wait_for_role("play", 2);
    let name = "nginx_rtmp_nclients";
    relay.wait_for_metric(name, &["application=\"live\""], LIMIT, |clients| clients == 3.0);
    for path in ["/stat", "/rtmp_stat", "/stats"] {
        let stat = eventually("the statistics to be complete", LIMIT, || {
            let answer = relay.ask(path);
            assert_eq!(answer.status, 200, "{path}");
            answer.body.contains("<nclients>3</nclients>").then_some(answer.body)
        });
        for part in [
            "<name>live</name>",
            "<name>cam</name>",
            "<width>320</width><height>240</height>",
            "<codec>H264</codec>",
            "<codec>AAC</codec>",
            "<publishing/>",
            "<active/>",
        ] {
            assert!(stat.contains(part), "{path} lacks {part}:\n{stat}");
        }
    }
    publisher.succeed(LIMIT);
    relay.wait_for_streams(0);
}

#[test]
fn another_implementation_publishes_and_plays_without_a_gap() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let mut publisher = RmlPeer::publish(relay.address(), "cam");
    let mut source = Source::new(1, 9_000);
    for message in Source::head() {
        publisher.send(&message);
    }
    for _ in 0..60 {
        publisher.send(&source.next_message());
    }
    relay.wait_for_metric("edgerelay_frames_received_total", &[], LIMIT, |frames| frames >= 62.0);
    let mut player = RmlPeer::play(relay.address(), "cam");
    for _ in 0..120 {
        publisher.send(&source.next_message());
    }
    let mut sink = Sink::default();
    while sink.last.is_none_or(|(_, number)| number + 1 < source.made()) {
        sink.take(&player.next_media());
    }
    assert!(sink.is_unbroken(), "{sink:?}");
}
