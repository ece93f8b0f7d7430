//! Upstreams that go away and come back, at the same address or at another: publisher and players
//! notice nothing, and the push is there again in time.

use std::time::{Duration, Instant};

use crate::support::eventually::{eventually, throughout};
use crate::support::machine;
use crate::support::namespace;
use crate::support::ports::free_address;
use crate::support::relay::{Relay, Settings};
use crate::support::swarm::Swarm;
use crate::support::upstream::{Publication, Upstream};

const LIMIT: Duration = Duration::from_secs(30);
/// The longest pause between two attempts, and half of it for the attempt itself.
const BACKOFF_LIMIT: Duration = Duration::from_secs(45);
const PERIOD: Duration = Duration::from_millis(20);
const MESSAGE_BYTES: usize = 6_250;

/// A relay with two players and a publisher of `cam`, in this order.
struct Show {
    relay: Relay,
    players: Swarm,
    publisher: Swarm,
}

impl Show {
    fn start(settings: Settings) -> Self {
        let relay = settings.start();
        let players = Swarm::play(vec![relay.url("cam"); 2]);
        relay.wait_for_role("play", 2);
        let publisher = Swarm::publish(vec![relay.url("cam")], MESSAGE_BYTES, PERIOD);
        Self { relay, players, publisher }
    }

    fn look_ups(&self) -> f64 {
        self.relay.metric("edgerelay_push_resolutions_total", &[])
    }

    fn goes_on(&self) -> bool {
        self.players.is_well() && self.publisher.is_well()
    }

    /// Ends the publication, and says how many messages it had. The players got them all.
    fn finish(self) -> (Relay, u64) {
        let Self { relay, players, publisher } = self;
        publisher.stop();
        publisher.wait_until_done();
        players.wait_until_done();
        let sent = publisher.messages();
        assert_eq!(players.messages(), 2 * sent, "players missed nothing");
        assert_eq!(players.finish(), Vec::<String>::new());
        assert_eq!(publisher.finish(), Vec::<String>::new());
        (relay, sent)
    }
}

/// Waits until the one publication has brought `messages`.
fn wait_for_messages(upstream: &Upstream, messages: u64, limit: Duration) -> Publication {
    eventually(&format!("{messages} messages upstream"), limit, || {
        let publications = upstream.publications();
        assert!(publications.len() <= 1, "one publication, not {publications:?}");
        publications.into_iter().next().filter(|it| it.sink.received >= messages)
    })
}

/// The publication that began after a return is whole from its first keyframe to its end.
fn assert_resumed(upstream: &Upstream, relay: &Relay, sent: u64) {
    let resumed = eventually("the end of the stream upstream", LIMIT, || {
        upstream.publications().pop().filter(|publication| publication.finished)
    });
    let sink = resumed.sink;
    assert!(sink.is_unbroken(), "headers, a keyframe, and all behind it: {sink:?}");
    assert!(sink.first.is_some_and(|(_, number)| number > 0), "in the middle: {sink:?}");
    assert_eq!(sink.last, Some((1, sent - 1)), "to the very end: {sink:?}");
    assert_eq!(relay.metric("edgerelay_push_connected_total", &[]), 2.0);
}

#[test]
fn a_push_resumes_after_its_upstream_was_away_for_ten_seconds() {
    let _machine = machine::shared();
    let upstream = Upstream::start();
    let show = Show::start(Settings::new().push(&upstream.url("{name}")));
    wait_for_messages(&upstream, 100, LIMIT);
    let look_ups = show.look_ups();
    let address = upstream.die();
    let away = Duration::from_secs(10);
    throughout("publisher and players being served", away, || show.goes_on());
    assert!(show.look_ups() >= look_ups + 2.0, "asked again for every attempt");
    let upstream = Upstream::start_on(address);
    let returned = Instant::now();
    wait_for_messages(&upstream, 100, BACKOFF_LIMIT);
    println!(
        "the push was there again {:.1} s after its upstream",
        returned.elapsed().as_secs_f64()
    );
    let (relay, sent) = show.finish();
    assert_resumed(&upstream, &relay, sent);
}

#[test]
fn a_push_follows_its_upstream_to_another_address() {
    let _machine = machine::shared();
    let Some(namespaces) = namespace::mounts() else { return };
    let old_home = free_address();
    let port = old_home.port();
    let at = |last: u8| std::net::SocketAddr::from(([127, 0, 0, last], port));
    let hosts = |last: u8| format!("127.0.0.1 localhost\n127.0.0.{last} upstream.test\n");
    let upstream = Upstream::start_on(at(2));
    let settings = Settings::new()
        .push(&format!("rtmp://upstream.test:{port}/live/{{name}}"))
        .hosts(namespaces, &hosts(2));
    let show = Show::start(settings);
    wait_for_messages(&upstream, 100, LIMIT);
    let look_ups = show.look_ups();
    let moved = Upstream::start_on(at(3));
    show.relay.change_hosts(&hosts(3));
    let address = upstream.die();
    // Whoever still went to the old address would find somebody there.
    let left_behind = Upstream::start_on(address);
    wait_for_messages(&moved, 100, BACKOFF_LIMIT);
    assert!(show.look_ups() > look_ups, "asked again");
    assert!(show.goes_on());
    let (relay, sent) = show.finish();
    assert_resumed(&moved, &relay, sent);
    assert_eq!(left_behind.publications().len(), 0, "nobody goes where the name no longer leads");
}
