//! Workers that are child processes: from zero and back, what upstreams get, and what happens when
//! workers and commands fail.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::eventually::{eventually, throughout};
use crate::support::ffmpeg::{Pace, Player, publish, publish_looped};
use crate::support::fleet::{self, fleet, kill, runs, signal};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::namespace::mounts;
use crate::support::nginx::Nginx;
use crate::support::relay::Settings;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_stream_wakes_a_worker_and_is_upstream_from_its_first_keyframe() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base()).start();
    assert_eq!(fleet::workers(&relay), Vec::<fleet::Worker>::new(), "none runs yet");
    let source = Clip::Plain.frames();
    let mut publisher = publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime);
    let stream = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    assert_eq!(stream.worker, Some(1));
    publisher.succeed(LIMIT);
    fleet::wait_until_done(&relay, "cam", LIMIT);
    let recordings = nginx.recordings("cam");
    assert_eq!(recordings.len(), 1);
    recordings[0].is_all_of(&source).unwrap();
}

#[test]
fn a_killed_workers_streams_are_upstream_again_within_three_seconds() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base()).start();
    let names = ["one", "two", "three"];
    let source = Clip::Long.frames();
    let publishers: Vec<_> = names
        .map(|name| publish(Clip::Long.path(), &relay.url(name), Pace::RealTime))
        .into_iter()
        .collect();
    for name in names {
        fleet::wait_for_state(&relay, name, "relaying", LIMIT);
    }
    // Recordings are named for the second in which they begin.
    Player::start(&nginx.url("three")).wait_for_frames(150, LIMIT);
    let carrier = fleet::workers(&relay).into_iter().find(|it| it.streams == names.len());
    let carrier = carrier.expect("one worker has all three");
    let connections = nginx.accepted();
    kill(carrier.pid.expect("a child of the relay"));
    let killed = Instant::now();
    eventually("three streams upstream again", LIMIT, || {
        (nginx.accepted() >= connections + names.len()).then_some(())
    });
    let took = killed.elapsed();
    for name in names {
        fleet::wait_for_state(&relay, name, "relaying", LIMIT);
    }
    println!("upstream again {took:?} after the kill");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(fleet::workers(&relay).iter().all(|it| it.pid != carrier.pid), "another worker");
    for mut publisher in publishers {
        publisher.succeed(LIMIT);
    }
    for name in names {
        fleet::wait_until_done(&relay, name, LIMIT);
        let recordings = nginx.recordings(name);
        assert_eq!(recordings.len(), 2, "one before the kill and one after");
        let places = recordings.iter().map(|it| it.run_of(&source).unwrap()["video"].clone());
        let [before, after] = places.collect::<Vec<_>>().try_into().expect("two");
        assert_eq!(before.skipped_before, 0);
        assert_eq!(after.skipped_before % 30, 0, "starts at a keyframe");
        assert_eq!(after.missing_after, 0);
        let reached = before.received;
        let gap_ms = (after.skipped_before as i64 - reached as i64) * 1000 / 30;
        println!("{name}: gap of {gap_ms} ms of media (negative: sent twice)");
        assert!(gap_ms <= 1_000, "{gap_ms} ms are missing");
    }
}

#[test]
fn a_worker_that_hangs_is_found_out_and_its_stream_goes_elsewhere() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base()).workers("stall_timeout = \"2s\"").start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let hung = fleet::workers(&relay)[0].pid.expect("a child of the relay");
    signal(hung, Signal::STOP);
    let stopped = Instant::now();
    // Until it is killed, its connection upstream holds the stream's name there.
    eventually("another worker with the stream", LIMIT, || {
        let workers = fleet::workers(&relay);
        workers.iter().any(|it| it.pid != Some(hung) && it.streams == 1).then_some(())
    });
    let found = stopped.elapsed();
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    println!("found out {found:?} after it stopped, relaying after {:?}", stopped.elapsed());
    assert!(found < Duration::from_secs(6), "{found:?}");
    eventually("the end of the hung worker", LIMIT, || (!runs(hung)).then_some(()));
}

