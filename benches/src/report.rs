//! What a run came to, as JSON and as text. Must not measure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::engine::Outcome;
use crate::engine::settings::{Course, Media, Settings};
use crate::engine::sink::SinkSettings;
use crate::measure::{Group, TimesSummary};
use crate::pattern::Pattern;
use crate::population::Population;
use crate::tally::Tally;

/// The shape of the report; it grows when a field changes its meaning.
const SCHEMA: u32 = 1;

const BITS_PER_GIGABIT: f64 = 1e9;

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The shape's version.
    pub schema: u32,
    /// What was asked for.
    pub settings: Asked,
    /// When was measured.
    pub window: Window,
    /// What all players together received in the window.
    pub delivered: Delivered,
    /// Players by group; groups that nobody was in are left out.
    pub players: BTreeMap<&'static str, Players>,
    /// Publishers; none when they were not ours.
    pub publishers: Option<Publishers>,
    /// From a publisher's send to a player's receive, in the window.
    pub latency: Option<TimesSummary>,
    /// From connecting to the first keyframe, of players that stay; of the whole run.
    pub join: Option<TimesSummary>,
    /// The same of churning players that joined in the window.
    pub churn_join: Option<TimesSummary>,
    /// From connecting to the answer to `connect`; of the whole run.
    pub connect: Option<TimesSummary>,
    /// What the load cost this process in the window.
    pub loader: Loader,
    /// Why connections failed or ended, and how often.
    pub reasons: BTreeMap<String, u64>,
    /// Whether players that are owed everything got everything.
    pub verdict: Verdict,
}

/// See [`Report::settings`].
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Asked {
    pub target: String,
    pub streams: usize,
    pub publishing: bool,
    /// Payload bits per second of one synthetic stream.
    pub stream_bits_per_second: Option<f64>,
    /// Messages per second of one synthetic stream.
    pub stream_messages_per_second: Option<f64>,
    pub steady: usize,
    /// One of so many of these was checked; messages of the others are not counted.
    pub check_every: u64,
    pub slow: usize,
    pub stalled: usize,
    pub idle: usize,
    pub churn_per_second: f64,
    pub churn_stay_seconds: f64,
    pub warmup_seconds: f64,
    pub duration_seconds: f64,
}

/// See [`Report::window`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Window {
    /// Microseconds on the machine's monotonic clock.
    pub begin_us: u64,
    /// The same.
    pub end_us: u64,
    /// Its length.
    pub seconds: f64,
    /// Everybody was there before it began.
    pub ready: bool,
    /// It was not cut short.
    pub complete: bool,
}

/// See [`Report::delivered`].
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Delivered {
    pub bytes: u64,
    pub payload_bytes: u64,
    pub gigabits: f64,
    pub bits_per_second: f64,
    pub messages: u64,
    pub messages_per_second: f64,
    /// Reads that brought something: how often the server sent, or less if we were behind.
    pub reads: u64,
}

/// See [`Report::players`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Players {
    /// Present when the window began.
    pub present_begin: u64,
    /// And when it ended.
    pub present_end: u64,
    /// Of the whole run.
    #[serde(flatten)]
    pub population: Population,
    /// What they got in the window.
    pub got: Tally,
}

/// See [`Report::publishers`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Publishers {
    /// Present when the window began.
    pub present_begin: u64,
    /// And when it ended.
    pub present_end: u64,
    /// Of the whole run.
    #[serde(flatten)]
    pub population: Population,
    /// Messages sent in the window.
    pub messages: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// That per second.
    pub bits_per_second: f64,
    /// Messages sent, over messages that were due: 1 is real time. None for files.
    pub real_time: Option<f64>,
    /// How late messages were sent, in the window.
    pub lateness: Option<TimesSummary>,
    /// The most bytes that waited for one connection.
    pub outbox_bytes_max: usize,
}

/// See [`Report::loader`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Loader {
    /// Processor time, user and system.
    pub processor_seconds: f64,
    /// As a share of one core.
    pub processor_share: f64,
    /// Processor time for each gigabit that players received.
    pub processor_seconds_per_gigabit: Option<f64>,
}

/// See [`Report::verdict`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Verdict {
    /// Faults of steady and churning players in the window.
    pub faults: u64,
    /// Steady players that got nothing during the window's last second.
    pub silent: u64,
    /// Steady players that were there when the window began and not when it ended.
    pub vanished: u64,
    /// None of these, and everybody was there.
    pub passed: bool,
}

