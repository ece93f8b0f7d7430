//! The Prometheus text: shards are summed at a scrape and handed to the exporter's recorder.
//!
//! A recorder lives for one scrape, so that nothing is counted twice and a label that is gone from
//! the node is gone from the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::account::KernelTotals;
use super::catalog::{METRICS, Metric, MetricKind, Source};
use super::close::CloseReason;
use super::counters::ShardCounters;
use super::process::ProcessUsage;
use super::reloads::{ReloadCounts, ReloadOutcome};
use super::role::ClientRole;
use super::work::{PHASE_BUCKETS, PhaseTimes, WorkCounts};

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is known of the node beyond the shards' counters.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Shards configured.
    pub shards: usize,
    /// Shards started.
    pub shards_up: usize,
    /// Shards that did not describe their clients in time.
    pub shards_silent: usize,
    /// Whether the node drains.
    pub draining: bool,
    /// Whether kernel accounting is in place.
    pub ebpf_attached: bool,
    /// Publishers and players by application, without our own connections.
    pub clients_by_application: BTreeMap<String, u64>,
    /// What the kernel counts.
    pub kernel: Arc<KernelTotals>,
    /// The work on streams.
    pub work: WorkCounts,
    /// Workers at most; zero without any.
    pub workers_max: usize,
    /// Reloads of the configuration.
    pub reloads: ReloadCounts,
    /// This process.
    pub process: ProcessUsage,
}

/// The text of one scrape, metrics in order of their names.
#[must_use]
pub fn render(shards: &[Arc<ShardCounters>], facts: &NodeFacts) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for metric in METRICS {
            metric.describe();
            metric.record(shards, facts);
        }
    });
    let mut text = recorder.handle().render();
    for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
        text.push_str("\n\n");
        text.push_str(&phases(metric, &facts.work));
    }
    sorted(&text)
}

/// A histogram of phases. Its lines are sorted with the others; buckets of one phase need no order.
fn phases(metric: &Metric, work: &WorkCounts) -> String {
    let Metric { name, help, .. } = metric;
    let mut text = format!("# HELP {name} {help}\n# TYPE {name} histogram\n");
    for (phase, times) in &work.phases {
        let label = format!("phase=\"{phase}\"");
        for (bound, count) in PHASE_BUCKETS.iter().zip(times.buckets) {
            text.push_str(&format!("{name}_bucket{{{label},le=\"{bound}\"}} {count}\n"));
        }
        let PhaseTimes { count, sum, .. } = times;
        text.push_str(&format!("{name}_bucket{{{label},le=\"+Inf\"}} {count}\n"));
        text.push_str(&format!("{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {count}\n"));
    }
    text
}

impl Metric {
    fn describe(&self) {
        match self.kind {
            MetricKind::Counter => describe_counter!(self.name, self.help),
            MetricKind::Gauge => describe_gauge!(self.name, self.help),
            // Written whole, from counts that were made elsewhere.
            MetricKind::Histogram => {}
        }
    }

