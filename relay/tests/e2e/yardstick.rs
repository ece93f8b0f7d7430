//! The tests' own yardstick, held against nginx-rtmp: a server known to relay frames untouched.

use std::time::Duration;

use edgerelay_proto::session::ClientEvent;
use tempfile::TempDir;

use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::{Clip, frames_of_file};
use crate::support::nginx::Nginx;
use crate::support::peers::{gstreamer_play, gstreamer_publish, gstreamer_remux, rtmpdump_play};
use crate::support::rtmp::{Peer, block_on};
use crate::support::synthetic::{Sink, Source};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn ffmpeg_through_nginx_yields_an_unbroken_run() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    for clip in [Clip::Plain, Clip::BFrames, Clip::AudioOnly, Clip::VideoOnly] {
        let url = nginx.url(&format!("{clip:?}"));
        let mut publisher = publish(clip.path(), &url, Pace::Fast);
        let mut player = Player::start(&url);
        publisher.succeed(LIMIT);
        player.wait_for_frames(20, LIMIT);
        player.frames().run_of(&clip.frames()).unwrap_or_else(|why| panic!("{clip:?}: {why}"));
    }
}

#[test]
fn rtmpdump_and_gstreamer_through_nginx_yield_unbroken_runs() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let folder = TempDir::new().unwrap();
    let url = nginx.url("peers");
    let (dumped, received) = (folder.path().join("dump.flv"), folder.path().join("gst.flv"));
    let mut publisher = gstreamer_publish(Clip::Plain.path(), &url);
    let mut dump = rtmpdump_play(&url, &dumped);
    let mut play = gstreamer_play(&url, &received);
    publisher.succeed(LIMIT);
    dump.stop(LIMIT);
    play.stop(LIMIT);
    let remuxed = folder.path().join("source.flv");
    gstreamer_remux(Clip::Plain.path(), &remuxed).succeed(LIMIT);
    let source = frames_of_file(&remuxed);
    for file in [dumped, received] {
        let frames = frames_of_file(&file);
        frames.run_of(&source).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }
}

#[test]
fn numbered_messages_through_nginx_have_no_gap() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let url = nginx.url("numbered");
    block_on(async {
        let mut source = Source::new(1, 20_000);
        let mut publisher = Peer::publish(&url).await.unwrap();
        let mut player = Peer::play(&url).await.unwrap();
        for message in Source::head() {
            publisher.send(&message).await.unwrap();
        }
        let mut sink = Sink::default();
        for _ in 0..100 {
            publisher.send(&source.next_message()).await.unwrap();
            let last = source.made() - 1;
            while sink.last != Some((1, last)) {
                if let ClientEvent::Media(message) = player.next_event_within(LIMIT).await.unwrap()
                {
                    sink.take(&message);
                }
            }
        }
        // nginx repeats the decoder configurations with a time of its own, so not `is_unbroken`.
        assert_eq!((sink.received, sink.gaps, sink.bad_starts), (100, 0, 0), "{sink:?}");
    });
}