#[test]
fn workers_come_up_to_the_maximum_and_go_after_the_cooldown() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base())
        .workers("capacity.streams = 2")
        .workers("scaling.streams_threshold = 2")
        .workers("scaling.pending_threshold = 2")
        .workers("scaling.cooldown = \"3s\"")
        .workers("pipeline.cpu_percent = 5")
        .max_workers(2)
        .start();
    let names = ["a", "b", "c", "d", "e", "f"];
    let publishers: Vec<_> = names
        .map(|name| publish_looped(Clip::Plain.path(), &relay.url(name)))
        .into_iter()
        .collect();
    let relaying = || {
        let work = names.iter().filter_map(|name| fleet::work(&relay, name));
        work.filter(|work| work.state == "relaying").count()
    };
    eventually("four streams on two workers", LIMIT, || (relaying() == 4).then_some(()));
    let waiting: Vec<_> = names
        .iter()
        .filter_map(|name| fleet::work(&relay, name))
        .filter(|work| work.state == "pending")
        .collect();
    let mut places: Vec<_> = waiting.iter().map(|work| work.place).collect();
    places.sort_unstable();
    assert_eq!(places, [Some(1), Some(2)]);
    for work in &waiting {
        assert_eq!(work.waits_for.as_deref(), Some("no_room: streams"));
    }
    throughout("no third worker", Duration::from_secs(2), || fleet::workers(&relay).len() == 2);
    drop(publishers);
    let over = Instant::now();
    eventually("the end of all streams", LIMIT, || {
        let workers = fleet::workers(&relay);
        assert!(over.elapsed() > Duration::from_secs(3) || workers.len() == 2, "{workers:?}");
        workers.iter().all(|worker| worker.streams == 0).then_some(())
    });
    eventually("no worker", LIMIT, || {
        let workers = fleet::workers(&relay);
        assert!(workers.len() == 2 || over.elapsed() >= Duration::from_secs(3), "too early");
        workers.is_empty().then_some(())
    });
    println!("back at zero {:?} after the last publisher went", over.elapsed());
}

#[test]
fn workers_end_with_the_relay_however_that_ends() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    for how in [Signal::KILL, Signal::TERM] {
        let mut relay =
            fleet(&nginx.base()).node("drain_timeout = \"1s\"").workers("min = 2").start();
        let workers = eventually("two workers", LIMIT, || {
            let workers = fleet::workers(&relay);
            (workers.iter().filter(|it| it.state == "ready").count() == 2).then_some(workers)
        });
        relay.signal(how);
        relay.wait(LIMIT);
        for worker in workers {
            let pid = worker.pid.expect("a child of the relay");
            eventually("the end of a worker", LIMIT, || (!runs(pid)).then_some(()));
        }
    }
}

/// A worker that somebody else runs: a node of its own.
fn foreign_worker(base: &str) -> Settings {
    Settings::new()
        .node("role = \"worker\"")
        .workers(&format!("pipeline.push_url = \"{base}\""))
        .max_workers(1)
}

#[test]
fn workers_that_somebody_else_runs_are_found_behind_one_name_and_replaced_when_they_go() {
    let Some(namespaces) = mounts() else { return };
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let first = foreign_worker(&nginx.base());
    let port = first.rtmp_address().port();
    let second = foreign_worker(&nginx.base()).at(SocketAddr::from(([127, 0, 0, 2], port)));
    let workers = [first.start(), second.start()];
    let hosts = "127.0.0.1 workers.example\n127.0.0.2 workers.example\n";
    let relay = Settings::new()
        .hosts(namespaces, hosts)
        .workers("backend = \"static\"")
        .workers(&format!("addresses = [\"workers.example:{port}\"]"))
        .max_workers(2)
        .start();
    eventually("both workers", LIMIT, || {
        let found = fleet::workers(&relay);
        (found.iter().filter(|it| it.state == "ready").count() == 2).then_some(())
    });
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let work = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let carrier = work.worker.expect("a worker");
    let [first, second] = workers;
    let (carrying, other) = if first.has_publisher() { (first, second) } else { (second, first) };
    carrying.signal(Signal::KILL);
    eventually("the stream at the other worker", LIMIT, || {
        let work = fleet::work(&relay, "cam")?;
        (work.state == "relaying" && work.worker != Some(carrier)).then_some(())
    });
    assert!(other.has_publisher());
    eventually("one worker to be left", LIMIT, || {
        (fleet::workers(&relay).len() == 1).then_some(())
    });
    assert_eq!(relay.ask("/api/v1/scaler").body, "{}", "nothing to scale");
}
