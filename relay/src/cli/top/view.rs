//! The lines of the screen: what stands at its head and in its sections. Pure text.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::answers::{Client, Health, Stream};
use super::super::asking::missing_note;
use super::super::human;
use super::super::listing::{
    Figures, NO_CLIENTS, NO_STREAMS, OWN_COUNTS, stream_cells, stream_of, stream_table, workers,
};
use super::super::table::{Align, Column, Table};
use super::feed::Sample;
use super::model::{Model, SECTIONS, Sort};
use super::rates::Rate;

use Align::{Left, Right};

/// A part of the screen with rows.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) title: String,
    /// The titles of the columns; empty where a sentence stands in the place of rows.
    pub(super) titles: String,
    pub(super) rows: Vec<String>,
}

impl Section {
    fn new(title: String, lines: Vec<String>, count: usize) -> Self {
        let mut lines = lines.into_iter();
        let titles = if count > 0 { lines.next().unwrap_or_default() } else { String::new() };
        Self { title, titles, rows: lines.collect() }
    }
}

/// What stands above the sections.
pub(super) fn head(model: &Model) -> Vec<String> {
    let mut lines = match &model.sample {
        Some(sample) => vec![node(&sample.health), traffic(model), counts(sample)],
        None => vec!["edgerelay".to_owned()],
    };
    let missing = model.sample.as_ref().and_then(|it| missing_note(&it.health.shards_missing));
    let fault = model.fault.as_ref().map(|fault| format!("NOT UP TO DATE: {fault}"));
    lines.extend(missing.into_iter().chain(fault));
    lines.iter().map(|line| human::printable(line, usize::MAX)).collect()
}

fn node(health: &Health) -> String {
    let Health { node, role, version, status, .. } = health;
    let up = human::age(health.uptime_seconds as f64);
    format!("edgerelay {version}   {node} ({role})   up {up}   {status}")
}

fn traffic(model: &Model) -> String {
    let Rate { bits_in, bits_out } = model.rates.sum();
    let sources = model.rates.sources().into_iter().map(|source| match source {
        OWN_COUNTS => "the relay".to_owned(),
        kernel => format!("the kernel ({kernel})"),
    });
    let sources: Vec<_> = sources.collect();
    let counted = match sources.is_empty() {
        true => String::new(),
        false => format!("   counted by {}", sources.join(" and ")),
    };
    format!("in {}   out {}{counted}", human::bit_rate(bits_in), human::bit_rate(bits_out))
}

fn counts(sample: &Sample) -> String {
    let mut roles: BTreeMap<&str, usize> = BTreeMap::new();
    for client in &sample.clients.clients {
        *roles.entry(client.role.as_str()).or_default() += 1;
    }
    let roles: Vec<_> = roles.iter().map(|(role, count)| format!("{count} {role}")).collect();
    let roles = if roles.is_empty() { String::new() } else { format!(" ({})", roles.join(", ")) };
    let live = sample.streams.streams.iter().filter(|stream| stream.publishing).count();
    let Health { shards, shards_up, .. } = sample.health;
    let connections = sample.clients.clients.len();
    let ready = sample.workers.workers.iter().filter(|worker| worker.state == "ready").count();
    let scaler = &sample.scaler;
    let wanted = match (scaler.min, scaler.max, scaler.desired) {
        (Some(min), Some(max), Some(desired)) => {
            let dry_run = if scaler.dry_run { ", dry run" } else { "" };
            format!(" ({desired} wanted, {min} to {max}{dry_run})")
        }
        _ => String::new(),
    };
    format!(
        "streams {live}   connections {connections}{roles}   shards {shards_up}/{shards}   \
         workers {ready}{wanted}"
    )
}

/// The sections, from the top.
pub(super) fn sections(model: &Model) -> [Section; SECTIONS] {
    let empty = Sample::default();
    let sample = model.sample.as_ref().unwrap_or(&empty);
    [streams(model, sample), clients(model, sample), carriers(sample)]
}

