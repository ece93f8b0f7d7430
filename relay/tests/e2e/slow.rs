//! A player that is too slow hurts itself alone.

use std::io::ErrorKind;
use std::time::Duration;

use edgerelay_proto::session::ClientEvent;
use tokio::time::interval;

use crate::support::eventually::throughout;
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

/// One that reads nothing for `span` while a stream of 2.5 Mbit/s flows, and then reads on, or finds
/// itself closed. The log never holds more than `log_bytes_max`, on any shard.
fn stops_reading(settings: Settings, span: Duration, log_bytes_max: f64) -> (Relay, Option<Sink>) {
    let relay = settings.start();
    let url = relay.url("cam");
    let players = Swarm::play(vec![url.clone(); 4]);
    relay.wait_for_role("play", 4);
    let publisher = Swarm::publish(vec![url.clone()], 6_250, Duration::from_millis(20));
    players.wait_until_ready();
    let sink = block_on(async {
        let mut slow = Peer::play_with_little_room(&url).await.expect("plays");
        let mut most = 0.0_f64;
        throughout("a bounded log", span, || {
            most = most.max(relay.metric("edgerelay_log_bytes", &[]));
            most <= log_bytes_max * 2.0
        });
        println!("the logs held {most} bytes at most, and may hold {log_bytes_max} each");
        let mut sink = Sink::default();
        loop {
            match slow.next_event_within(LIMIT).await {
                Ok(ClientEvent::Media(message)) => sink.take(&message),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => panic!("{error}: {sink:?}"),
                Err(_) => break None,
            }
            let live = publisher.messages();
            if sink.gaps > 0 && sink.last.is_some_and(|(_, number)| number + 50 > live) {
                break Some(sink);
            }
        }
    });
    publisher.stop();
    publisher.wait_until_done();
    players.wait_until_done();
    assert_eq!(players.messages(), 4 * publisher.messages(), "the others missed nothing");
    assert_eq!(players.finish(), Vec::<String>::new());
    assert_eq!(publisher.finish(), Vec::<String>::new());
    (relay, sink)
}

/// It went on at a keyframe, once, and the relay says so.
fn assert_skipped(relay: &Relay, sink: Option<Sink>) {
    let sink = sink.expect("not closed");
    assert_eq!((sink.bad_starts, sink.steps_back), (0, 0), "goes on at a keyframe: {sink:?}");
    assert_eq!(relay.metric("edgerelay_subscriber_skips_total", &[]), sink.gaps as f64);
    let dropped = relay.metric("edgerelay_subscriber_frames_dropped_total", &[]);
    let (first, last) = (sink.first.expect("messages").1, sink.last.expect("messages").1);
    assert_eq!(dropped, (last - first + 1 - sink.received) as f64, "counts what it missed");
    assert_eq!(relay.closed("subscriber_stalled"), 0.0);
}

#[test]
fn a_player_that_stops_reading_for_a_while_goes_on_at_a_keyframe() {
    let _machine = machine::shared();
    let settings = Settings::new()
        .app("lag_max = \"2s\"")
        .app("log_duration_max = \"3s\"")
        .app("lag_bytes_max = \"1MiB\"")
        .app("log_bytes_max = \"1536KiB\"");
    let (relay, sink) = stops_reading(settings, Duration::from_secs(6), 1_536.0 * 1024.0);
    assert_skipped(&relay, sink);
}

/// The limits that nobody has set: 10 s of lag, 30 s until a player is closed, 32 MiB of log.
const DEFAULT_LOG_BYTES: f64 = 32.0 * 1024.0 * 1024.0;

#[test]
#[ignore = "takes over twenty seconds: cargo xtask test --only soak"]
fn soak_a_player_that_stops_reading_for_twenty_seconds_goes_on_at_a_keyframe() {
    let _machine = machine::shared();
    let (relay, sink) = stops_reading(Settings::new(), Duration::from_secs(20), DEFAULT_LOG_BYTES);
    assert_skipped(&relay, sink);
}

#[test]
#[ignore = "takes over half a minute: cargo xtask test --only soak"]
fn soak_a_player_that_never_reads_again_is_closed() {
    let _machine = machine::shared();
    let (relay, sink) = stops_reading(Settings::new(), Duration::from_secs(40), DEFAULT_LOG_BYTES);
    assert!(sink.is_none(), "closed, not {sink:?}");
    assert_eq!(relay.closed("subscriber_stalled"), 1.0);
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
