//! A player that is too slow hurts itself alone.

use std::time::Duration;

use edgerelay_proto::session::ClientEvent;
use tokio::time::interval;

use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::swarm::Swarm;
use crate::support::synthetic::Sink;

const LIMIT: Duration = Duration::from_secs(30);

/// A relay with short patience, a publisher of 2.5 MB/s, and three players that keep up.
fn busy_relay() -> (Relay, Swarm, Swarm) {
    let relay = Settings::new()
        .app("lag_max = \"1s\"")
        .app("lag_bytes_max = \"2MiB\"")
        .app("disconnect_after = \"3s\"")
        .start();
    let publisher = Swarm::publish(vec![relay.url("cam")], 25_000, Duration::from_millis(10));
    relay.wait_for_streams(1);
    let players = Swarm::play(vec![relay.url("cam"); 3]);
    players.wait_until_ready();
    (relay, publisher, players)
}

#[test]
fn a_stalled_player_is_closed_and_others_miss_nothing() {
    let _machine = machine::shared();
    let (relay, publisher, players) = busy_relay();
    block_on(async {
        let _stalled = Peer::play_with_little_room(&relay.url("cam")).await.expect("plays");
        relay.wait_for_metric(
            "edgerelay_connections_closed_total",
            &["reason=\"subscriber_stalled\""],
            LIMIT,
            |closed| closed == 1.0,
        );
    });
    assert_eq!(players.finish(), Vec::<String>::new());
    assert_eq!(publisher.finish(), Vec::<String>::new());
}

#[test]
fn a_player_that_the_kernel_gives_up_is_not_said_to_have_closed() {
    let _machine = machine::shared();
    let relay = Settings::new().rtmp("tcp_user_timeout = \"2s\"").start();
    let url = relay.url("cam");
    let publisher = Swarm::publish(vec![url.clone()], 25_000, Duration::from_millis(10));
    relay.wait_for_streams(1);
    block_on(async {
        let _stalled = Peer::play_with_little_room(&url).await.expect("plays");
        relay.wait_for_role("play", 1);
        relay.wait_for_role("play", 0);
    });
    assert_eq!((relay.closed("io_error"), relay.closed("peer_closed")), (1.0, 0.0));
    assert_eq!(publisher.finish(), Vec::<String>::new());
}

#[test]
fn a_slow_player_skips_to_keyframes_and_others_miss_nothing() {
    let _machine = machine::shared();
    let (relay, publisher, players) = busy_relay();
    let sink = block_on(async {
        let mut slow = Peer::play_with_little_room(&relay.url("cam")).await.expect("plays");
        let mut sink = Sink::default();
        // A quarter of what the stream has.
        let mut pace = interval(Duration::from_millis(40));
        while sink.gaps < 2 {
            pace.tick().await;
            match slow.next_event_within(LIMIT).await {
                Ok(ClientEvent::Media(message)) => sink.take(&message),
                Ok(_) => {}
                Err(error) => panic!("a slow player is not closed: {error} after {sink:?}"),
            }
        }
        sink
    });
    assert_eq!((sink.bad_starts, sink.steps_back), (0, 0), "goes on at keyframes: {sink:?}");
    assert!(relay.metric("edgerelay_subscriber_skips_total", &[]) >= 2.0);
    assert!(relay.metric("edgerelay_subscriber_frames_dropped_total", &[]) >= 2.0);
    assert_eq!(players.finish(), Vec::<String>::new());
    assert_eq!(publisher.finish(), Vec::<String>::new());
}

#[test]
fn what_slow_players_hold_up_is_bounded() {
    let _machine = machine::shared();
    let (relay, publisher, players) = busy_relay();
    let before = relay.metric("process_resident_memory_bytes", &[]);
    block_on(async {
        let mut stalled = Vec::new();
        for _ in 0..20 {
            stalled.push(Peer::play_with_little_room(&relay.url("cam")).await.expect("plays"));
        }
        relay.wait_for_metric(
            "edgerelay_connections_closed_total",
            &["reason=\"subscriber_stalled\""],
            LIMIT,
            |closed| closed == 20.0,
        );
    });
    let grown = relay.metric("process_resident_memory_bytes", &[]) - before;
    // The log holds what it may, once; what was in flight to the stalled came from it.
    assert!(grown < 80e6, "grew by {grown} bytes");
    assert_eq!(players.finish(), Vec::<String>::new());
    assert_eq!(publisher.finish(), Vec::<String>::new());
}
