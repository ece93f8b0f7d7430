//! Far sides of pushes and pulls that fail without a word.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::eventually::{eventually, throughout};
use crate::support::machine;
use crate::support::nginx::Nginx;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::synthetic::Source;

const LIMIT: Duration = Duration::from_secs(30);

/// Bytes that the only client of `relay` has sent it.
fn bytes_in(relay: &Relay) -> Option<u64> {
    let answer = relay.ask("/api/v1/clients").body;
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    answer["clients"][0]["bytes_in"].as_u64()
}

/// A publisher that says little and then nothing, but answers the relay until that is gone.
fn publish_little(url: String) -> JoinHandle<()> {
    thread::spawn(move || {
        block_on(async {
            let mut peer = Peer::publish(&url).await.expect("accepted");
            for message in Source::head() {
                peer.send(&message).await.expect("the relay reads");
            }
            while peer.next_event().await.is_ok() {}
        });
    })
}

/// A relay that pushes to `url` and pings every second.
fn pinging(url: &str) -> Relay {
    Settings::new().rtmp("ping_interval = \"1s\"").rtmp("ping_timeout = \"1s\"").push(url).start()
}

#[test]
fn an_upstream_that_hangs_is_noticed_though_its_kernel_lives_on() {
    let _machine = machine::shared();
    let upstream = Relay::start();
    let relay = pinging(&upstream.url("{name}"));
    let publisher = publish_little(relay.url("cam"));
    upstream.wait_for_role("publish", 1);
    // What still comes is pings, and they are answered.
    let mut seen = eventually("the push", LIMIT, || bytes_in(&upstream));
    for _ in 0..3 {
        seen = eventually("a ping", LIMIT, || bytes_in(&upstream).filter(|now| *now > seen));
    }
    assert_eq!(relay.closed("ping_timeout"), 0.0);
    upstream.signal(Signal::STOP);
    relay.wait_for_metric(
        "edgerelay_connections_closed_total",
        &["reason=\"ping_timeout\""],
        LIMIT,
        |closed| closed == 1.0,
    );
    relay.wait_for_streams(1);
    upstream.signal(Signal::CONT);
    drop(relay);
    publisher.join().expect("the publisher was kept");
}

#[test]
fn an_upstream_of_another_make_bears_pings() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = pinging(&nginx.url("{name}"));
    let publisher = publish_little(relay.url("cam"));
    relay.wait_for_metric("edgerelay_push_connected_total", &[], LIMIT, |count| count == 1.0);
    // Long enough for two pings to be sent and to go unanswered.
    throughout("the push", Duration::from_secs(5), || {
        relay.metric("edgerelay_push_failures_total", &[]) == 0.0
    });
    relay.wait_for_role("push", 1);
    drop(relay);
    publisher.join().expect("the publisher was kept");
}