    fn record(&self, shards: &[Arc<ShardCounters>], facts: &NodeFacts) {
        match self.source {
            Source::Sum(read) => {
                let sum = shards.iter().fold(0u64, |sum, shard| sum.wrapping_add(read(shard)));
                match self.kind {
                    MetricKind::Counter => counter!(self.name).absolute(sum),
                    MetricKind::Gauge | MetricKind::Histogram => {
                        gauge!(self.name).set(float(sum));
                    }
                }
            }
            Source::EachShard(read) => {
                for (number, shard) in shards.iter().enumerate() {
                    gauge!(self.name, "shard" => number.to_string()).set(read(shard));
                }
            }
            Source::ClosedByReason => {
                for (reason, count) in closed_by_reason(shards) {
                    counter!(self.name, "reason" => reason).absolute(count);
                }
            }
            Source::OpenByRole => {
                for role in ClientRole::ALL {
                    let open: u64 = shards.iter().map(|shard| shard.connections_open(role)).sum();
                    gauge!(self.name, "role" => role.label()).set(float(open));
                }
            }
            Source::ClientsByApplication => {
                for (application, clients) in &facts.clients_by_application {
                    gauge!(self.name, "application" => application.clone()).set(float(*clients));
                }
            }
            Source::StreamTransitions => {
                for ((from, to), count) in &facts.work.transitions {
                    counter!(self.name, "from" => *from, "to" => *to).absolute(*count);
                }
            }
            Source::ScalerDecisions => {
                for (outcome, count) in &facts.work.decisions {
                    counter!(self.name, "outcome" => *outcome).absolute(*count);
                }
            }
            Source::Reloads => {
                for outcome in ReloadOutcome::ALL {
                    let count = facts.reloads.with(outcome);
                    counter!(self.name, "outcome" => outcome.label()).absolute(count);
                }
            }
            Source::WorkersByState => {
                for (state, count) in &facts.work.workers {
                    gauge!(self.name, "state" => *state).set(float(*count));
                }
            }
            Source::StreamPhases => {}
            Source::Node(read) => {
                if let Some(value) = read(facts) {
                    // A counter is a whole number in the exporter, and processor time is not, so
                    // the value goes through a gauge; `sorted` restores the declared kind.
                    gauge!(self.name).set(value);
                }
            }
            Source::KernelService(read) => {
                for (service, sum) in &facts.kernel.services {
                    counter!(self.name, "service" => *service).absolute(read(sum));
                }
            }
            Source::KernelCount(read) => {
                for ((role, application), sum) in &facts.kernel.groups {
                    let labels =
                        [("role", (*role).to_owned()), ("application", application.to_string())];
                    counter!(self.name, &labels).absolute(read(sum));
                }
            }
            Source::KernelGauge(read) => {
                for ((role, application), sum) in &facts.kernel.groups {
                    let labels =
                        [("role", (*role).to_owned()), ("application", application.to_string())];
                    if let Some(value) = read(sum) {
                        gauge!(self.name, &labels).set(value);
                    }
                }
            }
            Source::Build => {
                gauge!(self.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            }
        }
    }
}

/// Every known reason is there from the start, at zero, so that a rate over its first event is seen.
fn closed_by_reason(shards: &[Arc<ShardCounters>]) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> =
        CloseReason::FIXED.into_iter().map(|reason| (reason.label(), 0)).collect();
    for shard in shards {
        for (reason, count) in shard.closed_by_reason() {
            let sum = counts.entry(reason).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point in Prometheus")]
fn float(value: u64) -> f64 {
    value as f64
}

/// The exporter's text with its blocks and lines in a fixed order, and each kind as declared.
///
/// A block is one metric: its HELP and TYPE lines, which sort before any sample because `#` does.
fn sorted(text: &str) -> String {
    let mut blocks: Vec<Vec<String>> = text
        .split("\n\n")
        .map(|block| {
            let mut lines: Vec<String> =
                block.lines().filter(|line| !line.is_empty()).map(declared_kind).collect();
            lines.sort_unstable();
            lines
        })
        .filter(|lines| !lines.is_empty())
        .collect();
    blocks.sort_unstable();
    let mut out = String::with_capacity(text.len());
    for line in blocks.iter().flatten() {
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn declared_kind(line: &str) -> String {
    let declared = line
        .strip_prefix("# TYPE ")
        .and_then(|rest| rest.split_once(' '))
        .and_then(|(name, _)| METRICS.iter().find(|metric| metric.name == name));
    match declared {
        Some(metric) => format!("# TYPE {} {}", metric.name, metric.kind.label()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::account::{GroupTotals, ServiceTotals};
    use super::super::work::WorkCounters;
    use super::*;

    fn scrape() -> String {
        let shards = [Arc::new(ShardCounters::new()), Arc::new(ShardCounters::new())];
        for (shard, skips) in shards.iter().zip([3, 4]) {
            shard.subscriber_skips.add(skips);
            shard.busy_permille.set(250);
            shard.on_opened(ClientRole::Player);
            shard.closed(CloseReason::PeerFault("chunk_size_zero"));
            shard.streams_active.set(1);
        }
        let work = WorkCounters::new(&["ready"], &[("pending", "assigned")], &["queue"], &["out"]);
        work.on_transition("pending", "assigned");
        work.on_phase("queue", Duration::from_millis(300));
        let facts = NodeFacts {
            shards: 2,
            clients_by_application: BTreeMap::from([("li\"ve\n".to_owned(), 7)]),
            kernel: Arc::new(kernel_totals()),
            process: ProcessUsage { cpu_seconds: Some(1.25), ..ProcessUsage::read() },
            work: work.counts(),
            reloads: ReloadCounts {
                refused: 2,
                errors: vec!["a.toml:1:1: wrong".to_owned()],
                restart_keys: vec!["rtmp.listen".to_owned()],
                ..ReloadCounts::default()
            },
            ..NodeFacts::default()
        };
        render(&shards, &facts)
    }

    fn kernel_totals() -> KernelTotals {
        let sums = GroupTotals {
            opened: 5,
            closed: 2,
            bytes_in: 700,
            bytes_out: 30,
            retransmits: 1,
            rtt_seconds: Some(0.02),
        };
        let groups = BTreeMap::from([(("publish", "live".into()), sums)]);
        let services = BTreeMap::from([("rtmp", ServiceTotals { opened: 9, closed: 8 })]);
        KernelTotals { groups, services, untracked: 4, missed: 0 }
    }

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|found| found == line)
    }

    #[test]
    fn shards_are_summed() {
        let text = scrape();
        for line in [
            "edgerelay_subscriber_skips_total 7",
            "edgerelay_connections{role=\"play\"} 2",
            "edgerelay_connections{role=\"publish\"} 0",
            "edgerelay_connections_closed_total{reason=\"chunk_size_zero\"} 2",
            "edgerelay_connections_closed_total{reason=\"replaced\"} 0",
            "edgerelay_shard_busy_ratio{shard=\"1\"} 0.25",
            "edgerelay_streams 2",
            "rtmp_streams_active 2",
            "edgerelay_shards 2",
            "edgerelay_ebpf_attached 0",
            "edgerelay_reloads_total{outcome=\"applied\"} 0",
            "edgerelay_reloads_total{outcome=\"refused\"} 2",
            "edgerelay_config_last_reload_successful 0",
            "edgerelay_config_restart_keys 1",
            "edgerelay_kernel_connections{role=\"publish\",application=\"live\"} 3",
            "edgerelay_kernel_received_bytes_total{role=\"publish\",application=\"live\"} 700",
            "edgerelay_kernel_rtt_seconds{role=\"publish\",application=\"live\"} 0.02",
            "edgerelay_kernel_service_opened_total{service=\"rtmp\"} 9",
            "edgerelay_kernel_untracked_total 4",
            "edgerelay_workers{state=\"ready\"} 0",
            "edgerelay_stream_transitions_total{from=\"pending\",to=\"assigned\"} 1",
            "edgerelay_stream_phase_seconds_bucket{phase=\"queue\",le=\"0.25\"} 0",
            "edgerelay_stream_phase_seconds_bucket{phase=\"queue\",le=\"0.5\"} 1",
            "edgerelay_stream_phase_seconds_bucket{phase=\"queue\",le=\"+Inf\"} 1",
            "edgerelay_stream_phase_seconds_sum{phase=\"queue\"} 0.3",
            "edgerelay_stream_phase_seconds_count{phase=\"queue\"} 1",
            "process_cpu_seconds_total 1.25",
            "# TYPE process_cpu_seconds_total counter",
            "# TYPE edgerelay_streams gauge",
        ] {
            assert!(has(&text, line), "{line} is missing from:\n{text}");
        }
    }

    #[test]
    fn a_label_value_stays_within_its_quotes() {
        let text = scrape();
        assert!(has(&text, r#"nginx_rtmp_nclients{application="li\"ve\n"} 7"#), "{text}");
    }

    #[test]
    fn every_metric_of_the_catalog_is_in_the_text_with_its_help_and_kind() {
        let text = scrape();
        for metric in METRICS {
            assert!(has(&text, &format!("# HELP {} {}", metric.name, metric.help)), "{metric:?}");
            let kind = metric.kind.label();
            assert!(has(&text, &format!("# TYPE {} {kind}", metric.name)), "{metric:?}");
        }
        let named: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
            .collect();
        let declared: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(named, declared);
        assert_eq!(declared.len(), METRICS.len(), "a name is declared twice");
    }

    #[test]
    fn each_sample_carries_the_labels_that_the_catalog_declares() {
        for line in scrape().lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let parts = ["_bucket", "_sum", "_count"];
            let whole = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            let is_it = |metric: &&Metric| metric.name == name || metric.name == whole;
            let metric = METRICS.iter().find(is_it);
            let labels = metric.map_or(&[][..], |metric| metric.labels);
            let bounds = usize::from(name.ends_with("_bucket"));
            assert_eq!(labels.len() + bounds, line.matches("=\"").count(), "{line}");
            for label in labels {
                assert!(line.contains(&format!("{label}=\"")), "{line}");
            }
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in METRICS {
            let known = ["edgerelay_", "process_", "nginx_rtmp_", "rtmp_"];
            assert!(known.iter().any(|prefix| metric.name.starts_with(prefix)), "{metric:?}");
            let counts = metric.kind == MetricKind::Counter;
            assert_eq!(metric.name.ends_with("_total"), counts, "{metric:?}");
            assert!(metric.help.ends_with('.'), "{metric:?}");
        }
    }

    #[test]
    fn the_book_lists_exactly_the_fixed_reasons() {
        let book = include_str!("../../../docs/metrics.md");
        let (_, section) = book.split_once("## Reasons").unwrap();
        let (_, table) = section.split_once("|---|---|").unwrap();
        let listed: Vec<&str> = table
            .lines()
            .skip(1)
            .map_while(|line| line.strip_prefix("| ")?.split(' ').next())
            .collect();
        let fixed: Vec<&str> = CloseReason::FIXED.iter().map(|reason| reason.label()).collect();
        assert_eq!(listed, fixed);
    }

    #[test]
    fn the_book_lists_exactly_the_exported_metrics() {
        let book = include_str!("../../../docs/metrics.md");
        let listed: Vec<String> =
            book.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
        let exported: Vec<String> = METRICS
            .iter()
            .map(|metric| {
                let labels: Vec<String> =
                    metric.labels.iter().map(|label| format!("`{label}`")).collect();
                let (kind, help) = (metric.kind.label(), metric.help);
                format!("| `{}` | {kind} | {} | {help} |", metric.name, labels.join(", "))
                    .replace("|  |", "| |")
            })
            .collect();
        assert_eq!(listed, exported);
    }
}
