//! Rules for every Rust file: size, head, name, `unsafe`, silenced lints, left-over notes.

use super::Findings;
use super::lexer::{Source, has_word};

/// Lines of a Rust file at most.
const LINES_MAX: usize = 500;

/// Folders whose Rust files may hold `unsafe`.
const UNSAFE_FOLDERS: [&str; 3] = ["relay-uring/", "relay-ebpf/", "relay-ebpf-common/"];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 5] = ["utils.rs", "common.rs", "helpers.rs", "types.rs", "misc.rs"];

/// Words of notes that should be issues, split so that this file passes.
const TWIN_NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn check(path: &str, text: &str, source: &Source, findings: &mut Findings<'_>) {
    check_shape(path, text, findings);
    check_twin_notes(text, findings);
    let fenced = UNSAFE_FOLDERS.iter().any(|folder| path.starts_with(folder));
    for (line, code) in source.lines() {
        if !fenced && has_word(code, "unsafe") {
            findings.add(line, "`unsafe` outside relay-uring and the crates for the kernel");
        }
        if code.contains("#[allow") || code.contains("#![allow") {
            findings.add(line, "a lint is silenced with `#[expect(…, reason = \"…\")]` only");
        }
        let product = path.starts_with("relay/src/")
            || path.starts_with("relay-proto/src/")
            || path.starts_with("relay-uring/src/")
            || path.starts_with("relay-ebpf-common/src/");
        if product && line < source.tests_from && code.contains(".unwrap()") {
            findings.add(line, "`unwrap` outside tests; handle it, or `expect` our own invariant");
        }
    }
}

fn check_shape(path: &str, text: &str, findings: &mut Findings<'_>) {
    if !text.starts_with("//!") {
        findings.add(1, "a file opens with `//!`: what it owns, and what it must not do");
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.add(lines, format!("{lines} lines; split a file past {LINES_MAX}"));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if EMPTY_NAMES.contains(&name) {
        findings.add(0, "name a file for what it holds");
    }
}

/// Notes of work left undone, in any kind of file.
pub(super) fn check_twin_notes(text: &str, findings: &mut Findings<'_>) {
    for (index, line) in text.lines().enumerate() {
        for note in TWIN_NOTES {
            if has_word(line, note) {
                findings.add(index + 1, format!("`{note}`: finish it, or file an issue"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::messages;

    fn found(path: &str, code: &str) -> usize {
        messages(path, &format!("//! Owns.\n{code}\n")).len()
    }

    #[test]
    fn unsafe_stays_behind_the_fence() {
        let code = "fn f() { unsafe { g() } }";
        assert_eq!(found("relay/src/shard/mod.rs", code), 1);
        assert_eq!(found("relay-uring/src/ring.rs", code), 0);
    }

    #[test]
    fn a_file_has_a_head_and_an_end() {
        assert_eq!(messages("relay/src/hub/a.rs", "fn f() {}\n").len(), 1);
        let long = "// line\n".repeat(LINES_MAX);
        assert_eq!(found("relay/src/hub/a.rs", &long), 1);
    }

    #[test]
    fn unwrap_is_for_tests() {
        assert_eq!(found("relay/src/shard/mod.rs", "fn f() { g().unwrap(); }"), 1);
        assert_eq!(found("relay/src/hub/a.rs", "#[cfg(test)]\nfn f() { g().unwrap(); }"), 0);
        assert_eq!(found("relay/tests/push.rs", "fn f() { g().unwrap(); }"), 0);
    }

    #[test]
    fn notes_of_undone_work_are_found_in_comments() {
        let note = format!("// {}: later", TWIN_NOTES[0]);
        assert_eq!(found("relay/src/hub/a.rs", &note), 1);
    }

    #[test]
    fn names_say_something() {
        assert_eq!(found("relay/src/hub/utils.rs", ""), 1);
    }
}
