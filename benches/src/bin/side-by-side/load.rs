//! Runs the load generator and follows what it says.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::arguments::Arguments;
use super::process::{LOAD_CORE, Process};
use super::scenario::{Load, Question, Scenario};

/// Seconds that publishers go on behind the window of a sink.
const OUTLASTS: u64 = 15;

/// Players that are checked where a capacity is looked for; what the others get is counted and thrown
/// away, so that the load generator is not the limit.
const CHECKED: u32 = 100;
/// Connections a second, elsewhere.
const RAMP: &str = "500";
/// How long all take to connect there, seconds, and connections a second at least.
const RAMP_SECONDS: u32 = 7;
const RAMP_MIN: u32 = 200;

/// A running load.
#[derive(Debug)]
pub(crate) struct LoadRun {
    process: Process,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// What it says, a JSON object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Everybody is there, or there is no more time to wait; the warm-up begins.
    Ready,
    WindowBegin,
    WindowEnd,
    Report,
}

impl LoadRun {
    /// Starts the load of a scenario. `publishes` is whether the server makes the stream itself.
    pub(crate) fn start(
        arguments: &Arguments,
        scenario: &Scenario,
        server: SocketAddr,
        publishes: bool,
    ) -> Result<Self> {
        let mut command = Command::new(&arguments.load);
        let url = format!("rtmp://{server}/live/cam{{n}}");
        let sends = !publishes && !matches!(scenario.load, Load::Idle { .. });
        command.arg(match scenario.load {
            Load::Push { .. } => "publish",
            _ if sends => "run",
            _ => "play",
        });
        command.args(["--url", &url, "--json-lines", "--allow-loss"]);
        command.args(["--warmup", &format!("{}s", arguments.warmup)]);
        // The window that counts may be the sink's, which begins later: publishers outlast it.
        let outlasts = if matches!(scenario.load, Load::Push { .. }) { OUTLASTS } else { 0 };
        command.args([
            "--duration",
            &format!("{}s", scenario.window_seconds(arguments.window) + outlasts),
        ]);
        command.args(["--streams", &scenario.streams().max(1).to_string()]);
        if sends {
            command.args(scenario.pattern());
        }
        match scenario.load {
            Load::Play { players_each, .. } => {
                command.args(["--players-per-stream", &players_each.to_string()]);
                if !matches!(scenario.question, Question::Capacity(_)) {
                    command.args(["--ramp", RAMP]);
                }
            }
            Load::Push { .. } => {}
            Load::Idle { players } => {
                command.args(["--idle", &players.to_string(), "--ramp", "2000"]);
            }
            Load::Storm { steady, joins_per_second } => {
                command.args(["--players", &steady.to_string()]);
                command.args(["--churn", &joins_per_second.to_string()]);
            }
        }
        if matches!(scenario.question, Question::Capacity(_)) {
            let check_every = (scenario.players() / CHECKED).max(1);
            let ramp = (scenario.players() / RAMP_SECONDS).max(RAMP_MIN);
            command.args(["--check-every", &check_every.to_string()]);
            command.args(["--ramp", &ramp.to_string(), "--ready-timeout", "20s"]);
        }
        Self::spawn(&command)
    }

    /// Starts a server that takes what is pushed to it.
    pub(crate) fn sink(arguments: &Arguments, scenario: &Scenario, at: SocketAddr) -> Result<Self> {
        let mut command = Command::new(&arguments.load);
        command.args(["sink", "--listen", &at.to_string(), "--json-lines", "--allow-loss"]);
        command.args(["--streams", &scenario.streams().to_string()]);
        command.args(["--warmup", &format!("{}s", arguments.warmup)]);
        command.args(["--duration", &format!("{}s", scenario.window_seconds(arguments.window))]);
        let mut run = Self::spawn(&command)?;
        run.process.wait_for_port(at)?;
        Ok(run)
    }

    fn spawn(command: &Command) -> Result<Self> {
        let mut process = Process::piped(command, LOAD_CORE)?;
        let output = process.child().stdout.take().context("the output is piped")?;
        Ok(Self { process, lines: BufReader::new(output).lines() })
    }

    /// Waits for an event and says what came with it.
    pub(crate) fn wait_for(&mut self, event: Event) -> Result<Value> {
        let name = match event {
            Event::Ready => "ready",
            Event::WindowBegin => "window_begin",
            Event::WindowEnd => "window_end",
            Event::Report => "report",
        };
        for line in &mut self.lines {
            let line = line.context("read what the load generator says")?;
            let value: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            if value.get("event").and_then(Value::as_str) == Some(name) {
                return Ok(value);
            }
        }
        bail!("the load generator ended before its {name}")
    }
}
