//! Pushes: what upstreams get, what happens when they fail, and what must never leak.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish, publish_looped};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::ports::free_address;
use crate::support::relay::{Relay, Settings};
use crate::support::swarm::Swarm;
use crate::support::upstream::Upstream;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_push_carries_the_whole_stream() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = Settings::new().push(&nginx.url("{name}")).start();
    for clip in [Clip::Plain, Clip::BFrames] {
        let source = clip.frames();
        let name = format!("{clip:?}");
        let player = Player::start(&nginx.url(&name));
        let mut publisher = publish(clip.path(), &relay.url(&name), Pace::RealTime);
        publisher.succeed(LIMIT);
        eventually("the end of the clip", LIMIT, || {
            let runs = player.frames().run_of(&source).ok()?;
            runs.values().all(|run| run.missing_after == 0).then_some(())
        });
        relay.wait_for_role("push", 0);
    }
    assert_eq!(relay.metric("edgerelay_push_connected_total", &[]), 2.0);
    assert_eq!(relay.metric("edgerelay_push_failures_total", &[]), 0.0);
}

#[test]
fn a_push_comes_back_after_its_upstream_does() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = Settings::new().push(&nginx.url("{name}")).start();
    let source = Clip::Long.frames();
    let mut local = Player::start(&relay.url("cam"));
    relay.wait_for_role("play", 1);
    let _publisher = publish(Clip::Long.path(), &relay.url("cam"), Pace::RealTime);
    let mut before = Player::start(&nginx.url("cam"));
    before.wait_for_frames(50, LIMIT).run_of(&source).unwrap();
    let address = nginx.crash();
    relay.wait_for_metric("edgerelay_push_failures_total", &[], LIMIT, |failures| failures > 0.0);
    let nginx = Nginx::start_on(address);
    let mut after = Player::start(&nginx.url("cam"));
    let frames = after.wait_for_frames(50, LIMIT);
    let runs = frames.run_of(&source).unwrap_or_else(|why| panic!("{why}\n{}", relay.log()));
    assert_eq!(runs["video"].skipped_before % 30, 0, "starts at a keyframe: {runs:?}");
    let all = local.wait_for_frames(source.count() / 2, LIMIT);
    all.run_of(&source).unwrap();
    assert!(relay.metric("edgerelay_push_connected_total", &[]) >= 2.0);
}

#[test]
fn dead_and_silent_upstreams_disturb_nobody() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let nobody = free_address();
    // Accepts by the kernel's hand and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Settings::new()
        .push(&format!("rtmp://{nobody}/live/{{name}}"))
        .push(&format!("rtmp://{}/live/{{name}}", silent.local_addr().unwrap()))
        .push("rtmp://no-such-host.invalid/live/{name}")
        .push(&nginx.url("{name}"))
        .start();
    let source = Clip::Plain.frames();
    let local = Player::start(&relay.url("cam"));
    relay.wait_for_role("play", 1);
    let upstream = Player::start(&nginx.url("cam"));
    publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime).succeed(LIMIT);
    local.finish(LIMIT).is_all_of(&source).unwrap();
    eventually("the end of the clip upstream", LIMIT, || {
        let runs = upstream.frames().run_of(&source).ok()?;
        runs.values().all(|run| run.missing_after == 0).then_some(())
    });
    assert!(relay.metric("edgerelay_push_failures_total", &[]) >= 2.0);
}

#[test]
fn nine_pushes_miss_nothing_beside_one_that_is_never_read() {
    let _machine = machine::shared();
    let stalled = Upstream::stalling();
    let reading: Vec<Upstream> = (0..9).map(|_| Upstream::start()).collect();
    let mut settings = Settings::new().app("lag_max = \"1s\"").app("disconnect_after = \"3s\"");
    for (place, upstream) in reading.iter().enumerate() {
        if place == 4 {
            settings = settings.push(&stalled.url("{name}"));
        }
        settings = settings.push(&upstream.url("{name}"));
    }
    let relay = settings.start();
    let publisher = Swarm::publish(vec![relay.url("cam")], 12_500, Duration::from_millis(20));
    // Each of the stalled one's connections is closed for itself, and made anew.
    relay.wait_for_metric(
        "edgerelay_connections_closed_total",
        &["reason=\"subscriber_stalled\""],
        LIMIT,
        |closed| closed >= 2.0,
    );
    assert!(stalled.publications().len() >= 2);
    publisher.stop();
    publisher.wait_until_done();
    let sent = publisher.messages();
    assert_eq!(publisher.finish(), Vec::<String>::new());
    for upstream in &reading {
        let publications = eventually("the end of the stream upstream", LIMIT, || {
            let publications = upstream.publications();
            publications.iter().all(|publication| publication.finished).then_some(publications)
        });
        let [publication] = &publications[..] else { panic!("one, not {publications:?}") };
        let sink = &publication.sink;
        assert!(sink.is_unbroken(), "{sink:?}");
        assert_eq!(sink.last, Some((1, sent - 1)), "to the very end: {sink:?}");
    }
    assert_eq!(relay.metric("edgerelay_subscriber_skips_total", &[]), 0.0, "nobody lagged");
    let failures = relay.metric("edgerelay_push_failures_total", &[]);
    assert_eq!(failures, relay.closed("subscriber_stalled"), "no push but the stalled one failed");
}

