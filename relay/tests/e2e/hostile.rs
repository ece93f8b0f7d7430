//! Strangers on the port: all are closed in time and counted, and a real stream does not notice.

use std::time::Duration;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::relay::{Relay, Settings};
use crate::support::strangers::{Manner, Strangers};
use crate::support::swarm::Swarm;

const LIMIT: Duration = Duration::from_secs(20);

/// What memory may differ by after thousands of strangers: the allocator's own disorder. It is
/// 4 KiB for each of them, less than a connection holds.
const MEMORY_TOLERANCE_BYTES: f64 = 8e6;

fn strict() -> Settings {
    Settings::new().rtmp("handshake_timeout = \"2s\"").rtmp("command_timeout = \"2s\"")
}

/// A third is silent, a third drips, a third makes noise, half of that behind a handshake's start.
fn every_manner(count: u64, seed: u64) -> Vec<Manner> {
    (0..count)
        .map(|number| match number % 6 {
            0 | 3 => Manner::silent(),
            1 | 4 => Manner::dripping(),
            2 => Manner::noise(seed + number, 64),
            _ => Manner::noisy_greeting(seed + number, 4_000),
        })
        .collect()
}

#[test]
fn strangers_are_closed_and_counted_while_a_stream_flows() {
    let _machine = machine::shared();
    let relay = strict().start();
    let source = Clip::Plain.frames();
    let url = relay.url("cam");
    let player = Player::start(&url);
    relay.wait_for_role("play", 1);
    let mut publisher = publish(Clip::Plain.path(), &url, Pace::RealTime);
    let strangers = Strangers::start(relay.address(), every_manner(240, 0), LIMIT);
    strangers.wait_until_closed(LIMIT);
    relay.wait_for_role("idle", 0);
    // At least the silent and the dripping ones; noise behind a handshake ends in many ways.
    assert!(relay.closed("handshake_timeout") >= 160.0, "{}", relay.closed("handshake_timeout"));
    publisher.succeed(LIMIT);
    player.finish(LIMIT).is_all_of(&source).unwrap();
}

/// Lets a wave of strangers come and be closed. All are counted: the silent and the dripping by
/// their time-out, the others by whatever was wrong with them first.
fn wave(relay: &Relay, count: u64, seed: u64) {
    let by_timeout = relay.closed("handshake_timeout");
    let in_all = relay.metric("edgerelay_connections_closed_total", &[]);
    let strangers = Strangers::start(relay.address(), every_manner(count, seed), LIMIT);
    let longest = strangers.wait_until_closed(LIMIT);
    relay.wait_for_role("idle", 0);
    println!("{count} strangers, the longest stayed {:.1} s", longest.as_secs_f64());
    assert!(longest < Duration::from_secs(10), "two time-outs of 2 s, and 2 s to be told");
    let by_timeout = relay.closed("handshake_timeout") - by_timeout;
    let in_all = relay.metric("edgerelay_connections_closed_total", &[]) - in_all;
    assert_eq!(in_all, count as f64, "each is counted once, by its reason");
    let patient = (count * 2 / 3) as f64;
    assert!(by_timeout >= patient, "{by_timeout} timed out, {patient} were silent or dripped");
    assert!(by_timeout < in_all, "noise is told from silence");
}

#[test]
fn two_thousand_strangers_leave_nothing_behind_and_cost_a_stream_nothing() {
    let _machine = machine::alone();
    machine::allow_open_files(5_000);
    let relay = strict().rtmp("connections_max = 5000").rtmp("connections_per_ip_max = 0").start();
    let players = Swarm::play(vec![relay.url("cam"); 4]);
    relay.wait_for_role("play", 4);
    let publisher = Swarm::publish(vec![relay.url("cam")], 6_250, Duration::from_millis(20));
    players.wait_until_ready();
    // Fills what stays filled: the pools of the allocator, the tables of connections.
    wave(&relay, 2_000, 0);
    let files = relay.metric("process_open_fds", &[]);
    let memory = relay.metric("process_resident_memory_bytes", &[]);
    wave(&relay, 2_000, 1_000_000);
    relay.wait_for_metric("process_open_fds", &[], LIMIT, |now| now <= files);
    let memory_after = relay.wait_for_metric("process_resident_memory_bytes", &[], LIMIT, |now| {
        now <= memory + MEMORY_TOLERANCE_BYTES
    });
    println!("memory: {memory} bytes, then {memory_after}");
    publisher.stop();
    publisher.wait_until_done();
    players.wait_until_done();
    assert_eq!(players.messages(), 4 * publisher.messages(), "players missed nothing");
    assert_eq!(players.finish(), Vec::<String>::new());
    assert_eq!(publisher.finish(), Vec::<String>::new());
}

#[test]
fn other_protocols_are_closed_by_name() {
    let _machine = machine::shared();
    let relay = strict().start();
    for (opening, reason) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "http_on_rtmp"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls_on_rtmp"),
        (b"\x06", "rtmpe"),
        (b"\x7f", "handshake_version"),
    ] {
        let stranger = vec![Manner::Says(opening.to_vec())];
        Strangers::start(relay.address(), stranger, LIMIT).wait_until_closed(LIMIT);
        let label = format!("reason=\"{reason}\"");
        let name = "edgerelay_connections_closed_total";
        relay.wait_for_metric(name, &[&label], LIMIT, |count| count == 1.0);
    }
}

#[test]
fn a_handshake_without_a_command_ends_in_time() {
    let _machine = machine::shared();
    let relay = strict().start();
    let mut greeting = vec![3];
    greeting.extend([0; 2 * 1536]);
    let stranger = vec![Manner::Says(greeting)];
    Strangers::start(relay.address(), stranger, LIMIT).wait_until_closed(LIMIT);
    assert_eq!(relay.closed("command_timeout"), 1.0);
}

#[test]
fn connections_beyond_the_limit_are_turned_away_and_the_rest_served() {
    let _machine = machine::shared();
    let relay = Settings::new().rtmp("connections_max = 8").start();
    let mut publisher = publish(Clip::VideoOnly.path(), &relay.url("cam"), Pace::RealTime);
    relay.wait_for_streams(1);
    let strangers = Strangers::start(relay.address(), vec![Manner::silent(); 20], LIMIT);
    eventually("thirteen to be turned away", LIMIT, || (strangers.open() <= 7).then_some(()));
    assert!(relay.metric("edgerelay_connections_rejected_total", &[]) >= 13.0);
    drop(strangers);
    publisher.succeed(LIMIT);
}
