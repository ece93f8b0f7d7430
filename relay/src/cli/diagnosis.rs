//! What `edgerelay doctor` prints, and how it ends.

use std::io::Write;
use std::path::Path;

use super::{Exit, human};
use crate::config::{ConfigErrors, Loaded};
use crate::doctor::{self, Check, Finding, Level, Report};

/// Characters of one finding: paths and the words of programs may be long.
const LINE_CHARS_MAX: usize = 1000;

/// Looks at this machine and prints what it finds.
pub(super) fn run(
    loaded: &Result<Loaded, ConfigErrors>,
    is_json: bool,
    out: &mut impl Write,
) -> Exit {
    let report = doctor::examine(Path::new("/"), loaded);
    let lines = if is_json { as_json(&report) } else { as_text(&report) };
    for line in lines {
        let _unread = writeln!(out, "{line}");
    }
    exit(report.worst)
}

fn exit(worst: Level) -> Exit {
    match worst {
        Level::Ok | Level::Hint => Exit::Success,
        Level::Warning => Exit::Warnings,
        Level::Error => Exit::Errors,
    }
}

fn as_json(report: &Report) -> Vec<String> {
    vec![serde_json::to_string_pretty(report).unwrap_or_default()]
}

/// A line for each finding, one below it for what mends it, and at the end how many there are.
fn as_text(report: &Report) -> Vec<String> {
    let width = |labels: &[&str]| labels.iter().map(|label| label.len()).max().unwrap_or(0);
    let levels = width(&[Level::Ok, Level::Hint, Level::Warning, Level::Error].map(Level::label));
    let checks = width(&Check::ALL.map(Check::label));
    let mut lines = Vec::new();
    for Finding { check, level, what, mend } in &report.findings {
        let what = human::printable(what, LINE_CHARS_MAX);
        lines.push(format!("{:levels$}  {:checks$}  {what}", level.label(), check.label()));
        if let Some(mend) = mend {
            let mend = human::printable(mend, LINE_CHARS_MAX);
            lines.push(format!("{:levels$}  {:checks$}  > {mend}", "", ""));
        }
    }
    lines.push(summary(report));
    lines
}

fn summary(report: &Report) -> String {
    let counts = [
        (report.count(Level::Error), "error"),
        (report.count(Level::Warning), "warning"),
        (report.count(Level::Hint), "hint"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> = counts
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() { "nothing is wrong".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(levels: &[(Check, Level)]) -> Report {
        let findings: Vec<_> = levels
            .iter()
            .map(|(check, level)| Finding {
                check: *check,
                level: *level,
                what: "a \u{1b}[2J thing".to_owned(),
                mend: (*level != Level::Ok).then(|| "mend it".to_owned()),
            })
            .collect();
        let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        Report { worst, node: Some(7), findings }
    }

    #[test]
    fn columns_align_and_what_mends_stands_below() {
        let lines = as_text(&report(&[
            (Check::Kernel, Level::Ok),
            (Check::Configuration, Level::Warning),
            (Check::Clock, Level::Hint),
            (Check::Listen, Level::Hint),
        ]));
        assert_eq!(
            lines,
            [
                "ok       kernel         a \u{fffd}[2J thing",
                "warning  configuration  a \u{fffd}[2J thing",
                "                        > mend it",
                "hint     clock          a \u{fffd}[2J thing",
                "                        > mend it",
                "hint     listen         a \u{fffd}[2J thing",
                "                        > mend it",
                "1 warning, 2 hints",
            ]
        );
        assert_eq!(as_text(&report(&[(Check::Kernel, Level::Ok)]))[1], "nothing is wrong");
    }

    #[test]
    fn the_worst_finding_decides_how_it_ends() {
        let levels = [Level::Ok, Level::Hint, Level::Warning, Level::Error];
        assert_eq!(levels.map(|level| exit(level) as u8), [0, 0, 1, 2]);
    }

    #[test]
    fn json_has_every_field() {
        let lines = as_json(&report(&[(Check::Kernel, Level::Ok), (Check::Listen, Level::Error)]));
        let answer: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let what = "a \u{1b}[2J thing";
        assert_eq!(
            answer,
            serde_json::json!({
                "worst": "error",
                "node": 7,
                "findings": [
                    { "check": "kernel", "level": "ok", "what": what, "mend": null },
                    { "check": "listen", "level": "error", "what": what, "mend": "mend it" },
                ],
            })
        );
    }
}