/// Publishes much more than fits between the relay and an upstream that does not read, ends, and says
/// how many messages it was.
fn publish_more_than_fits(relay: &Relay) -> u64 {
    let publisher = Swarm::publish(vec![relay.url("cam")], 12_500, Duration::from_millis(20));
    eventually("much more than fits between the two", LIMIT, || {
        (publisher.messages() >= 100).then_some(())
    });
    publisher.stop();
    publisher.wait_until_done();
    relay.wait_for_streams(0);
    let sent = publisher.messages();
    assert_eq!(publisher.finish(), Vec::<String>::new());
    sent
}

#[test]
fn a_push_that_is_behind_when_its_stream_ends_still_brings_all_of_it() {
    let _machine = machine::shared();
    let upstream = Upstream::stalling();
    let relay = Settings::new().push(&upstream.url("{name}")).start();
    let sent = publish_more_than_fits(&relay);
    upstream.read_on();
    relay.wait_for_role("push", 0);
    let publication = eventually("the end of the stream upstream", LIMIT, || {
        upstream.publications().pop().filter(|publication| publication.finished)
    });
    let sink = &publication.sink;
    assert!(sink.is_unbroken(), "{sink:?}");
    assert_eq!(sink.last, Some((1, sent - 1)), "to the very end: {sink:?}");
    assert_eq!(relay.metric("edgerelay_push_failures_total", &[]), 0.0);
}

#[test]
fn a_push_that_is_behind_gives_way_to_the_next_publication() {
    let _machine = machine::shared();
    let upstream = Upstream::stalling();
    let settings = Settings::new().app("disconnect_after = \"5m\"");
    let relay = settings.push(&upstream.url("{name}")).start();
    publish_more_than_fits(&relay);
    assert_eq!(relay.closed("stream_ended"), 0.0, "it is not done yet");
    let next = Swarm::publish(vec![relay.url("cam")], 2_500, Duration::from_millis(20));
    relay.wait_for_metric("edgerelay_push_connected_total", &[], LIMIT, |count| count == 2.0);
    relay.wait_for_role("push", 1);
    upstream.read_on();
    next.stop();
    next.wait_until_done();
    let sent = next.messages();
    let publication = eventually("the end of the next stream upstream", LIMIT, || {
        upstream.publications().pop().filter(|publication| publication.finished)
    });
    let sink = &publication.sink;
    assert!(sink.is_unbroken(), "{sink:?}");
    assert_eq!(sink.last, Some((1, sent - 1)), "to the very end: {sink:?}");
    assert_eq!(upstream.publications().len(), 2);
    assert_eq!(next.finish(), Vec::<String>::new());
}

#[test]
fn stream_names_and_keys_are_never_told() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let refused = free_address();
    let mut relay = Settings::new()
        .node("drain_timeout = \"1s\"")
        .push(&format!("{}?auth=Upstr3amKey", nginx.url("{name}")))
        .push(&format!("rtmp://{refused}/live/Upstr3amKey"))
        .start();
    let url = format!("{}?token=Tok3nOfTheEncoder", relay.url("Str3amName"));
    let _publisher = publish_looped(Clip::Plain.path(), &url);
    relay.wait_for_metric("edgerelay_push_connected_total", &[], LIMIT, |count| count > 0.0);
    relay.wait_for_metric("edgerelay_push_failures_total", &[], LIMIT, |count| count > 0.0);
    let metrics = relay.ask("/metrics").body;
    relay.signal(Signal::TERM);
    relay.wait(LIMIT);
    for secret in ["Upstr3amKey", "Tok3nOfTheEncoder", "Str3amName"] {
        assert!(!metrics.contains(secret), "{secret} stands in the metrics");
        assert!(!relay.log().contains(secret), "{secret} stands in the log:\n{}", relay.log());
    }
}
