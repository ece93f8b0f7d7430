//! An encoder comes back while its dead connection still holds the name.

use std::time::{Duration, Instant};

use edgerelay_proto::session::{ClientEvent, ClientMode};

use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::scripted::{Encoder, Viewer};

const LIMIT: Duration = Duration::from_secs(10);
/// What the change of publishers is promised to take, and what a busy machine is granted.
const REPLACED_WITHIN: Duration = Duration::from_secs(1);
const REPLACED_LIMIT: Duration = Duration::from_secs(5);

#[test]
fn a_ghost_is_replaced_and_players_stay() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    block_on(async {
        let mut ghost = Encoder::start(&url, 1).await;
        ghost.send(70).await;
        let mut viewers = Vec::new();
        for _ in 0..4 {
            viewers.push(Viewer::start(&url).await);
        }
        for viewer in &mut viewers {
            viewer.watch_until(1, 69).await;
        }
        let reconnected = Instant::now();
        let mut encoder = Encoder::start(&url, 2).await;
        encoder.send(1).await;
        let answered = reconnected.elapsed();
        for viewer in &mut viewers {
            viewer.watch_until(2, 0).await;
        }
        let seen = reconnected.elapsed();
        println!("answered after {answered:?}, seen by all after {seen:?}");
        assert!(seen < REPLACED_LIMIT, "{seen:?}, where {REPLACED_WITHIN:?} is the promise");
        encoder.send(59).await;
        for viewer in &mut viewers {
            viewer.watch_until(2, 59).await;
            let sink = &viewer.sink;
            assert!(sink.is_unbroken(), "both parts whole, time forward: {sink:?}");
        }
        assert!(ghost.peer.is_closed_within(LIMIT).await, "the ghost is closed");
    });
    relay.wait_for_metric(
        "edgerelay_connections_closed_total",
        &["reason=\"replaced\""],
        LIMIT,
        |closed| closed == 1.0,
    );
    assert_eq!(relay.metric("edgerelay_publishers_replaced_total", &[]), 1.0);
}

#[test]
fn with_refuse_the_second_publisher_is_told_and_the_first_goes_on() {
    let _machine = machine::shared();
    let relay = Settings::new().app("on_duplicate_publish = \"refuse\"").start();
    let url = relay.url("cam");
    block_on(async {
        let mut holder = Encoder::start(&url, 1).await;
        holder.send(10).await;
        let mut viewer = Viewer::start(&url).await;
        viewer.watch_until(1, 9).await;
        let mut second = Peer::connect(&url, ClientMode::Publish).await.expect("connects");
        match second.next_event_within(LIMIT).await {
            Ok(ClientEvent::Rejected { code, .. }) => {
                assert_eq!(code, "NetStream.Publish.BadName");
            }
            other => panic!("{other:?} instead of a refusal"),
        }
        assert!(second.is_closed_within(LIMIT).await, "a refused publisher is closed");
        holder.send(20).await;
        viewer.watch_until(1, 29).await;
        assert!(viewer.sink.is_unbroken(), "{:?}", viewer.sink);
    });
}