fn streams(model: &Model, sample: &Sample) -> Section {
    let streams = &sample.streams.streams;
    let mut rated: Vec<(&Stream, Rate)> =
        streams.iter().map(|it| (it, model.stream_rate(&it.app, &it.name))).collect();
    rated.sort_by(|(left, left_rate), (right, right_rate)| {
        let by_name = || (&left.app, &left.name).cmp(&(&right.app, &right.name));
        let ages = (left.age_seconds, right.age_seconds);
        order(model.sort, (*left_rate, *right_rate), ages).then_with(by_name)
    });
    let mut table = stream_table();
    for (stream, rate) in &rated {
        table.add(stream_cells(stream, (rate.bits_in, rate.bits_out)));
    }
    let lines = if rated.is_empty() { vec![NO_STREAMS.to_owned()] } else { table.lines() };
    Section::new(format!("STREAMS {}", rated.len()), lines, rated.len())
}

const CLIENT_COLUMNS: &[Column] = &[
    ("ID", Right),
    ("ROLE", Left),
    ("STREAM", Left),
    ("ADDRESS", Left),
    ("AGE", Right),
    ("IN", Right),
    ("OUT", Right),
    ("RTT", Right),
    ("RETRANS", Right),
    ("SKIPS", Right),
    ("SOFTWARE", Left),
];

fn clients(model: &Model, sample: &Sample) -> Section {
    let mut rated: Vec<(&Client, Rate)> =
        sample.clients.clients.iter().map(|it| (it, model.rates.of(it.id))).collect();
    rated.sort_by(|(left, left_rate), (right, right_rate)| {
        let name = |it: &Client| (it.app.clone(), it.name.clone(), it.id);
        let ages = (left.age_seconds, right.age_seconds);
        let by_name = || name(left).cmp(&name(right));
        order(model.sort, (*left_rate, *right_rate), ages).then_with(by_name)
    });
    let mut table = Table::new(CLIENT_COLUMNS);
    for (client, rate) in &rated {
        let figures = Figures::of(client);
        table.add([
            client.id.to_string(),
            client.role.clone(),
            stream_of(client),
            client.address.clone(),
            human::age(client.age_seconds),
            human::bit_rate(rate.bits_in),
            human::bit_rate(rate.bits_out),
            human::round_trip(figures.rtt_seconds),
            figures.retransmits,
            client.skips.to_string(),
            client.flash_ver.clone(),
        ]);
    }
    let lines = if rated.is_empty() { vec![NO_CLIENTS.to_owned()] } else { table.lines() };
    Section::new(format!("CLIENTS {}", rated.len()), lines, rated.len())
}

fn carriers(sample: &Sample) -> Section {
    let count = sample.workers.workers.len();
    let lines = workers(&sample.workers, &sample.scaler).lines();
    Section::new(format!("WORKERS {count}"), lines, count)
}

/// The greater rate and the older one first. By name, nothing is decided here.
fn order(sort: Sort, rates: (Rate, Rate), ages: (f64, f64)) -> Ordering {
    match sort {
        Sort::Out => rates.1.bits_out.total_cmp(&rates.0.bits_out),
        Sort::In => rates.1.bits_in.total_cmp(&rates.0.bits_in),
        Sort::Age => ages.1.total_cmp(&ages.0),
        Sort::Name => Ordering::Equal,
    }
}

/// What keys do.
pub(super) fn foot(model: &Model) -> String {
    format!("q quit   s sort: {}   Tab section   Up Down PgUp PgDn scroll", model.sort.label())
}

/// One screen as text, with all rows.
pub(super) fn text(model: &Model) -> Vec<String> {
    let mut lines = head(model);
    for section in sections(model) {
        lines.extend([String::new(), section.title]);
        lines.extend((!section.titles.is_empty()).then_some(section.titles));
        lines.extend(section.rows);
    }
    lines
}
