//! How the process starts, refuses to start, drains and ends.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use edgerelay_proto::session::ClientEvent;
use rustix::process::Signal;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::publish_looped;
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::process::{Process, code};
use crate::support::relay::{BINARY, Relay, Settings};
use crate::support::rtmp::{Peer, block_on};

const LIMIT: Duration = Duration::from_secs(15);

fn wait_until_draining(relay: &Relay) {
    relay.wait_for_metric("edgerelay_draining", &[], LIMIT, |draining| draining == 1.0);
}

#[test]
fn an_idle_relay_ends_at_once_and_cleanly() {
    let _machine = machine::shared();
    for signal in [Signal::TERM, Signal::INT] {
        let mut relay = Relay::start();
        let started = Instant::now();
        relay.signal(signal);
        assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
        assert!(started.elapsed() < Duration::from_secs(5), "nobody to wait for");
    }
}

#[test]
fn a_draining_relay_serves_its_clients_until_the_time_is_up() {
    let _machine = machine::shared();
    let mut relay = Settings::new().node("drain_timeout = \"4s\"").start();
    let url = relay.url("cam");
    let _publisher = publish_looped(Clip::Plain.path(), &url);
    relay.wait_for_streams(1);
    block_on(async {
        let mut player = Peer::play(&url).await.unwrap();
        let started = Instant::now();
        relay.signal(Signal::TERM);
        wait_until_draining(&relay);
        assert_eq!(relay.ask("/readyz").status, 503, "takes no new clients");
        assert!(Peer::play(&url).await.is_err(), "listens no more");
        let mut asked_to_reconnect = false;
        let mut last_media = Duration::ZERO;
        while let Ok(event) = player.next_event_within(LIMIT).await {
            match event {
                ClientEvent::ReconnectRequest { .. } => asked_to_reconnect = true,
                ClientEvent::Media(_) => last_media = started.elapsed(),
                _ => {}
            }
        }
        assert!(asked_to_reconnect, "a client that can is asked to go elsewhere");
        assert!(last_media > Duration::from_secs(3), "served to the end, not {last_media:?}");
    });
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn a_drain_ends_early_when_the_last_client_leaves() {
    let _machine = machine::shared();
    let mut relay = Settings::new().node("drain_timeout = \"60s\"").start();
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    relay.wait_for_streams(1);
    relay.signal(Signal::TERM);
    wait_until_draining(&relay);
    assert!(relay.runs());
    drop(publisher);
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}

#[test]
fn a_second_signal_ends_the_drain() {
    let _machine = machine::shared();
    let mut relay = Settings::new().node("drain_timeout = \"60s\"").start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    relay.wait_for_streams(1);
    relay.signal(Signal::TERM);
    wait_until_draining(&relay);
    relay.signal(Signal::TERM);
    let status = relay.wait(LIMIT);
    assert!(status.code().is_some(), "ends by itself, not by the signal: {status}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let _machine = machine::shared();
    for (text, wanted) in [
        ("[rtmp]\nlissten = [\"127.0.0.1:1935\"]\n", "lissten"),
        ("[rtmp]\nlisten = [\"127.0.0.1\"]\n", "listen"),
        ("[rtmp]\nhandshake_timeout = \"ten\"\n", "handshake_timeout"),
        ("[rtmp\n", ""),
    ] {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("wrong.toml");
        std::fs::write(&file, text).unwrap();
        for command in ["run", "check"] {
            let mut process =
                Process::start(Command::new(BINARY).args([command, "--config"]).arg(&file));
            assert_eq!(code(process.wait(LIMIT)), 78, "{text}");
            let said = eventually("an explanation", LIMIT, || {
                Some(process.stderr() + &process.stdout()).filter(|said| !said.is_empty())
            });
            assert!(said.contains("wrong.toml:"), "names file and line: {said}");
            assert!(said.contains(wanted), "names the key: {said}");
        }
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let _machine = machine::shared();
    for arguments in [&["run", "--no-such-flag"][..], &["no-such-command"], &[]] {
        let mut process = Process::start(Command::new(BINARY).args(arguments));
        assert_eq!(code(process.wait(LIMIT)), 64, "{arguments:?}");
    }
}

#[test]
fn a_good_configuration_checks_out() {
    let _machine = machine::shared();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("good.toml");
    std::fs::write(&file, Settings::new().text()).unwrap();
    let mut process = Process::start(Command::new(BINARY).args(["check", "--config"]).arg(&file));
    process.succeed(LIMIT);
}

#[test]
fn a_port_in_use_is_named_and_unavailable() {
    let _machine = machine::shared();
    let settings = Settings::new();
    let address = settings.rtmp_address();
    // A listener without SO_REUSEPORT keeps the port for itself.
    let _holder = TcpListener::bind(address).unwrap();
    let mut relay = settings.launch();
    assert_eq!(code(relay.wait(LIMIT)), 69, "{}", relay.log());
    let port = address.port().to_string();
    eventually("the port in the log", LIMIT, || relay.log().contains(&port).then_some(()));
}
