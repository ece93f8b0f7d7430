//! One round: a server is started, loaded, read before and after the window, and ended.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use super::arguments::Arguments;
use super::contender::Contender;
use super::load::{Event, LoadRun};
use super::process::SERVER_CORE;
use super::scenario::{Load, Scenario};
use super::usage::{Reading, family};

/// A window with more of the core stolen is measured again.
const STEAL_MAX: f64 = 0.03;
/// So often at most; then it counts, and is marked.
const ATTEMPTS_MAX: usize = 3;

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1935);
const SINK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1936);

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// System calls are counted, which slows the server.
    Counting,
    Measured,
}

/// What one round came to. Times in seconds, latencies in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) cpu_seconds: f64,
    pub(crate) cpu_share: f64,
    pub(crate) gigabits: f64,
    /// Processor seconds for each gigabit delivered; none where nothing is delivered.
    pub(crate) cpu_per_gigabit: Option<f64>,
    pub(crate) latency_p50_ms: Option<f64>,
    pub(crate) latency_p99_ms: Option<f64>,
    pub(crate) latency_p999_ms: Option<f64>,
    pub(crate) latency_max_ms: Option<f64>,
    pub(crate) join_p50_ms: Option<f64>,
    pub(crate) join_p99_ms: Option<f64>,
    pub(crate) connect_p50_ms: Option<f64>,
    /// Beyond what the server held before anybody came.
    pub(crate) resident_grown_kib: f64,
    pub(crate) switches_per_second: f64,
    /// In a counting round alone.
    pub(crate) system_calls_per_second: Option<f64>,
    pub(crate) reads_per_player_second: Option<f64>,
    pub(crate) faults: u64,
    pub(crate) silent: u64,
    pub(crate) vanished: u64,
    pub(crate) real_time: Option<f64>,
    pub(crate) loader_share: f64,
    pub(crate) steal: f64,
    pub(crate) foreign: f64,
    /// Too much was stolen in all attempts.
    pub(crate) marked: bool,
}

impl Figures {
    /// For whoever watches.
    pub(crate) fn line(&self) -> String {
        let shown = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
        format!(
            "{} s/Gbit, {:.0} % cpu, p50 {} p99 {} ms, loss {}, loader {:.0} %, steal {:.1} %, \
             foreign {:.1} %",
            shown(self.cpu_per_gigabit),
            self.cpu_share * 100.0,
            shown(self.latency_p50_ms),
            shown(self.latency_p99_ms),
            self.lost(),
            self.loader_share * 100.0,
            self.steal * 100.0,
            self.foreign * 100.0
        )
    }

    /// Everything that should not have happened.
    pub(crate) const fn lost(&self) -> u64 {
        self.faults + self.silent + self.vanished
    }
}

/// Makes rounds.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    arguments: &'a Arguments,
    folder: TempDir,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(arguments: &'a Arguments) -> Result<Self> {
        Ok(Self { arguments, folder: TempDir::new().context("make a folder")? })
    }

    /// One round, again if too much of the machine was taken away meanwhile.
    pub(crate) fn round(
        &self,
        scenario: &Scenario,
        contender: &Contender,
        kind: Kind,
    ) -> Result<Figures> {
        let mut figures = self.attempt(scenario, contender, kind)?;
        for _ in 1..ATTEMPTS_MAX {
            if figures.steal <= STEAL_MAX || kind == Kind::Counting {
                break;
            }
            figures = self.attempt(scenario, contender, kind)?;
        }
        figures.marked = figures.steal > STEAL_MAX;
        Ok(figures)
    }

    fn attempt(&self, scenario: &Scenario, contender: &Contender, kind: Kind) -> Result<Figures> {
        let pushes = matches!(scenario.load, Load::Push { .. });
        let mut sink =
            if pushes { Some(LoadRun::sink(self.arguments, scenario, SINK)?) } else { None };
        let server = contender.start(scenario, SERVER, SINK, self.folder.path())?;
        let base = Reading::take(server.id(), SERVER_CORE)?;
        let mut load = LoadRun::start(self.arguments, scenario, SERVER, contender.publishes())?;
        let measured = sink.as_mut().unwrap_or(&mut load);
        measured.wait_for(Event::WindowBegin)?;
        let counter = match kind {
            Kind::Counting => Some(SystemCalls::count(server.id(), self.arguments.window)?),
            Kind::Measured => None,
        };
        let begin = Reading::take(server.id(), SERVER_CORE)?;
        measured.wait_for(Event::WindowEnd)?;
        let end = Reading::take(server.id(), SERVER_CORE)?;
        let report = measured.wait_for(Event::Report)?;
        let calls = counter.map(SystemCalls::per_second).transpose()?;
        Ok(figures(&report, &base, &begin, &end, calls, scenario))
    }
}

fn figures(
    report: &Value,
    base: &Reading,
    begin: &Reading,
    end: &Reading,
    calls: Option<f64>,
    scenario: &Scenario,
) -> Figures {
    let used = end.since(begin);
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let millis = |pointer: &str| number(pointer).map(|micros| micros / 1e3);
    let gigabits = number("/report/delivered/gigabits").unwrap_or(0.0);
    let reads = number("/report/delivered/reads").filter(|reads| *reads > 0.0);
    let join = match scenario.load {
        Load::Storm { .. } => "churn_join",
        _ => "join",
    };
    let join = |quantile: &str| millis(&format!("/report/{join}/{quantile}"));
    Figures {
        cpu_seconds: used.cpu_seconds,
        cpu_share: used.cpu_seconds / used.seconds,
        gigabits,
        cpu_per_gigabit: (gigabits > 0.01).then(|| used.cpu_seconds / gigabits),
        latency_p50_ms: millis("/report/latency/p50_us"),
        latency_p99_ms: millis("/report/latency/p99_us"),
        latency_p999_ms: millis("/report/latency/p999_us"),
        latency_max_ms: millis("/report/latency/max_us"),
        join_p50_ms: join("p50_us"),
        join_p99_ms: join("p99_us"),
        connect_p50_ms: millis("/report/connect/p50_us"),
        resident_grown_kib: end.resident_kib as f64 - base.resident_kib as f64,
        switches_per_second: used.switches_per_second,
        system_calls_per_second: calls,
        reads_per_player_second: reads
            .map(|reads| reads / used.seconds / f64::from(scenario.players().max(1))),
        faults: count("/report/verdict/faults"),
        silent: count("/report/verdict/silent"),
        vanished: count("/report/verdict/vanished"),
        real_time: number("/report/publishers/real_time"),
        loader_share: number("/report/loader/processor_share").unwrap_or(0.0),
        steal: used.steal,
        foreign: used.foreign,
        marked: false,
    }
}

/// Counts the system calls of a process and its children with perf.
struct SystemCalls {
    perf: Child,
    seconds: u64,
}

impl SystemCalls {
    fn count(process: u32, seconds: u64) -> Result<Self> {
        // Not beyond the window: perf itself takes a moment to start.
        let seconds = seconds.saturating_sub(1).max(1);
        let processes: Vec<String> = family(process).iter().map(u32::to_string).collect();
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &processes.join(",")])
            .args(["sleep", &seconds.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("run perf")?;
        Ok(Self { perf, seconds })
    }

    fn per_second(self) -> Result<f64> {
        let output = self.perf.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let count = said.lines().find(|line| line.contains("sys_enter"));
        let count = count.and_then(|line| match line.split(',').next()? {
            // It made none.
            "<not counted>" => Some(0.0),
            count => count.parse::<f64>().ok(),
        });
        Ok(count.with_context(|| format!("perf says {said:?}"))? / self.seconds as f64)
    }
}
