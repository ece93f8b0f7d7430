//! Strangers on the port: all are closed in time and counted, and a real stream does not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::relay::{Relay, Settings};

const LIMIT: Duration = Duration::from_secs(20);

/// A connection that says `opening` and then drips a byte whenever it is looked at.
struct Stranger {
    stream: TcpStream,
    drip: Option<u8>,
}

impl Stranger {
    fn new(relay: SocketAddr, opening: &[u8], drip: Option<u8>) -> Self {
        let mut stream = TcpStream::connect(relay).expect("the relay accepts");
        let _ = stream.write_all(opening);
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, drip }
    }

    fn is_closed(&mut self) -> bool {
        if let Some(byte) = self.drip {
            let _ = self.stream.write(&[byte]);
        }
        loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}

fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn strict() -> Relay {
    Settings::new().rtmp("handshake_timeout = \"2s\"").rtmp("command_timeout = \"2s\"").start()
}

fn wait_until_closed(strangers: &mut Vec<Stranger>) {
    let what = format!("{} strangers to be closed", strangers.len());
    eventually(&what, LIMIT, || {
        strangers.retain_mut(|stranger| !stranger.is_closed());
        strangers.is_empty().then_some(())
    });
}

#[test]
fn strangers_are_closed_and_counted_while_a_stream_flows() {
    let _machine = machine::shared();
    let relay = strict();
    let source = Clip::Plain.frames();
    let url = relay.url("cam");
    let player = Player::start(&url);
    relay.wait_for_role("play", 1);
    let mut publisher = publish(Clip::Plain.path(), &url, Pace::RealTime);
    let mut strangers = Vec::new();
    for number in 0..60 {
        strangers.push(Stranger::new(relay.address(), b"", None));
        strangers.push(Stranger::new(relay.address(), b"\x03", Some(0)));
        let mut greeting = vec![3];
        greeting.extend(noise(number, 4_000));
        strangers.push(Stranger::new(relay.address(), &greeting, None));
        strangers.push(Stranger::new(relay.address(), &noise(number + 1_000, 64), Some(7)));
    }
    wait_until_closed(&mut strangers);
    relay.wait_for_role("idle", 0);
    // At least the silent and the dripping ones; noise behind a handshake ends in many ways.
    assert!(relay.closed("handshake_timeout") >= 60.0, "{}", relay.closed("handshake_timeout"));
    publisher.succeed(LIMIT);
    player.finish(LIMIT).is_all_of(&source).unwrap();
}

#[test]
fn other_protocols_are_closed_by_name() {
    let _machine = machine::shared();
    let relay = strict();
    for (opening, reason) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "http_on_rtmp"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls_on_rtmp"),
        (b"\x06", "rtmpe"),
        (b"\x7f", "handshake_version"),
    ] {
        let mut strangers = vec![Stranger::new(relay.address(), opening, None)];
        wait_until_closed(&mut strangers);
        let label = format!("reason=\"{reason}\"");
        let name = "edgerelay_connections_closed_total";
        relay.wait_for_metric(name, &[&label], LIMIT, |count| count == 1.0);
    }
}

#[test]
fn a_handshake_without_a_command_ends_in_time() {
    let _machine = machine::shared();
    let relay = strict();
    let mut greeting = vec![3];
    greeting.extend([0; 1536]);
    greeting.extend([0; 1536]);
    let mut strangers = vec![Stranger::new(relay.address(), &greeting, None)];
    wait_until_closed(&mut strangers);
    assert_eq!(relay.closed("command_timeout"), 1.0);
}

#[test]
fn connections_beyond_the_limit_are_turned_away_and_the_rest_served() {
    let _machine = machine::shared();
    let relay = Settings::new().rtmp("connections_max = 8").start();
    let mut publisher = publish(Clip::VideoOnly.path(), &relay.url("cam"), Pace::RealTime);
    relay.wait_for_streams(1);
    let mut strangers: Vec<Stranger> =
        (0..20).map(|_| Stranger::new(relay.address(), b"", None)).collect();
    eventually("thirteen to be turned away", LIMIT, || {
        strangers.retain_mut(|stranger| !stranger.is_closed());
        (strangers.len() <= 7).then_some(())
    });
    assert!(relay.metric("edgerelay_connections_rejected_total", &[]) >= 13.0);
    drop(strangers);
    publisher.succeed(LIMIT);
}
