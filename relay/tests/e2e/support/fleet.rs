//! A relay with workers of its own, and what it says of them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use super::eventually::eventually;
use super::ports::free_ports;
use super::relay::{Relay, Settings};

/// A worker, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) id: u64,
    pub(crate) state: String,
    pub(crate) streams: usize,
    pub(crate) pid: Option<u64>,
    pub(crate) reserved_cpu_percent: u64,
}

/// What the API says of the work on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) state: String,
    pub(crate) worker: Option<u64>,
    pub(crate) place: Option<u64>,
    pub(crate) waits_for: Option<String>,
    pub(crate) failures: u64,
    pub(crate) reason: String,
    pub(crate) log: Vec<String>,
}

/// A relay whose streams go to workers, and from there to `base`.
pub(crate) fn fleet(base: &str) -> Settings {
    fleet_of("process", free_ports(8), base)
}

/// The same with another backend, and workers that listen behind `listen`.
pub(crate) fn fleet_of(backend: &str, listen: SocketAddr, base: &str) -> Settings {
    Settings::new()
        .workers(&format!("backend = \"{backend}\""))
        .workers(&format!("listen = \"{listen}\""))
        .max_workers(7)
        .workers(&format!("pipeline.push_url = \"{base}\""))
        .workers("scaling.poll = \"1s\"")
}

/// A worker that somebody else runs: a node of its own, told by its environment to push to `base`.
pub(crate) fn foreign_worker(base: &str) -> Settings {
    Settings::new().node("role = \"worker\"").environment("RTMP_PUSH_URL", base).max_workers(1)
}

/// A relay whose streams go to workers at `addresses`.
pub(crate) fn fleet_at(addresses: &[String]) -> Settings {
    Settings::new()
        .workers("backend = \"static\"")
        .workers(&format!("addresses = {addresses:?}"))
        .max_workers(addresses.len())
}

/// Waits until so many workers take streams.
#[track_caller]
pub(crate) fn wait_for_ready(relay: &Relay, count: usize, limit: Duration) -> Vec<Worker> {
    eventually(&format!("{count} workers that are ready"), limit, || {
        let workers = workers(relay);
        (workers.iter().filter(|it| it.state == "ready").count() == count).then_some(workers)
    })
}

/// How often streams went from one state to another.
#[track_caller]
pub(crate) fn transitions(relay: &Relay, from: &str, to: &str) -> f64 {
    let labels = [format!("from=\"{from}\""), format!("to=\"{to}\"")];
    relay.metric("edgerelay_stream_transitions_total", &labels.each_ref().map(String::as_str))
}

/// How many streams have a part of their way through a worker behind them.
#[track_caller]
pub(crate) fn phases(relay: &Relay, phase: &str) -> f64 {
    let label = format!("phase=\"{phase}\"");
    relay.metric("edgerelay_stream_phase_seconds_count", &[&label])
}

/// Checks that no stream was taken from a worker so far, nor given up.
#[track_caller]
pub(crate) fn no_stream_was_disturbed(relay: &Relay) {
    for to in ["recovering", "failed"] {
        for from in ["starting", "relaying"] {
            assert_eq!(transitions(relay, from, to), 0.0, "from {from} to {to}");
        }
    }
}

/// Its workers.
#[track_caller]
pub(crate) fn workers(relay: &Relay) -> Vec<Worker> {
    let body = relay.ask("/api/v1/workers").body;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let workers = answer["workers"].as_array().unwrap_or_else(|| panic!("a list: {answer}"));
    workers
        .iter()
        .map(|worker| Worker {
            id: worker["id"].as_u64().expect("a number"),
            state: worker["state"].as_str().expect("a state").to_owned(),
            streams: worker["streams"].as_array().expect("a list").len(),
            pid: worker["pid"].as_u64(),
            reserved_cpu_percent: worker["reserved_cpu_percent"].as_u64().expect("a number"),
        })
        .collect()
}

/// What it says of the work on a stream of the application `live`.
#[track_caller]
pub(crate) fn work(relay: &Relay, name: &str) -> Option<Work> {
    let body = relay.ask("/api/v1/streams").body;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let streams = answer["streams"].as_array().expect("a list of streams");
    let work = &streams.iter().find(|it| it["app"] == "live" && it["name"] == name)?["work"];
    Some(Work {
        state: work["state"].as_str()?.to_owned(),
        worker: work["worker"].as_u64(),
        place: work["place"].as_u64(),
        waits_for: work["waits_for"].as_str().map(str::to_owned),
        failures: work["failures"].as_u64()?,
        reason: work["reason"].as_str()?.to_owned(),
        log: serde_json::from_value(work["log"].clone()).ok()?,
    })
}

/// Waits until a stream is in `state`.
#[track_caller]
pub(crate) fn wait_for_state(relay: &Relay, name: &str, state: &str, limit: Duration) -> Work {
    eventually(&format!("{name} to be {state}"), limit, || {
        work(relay, name).filter(|work| work.state == state)
    })
}

/// Waits until no worker has a stream any more.
#[track_caller]
pub(crate) fn wait_until_done(relay: &Relay, name: &str, limit: Duration) {
    eventually(&format!("the work on {name} to be done"), limit, || {
        let body = relay.ask("/api/v1/workers").body;
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let workers = answer["workers"].as_array().expect("a list of workers").iter();
        let mut streams = workers.flat_map(|it| it["streams"].as_array().expect("a list"));
        let publishing = work(relay, name).is_some_and(|work| work.state != "done");
        (!publishing && !streams.any(|stream| stream["name"] == name)).then_some(())
    });
}

fn pid(number: u64) -> Pid {
    let number = i32::try_from(number).expect("a process id");
    Pid::from_raw(number).expect("a process id")
}

/// Sends a signal to a worker.
pub(crate) fn signal(process: u64, signal: Signal) {
    kill_process(pid(process), signal).expect("it runs");
}

/// Ends a worker as a crash would.
pub(crate) fn kill(process: u64) {
    signal(process, Signal::KILL);
}

/// Whether a process runs. One that has ended and waits for its parent does not.
pub(crate) fn runs(process: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    test_kill_process(pid(process)).is_ok() && !matches!(state, None | Some(Some('Z')))
}

/// All processes that a process started, and that these started.
pub(crate) fn descendants(process: u64) -> BTreeSet<u64> {
    let entries = std::fs::read_dir("/proc").expect("processes");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let parent = |pid: u64| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = status.rsplit_once(") ")?;
        rest.split(' ').nth(1)?.parse::<u64>().ok()
    };
    let parents: Vec<(u64, u64)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = BTreeSet::from([process]);
    loop {
        let before = found.len();
        for (pid, parent) in &parents {
            if found.contains(parent) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.remove(&process);
    found
}