impl Report {
    /// Puts it together.
    #[must_use]
    pub fn new(settings: Asked, outcome: &Outcome) -> Self {
        let (begin, end) = (&outcome.course.begin, &outcome.course.end);
        let seconds = end.at.saturating_since(begin.at).as_secs_f64();
        let got = end.delivered().since(&begin.delivered());
        let processor = end.processor_time.saturating_sub(begin.processor_time).as_secs_f64();
        let gigabits = got.bytes as f64 * 8.0 / BITS_PER_GIGABIT;
        let owed = end.owed().since(&begin.owed());
        let steady = Group::Steady as usize;
        let verdict = Verdict {
            faults: owed.faults(),
            silent: outcome.silent,
            vanished: begin.players[steady].saturating_sub(end.players[steady]),
            passed: false,
        };
        let unharmed = verdict.faults + verdict.silent + verdict.vanished == 0;
        let passed = unharmed && outcome.course.ready;
        Self {
            schema: SCHEMA,
            window: Window {
                begin_us: begin.at.as_micros(),
                end_us: end.at.as_micros(),
                seconds,
                ready: outcome.course.ready,
                complete: outcome.course.complete,
            },
            delivered: Delivered {
                bytes: got.bytes,
                payload_bytes: got.payload_bytes,
                gigabits,
                bits_per_second: rate(got.bytes as f64 * 8.0, seconds),
                messages: got.messages,
                messages_per_second: rate(got.messages as f64, seconds),
                reads: got.reads,
            },
            players: players(outcome),
            publishers: settings.publishing.then(|| Publishers::new(&settings, outcome, seconds)),
            latency: outcome.measures.latency.summary(),
            join: outcome.measures.join.summary(),
            churn_join: outcome.measures.churn_join.summary(),
            connect: outcome.measures.connect.summary(),
            loader: Loader {
                processor_seconds: processor,
                processor_share: rate(processor, seconds),
                processor_seconds_per_gigabit: (gigabits > 0.0).then(|| processor / gigabits),
            },
            reasons: outcome.populations.reasons.clone(),
            verdict: Verdict { passed, ..verdict },
            settings,
        }
    }
}

impl Asked {
    /// Of a run of publishers and players.
    #[must_use]
    pub fn of_run(settings: &Settings) -> Self {
        let crowd = settings.crowd;
        let pattern = match settings.publishing.as_ref().map(|publishing| &publishing.media) {
            Some(Media::Synthetic(templates)) => Some(templates.pattern()),
            Some(Media::File(_)) | None => None,
        };
        Self {
            publishing: settings.publishing.is_some(),
            stream_bits_per_second: pattern.map(Pattern::bits_per_second),
            stream_messages_per_second: pattern.map(Pattern::messages_per_second),
            steady: crowd.steady,
            check_every: settings.check_every,
            slow: crowd.slow,
            stalled: crowd.stalled,
            idle: crowd.idle,
            churn_per_second: settings.churn.joins_per_second,
            churn_stay_seconds: settings.churn.stay.as_secs_f64(),
            ..Self::of(settings.target.shown(), settings.streams, &settings.course)
        }
    }

    /// Of a sink. Publications count as steady players.
    #[must_use]
    pub fn of_sink(settings: &SinkSettings) -> Self {
        Self {
            steady: settings.streams,
            ..Self::of(settings.listen.to_string(), settings.streams, &settings.course)
        }
    }

    fn of(target: String, streams: usize, course: &Course) -> Self {
        Self {
            target,
            streams,
            publishing: false,
            stream_bits_per_second: None,
            stream_messages_per_second: None,
            steady: 0,
            check_every: 1,
            slow: 0,
            stalled: 0,
            idle: 0,
            churn_per_second: 0.0,
            churn_stay_seconds: 0.0,
            warmup_seconds: course.warmup.as_secs_f64(),
            duration_seconds: course.duration.as_secs_f64(),
        }
    }
}

