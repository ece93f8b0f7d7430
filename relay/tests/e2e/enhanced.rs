//! Enhanced RTMP from end to end: codecs by FourCC, several tracks, ModEx. Also by way of pushes and
//! pulls.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use edgerelay_proto::session::{ClientEvent, ClientMode, MediaKind, MediaMessage};

use crate::support::enhanced::Script;
use crate::support::eventually::eventually;
use crate::support::machine;
use crate::support::relay::{Relay, Settings};
use crate::support::rml::RmlPeer;
use crate::support::rtmp::{Peer, block_on};

const LIMIT: Duration = Duration::from_secs(20);
/// Players of each sort, so that both shards have some.
const PLAYERS: u32 = 4;

async fn send(publisher: &mut Peer, messages: &[MediaMessage]) {
    for message in messages {
        publisher.send(message).await.expect("the relay reads");
    }
}

/// All messages up to the one that is `last`.
async fn receive(player: &mut Peer, last: &MediaMessage) -> Vec<MediaMessage> {
    let mut received: Vec<MediaMessage> = Vec::new();
    while received.last().is_none_or(|message| message.payload != last.payload) {
        match player.next_event_within(LIMIT).await {
            Ok(ClientEvent::Media(message)) => received.push(message),
            Ok(_) => {}
            Err(error) => panic!("{error} after {} messages", received.len()),
        }
    }
    received
}

/// The headers, then all groups from the one with index `first` on: nothing else, to the byte.
#[track_caller]
fn assert_whole(script: &Script, first: usize, received: &[MediaMessage]) {
    let sent = script.groups[first..].concat();
    assert_eq!(received.len(), script.head.len() + sent.len());
    let (head, coded) = received.split_at(script.head.len());
    for (index, (got, sent)) in head.iter().zip(&script.head).enumerate() {
        let same = got.kind == sent.kind && got.payload == sent.payload;
        assert!(same, "header {index} differs");
    }
    for (index, (got, sent)) in coded.iter().zip(&sent).enumerate() {
        assert!(got == sent, "message {index} behind the headers differs");
    }
}

/// Waits until statistics name the codecs of the main tracks: they may be a moment old.
#[track_caller]
fn wait_until_described(relay: &Relay, script: &Script) {
    let (video, audio) = script.codecs;
    eventually("the codecs in the API", LIMIT, || {
        let answer = relay.ask("/api/v1/streams").body;
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let stream = &answer["streams"][0];
        (stream["video"]["codec"] == video && stream["audio"]["codec"] == audio).then_some(())
    });
    let stat = relay.ask("/stat").body;
    for codec in [video, audio] {
        assert!(stat.contains(&format!("<codec>{codec}</codec>")), "{stat}");
    }
}

/// Whether players get all of it that wait for the stream, and all from a keyframe on that join
/// later.
fn arrives(script: &Script) {
    let _machine = machine::shared();
    let relay = Relay::start();
    let url = relay.url("cam");
    let (told, heard) = mpsc::channel();
    let early = || {
        block_on(async {
            let mut player = Peer::connect(&url, ClientMode::Play).await.expect("connects");
            let mut received = receive(&mut player, script.last_of(0)).await;
            told.send(()).expect("the test goes on");
            received.extend(receive(&mut player, script.last_of(1)).await);
            told.send(()).expect("the test goes on");
            received.extend(receive(&mut player, script.last()).await);
            assert_whole(script, 0, &received);
        });
    };
    thread::scope(|scope| {
        let early: Vec<_> = (0..PLAYERS).map(|_| scope.spawn(early)).collect();
        relay.wait_for_role("play", PLAYERS);
        block_on(async {
            let mut publisher = Peer::publish(&url).await.expect("accepted");
            send(&mut publisher, &script.head).await;
            for group in &script.groups[..2] {
                send(&mut publisher, group).await;
                for _ in &early {
                    heard.recv_timeout(LIMIT).expect("a waiting player gets the group");
                }
            }
            let mut late = Vec::new();
            for _ in 0..PLAYERS {
                late.push(Peer::play(&url).await.expect("plays"));
            }
            send(&mut publisher, &script.groups[2..].concat()).await;
            for player in &mut late {
                assert_whole(script, 1, &receive(player, script.last()).await);
            }
            wait_until_described(&relay, script);
        });
    });
}

#[test]
fn hevc_arrives() {
    arrives(&Script::hevc());
}

#[test]
fn av1_with_nanoseconds_arrives() {
    arrives(&Script::av1_with_nanoseconds());
}

#[test]
fn tracks_in_messages_of_their_own_arrive() {
    arrives(&Script::tracks_apart());
}

#[test]
fn tracks_that_share_messages_arrive() {
    arrives(&Script::tracks_together());
}

#[test]
fn pushes_carry_enhanced_streams() {
    let _machine = machine::shared();
    let upstream = Relay::start();
    let relay = Settings::new().push(&upstream.url("{name}")).start();
    for (name, script) in [("hevc", Script::hevc()), ("apart", Script::tracks_apart())] {
        block_on(async {
            let mut publisher = Peer::publish(&relay.url(name)).await.expect("accepted");
            send(&mut publisher, &script.head).await;
            send(&mut publisher, &script.groups[0]).await;
            upstream.wait_for_streams(1);
            let mut player = Peer::play(&upstream.url(name)).await.expect("plays");
            let mut received = receive(&mut player, script.last_of(0)).await;
            send(&mut publisher, &script.groups[1..].concat()).await;
            received.extend(receive(&mut player, script.last()).await);
            assert_whole(&script, 0, &received);
            wait_until_described(&upstream, &script);
        });
        upstream.wait_for_streams(0);
    }
}

/// From an encoder through a pull to a player that both know nothing of Enhanced RTMP but pass on
/// what they get.
#[test]
fn pulls_carry_enhanced_streams_between_peers_that_announce_nothing() {
    let _machine = machine::shared();
    let origin = Relay::start();
    let url = origin.url("{name}");
    let relay = Settings::new().app(&format!("origin = [\"{url}\"]")).start();
    let mut script = Script::av1_with_nanoseconds();
    script.head.retain(|message| message.kind != MediaKind::Data);
    let mut publisher = RmlPeer::publish(origin.address(), "cam");
    script.head.iter().chain(&script.groups[0]).for_each(|message| publisher.send(message));
    let mut player = RmlPeer::play(relay.address(), "cam");
    let mut receive = |count| (0..count).map(|_| player.next_media()).collect::<Vec<_>>();
    let mut received = receive(script.head.len() + script.groups[0].len());
    let rest = script.groups[1..].concat();
    rest.iter().for_each(|message| publisher.send(message));
    received.extend(receive(rest.len()));
    assert_whole(&script, 0, &received);
    wait_until_described(&relay, &script);
}
