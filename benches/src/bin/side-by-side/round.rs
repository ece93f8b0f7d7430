//! One round: a server is started, loaded, read before and after the window, and ended.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

use super::accounting::Watcher;
use super::arguments::Arguments;
use super::capacity::{Carried, Climb, Limit, Search, judge};
use super::contender::Contender;
use super::load::{Event, LoadRun};
use super::process::{LOAD_CORE, SERVER_CORE};
use super::scenario::{Load, Question, Scenario, Yardstick};
use super::usage::{CoreReading, Reading, family};

/// A window with more of the core stolen is measured again.
const STEAL_MAX: f64 = 0.03;
/// So often at most; then it counts, and is marked.
const ATTEMPTS_MAX: usize = 3;

/// No attempt begins later than this after the first of a search.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(75);

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1935);
const SINK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1936);

/// What one round came to. Times in seconds, latencies in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    pub(crate) connect_p99_ms: Option<f64>,
    /// Beyond what the server held before anybody came.
    pub(crate) resident_grown_kib: f64,
    pub(crate) switches_per_second: f64,
    /// Of the warm-up, since counting costs time.
    pub(crate) system_calls_per_second: Option<f64>,
    pub(crate) reads_per_player_second: Option<f64>,
    /// Everybody came.
    pub(crate) ready: bool,
    /// Delivered, over what publishers' streams are; of those who only play.
    pub(crate) due_share: Option<f64>,
    pub(crate) faults: u64,
    pub(crate) silent: u64,
    pub(crate) vanished: u64,
    pub(crate) real_time: Option<f64>,
    /// How much later than due publishers sent.
    pub(crate) lateness_p99_ms: Option<f64>,
    /// What the load generator used of its core.
    pub(crate) loader_share: f64,
    /// How busy that core was, of what the host gave.
    pub(crate) loader_core: f64,
    pub(crate) steal: f64,
    pub(crate) foreign: f64,
    /// Too much was stolen in all attempts.
    pub(crate) marked: bool,
    /// What a search for the capacity came to; the other figures are of the most that was carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) carried: Option<Carried>,
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

    /// Share of what the host gave of the core.
    pub(crate) fn given_share(&self) -> f64 {
        self.cpu_share / (1.0 - self.steal).max(0.01)
    }

    /// What contenders are compared by.
    pub(crate) fn by(&self, yardstick: Yardstick) -> Option<f64> {
        match yardstick {
            Yardstick::Cost => self.cpu_per_gigabit,
            Yardstick::Carried => self.carried.as_ref().map(|carried| f64::from(carried.amount)),
            Yardstick::ProcessorTime => Some(self.cpu_share),
            Yardstick::Memory => Some(self.resident_grown_kib),
        }
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

    /// One round. `guess` is what the contender carried in another.
    pub(crate) fn round(
        &self,
        scenario: &Scenario,
        contender: &Contender,
        guess: Option<u32>,
    ) -> Result<Figures> {
        match scenario.question {
            Question::Capacity(climb) => self.climb(scenario, contender, climb, guess),
            Question::Cost | Question::Shards | Question::Accounting => {
                self.attempts(scenario, contender)
            }
        }
    }

    /// Looks for the most that the contender carries.
    fn climb(
        &self,
        scenario: &Scenario,
        contender: &Contender,
        climb: Climb,
        guess: Option<u32>,
    ) -> Result<Figures> {
        let mut search = Search::new(climb, guess);
        let mut attempts = Vec::new();
        let mut best = None;
        let mut limited_by = Limit::None;
        let begun = Instant::now();
        while let Some(amount) = search.poll().filter(|_| begun.elapsed() < SEARCH_TIME_MAX) {
            let outcome = self.attempt(&scenario.of(amount), contender);
            let (share, loader, limit) = match &outcome {
                Ok(figures) => (figures.given_share(), figures.loader_core, judge(figures)),
                Err(error) => {
                    eprintln!("{amount}: {error:#}");
                    (1.0, 0.0, Some(Limit::Broken))
                }
            };
            attempts.push((amount, share, loader, limit.unwrap_or(Limit::None)));
            search.on_attempt(amount, share, limit.is_none());
            if let Ok(figures) = outcome {
                eprintln!("  {amount}: {limit:?}, {}", figures.line());
                // The amount is above all that was carried before, if it was.
                best = if limit.is_none() { Some(figures) } else { best };
            }
            if search.not() == Some(amount) {
                limited_by = limit.unwrap_or(limited_by);
            }
        }
        let (Some(amount), Some(figures)) = (search.carried(), best) else {
            bail!("nothing was carried: {attempts:?}");
        };
        let marked = figures.steal > STEAL_MAX;
        let carried = Carried { amount, not: search.not(), limited_by, attempts };
        Ok(Figures { carried: Some(carried), marked, ..figures })
    }

    /// Again if too much of the machine was taken away meanwhile; the least disturbed attempt counts.
    fn attempts(&self, scenario: &Scenario, contender: &Contender) -> Result<Figures> {
        let mut figures = self.attempt(scenario, contender)?;
        for _ in 1..ATTEMPTS_MAX {
            if figures.steal <= STEAL_MAX {
                break;
            }
            eprintln!("  again: {}", figures.line());
            let another = self.attempt(scenario, contender)?;
            figures = if another.steal < figures.steal { another } else { figures };
        }
        figures.marked = figures.steal > STEAL_MAX;
        Ok(figures)
    }

    fn attempt(&self, scenario: &Scenario, contender: &Contender) -> Result<Figures> {
        let pushes = matches!(scenario.load, Load::Push { .. });
        let mut sink =
            if pushes { Some(LoadRun::sink(self.arguments, scenario, SINK)?) } else { None };
        let _counting = contender.start_counting(self.folder.path())?;
        let server = contender.start(scenario, SERVER, SINK, self.folder.path())?;
        let _watcher = contender.shows_figures().then(Watcher::start);
        let base = Reading::take(server.id(), SERVER_CORE)?;
        let mut load = LoadRun::start(self.arguments, scenario, SERVER, contender.publishes())?;
        let measured = sink.as_mut().unwrap_or(&mut load);
        measured.wait_for(Event::Ready)?;
        let counter = SystemCalls::count(server.id())?;
        measured.wait_for(Event::WindowBegin)?;
        let begin = Reading::take(server.id(), SERVER_CORE)?;
        let loader = CoreReading::take(LOAD_CORE)?;
        measured.wait_for(Event::WindowEnd)?;
        let end = Reading::take(server.id(), SERVER_CORE)?;
        let loader_core = CoreReading::take(LOAD_CORE)?.busy_since(&loader);
        let report = measured.wait_for(Event::Report)?;
        let system_calls_per_second = Some(counter.per_second()?);
        let figures = figures(&report, &base, &begin, &end, scenario);
        Ok(Figures { system_calls_per_second, loader_core, ..figures })
    }
}

