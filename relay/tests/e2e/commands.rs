//! Commands that workers run for streams: what they get and give, and that nothing of them is left.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::eventually::{eventually, throughout};
use crate::support::ffmpeg::{Pace, Player, publish, publish_looped};
use crate::support::fleet::{self, Work, fleet, foreign_worker, kill, runs};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;

const LIMIT: Duration = Duration::from_secs(30);

/// A command in TOML.
fn command(words: &[&str]) -> String {
    format!("pipeline.command = {words:?}")
}

/// Where a command notes when it was started, and how it does.
struct Starts {
    folder: TempDir,
}

impl Starts {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("starts")
    }

    /// A command that notes its start and fails.
    fn failing(&self) -> String {
        let say = "echo attempt at {name} >&2; echo cannot reach {output} >&2";
        let script = format!("date +%s%3N >> {}; {say}; exit 3", self.file().display());
        command(&["sh", "-c", &script])
    }

    /// When it was started, in milliseconds.
    fn times(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.file()).unwrap_or_default();
        text.lines().map(|line| line.parse().expect("milliseconds")).collect()
    }
}

/// What shows that a command was started once and three times more, with growing pauses, and failed.
fn was_given_up(starts: &Starts, work: &Work) {
    assert!(work.reason.contains("the command ended with code 3"), "{work:?}");
    assert!(work.log.contains(&"attempt at cam".to_owned()), "{work:?}");
    assert!(work.log.contains(&"cannot reach ***".to_owned()), "{work:?}");
    throughout("no other start", Duration::from_secs(2), || starts.times().len() == 4);
    let pauses: Vec<_> = starts.times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("started again after {pauses:?} ms");
}

#[test]
fn a_command_that_ends_at_once_is_tried_three_times_more_and_then_failed() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let starts = Starts::new();
    // Two workers, which could each think that all tries are theirs.
    let relay = fleet(&nginx.base())
        .workers("min = 2")
        .workers("pipeline.kind = \"command\"")
        .workers(&starts.failing())
        .workers("retry_delay = \"100ms\"")
        .start();
    fleet::wait_for_ready(&relay, 2, LIMIT);
    let source = Clip::Long.frames();
    let mut player = Player::start(&relay.url("cam"));
    relay.wait_for_role("play", 1);
    let mut publisher = publish(Clip::Long.path(), &relay.url("cam"), Pace::RealTime);
    let work = fleet::wait_for_state(&relay, "cam", "failed", LIMIT);
    assert_eq!(work.failures, 4, "once, and three times more");
    was_given_up(&starts, &work);
    let times = starts.times();
    for (pause, pair) in [100, 200, 400].into_iter().zip(times.windows(2)) {
        assert!(pair[1] - pair[0] >= pause, "{times:?}");
    }
    assert_eq!(fleet::transitions(&relay, "starting", "recovering"), 3.0);
    assert_eq!(fleet::transitions(&relay, "starting", "failed"), 1.0);
    // To everyone else it goes on.
    publisher.succeed(LIMIT);
    player.wait_for_frames(source.count() / 2, LIMIT);
    player.finish(LIMIT).is_all_of(&source).unwrap();
    assert_eq!(relay.metric("edgerelay_publisher_replaced_total", &[]), 0.0);
}

#[test]
fn a_command_for_a_stream_that_comes_to_a_worker_itself_is_tried_as_often() {
    let _machine = machine::shared();
    let starts = Starts::new();
    let worker = foreign_worker("rtmp://127.0.0.1/live")
        .workers("pipeline.kind = \"command\"")
        .workers(&starts.failing())
        .workers("retry_delay = \"100ms\"")
        .start();
    let _publisher = publish_looped(Clip::Plain.path(), &worker.url("cam"));
    let work = fleet::wait_for_state(&worker, "cam", "failed", LIMIT);
    was_given_up(&starts, &work);
    worker.wait_for_role("publish", 1);
}

