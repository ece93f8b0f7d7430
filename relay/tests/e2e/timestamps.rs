//! Streams that live through the edges of RTMP's clock: 24 bits, 31 bits, 32 bits.

use std::time::Duration;

use edgerelay_proto::session::ClientEvent;

use crate::support::machine;
use crate::support::relay::Relay;
use crate::support::rtmp::{Peer, block_on};
use crate::support::synthetic::{Sink, Source};

const LIMIT: Duration = Duration::from_secs(10);

/// Messages before and after the edge, 20 ms each.
const BEFORE: u64 = 100;
const AFTER: u64 = 100;

fn survives(edge: u32) {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    block_on(async {
        let before = u32::try_from(BEFORE).expect("small") * 20;
        let mut source = Source::new(1, 2_000).starting_at(edge.wrapping_sub(before));
        let mut publisher = Peer::publish(&url).await.expect("accepted");
        for message in Source::head() {
            publisher.send(&message).await.expect("the relay reads");
        }
        let mut early = (Peer::play(&url).await.expect("plays"), Sink::default());
        for _ in 0..BEFORE {
            publisher.send(&source.next_message()).await.expect("the relay reads");
        }
        take_until(&mut early, BEFORE - 1).await;
        for _ in 0..AFTER {
            publisher.send(&source.next_message()).await.expect("the relay reads");
        }
        take_until(&mut early, BEFORE + AFTER - 1).await;
        // Joins beyond the edge.
        let mut late = (Peer::play(&url).await.expect("plays"), Sink::default());
        take_until(&mut late, BEFORE + AFTER - 1).await;
        for (_, sink) in [early, late] {
            assert!(sink.is_unbroken(), "{sink:?}");
        }
    });
}

async fn take_until((player, sink): &mut (Peer, Sink), number: u64) {
    while sink.last.is_none_or(|(_, last)| last < number) {
        match player.next_event_within(LIMIT).await {
            Ok(ClientEvent::Media(message)) => sink.take(&message),
            Ok(_) => {}
            Err(error) => panic!("{error} after {sink:?}"),
        }
    }
}

#[test]
fn a_stream_survives_four_hours_and_forty_minutes() {
    survives(0x00FF_FFFF);
}

#[test]
fn a_stream_survives_twenty_five_days() {
    survives(0x8000_0000);
}

#[test]
fn a_stream_survives_fifty_days() {
    survives(0);
}
