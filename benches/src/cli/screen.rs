//! How a run is shown: JSON lines for programs, a progress bar on a terminal, little otherwise.

use std::io::{self, Write as _};
use std::time::Duration;

use edgerelay_proto::time::Instant;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::engine::settings::Course;
use crate::engine::{Second, Watcher};
use crate::report::Report;

pub(super) enum Screen {
    Lines,
    Bar { bar: ProgressBar, total: Duration },
}

impl Screen {
    pub(super) fn new(json_lines: bool, course: &Course) -> Self {
        if json_lines {
            return Self::Lines;
        }
        let total = course.warmup + course.duration;
        let bar = ProgressBar::with_draw_target(
            Some(total.as_secs().max(1)),
            // Draws nothing when stderr is no terminal.
            ProgressDrawTarget::stderr(),
        );
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}") {
            bar.set_style(style);
        }
        Self::Bar { bar, total }
    }

    /// The report, to standard output.
    pub(super) fn finish(&self, report: &Report) -> io::Result<()> {
        match self {
            Self::Lines => {
                say(&json!({ "event": "report", "report": serde_json::to_value(report)? }));
                Ok(())
            }
            Self::Bar { bar, .. } => {
                bar.finish_and_clear();
                writeln!(io::stdout(), "{report}")
            }
        }
    }

    fn event(&self, name: &str, at: Instant) {
        if matches!(self, Self::Lines) {
            say(&json!({ "event": name, "at_us": at.as_micros() }));
        }
    }
}

impl Watcher for Screen {
    fn on_second(&mut self, second: &Second) {
        match self {
            Self::Lines => {
                let mut value = serde_json::to_value(second).unwrap_or_default();
                value["event"] = json!("second");
                say(&value);
            }
            Self::Bar { bar, total } => {
                if second.phase != "connecting" && bar.position() < total.as_secs() {
                    bar.inc(1);
                }
                bar.set_message(format!(
                    "{}: {} publishers, {} players, {:.1} Mbit/s, {} faults, loader {:.0} %",
                    second.phase,
                    second.publishers,
                    second.players,
                    second.bits_per_second / 1e6,
                    second.faults,
                    second.processor_share * 100.0,
                ));
            }
        }
    }

    fn on_ready(&mut self, at: Instant, complete: bool) {
        if matches!(self, Self::Lines) {
            let at = at.as_micros();
            say(&json!({ "event": "ready", "at_us": at, "complete": complete }));
        }
    }

    fn on_window_begin(&mut self, at: Instant) {
        self.event("window_begin", at);
    }

    fn on_window_end(&mut self, at: Instant) {
        self.event("window_end", at);
    }
}

/// One line, at once: somebody waits for it. That nobody reads it any more is no fault of the run.
fn say(value: &serde_json::Value) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}
