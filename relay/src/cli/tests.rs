//! What operators type, and what they get.

use std::fs;

use super::*;

struct Answer {
    request: Request,
    out: String,
    err: String,
}

impl Answer {
    fn exit(&self) -> Option<u8> {
        match self.request {
            Request::Exit(exit) => Some(exit as u8),
            Request::Run(..)
            | Request::Account(..)
            | Request::Work(..)
            | Request::Ask(_)
            | Request::Detach(_)
            | Request::Guard { .. } => None,
        }
    }
}

fn ask(arguments: &[&str], environment: &[(&str, &str)]) -> Answer {
    let words = std::iter::once("edgerelay").chain(arguments.iter().copied()).map(OsString::from);
    let environment =
        environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let request = handle_arguments(words, environment, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { request, out: text(out), err: text(err) }
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edgerelay.toml");
    fs::write(&path, text).unwrap();
    (directory, path.to_str().unwrap().to_owned())
}

#[test]
fn wrong_usage_exits_64_and_goes_to_standard_error() {
    let both = &["streams", "--socket", "a", "--config", "b"][..];
    let words = [&[][..], &["jump"], &["run", "--nope"], &["run", "--set", "x"], &["config"]];
    let drain = [
        &["workers", "drain"][..],
        &["workers", "drain", "0"],
        &["workers", "--json", "drain", "1"],
    ];
    let retry = [
        &["streams", "retry", "cam"][..],
        &["streams", "retry", "/cam"],
        &["streams", "retry", "live/"],
    ];
    let words = words.into_iter().chain(drain).chain(retry);
    for arguments in words.chain([both, &["top", "--interval", "0"]]) {
        let answer = ask(arguments, &[]);
        assert_eq!(answer.exit(), Some(64), "{arguments:?}");
        assert!(answer.out.is_empty() && !answer.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_exit_0_and_go_to_standard_output() {
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"]] {
        let answer = ask(arguments, &[]);
        assert_eq!(answer.exit(), Some(0), "{arguments:?}");
        assert!(answer.err.is_empty() && !answer.out.is_empty(), "{arguments:?}");
    }
}

#[test]
fn check_of_a_good_configuration_says_so() {
    let answer = ask(&["check", "--set", "node.name=edge-1"], &[]);
    assert_eq!(answer.exit(), Some(0));
    assert_eq!(
        answer.out,
        "configuration OK: node edge-1 (standalone), RTMP 0.0.0.0:1935, HTTP 127.0.0.1:8080, \
         applications live\n"
    );
    assert_eq!(answer.err, "");
}

#[test]
fn check_of_a_wrong_configuration_exits_78_with_each_position() {
    let (_directory, path) = file("[rtmp]\nlisen = []\nping_timeout = \"x\"\n");
    let answer = ask(&["check", "--config", &path], &[]);
    assert_eq!(answer.exit(), Some(78));
    assert_eq!(answer.out, "");
    assert_eq!(
        answer.err,
        format!(
            "{path}:2:1: rtmp.lisen: unknown key; expected \"listen\", the nearest known key\n\
             {path}:3:16: rtmp.ping_timeout: \"x\" is not a duration; expected a duration from 1s \
             to 1h\n"
        )
    );
}

#[test]
fn check_as_json_has_the_same_facts() {
    let (_directory, path) = file("[rtmp]\nlisen = []\n");
    let answer = ask(&["check", "--json", "--config", &path], &[]);
    assert_eq!(answer.exit(), Some(78));
    let answer: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let error = json!({
        "file": path, "line": 2, "column": 1, "key": "rtmp.lisen", "what": "unknown key",
        "expected": "\"listen\", the nearest known key",
    });
    assert_eq!(answer, json!({ "ok": false, "errors": [error], "omitted": 0 }));

    let answer = ask(&["check", "--json"], &[("RTMP_PUSH_URL", "rtmp://h/live")]);
    assert_eq!(answer.exit(), Some(0));
    let answer: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(answer["ok"], json!(true));
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn dump_hides_stream_keys_unless_told_otherwise() {
    let text = "[[app]]\nname = \"live\"\n[[app.push]]\nurl = \"rtmp://h/a/SECRET?k=SECRET\"\n";
    let (_directory, path) = file(text);
    let hidden = ask(&["config", "dump", "--config", &path], &[]);
    assert_eq!(hidden.exit(), Some(0));
    assert!(hidden.out.contains("url = \"rtmp://h/a/***?k=***\""), "{}", hidden.out);
    assert!(!hidden.out.contains("SECRET"));
    let shown = ask(&["config", "dump", "--show-secrets", "--config", &path], &[]);
    assert!(shown.out.contains("url = \"rtmp://h/a/SECRET?k=SECRET\""), "{}", shown.out);
}

#[test]
fn run_hands_over_the_configuration_with_flags_above_the_environment() {
    let environment = [("EDGERELAY_LOG__LEVEL", "warn"), ("EDGERELAY_NODE__ROLE", "edge")];
    let answer = ask(&["run", "--log-level", "debug"], &environment);
    let Request::Run(config, ..) = answer.request else { panic!("{}", answer.err) };
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.node.role, crate::config::Role::Edge);
}

#[test]
fn a_process_that_takes_anothers_place_is_told_so() {
    for (arguments, wanted) in
        [(&["run"][..], ReadyTold::Nobody), (&["run", "--take-over"], ReadyTold::Predecessor)]
    {
        let answer = ask(arguments, &[]);
        let Request::Run(_, _, ready) = answer.request else { panic!("{}", answer.err) };
        assert_eq!(ready, wanted);
    }
}

#[test]
fn run_with_a_wrong_configuration_exits_78_without_running() {
    let answer = ask(&["run", "--log-level", "loud"], &[]);
    assert_eq!(answer.exit(), Some(78));
    assert!(answer.err.starts_with("--log-level:1:1: log.level: is \"loud\"; "), "{}", answer.err);
}

#[test]
fn every_command_that_help_shows_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(&["man", folder.path().to_str().unwrap()], &[]);
    assert_eq!((answer.exit(), answer.err.as_str()), (Some(0), ""));
    let mut pages: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    for command in Arguments::command().get_subcommands() {
        let page = format!("edgerelay-{}.1", command.get_name());
        assert_eq!(pages.contains(&page), !command.is_hide_set(), "{page} in {pages:?}");
    }
    assert!(pages.contains(&"edgerelay-config-dump.1".to_owned()), "{pages:?}");
    let main = fs::read_to_string(folder.path().join("edgerelay.1")).unwrap();
    for section in ["NAME", "SYNOPSIS", "\"EXIT STATUS\"", "FILES", "\"SEE ALSO\""] {
        assert!(main.contains(&format!(".SH {section}\n")), "{section} is not in {main}");
    }
}

#[test]
fn pages_that_cannot_be_written_are_told() {
    let answer = ask(&["man", "/nonexistent/folder"], &[]);
    assert_eq!(answer.exit(), Some(69));
    assert!(answer.err.starts_with("edgerelay: /nonexistent/folder: "), "{}", answer.err);
}

#[test]
fn completions_know_the_commands_and_their_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = ask(&["completions", shell], &[]);
        assert_eq!(answer.exit(), Some(0), "{}", answer.err);
        for word in ["accounting", "keep-pins", "log-level"] {
            assert!(answer.out.contains(word), "{word} in the completions of {shell}");
        }
    }
}

#[test]
fn doctor_finds_a_wrong_configuration_and_exits_2() {
    let (_directory, path) = file("[rtmp]\nlisen = []\n");
    let answer = ask(&["doctor", "--json", "--config", &path], &[]);
    assert_eq!(answer.exit(), Some(2), "{}", answer.out);
    let report: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let wrong: Vec<_> = findings.iter().filter(|it| it["check"] == "configuration").collect();
    assert_eq!(wrong.len(), 1, "{report}");
    assert_eq!(wrong[0]["level"], "error");
    assert_eq!(wrong[0]["mend"], format!("editor +2 {path}"));
    let text = ask(&["doctor", "--config", &path], &[]).out;
    assert!(text.contains(&format!("{path}:2:1: rtmp.lisen: unknown key")), "{text}");
}