impl Publishers {
    fn new(settings: &Asked, outcome: &Outcome, seconds: f64) -> Self {
        let (begin, end) = (&outcome.course.begin, &outcome.course.end);
        let messages = end.sent.messages - begin.sent.messages;
        let bytes = end.sent.bytes - begin.sent.bytes;
        let due = settings
            .stream_messages_per_second
            .map(|per_second| per_second * settings.streams as f64 * seconds);
        Self {
            present_begin: begin.publishers,
            present_end: end.publishers,
            population: outcome.populations.publishers,
            messages,
            bytes,
            bits_per_second: rate(bytes as f64 * 8.0, seconds),
            real_time: due.filter(|due| *due > 0.0).map(|due| messages as f64 / due),
            lateness: outcome.measures.lateness.summary(),
            outbox_bytes_max: outcome.outbox_bytes_max,
        }
    }
}

fn players(outcome: &Outcome) -> BTreeMap<&'static str, Players> {
    let (begin, end) = (&outcome.course.begin, &outcome.course.end);
    Group::ALL
        .into_iter()
        .filter(|group| outcome.populations.players(*group).attempts > 0)
        .map(|group| {
            let place = group as usize;
            let players = Players {
                present_begin: begin.players[place],
                present_end: end.players[place],
                population: *outcome.populations.players(group),
                got: end.tallies[place].since(&begin.tallies[place]),
            };
            (group.label(), players)
        })
        .collect()
}

fn rate(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

/// For people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, delivered, loader, verdict, .. } = self;
        writeln!(
            out,
            "{:.1} s measured{}{}",
            window.seconds,
            if window.ready { "" } else { ", not everybody was there" },
            if window.complete { "" } else { ", cut short" },
        )?;
        if let Some(publishers) = &self.publishers {
            write!(
                out,
                "publishers  {} present, {:.3} Mbit/s",
                publishers.present_end,
                publishers.bits_per_second / 1e6
            )?;
            if let Some(real_time) = publishers.real_time {
                write!(out, ", {:.2} % of real time", real_time * 100.0)?;
            }
            writeln!(out)?;
            write_times(out, "  late", publishers.lateness.as_ref())?;
        }
        for (group, players) in &self.players {
            writeln!(
                out,
                "{group:<11} {} present, {} attempts, {} failed, {} ended by the far side, {} left",
                players.present_end,
                players.population.attempts,
                players.population.failed,
                players.population.ended,
                players.population.left,
            )?;
            write_faults(out, &players.got)?;
        }
        writeln!(
            out,
            "delivered   {:.3} Gbit, {:.1} Mbit/s, {:.0} messages/s, {} reads",
            delivered.gigabits,
            delivered.bits_per_second / 1e6,
            delivered.messages_per_second,
            delivered.reads,
        )?;
        write_times(out, "latency", self.latency.as_ref())?;
        write_times(out, "connect", self.connect.as_ref())?;
        write_times(out, "join", self.join.as_ref())?;
        write_times(out, "churn join", self.churn_join.as_ref())?;
        write!(out, "loader      {:.1} % of a core", loader.processor_share * 100.0)?;
        match loader.processor_seconds_per_gigabit {
            Some(cost) => writeln!(out, ", {cost:.4} s per Gbit")?,
            None => writeln!(out)?,
        }
        for (reason, count) in &self.reasons {
            writeln!(out, "  {count} × {reason}")?;
        }
        write!(
            out,
            "{}: {} faults, {} silent, {} vanished",
            if verdict.passed { "passed" } else { "FAILED" },
            verdict.faults,
            verdict.silent,
            verdict.vanished,
        )
    }
}

fn write_faults(out: &mut fmt::Formatter<'_>, got: &Tally) -> fmt::Result {
    let faults = [
        ("lost", got.lost),
        ("duplicates", got.duplicates),
        ("reordered", got.reordered),
        ("corrupt", got.corrupt),
        ("foreign", got.foreign),
        ("unmarked", got.unmarked),
        ("timestamps backwards", got.timestamps_backwards),
        ("starts without keyframe", got.starts_without_keyframe),
        ("starts without configuration", got.starts_without_configuration),
    ];
    for (name, count) in faults.into_iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "  {count} {name}")?;
    }
    Ok(())
}

fn write_times(
    out: &mut fmt::Formatter<'_>,
    name: &str,
    times: Option<&TimesSummary>,
) -> fmt::Result {
    let Some(times) = times else { return Ok(()) };
    let millis = |micros: u64| micros as f64 / 1e3;
    writeln!(
        out,
        "{name:<11} p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
        millis(times.p50_us),
        millis(times.p99_us),
        millis(times.p999_us),
        millis(times.max_us),
    )
}
