//! An encoder comes back while its dead connection still holds the name.

use std::time::Duration;

use edgerelay_proto::session::{ClientEvent, ClientMode};

use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::synthetic::{Sink, Source};

const LIMIT: Duration = Duration::from_secs(10);

async fn send(peer: &mut Peer, source: &mut Source, messages: usize) {
    for _ in 0..messages {
        peer.send(&source.next_message()).await.expect("the relay reads");
    }
}

async fn begin(url: &str, publisher: u32) -> (Peer, Source) {
    let mut peer = Peer::publish(url).await.expect("accepted");
    for message in Source::head() {
        peer.send(&message).await.expect("the relay reads");
    }
    (peer, Source::new(publisher, 500))
}

/// Plays until message `number` of `publisher` has come.
async fn play_until(player: &mut Peer, sink: &mut Sink, publisher: u32, number: u64) {
    while sink.last != Some((publisher, number)) {
        match player.next_event_within(LIMIT).await {
            Ok(ClientEvent::Media(message)) => sink.take(&message),
            Ok(_) => {}
            Err(error) => panic!("the player stays: {error} after {sink:?}"),
        }
    }
}

#[test]
fn a_ghost_is_replaced_and_players_stay() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    block_on(async {
        let (mut ghost, mut first) = begin(&url, 1).await;
        send(&mut ghost, &mut first, 70).await;
        let mut players = Vec::new();
        for _ in 0..4 {
            players.push((Peer::play(&url).await.expect("plays"), Sink::default()));
        }
        for (player, sink) in &mut players {
            play_until(player, sink, 1, 69).await;
        }
        let (mut encoder, mut second) = begin(&url, 2).await;
        send(&mut encoder, &mut second, 60).await;
        for (player, sink) in &mut players {
            play_until(player, sink, 2, 59).await;
            assert!(sink.is_unbroken(), "both parts whole, time forward: {sink:?}");
        }
        assert!(ghost.is_closed_within(LIMIT).await, "the ghost is closed");
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
        let (mut holder, mut source) = begin(&url, 1).await;
        send(&mut holder, &mut source, 10).await;
        let mut player = Peer::play(&url).await.expect("plays");
        let mut sink = Sink::default();
        play_until(&mut player, &mut sink, 1, 9).await;
        let mut second = Peer::connect(&url, ClientMode::Publish).await.expect("connects");
        match second.next_event_within(LIMIT).await {
            Ok(ClientEvent::Rejected { code, .. }) => {
                assert_eq!(code, "NetStream.Publish.BadName");
            }
            other => panic!("{other:?} instead of a refusal"),
        }
        assert!(second.is_closed_within(LIMIT).await, "a refused publisher is closed");
        send(&mut holder, &mut source, 20).await;
        play_until(&mut player, &mut sink, 1, 29).await;
        assert!(sink.is_unbroken(), "{sink:?}");
    });
}
