//! Clients that come and go: names are free again, and nothing is left behind.

use std::time::Duration;

use edgerelay_proto::session::{ClientEvent, ClientMode};
use serde_json::Value;

use crate::support::eventually::eventually;
use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::synthetic::Source;

const LIMIT: Duration = Duration::from_secs(20);

/// How a client goes.
#[derive(Clone, Copy)]
enum Leaving {
    Politely,
    Abruptly,
}

/// Publishes the beginning of a stream.
async fn publish(url: &str) -> Peer {
    let mut publisher = Peer::publish(url).await.expect("the name is free");
    let mut source = Source::new(1, 3_000);
    for message in Source::head().into_iter().chain((0..10).map(|_| source.next_message())) {
        publisher.send(&message).await.expect("the relay reads");
    }
    publisher
}

/// Plays a stream until something of it has come.
async fn play(url: &str) -> Peer {
    let mut player = Peer::play(url).await.expect("plays");
    while !matches!(
        player.next_event_within(LIMIT).await.expect("the stream comes"),
        ClientEvent::Media(_)
    ) {}
    player
}

/// Publishes and plays a stream once, and leaves.
async fn visit(url: &str, leaving: Leaving) {
    let publisher = publish(url).await;
    let player = play(url).await;
    if matches!(leaving, Leaving::Politely) {
        player.close().await.expect("closes");
        publisher.close().await.expect("closes");
    }
}

fn wait_until_empty(relay: &Relay) {
    relay.wait_for_streams(0);
    for role in ["idle", "publish", "play"] {
        relay.wait_for_role(role, 0);
    }
}

#[test]
fn three_hundred_visits_leave_nothing_behind() {
    let _machine = machine::shared();
    let relay = Settings::new().app("on_duplicate_publish = \"replace\"").start();
    let visits = |count: u32| {
        block_on(async {
            for number in 0..count {
                let leaving = if number % 2 == 0 { Leaving::Politely } else { Leaving::Abruptly };
                visit(&relay.url(&format!("cam{}", number % 7)), leaving).await;
            }
        });
        wait_until_empty(&relay);
    };
    // The first ones fill pools and buffers that stay.
    visits(60);
    let files = relay.metric("process_open_fds", &[]);
    let memory = relay.metric("process_resident_memory_bytes", &[]);
    visits(300);
    let files_after =
        relay.wait_for_metric("process_open_fds", &[], LIMIT, |now| now <= files + 1.0);
    let grown = relay.metric("process_resident_memory_bytes", &[]) - memory;
    assert!(grown < 16e6, "{grown} bytes of memory, {files} then {files_after} open files");
}

/// Plays on both shards, until each player has had something of it.
async fn play_on_both_shards(relay: &Relay, url: &str) -> Vec<Peer> {
    let mut players = Vec::new();
    for _ in 0..30 {
        players.push(play(url).await);
    }
    eventually("both shards to have players", LIMIT, || {
        let by_shard = relay.by_shard("play");
        (by_shard.len() == 2 && by_shard.values().sum::<usize>() == players.len()).then_some(())
    });
    players
}

/// The streams that the API shows, and the bytes that all shards keep of them.
fn streams_kept(relay: &Relay) -> (usize, u64) {
    let body: Value = serde_json::from_str(&relay.ask("/api/v1/streams").body).expect("JSON");
    let streams = body["streams"].as_array().expect("a list of streams");
    let bytes = streams.iter().filter_map(|stream| stream["log_bytes"].as_u64()).sum();
    (streams.len(), bytes)
}

#[test]
fn a_shard_whose_players_leave_before_the_publisher_keeps_nothing_of_the_stream() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    block_on(async {
        let publisher = publish(&url).await;
        // The second time it wants the stream again.
        for _ in 0..2 {
            let players = play_on_both_shards(&relay, &url).await;
            let (_, bytes) = streams_kept(&relay);
            drop(players);
            eventually("one shard to let go of the stream", LIMIT, || {
                (streams_kept(&relay).1 < bytes).then_some(())
            });
        }
        publisher.close().await.expect("closes");
    });
    eventually("no stream to be left", LIMIT, || (streams_kept(&relay) == (0, 0)).then_some(()));
}

#[test]
fn an_unknown_application_is_refused_by_name() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = format!("rtmp://{}/nowhere/cam", relay.address());
    for mode in [ClientMode::Publish, ClientMode::Play] {
        block_on(async {
            let mut peer = Peer::connect(&url, mode).await.expect("connects");
            match peer.next_event_within(LIMIT).await {
                Ok(ClientEvent::Rejected { code, .. }) => {
                    assert_eq!(code, "NetConnection.Connect.Rejected");
                }
                other => panic!("{other:?} instead of a refusal"),
            }
            assert!(peer.is_closed_within(LIMIT).await);
        });
    }
}

#[test]
fn a_player_of_nothing_is_told_so_in_time() {
    let _machine = machine::shared();
    let relay = Settings::new().rtmp("play_wait_timeout = \"1s\"").start();
    block_on(async {
        let mut player = Peer::connect(&relay.url("nothing"), ClientMode::Play).await.unwrap();
        let code = loop {
            match player.next_event_within(LIMIT).await {
                Ok(ClientEvent::Rejected { code, .. }) => break code,
                Ok(_) => {}
                Err(error) => panic!("{error} instead of a refusal"),
            }
        };
        assert_eq!(code, "NetStream.Play.StreamNotFound");
        assert!(player.is_closed_within(LIMIT).await);
    });
    relay.wait_for_role("play", 0);
    assert_eq!(relay.closed("play_wait_timeout"), 1.0);
}

#[test]
fn one_address_has_its_share_of_connections_and_no_more() {
    let _machine = machine::shared();
    let relay = Settings::new().rtmp("connections_per_ip_max = 4").start();
    block_on(async {
        let mut held = Vec::new();
        for number in 0..4 {
            held.push(Peer::publish(&relay.url(&format!("cam{number}"))).await.expect("accepted"));
        }
        assert!(Peer::publish(&relay.url("fifth")).await.is_err(), "turned away");
        held.pop().expect("held").close().await.expect("closes");
        relay.wait_for_role("publish", 3);
        Peer::publish(&relay.url("fifth")).await.expect("there is room again");
    });
}
