//! Many clients at once. The short forms run always; the long ones with `cargo xtask test --only
//! soak`.

use std::time::Duration;

use crate::support::eventually::throughout;
use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::swarm::Swarm;

/// Two shards whatever the machine has, and players that wait for as long as a test may take.
fn two_shards() -> Settings {
    let settings = Settings::new().rtmp("play_wait_timeout = \"120s\"");
    assert!(settings.text().contains("shards = 2"), "settings are for two shards");
    settings
}

fn hold(swarms: &[&Swarm], span: Duration) {
    throughout("every client being served", span, || swarms.iter().all(|swarm| swarm.is_well()));
}

/// Publishes to players that are there already, ends, and compares what went in with what came out:
/// `players_each` players of every stream, each of which gets all of its messages. The relay, for
/// a look at how it did that.
fn relays_everything(
    settings: Settings,
    streams: u32,
    players_each: u64,
    message_bytes: usize,
    period: Duration,
    span: Duration,
) -> Relay {
    let _machine = machine::alone();
    let relay = settings.start();
    let urls: Vec<String> = (0..streams).map(|number| relay.url(&format!("cam{number}"))).collect();
    let count = u64::from(streams) * players_each;
    let each = usize::try_from(players_each).expect("few");
    let played = urls.iter().flat_map(|url| vec![url.clone(); each]).collect();
    let players = Swarm::play(played);
    relay.wait_for_role("play", u32::try_from(count).expect("few"));
    let publishers = Swarm::publish(urls, message_bytes, period);
    publishers.wait_until_ready();
    players.wait_until_ready();
    hold(&[&publishers, &players], span);
    let by_shard = relay.by_shard("play");
    println!("players by shard: {by_shard:?}");
    assert_eq!(by_shard.len(), 2, "both shards have players: {by_shard:?}");
    publishers.stop();
    publishers.wait_until_done();
    players.wait_until_done();
    let sent = publishers.messages();
    let received = players.messages();
    // First what says why, should anybody have missed something.
    assert_eq!(relay.metric("edgerelay_mailbox_full_total", &[]), 0.0, "no shard was skipped");
    assert_eq!(relay.metric("edgerelay_subscriber_skips_total", &[]), 0.0, "nobody lagged");
    assert_eq!(publishers.finish(), Vec::<String>::new());
    assert_eq!(players.finish(), Vec::<String>::new());
    let payload = sent as f64 * message_bytes as f64;
    println!(
        "{sent} messages sent, {received} received, {:.1} Mbit/s in",
        payload * 8.0 / span.as_secs_f64() / 1e6
    );
    assert_eq!(received, sent * players_each, "every player got every message");
    let expected = f64::from(streams) * span.as_secs_f64() / period.as_secs_f64();
    assert!(sent as f64 >= expected * 0.9, "{sent} messages sent, {expected} are the rate");
    assert_eq!(relay.metric("edgerelay_payload_copied_bytes_total", &[]), 0.0, "no copies");
    relay.wait_for_streams(0);
    relay.wait_for_role("publish", 0);
    relay
}

/// Many streams and nobody who plays them.
fn ingest(publishers: u32, message_bytes: usize, period: Duration, span: Duration) {
    let _machine = machine::alone();
    let relay = two_shards().start();
    let urls = (0..publishers).map(|number| relay.url(&format!("cam{number}"))).collect();
    let swarm = Swarm::publish(urls, message_bytes, period);
    swarm.wait_until_ready();
    relay.wait_for_streams(publishers);
    hold(&[&swarm], span);
    assert_eq!(swarm.finish(), Vec::<String>::new());
    relay.wait_for_streams(0);
    relay.wait_for_role("publish", 0);
    let payload = relay.metric("edgerelay_payload_received_bytes_total", &[]);
    let periods = span.as_secs_f64() / period.as_secs_f64();
    let expected = f64::from(publishers) * periods * message_bytes as f64;
    assert!(payload >= expected * 0.9, "{payload} bytes received, about {expected} expected");
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn two_hundred_players_miss_nothing() {
    relays_everything(
        two_shards(),
        1,
        200,
        2_500,
        Duration::from_millis(20),
        Duration::from_secs(5),
    );
}

#[test]
fn a_hundred_streams_reach_a_player_each() {
    relays_everything(
        two_shards(),
        100,
        1,
        2_500,
        Duration::from_millis(40),
        Duration::from_secs(5),
    );
}

#[test]
fn messages_that_come_within_a_merge_window_go_out_together_and_none_is_missed() {
    let settings = two_shards().rtmp("merge_window = \"100ms\"");
    let (period, span) = (Duration::from_millis(20), Duration::from_secs(5));
    let relay = relays_everything(settings, 30, 2, 1_500, period, span);
    let frames = relay.metric("edgerelay_frames_sent_total", &[]);
    let sends = relay.metric("edgerelay_ring_sends_total", &[]);
    assert!(frames > 3.0 * sends, "{frames} frames in {sends} sends, five come in a window");
}

/// 120 kB in a window: more than one read takes.
#[test]
fn what_takes_several_reads_in_a_merge_window_goes_out_together() {
    let settings =
        two_shards().rtmp("merge_window = \"300ms\"").rtmp("merge_window_max = \"300ms\"");
    let (period, span) = (Duration::from_millis(10), Duration::from_secs(5));
    let relay = relays_everything(settings, 1, 40, 4_000, period, span);
    let frames = relay.metric("edgerelay_frames_sent_total", &[]);
    let sends = relay.metric("edgerelay_ring_sends_total", &[]);
    println!("{frames} frames in {sends} sends");
    assert!(frames > 15.0 * sends, "{frames} frames in {sends} sends, thirty come in a window");
}

#[test]
fn five_hundred_publishers_are_all_read() {
    ingest(500, 1_000, Duration::from_millis(100), Duration::from_secs(5));
}

/// 2.5 Mbit/s to each of 200 players.
#[test]
#[ignore = "takes over a minute: cargo xtask test --only soak"]
fn soak_two_hundred_players_for_a_minute() {
    relays_everything(two_shards(), 1, 200, 6_250, Duration::from_millis(20), MINUTE);
}

/// 500 kbit/s from each of 500 publishers.
#[test]
#[ignore = "takes over a minute: cargo xtask test --only soak"]
fn soak_five_hundred_publishers_with_a_player_each_for_a_minute() {
    relays_everything(two_shards(), 500, 1, 2_500, Duration::from_millis(40), MINUTE);
}