fn figures(
    report: &Value,
    base: &Reading,
    begin: &Reading,
    end: &Reading,
    scenario: &Scenario,
) -> Figures {
    let used = end.since(begin);
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let millis = |pointer: &str| number(pointer).map(|micros| micros / 1e3);
    let gigabits = number("/report/delivered/gigabits").unwrap_or(0.0);
    let reads = number("/report/delivered/reads").filter(|reads| *reads > 0.0);
    let stream_bits = number("/report/settings/stream_bits_per_second");
    let due_bits = stream_bits
        .zip(number("/report/window/seconds"))
        .map(|(bits, seconds)| bits * seconds * f64::from(scenario.players()))
        .filter(|bits| *bits > 0.0);
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
        connect_p99_ms: millis("/report/connect/p99_us"),
        resident_grown_kib: end.resident_kib as f64 - base.resident_kib as f64,
        switches_per_second: used.switches_per_second,
        system_calls_per_second: None,
        reads_per_player_second: reads
            .map(|reads| reads / used.seconds / f64::from(scenario.players().max(1))),
        ready: report.pointer("/report/window/ready").and_then(Value::as_bool) == Some(true),
        due_share: due_bits.map(|due| gigabits * 1e9 / due),
        faults: count("/report/verdict/faults"),
        silent: count("/report/verdict/silent"),
        vanished: count("/report/verdict/vanished"),
        real_time: number("/report/publishers/real_time"),
        lateness_p99_ms: millis("/report/publishers/lateness/p99_us"),
        loader_share: number("/report/loader/processor_share").unwrap_or(0.0),
        loader_core: 0.0,
        steal: used.steal,
        foreign: used.foreign,
        marked: false,
        carried: None,
    }
}

/// Counts the system calls of a process and its children with perf.
struct SystemCalls {
    perf: Child,
}

impl SystemCalls {
    /// For a second, which the shortest warm-up outlasts.
    fn count(process: u32) -> Result<Self> {
        let processes: Vec<String> = family(process).iter().map(u32::to_string).collect();
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &processes.join(",")])
            .args(["sleep", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("run perf")?;
        Ok(Self { perf })
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
        count.with_context(|| format!("perf says {said:?}"))
    }
}
