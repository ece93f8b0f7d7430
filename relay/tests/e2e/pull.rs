//! Pulls: a stream that nobody publishes here comes from an origin for as long as it is played.

use std::time::Duration;

use edgerelay_proto::session::{ClientEvent, ClientMode};

use crate::support::ffmpeg::{Pace, Player, publish, publish_looped};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::relay::{Relay, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::synthetic::{Sink, Source};

const LIMIT: Duration = Duration::from_secs(30);

fn with_origin(origin: &str) -> Relay {
    Settings::new()
        .rtmp("play_wait_timeout = \"3s\"")
        .app(&format!("origin = [\"{origin}\"]"))
        .start()
}

#[test]
fn players_of_a_pulled_stream_get_an_unbroken_run() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = with_origin(&nginx.url("{name}"));
    let source = Clip::Long.frames();
    let _publisher = publish(Clip::Long.path(), &nginx.url("cam"), Pace::RealTime);
    let mut players: Vec<Player> = (0..3).map(|_| Player::start(&relay.url("cam"))).collect();
    for player in &mut players {
        let frames = player.wait_for_frames(100, LIMIT);
        frames.run_of(&source).unwrap_or_else(|why| panic!("{why}\n{}", relay.log()));
    }
    relay.wait_for_role("pull", 1);
    drop(players);
    relay.wait_for_role("play", 0);
    relay.wait_for_role("pull", 0);
    assert_eq!(relay.metric("edgerelay_pull_connected_total", &[]), 1.0, "one pull for all");
}

#[test]
fn a_stream_that_the_origin_lacks_is_refused_in_time() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = with_origin(&nginx.url("{name}"));
    block_on(async {
        let mut player = Peer::connect(&relay.url("nothing"), ClientMode::Play).await.unwrap();
        loop {
            match player.next_event_within(LIMIT).await {
                Ok(ClientEvent::Rejected { code, .. }) => {
                    assert_eq!(code, "NetStream.Play.StreamNotFound");
                    break;
                }
                Ok(_) => {}
                Err(error) => panic!("{error} instead of a refusal"),
            }
        }
        assert!(player.is_closed_within(LIMIT).await);
    });
}

#[test]
fn a_pull_comes_back_after_its_origin_does() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = with_origin(&nginx.url("{name}"));
    let publisher = publish_looped(Clip::Plain.path(), &nginx.url("cam"));
    let mut player = Player::start(&relay.url("cam"));
    let seen = player.wait_for_frames(50, LIMIT).count();
    drop(publisher);
    let address = nginx.crash();
    let nginx = Nginx::start_on(address);
    let _publisher = publish_looped(Clip::Plain.path(), &nginx.url("cam"));
    relay.wait_for_metric("edgerelay_pull_connected_total", &[], LIMIT, |count| count >= 2.0);
    player.wait_for_frames(seen + 100, LIMIT);
}

#[test]
fn a_publisher_takes_the_name_from_a_pull_even_where_publishers_are_refused() {
    let _machine = machine::shared();
    let origin = Relay::start();
    let url = origin.url("{name}");
    let relay = Settings::new()
        .app("on_duplicate_publish = \"refuse\"")
        .app(&format!("origin = [\"{url}\"]"))
        .start();
    block_on(async {
        let mut player = Peer::connect(&relay.url("cam"), ClientMode::Play).await.unwrap();
        let mut sink = Sink::default();
        let mut publishers = Vec::new();
        for (publisher, url) in [(1, origin.url("cam")), (2, relay.url("cam"))] {
            let mut peer = Peer::publish(&url).await.expect("accepted");
            for message in Source::head() {
                peer.send(&message).await.unwrap();
            }
            let mut source = Source::new(publisher, 500);
            for _ in 0..30 {
                peer.send(&source.next_message()).await.unwrap();
            }
            while sink.last != Some((publisher, 29)) {
                match player.next_event_within(LIMIT).await {
                    Ok(ClientEvent::Media(message)) => sink.take(&message),
                    Ok(_) => {}
                    Err(error) => panic!("{error} after {sink:?}"),
                }
            }
            publishers.push(peer);
        }
        assert!(sink.is_unbroken(), "both parts whole, time forward: {sink:?}");
    });
    relay.wait_for_role("pull", 0);
}
