//! Peers that are gone without a word: killed, reset, vanished. Each is closed and counted, and those
//! at the other end of its stream are kept.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::block_on;
use crate::support::scripted::{Encoder, Viewer};

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until the relay has closed one connection for one of `reasons`, and none for another.
fn wait_until_counted(relay: &Relay, reasons: &[&str]) {
    let name = "edgerelay_connections_closed_total";
    relay.wait_for_metric(name, &[], LIMIT, |closed| closed == 1.0);
    let counted: f64 = reasons.iter().map(|reason| relay.closed(reason)).sum();
    assert_eq!(counted, 1.0, "closed for one of {reasons:?}: {}", relay.ask("/metrics").body);
}

/// How a publisher goes in the middle of a message.
#[derive(Clone, Copy)]
enum Going {
    /// Its machine resets the connection.
    Reset,
    /// Its system closes the connection, as after a kill.
    Closed,
}

fn goes_in_mid_message(going: Going, reason: &str) {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    block_on(async {
        let mut lost = Encoder::start(&url, 1).await;
        lost.send(70).await;
        let mut viewers = [Viewer::start(&url).await, Viewer::start(&url).await];
        for viewer in &mut viewers {
            viewer.watch_until(1, 69).await;
        }
        lost.send_half().await;
        match going {
            Going::Reset => lost.peer.reset().expect("a socket"),
            Going::Closed => drop(lost),
        }
        wait_until_counted(&relay, &[reason]);
        relay.wait_for_streams(0);
        let mut next = Encoder::start(&url, 2).await;
        next.send(60).await;
        for viewer in &mut viewers {
            viewer.watch_until(2, 59).await;
            let sink = &viewer.sink;
            assert!(sink.is_unbroken(), "no half message, time forward: {sink:?}");
        }
    });
}

#[test]
fn a_publisher_that_is_reset_in_mid_message_leaves_its_players_to_the_next() {
    goes_in_mid_message(Going::Reset, "io_error");
}

#[test]
fn a_publisher_that_closes_in_mid_message_leaves_its_players_to_the_next() {
    goes_in_mid_message(Going::Closed, "peer_closed");
}

#[test]
fn players_of_a_killed_encoder_get_the_next_one_from_its_start() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    let source = Clip::Long.frames();
    let mut players = [Player::start(&url), Player::start(&url)];
    relay.wait_for_role("play", 2);
    let mut killed = publish(Clip::Long.path(), &url, Pace::RealTime);
    for player in &mut players {
        player.wait_for_frames(100, LIMIT);
    }
    killed.signal(Signal::KILL);
    killed.wait(LIMIT);
    // A reset, if an acknowledgement of ours lay unread.
    wait_until_counted(&relay, &["peer_closed", "io_error"]);
    let seen = players.each_ref().map(|player| player.frames().count());
    let _next = publish(Clip::Long.path(), &url, Pace::RealTime);
    for (player, seen) in players.iter_mut().zip(seen) {
        let frames = player.wait_for_frames(seen + 100, LIMIT);
        let (before, after) = frames.cut_at_return_of(&source);
        for part in [before, after] {
            let runs = part.run_of(&source).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(runs["video"].skipped_before, 0, "from the first keyframe: {runs:?}");
        }
    }
    relay.wait_for_role("play", 2);
}

#[test]
fn a_publisher_that_falls_silent_is_closed_and_leaves_its_players_to_the_next() {
    let _machine = machine::shared();
    let relay = Settings::new().rtmp("publish_idle_timeout = \"1s\"").start();
    let url = relay.url("cam");
    block_on(async {
        // As after a pulled cable: it never says anything again, not even that it goes.
        let mut silent = Encoder::start(&url, 1).await;
        silent.send(70).await;
        let mut viewer = Viewer::start(&url).await;
        viewer.watch_until(1, 69).await;
        assert!(silent.peer.is_closed_within(LIMIT).await);
        wait_until_counted(&relay, &["publish_idle"]);
        relay.wait_for_streams(0);
        let mut next = Encoder::start(&url, 2).await;
        next.send(60).await;
        viewer.watch_until(2, 59).await;
        assert!(viewer.sink.is_unbroken(), "{:?}", viewer.sink);
    });
}

#[test]
fn a_player_that_vanished_is_closed_for_a_ping_it_does_not_answer() {
    let _machine = machine::shared();
    let relay =
        Settings::new().rtmp("ping_interval = \"1s\"").rtmp("ping_timeout = \"1s\"").start();
    let url = relay.url("cam");
    block_on(async {
        let mut encoder = Encoder::start(&url, 1).await;
        let mut stays = Viewer::start(&url).await;
        // Nobody asks it anything from now on, so it does not answer.
        let _vanished = Viewer::start(&url).await;
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let deadline = tokio::time::Instant::now() + LIMIT;
        while relay.closed("ping_timeout") < 1.0 {
            assert!(tokio::time::Instant::now() < deadline, "closed in time");
            pace.tick().await;
            encoder.send(1).await;
            stays.watch_until(1, encoder.source.made() - 1).await;
        }
        assert!(stays.sink.is_unbroken(), "{:?}", stays.sink);
        wait_until_counted(&relay, &["ping_timeout"]);
    });
}
