//! Many clients at once. The short forms run always; the long ones with `cargo xtask test --only
//! soak`.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::support::eventually::{eventually, throughout};
use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::swarm::Swarm;

const LIMIT: Duration = Duration::from_secs(60);

fn wait_until_ready(swarm: &Swarm, count: u64) {
    eventually(&format!("{count} clients to be accepted"), LIMIT, || {
        assert_eq!(swarm.totals().failed.load(Relaxed), 0, "clients failed before all were ready");
        (swarm.totals().ready.load(Relaxed) == count).then_some(())
    });
}

fn hold(swarm: &Swarm, span: Duration) {
    throughout("every client being served", span, || swarm.totals().failed.load(Relaxed) == 0);
}

/// One stream to many players, of `message_bytes` every 20 ms.
fn fan_out(players: u64, message_bytes: usize, span: Duration) {
    let _machine = machine::alone();
    let relay = Relay::start();
    let publisher =
        Swarm::publish(vec![relay.url("show")], message_bytes, Duration::from_millis(20));
    relay.wait_for_streams(1);
    let swarm = Swarm::play((0..players).map(|_| relay.url("show")).collect());
    wait_until_ready(&swarm, players);
    hold(&swarm, span);
    let received = swarm.totals().messages.load(Relaxed);
    assert_eq!(swarm.finish(), Vec::<String>::new());
    assert_eq!(publisher.finish(), Vec::<String>::new());
    assert_eq!(relay.metric("edgerelay_subscriber_skips_total", &[]), 0.0, "nobody lagged");
    let expected = players * u64::try_from(span.as_millis()).expect("short") / 20;
    assert!(received >= expected * 9 / 10, "{received} messages, about {expected} expected");
}

/// Many streams and nobody who plays them.
fn ingest(publishers: u32, message_bytes: usize, period: Duration, span: Duration) {
    let _machine = machine::alone();
    let relay = Settings::new().start();
    let urls = (0..publishers).map(|number| relay.url(&format!("cam{number}"))).collect();
    let swarm = Swarm::publish(urls, message_bytes, period);
    wait_until_ready(&swarm, u64::from(publishers));
    relay.wait_for_streams(publishers);
    hold(&swarm, span);
    assert_eq!(swarm.finish(), Vec::<String>::new());
    relay.wait_for_streams(0);
    relay.wait_for_role("publish", 0);
    let payload = relay.metric("edgerelay_payload_received_bytes_total", &[]);
    let periods = span.as_secs_f64() / period.as_secs_f64();
    let expected = f64::from(publishers) * periods * message_bytes as f64;
    assert!(payload >= expected * 0.9, "{payload} bytes received, about {expected} expected");
}

#[test]
fn two_hundred_players_miss_nothing() {
    fan_out(200, 2_500, Duration::from_secs(5));
}

#[test]
fn five_hundred_publishers_are_all_read() {
    ingest(500, 1_000, Duration::from_millis(100), Duration::from_secs(5));
}

#[test]
#[ignore = "takes over a minute: cargo xtask test --only soak"]
fn soak_two_hundred_players_for_a_minute() {
    fan_out(200, 5_000, Duration::from_secs(60));
}

#[test]
#[ignore = "takes over a minute: cargo xtask test --only soak"]
fn soak_five_hundred_publishers_for_a_minute() {
    ingest(500, 2_500, Duration::from_millis(40), Duration::from_secs(60));
}
