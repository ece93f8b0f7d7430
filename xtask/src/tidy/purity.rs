//! Code that decides must not read clocks, do IO, start threads or take locks; metric names stay in
//! `telemetry`; tests do not sleep.

use super::Findings;
use super::lexer::{Source, has_word};

/// Folders and files of pure code.
const PURE: [&str; 10] = [
    "relay-proto/src/",
    "relay/src/id.rs",
    "relay/src/time.rs",
    "relay/src/message.rs",
    "relay/src/message/",
    "relay/src/hub/",
    "relay/src/access/",
    "relay/src/doctor/judge/",
    "relay/src/placement/",
    "relay/src/scaler/",
];

/// What pure code does not use, and what it does instead.
const IMPURE: [(&str, &str); 13] = [
    ("Instant::now", "take `now` from the caller"),
    ("SystemTime", "take `now` from the caller"),
    ("std::time::Instant", "use edgerelay_proto::time::Instant"),
    ("std::fs", "leave IO to level 4"),
    ("std::io", "leave IO to level 4"),
    ("std::env", "take settings from the caller"),
    ("TcpStream", "leave IO to level 4"),
    ("std::thread", "leave threads to the supervisor"),
    ("Mutex", "pure state has one owner"),
    ("RwLock", "pure state has one owner"),
    ("tracing::", "return an event and let the caller log it"),
    ("println!", "return an event and let the caller print it"),
    ("getrandom", "take randomness from the caller"),
];

/// Beginnings of the names of our metrics.
const METRIC_PREFIXES: [&str; 3] = ["edgerelay_", "nginx_rtmp_", "rtmp_streams"];

/// String literals that start like a metric and are none.
const NOT_METRICS: [&str; 4] =
    ["edgerelay_proto", "edgerelay_uring", "edgerelay_ebpf_common", "edgerelay_benches"];

/// The one place where tests wait.
const WAITING_PLACE: &str = "relay/tests/e2e/support/eventually.rs";

pub(super) fn check(path: &str, source: &Source, findings: &mut Findings<'_>) {
    if PURE.iter().any(|pure| path.starts_with(pure)) {
        check_pure(source, findings);
    }
    if path.starts_with("relay/src/") && !path.starts_with("relay/src/telemetry/") {
        check_metric_names(source, findings);
    }
    check_sleeps(path, source, findings);
}

fn check_pure(source: &Source, findings: &mut Findings<'_>) {
    for (line, code) in source.lines().take_while(|(line, _)| *line < source.tests_from) {
        for (impure, instead) in IMPURE {
            let at_end = impure.ends_with(':') || impure.ends_with('!');
            if if at_end { code.contains(impure) } else { has_word(code, impure) } {
                findings.add(line, format!("pure code uses `{impure}`; {instead}"));
            }
        }
    }
}

fn check_metric_names(source: &Source, findings: &mut Findings<'_>) {
    for literal in source.literals.iter().take_while(|literal| literal.line < source.tests_from) {
        let named = METRIC_PREFIXES.iter().any(|prefix| literal.text.starts_with(prefix));
        if named && !NOT_METRICS.iter().any(|other| literal.text.starts_with(other)) {
            findings.add(
                literal.line,
                format!("metric name \"{}\" outside relay/src/telemetry", literal.text),
            );
        }
    }
}

fn check_sleeps(path: &str, source: &Source, findings: &mut Findings<'_>) {
    if path == WAITING_PLACE {
        return;
    }
    for (line, code) in source.lines().filter(|(line, _)| *line >= source.tests_from) {
        if code.contains("thread::sleep") || code.contains("time::sleep(") {
            findings.add(line, "a test sleeps; wait on an event with a bound");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::messages;

    fn found(path: &str, code: &str) -> usize {
        messages(path, &format!("//! Owns.\n{code}\n")).len()
    }

    #[test]
    fn pure_code_reads_no_clock() {
        assert_eq!(found("relay/src/hub/stream.rs", "fn f() { let now = Instant::now(); }"), 1);
        assert_eq!(found("relay-proto/src/chunk/mod.rs", "use std::time::SystemTime;"), 1);
        assert_eq!(found("relay/src/shard/mod.rs", "fn f() { let now = Instant::now(); }"), 0);
    }

    #[test]
    fn a_comment_may_name_the_clock() {
        assert_eq!(found("relay/src/hub/stream.rs", "// never Instant::now here"), 0);
    }

    #[test]
    fn metric_names_live_in_telemetry() {
        let code = "const NAME: &str = \"edgerelay_bytes_in_total\";";
        assert_eq!(found("relay/src/shard/mod.rs", code), 1);
        assert_eq!(found("relay/src/telemetry/names.rs", code), 0);
        assert_eq!(
            found("relay/src/shard/mod.rs", &format!("#[cfg(test)]\nmod t {{ {code} }}")),
            0
        );
    }

    #[test]
    fn tests_do_not_sleep() {
        let sleep = "fn f() { std::thread::sleep(d); }";
        assert_eq!(found("relay/tests/push.rs", sleep), 1);
        assert_eq!(found("relay/src/shard/mod.rs", sleep), 0);
        assert_eq!(
            found("relay/src/shard/mod.rs", &format!("#[cfg(test)]\nmod t {{ {sleep} }}")),
            1
        );
    }
}
