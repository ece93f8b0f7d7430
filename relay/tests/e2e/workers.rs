//! Workers that are child processes: from zero and back, what upstreams get, and what happens when
//! workers and commands fail.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish, publish_looped};
use crate::support::fleet::{self, fleet, fleet_at, foreign_worker, kill, runs, signal};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::namespace::mounts;
use crate::support::nginx::Nginx;

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
    let course = ["none", "pending", "assigned", "starting", "relaying", "draining", "done"];
    for step in course.windows(2) {
        assert_eq!(fleet::transitions(&relay, step[0], step[1]), 1.0, "{step:?}");
    }
    let all = relay.metric("edgerelay_stream_transitions_total", &[]);
    assert_eq!(all, 6.0, "nothing else happened");
    for (phase, count) in
        [("queue", 1.0), ("worker", 1.0), ("upstream", 1.0), ("total", 1.0), ("recovery", 0.0)]
    {
        assert_eq!(fleet::phases(&relay, phase), count, "{phase}");
    }
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
    assert_eq!(fleet::phases(&relay, "recovery"), 3.0);
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
fn workers_come_up_to_the_maximum_and_go_after_the_cooldown_and_no_stream_is_disturbed() {
    const COOLDOWN: Duration = Duration::from_secs(3);

    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base())
        .workers("capacity.streams = 2")
        .workers("scaling.streams_threshold = 2")
        .workers("scaling.cooldown = \"3s\"")
        .max_workers(3)
        .start();
    let relaying = |names: &[&str]| {
        let work = names.iter().filter_map(|name| fleet::work(&relay, name));
        work.filter(|work| work.state == "relaying").count()
    };
    let workers = || {
        let workers = fleet::workers(&relay);
        let stopped = |worker: &&fleet::Worker| worker.state == "stopping" && worker.streams > 0;
        assert_eq!(workers.iter().find(stopped), None, "stopped with a stream");
        workers.len()
    };
    assert_eq!(workers(), 0);
    let mut publishers = vec![publish(Clip::Long.path(), &relay.url("one"), Pace::RealTime)];
    fleet::wait_for_state(&relay, "one", "relaying", LIMIT);
    assert_eq!(workers(), 1);
    let five = ["two", "three", "four", "five", "six"];
    for name in five {
        publishers.push(publish(Clip::Plain.path(), &relay.url(name), Pace::RealTime));
    }
    eventually("three workers with six streams", LIMIT, || {
        (workers() == 3 && relaying(&five) == 5).then_some(())
    });
    // Five streams end, and what they leave idle goes; then the first one and its worker.
    for (names, left) in [(&five[..], 1), (&["one"][..], 0)] {
        let mut last_seen = Instant::now();
        eventually("fewer workers", LIMIT, || {
            let now = Instant::now();
            if relaying(names) == names.len() {
                last_seen = now;
            }
            (workers() == left).then_some(())
        });
        let took = last_seen.elapsed();
        println!("{left} workers left {took:?} after the end of {names:?}");
        assert!(took >= COOLDOWN, "{took:?}");
    }
    fleet::no_stream_was_disturbed(&relay);
    for publisher in &mut publishers {
        publisher.succeed(LIMIT);
    }
    let sources = [Clip::Long.frames(), Clip::Plain.frames()];
    for name in ["one"].iter().chain(&five) {
        let recordings = nginx.recordings(name);
        assert_eq!(recordings.len(), 1, "{name}");
        recordings[0].is_all_of(&sources[usize::from(*name != "one")]).unwrap();
    }
}

#[test]
fn workers_end_with_the_relay_however_that_ends() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    for how in [Signal::KILL, Signal::TERM] {
        let mut relay =
            fleet(&nginx.base()).node("drain_timeout = \"1s\"").workers("min = 2").start();
        let workers = fleet::wait_for_ready(&relay, 2, LIMIT);
        relay.signal(how);
        relay.wait(LIMIT);
        for worker in workers {
            let pid = worker.pid.expect("a child of the relay");
            eventually("the end of a worker", LIMIT, || (!runs(pid)).then_some(()));
        }
    }
}

#[test]
fn an_upstream_that_comes_back_gets_the_stream_from_the_same_worker() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base()).start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let worker = fleet::workers(&relay)[0].pid;
    let nginx = Nginx::start_on(nginx.crash());
    eventually("the stream upstream again", LIMIT, || (nginx.accepted() == 1).then_some(()));
    Player::start(&nginx.url("cam")).wait_for_frames(30, LIMIT);
    assert_eq!(fleet::workers(&relay)[0].pid, worker);
    fleet::no_stream_was_disturbed(&relay);
}

#[test]
fn a_node_that_crashed_finds_the_workers_that_others_run() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let worker = foreign_worker(&nginx.base()).start();
    for _ in 0..2 {
        let relay = fleet_at(&[worker.address().to_string()]).start();
        fleet::wait_for_ready(&relay, 1, LIMIT);
        let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
        fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
        assert!(worker.has_publisher());
        // Dropping it kills it.
        drop((relay, publisher));
        eventually("the end of its stream", LIMIT, || (!worker.has_publisher()).then_some(()));
    }
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
    let relay = fleet_at(&[format!("workers.example:{port}")])
        .hosts(namespaces, hosts)
        .max_workers(2)
        .start();
    fleet::wait_for_ready(&relay, 2, LIMIT);
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