#[test]
fn a_command_brings_the_stream_upstream_and_is_gone_with_it() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let copy = ["ffmpeg", "-v", "warning", "-nostdin", "-progress", "pipe:1", "-rtmp_live", "live"];
    let rest = ["-i", "{input}", "-c", "copy", "-f", "flv", "{output}"];
    let relay = fleet(&nginx.base())
        .workers("pipeline.kind = \"command\"")
        .workers(&command(&[&copy[..], &rest[..]].concat()))
        .start();
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let mut upstream = Player::start(&nginx.url("cam"));
    upstream.wait_for_frames(30, LIMIT);
    let worker = fleet::workers(&relay)[0].pid.expect("a child of the relay");
    let started = fleet::descendants(worker);
    assert!(!started.is_empty(), "a guard and a command");
    drop(publisher);
    eventually("the end of the command", LIMIT, || {
        started.iter().all(|pid| !runs(*pid)).then_some(())
    });
    fleet::wait_until_done(&relay, "cam", LIMIT);
    assert!(runs(worker), "the worker stays");
}

#[test]
fn nothing_of_a_command_outlives_its_worker() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    // Children in the group, one that left it, and one whose parent is gone.
    let script = "sleep 1000 & setsid sleep 1001 & (setsid sleep 1002 &) ; sleep 1003";
    for how in [Signal::KILL, Signal::TERM] {
        let mut relay = fleet(&nginx.base())
            .node("drain_timeout = \"1s\"")
            .workers("pipeline.kind = \"command\"")
            .workers(&command(&["sh", "-c", script]))
            .start();
        let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
        let started = eventually("a command with all its children", LIMIT, || {
            let worker = fleet::workers(&relay).first()?.pid?;
            let started = fleet::descendants(worker);
            // Guard, shell, four sleeps.
            (started.len() == 6).then_some(started)
        });
        if how == Signal::KILL {
            kill(fleet::workers(&relay)[0].pid.expect("a child of the relay"));
        } else {
            relay.signal(how);
            relay.wait(LIMIT);
        }
        for pid in started {
            eventually("the end of a command's child", LIMIT, || (!runs(pid)).then_some(()));
        }
    }
}

#[test]
fn a_command_that_hangs_is_killed_and_tried_again() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    // Says that it begins, as ffmpeg does, and then nothing.
    let script = "echo frame=1; echo progress=continue; exec sleep 1000";
    let relay = fleet(&nginx.base())
        .workers("pipeline.kind = \"command\"")
        .workers(&command(&["sh", "-c", script, "-progress"]))
        .workers("stall_timeout = \"1s\"")
        .workers("max_retries = 1")
        .start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let work = fleet::wait_for_state(&relay, "cam", "failed", LIMIT);
    assert_eq!(work.failures, 2, "{work:?}");
    assert!(
        work.reason.contains("nothing came out") || work.reason.contains("stalled"),
        "{work:?}"
    );
}

#[test]
fn the_audio_preset_leaves_the_video_away() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base()).workers("pipeline.kind = \"audio-only\"").start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let mut upstream = Player::start(&nginx.url("cam"));
    let frames = upstream.wait_for_frames(40, LIMIT);
    assert_eq!(frames.of("video"), []);
    assert!(frames.of("audio").len() >= 40);
}

#[test]
fn the_transcoding_preset_makes_three_streams_of_one() {
    let _machine = machine::alone();
    let nginx = Nginx::start();
    let relay = fleet(&nginx.base())
        .workers("pipeline.kind = \"abr\"")
        .workers("stall_timeout = \"20s\"")
        .start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT * 2);
    for name in ["cam_1080", "cam_720", "cam_480"] {
        let mut upstream = Player::start(&nginx.url(name));
        let frames = upstream.wait_for_frames(20, LIMIT);
        assert!(!frames.of("video").is_empty() || !frames.of("audio").is_empty(), "{name}");
    }
}
