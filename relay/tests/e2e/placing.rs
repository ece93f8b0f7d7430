//! Which worker gets a stream, and when: the queue, what is reserved, and workers that are of no use.

use std::time::{Duration, Instant};

use crate::support::eventually::{eventually, throughout};
use crate::support::ffmpeg::{Player, publish_looped};
use crate::support::fleet::{self, Work, fleet, fleet_at, foreign_worker};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::ports::free_ports;
use crate::support::process::Process;
use crate::support::relay::Relay;
use crate::support::upstream::Upstream;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn streams_beyond_what_all_workers_carry_wait_in_turn_and_say_for_what() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base())
        .workers("capacity.streams = 2")
        .workers("scaling.streams_threshold = 2")
        .workers("scaling.pending_threshold = 2")
        .max_workers(2)
        .start();
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut publishers: Vec<(&str, Process)> = names
        .map(|name| (name, publish_looped(Clip::Plain.path(), &relay.url(name))))
        .into_iter()
        .collect();
    let relaying = || {
        let work = names.iter().filter_map(|name| fleet::work(&relay, name));
        work.filter(|work| work.state == "relaying").count()
    };
    eventually("four streams on two workers", LIMIT, || (relaying() == 4).then_some(()));
    let waiting = eventually("two streams that wait", LIMIT, || {
        let works = names.iter().filter_map(|name| Some((*name, fleet::work(&relay, name)?)));
        let mut waiting: Vec<_> = works.filter(|(_, work)| work.state == "pending").collect();
        waiting.sort_unstable_by_key(|(_, work)| work.place);
        (waiting.len() == 2).then_some(waiting)
    });
    for (place, (_, work)) in (1..).zip(&waiting) {
        assert_eq!(work.place, Some(place));
        assert_eq!(work.waits_for.as_deref(), Some("no_room: streams"));
    }
    throughout("no third worker", Duration::from_secs(2), || fleet::workers(&relay).len() == 2);
    // A place that becomes free is the first one's.
    let ends = publishers.iter().position(|(name, _)| waiting.iter().all(|(of, _)| of != name));
    publishers.swap_remove(ends.expect("one that does not wait"));
    fleet::wait_for_state(&relay, waiting[0].0, "relaying", LIMIT);
    let last = fleet::work(&relay, waiting[1].0).expect("it is published");
    assert_eq!((&*last.state, last.place), ("pending", Some(1)));
}

#[test]
fn what_streams_reserve_is_shown_and_what_is_too_much_waits() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base())
        .workers("capacity.cpu_percent = 100")
        .workers("pipeline.cpu_percent = 60")
        .max_workers(1)
        .start();
    let first = publish_looped(Clip::Plain.path(), &relay.url("first"));
    fleet::wait_for_state(&relay, "first", "relaying", LIMIT);
    let _second = publish_looped(Clip::Plain.path(), &relay.url("second"));
    let work = fleet::wait_for_state(&relay, "second", "pending", LIMIT);
    assert_eq!((work.place, work.waits_for.as_deref()), (Some(1), Some("no_room: cpu")));
    assert_eq!(fleet::workers(&relay)[0].reserved_cpu_percent, 60);
    drop(first);
    fleet::wait_for_state(&relay, "second", "relaying", LIMIT);
}

/// Publishes to a relay whose first worker is `bad`, and waits until the second one, which is good,
/// relays. How long that took, and what is said of it.
fn goes_to_the_second(nginx: &Nginx, relay: &Relay) -> (Duration, Work) {
    fleet::wait_for_ready(relay, 2, LIMIT);
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let began = Instant::now();
    let work = fleet::wait_for_state(relay, "cam", "relaying", LIMIT);
    let took = began.elapsed();
    assert_eq!((work.worker, work.failures), (Some(2), 1), "{work:?}");
    assert_eq!(fleet::transitions(relay, "starting", "recovering"), 1.0);
    assert_eq!(fleet::phases(relay, "recovery"), 1.0);
    relay.wait_for_role("publish", 1);
    Player::start(&nginx.url("cam")).wait_for_frames(30, LIMIT);
    (took, work)
}

#[test]
fn a_worker_that_accepts_a_stream_and_then_hangs_loses_it_to_another_one() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let bad = free_ports(1);
    let _bad = Upstream::stalling_on(bad);
    let good = foreign_worker(&nginx.base()).at((bad.ip(), bad.port() + 1).into()).start();
    let relay = fleet_at(&[bad, good.address()].map(|it| it.to_string()))
        .workers("stall_timeout = \"2s\"")
        .start();
    let (took, work) = goes_to_the_second(&nginx, &relay);
    println!("upstream {took:?} after the publish, 2 s of which are stall_timeout");
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(work.reason.starts_with("stalled"), "{work:?}");
}

#[test]
fn a_worker_that_refuses_a_stream_loses_it_to_another_one_at_once() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let bad = free_ports(1);
    // It knows no application called `worker`.
    let _bad = Nginx::start_on(bad);
    let good = foreign_worker(&nginx.base()).at((bad.ip(), bad.port() + 1).into()).start();
    let relay = fleet_at(&[bad, good.address()].map(|it| it.to_string())).start();
    let (took, work) = goes_to_the_second(&nginx, &relay);
    println!("upstream {took:?} after the publish: {}", work.reason);
}

#[test]
fn a_stream_outlives_an_upstream_that_is_away_for_long() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base())
        .workers("stall_timeout = \"2s\"")
        .workers("retry_delay = \"100ms\"")
        .workers("retry_delay_max = \"200ms\"")
        .workers("max_retries = 1")
        .start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let address = nginx.crash();
    eventually("more failures than tries", LIMIT, || {
        let work = fleet::work(&relay, "cam")?;
        assert_ne!(work.state, "failed", "{work:?}");
        let failed =
            ["starting", "relaying"].map(|it| fleet::transitions(&relay, it, "recovering"));
        (failed.iter().sum::<f64>() >= 4.0).then_some(())
    });
    let reason = fleet::work(&relay, "cam").expect("it goes on").reason;
    assert!(reason.contains("the upstream"), "{reason}");
    let nginx = Nginx::start_on(address);
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let mut upstream = Player::start(&nginx.url("cam"));
    upstream.wait_for_frames(30, LIMIT);
}
