//! Workers that go while they carry streams, because somebody wants them to: they keep these streams to
//! their ends and get no others.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, publish, publish_looped};
use crate::support::fleet::{self, fleet, fleet_at, foreign_worker, runs, signal};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::namespace::mounts;
use crate::support::nginx::Nginx;
use crate::support::relay::Relay;

const LIMIT: Duration = Duration::from_secs(30);

/// Waits until a worker takes no more streams and has one.
fn wait_until_draining(relay: &Relay, id: u64) {
    eventually("the worker to be drained", LIMIT, || {
        let workers = fleet::workers(relay);
        let leaving = workers.into_iter().find(|it| it.id == id && it.state == "draining")?;
        assert_eq!(leaving.streams, 1, "its stream stays");
        Some(())
    });
}

#[test]
fn a_worker_that_is_told_to_end_keeps_its_stream_and_gets_no_other() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base()).start();
    let mut publisher = publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime);
    let work = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let told = fleet::workers(&relay)[0].pid.expect("a child of the relay");
    signal(told, Signal::TERM);
    wait_until_draining(&relay, 1);
    let _other = publish_looped(Clip::Plain.path(), &relay.url("other"));
    let other = fleet::wait_for_state(&relay, "other", "relaying", LIMIT);
    assert_ne!(other.worker, work.worker);
    publisher.succeed(LIMIT);
    fleet::wait_until_done(&relay, "cam", LIMIT);
    nginx.recordings("cam")[0].is_all_of(&Clip::Plain.frames()).unwrap();
    fleet::no_stream_was_disturbed(&relay);
    eventually("the end of the worker", LIMIT, || (!runs(told)).then_some(()));
    eventually("one worker to be left", LIMIT, || {
        (fleet::workers(&relay).len() == 1).then_some(())
    });
}

#[test]
fn a_worker_of_others_that_is_told_to_end_keeps_its_stream_though_it_takes_no_connections() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let workers = [(); 2].map(|()| foreign_worker(&nginx.base()).start());
    let relay = fleet_at(&workers.each_ref().map(|it| it.address().to_string())).start();
    let [first, second] = workers;
    fleet::wait_for_ready(&relay, 2, LIMIT);
    let source = Clip::Long.frames();
    let mut publisher = publish(Clip::Long.path(), &relay.url("cam"), Pace::RealTime);
    let work = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let (mut leaving, staying) =
        if first.has_publisher() { (first, second) } else { (second, first) };
    leaving.signal(Signal::TERM);
    wait_until_draining(&relay, work.worker.expect("a worker"));
    let _other = publish_looped(Clip::Plain.path(), &relay.url("other"));
    let other = fleet::wait_for_state(&relay, "other", "relaying", LIMIT);
    assert_ne!(other.worker, work.worker);
    assert!(staying.has_publisher());
    // Meanwhile it is connected to in vain, often enough to be taken for lost.
    publisher.succeed(LIMIT);
    fleet::wait_until_done(&relay, "cam", LIMIT);
    let recordings = nginx.recordings("cam");
    assert_eq!(recordings.len(), 1);
    recordings[0].is_all_of(&source).unwrap();
    fleet::no_stream_was_disturbed(&relay);
    leaving.wait(LIMIT);
    eventually("one worker to be left", LIMIT, || {
        (fleet::workers(&relay).len() == 1).then_some(())
    });
}

#[test]
fn a_worker_whose_name_leads_elsewhere_keeps_its_stream_and_is_found_again_later() {
    let Some(namespaces) = mounts() else { return };
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let first = foreign_worker(&nginx.base());
    let port = first.rtmp_address().port();
    let second = foreign_worker(&nginx.base()).at(SocketAddr::from(([127, 0, 0, 2], port)));
    let _workers = [first.start(), second.start()];
    let relay = fleet_at(&[format!("workers.example:{port}")])
        .hosts(namespaces, "127.0.0.1 workers.example\n")
        .max_workers(2)
        .start();
    fleet::wait_for_ready(&relay, 1, LIMIT);
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    relay.change_hosts("127.0.0.2 workers.example\n");
    wait_until_draining(&relay, 1);
    fleet::wait_for_ready(&relay, 1, LIMIT);
    let _other = publish_looped(Clip::Plain.path(), &relay.url("other"));
    let other = fleet::wait_for_state(&relay, "other", "relaying", LIMIT);
    assert_eq!(other.worker, Some(2));
    fleet::no_stream_was_disturbed(&relay);
    drop(publisher);
    eventually("the first worker to be let go", LIMIT, || {
        (fleet::workers(&relay).len() == 1).then_some(())
    });
    relay.change_hosts("127.0.0.1 workers.example\n");
    wait_until_draining(&relay, 2);
    fleet::wait_for_ready(&relay, 1, LIMIT);
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let work = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    assert_eq!(work.worker, Some(1));
}
