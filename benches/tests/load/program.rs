//! The program as it is run: arguments in, JSON lines and an exit code out.

use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::Value;

use crate::tampering::{Server, Wrong};

fn play(address: SocketAddr, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtmp-load"));
    command.args(["play", "--url", &format!("rtmp://{address}/live/cam"), "--players", "1"]);
    command.args(["--warmup", "0s", "--duration", "2s", "--json-lines"]).args(more);
    command.output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Plays from a server that does this wrong; returns what the checks found, and the exit code.
fn found(wrong: Wrong, more: &[&str]) -> (Value, Option<i32>) {
    let server = Server::start(wrong);
    let output = play(server.address, more);
    server.finish();
    let report = events(&output).pop().unwrap();
    assert_eq!(report["event"], "report");
    (report["report"]["players"]["steady"]["got"].clone(), output.status.code())
}

#[test]
fn a_sound_stream_passes() {
    let (got, code) = found(Wrong::Nothing, &[]);
    assert_eq!(code, Some(0), "{got}");
    assert!(got["messages"].as_u64() > Some(50), "{got}");
}

#[test]
fn a_gap_is_found_and_fails_the_run() {
    let (got, code) = found(Wrong::Gap, &[]);
    assert_eq!((&got["lost"], &got["gaps"]), (&1.into(), &1.into()), "{got}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_duplicate_is_found() {
    let (got, code) = found(Wrong::Twice, &[]);
    assert_eq!((&got["duplicates"], &got["lost"]), (&1.into(), &0.into()), "{got}");
    assert_eq!(code, Some(1));
}

#[test]
fn what_comes_late_is_found() {
    let (got, code) = found(Wrong::Late, &[]);
    assert_eq!((&got["reordered"], &got["lost"]), (&1.into(), &0.into()), "{got}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_flipped_bit_is_found() {
    let (got, code) = found(Wrong::Flipped, &[]);
    assert_eq!(got["corrupt"], 1, "{got}");
    assert_eq!(code, Some(1));
}

#[test]
fn loss_may_be_allowed_and_checksums_left_out() {
    let (_, code) = found(Wrong::Gap, &["--allow-loss"]);
    assert_eq!(code, Some(0));
    let (got, code) = found(Wrong::Flipped, &["--no-checksum"]);
    assert_eq!((&got["corrupt"], code), (&0.into(), Some(0)), "{got}");
}

#[test]
fn the_course_of_a_run_is_told_line_by_line() {
    let server = Server::start(Wrong::Nothing);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let output = play(server.address, &["--json", path.to_str().unwrap()]);
    server.finish();
    let names: Vec<String> = events(&output)
        .iter()
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .filter(|name| name != "second")
        .collect();
    assert_eq!(names, ["ready", "window_begin", "window_end", "report"]);
    let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["verdict"]["passed"], true);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtmp-load"));
        command.args(arguments).output().unwrap().status.code()
    };
    assert_eq!(run(&["play", "--url", "rtmp://127.0.0.1/live/x", "--ramp", "0"]), Some(2));
    let both = ["--flv", "x.flv", "--fps", "25"];
    let publish = ["publish", "--url", "rtmp://127.0.0.1/live/x"];
    assert_eq!(run(&[publish.as_slice(), &both].concat()), Some(2));
    assert_eq!(run(&["play", "--url", "http://127.0.0.1/live/x"]), Some(1));
}
