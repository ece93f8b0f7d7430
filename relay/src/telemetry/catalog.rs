//! Every metric the relay exports: name, kind, labels, help, and where its value comes from.
//!
//! This is the only place that names a metric; `docs/metrics.md` repeats it for readers, and a test
//! compares the two. A label is never a stream key, an address or a connection.

use super::account::{GroupTotals, ServiceTotals};
use super::counters::ShardCounters;
use super::exposition::NodeFacts;
use MetricKind::{Counter, Gauge, Histogram};

/// Whether a metric only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by their size.
    Histogram,
}

impl MetricKind {
    /// The kind in Prometheus' words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One exported metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The exported name.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts, as the exposition says it.
    pub help: &'static str,
    pub(super) source: Source,
}

/// Where a metric's value comes from at a scrape.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The sum over all shards.
    Sum(fn(&ShardCounters) -> u64),
    /// One value for each shard, labelled with its number.
    EachShard(fn(&ShardCounters) -> f64),
    /// Closed connections by reason, over all shards.
    ClosedByReason,
    /// Open connections by role, over all shards.
    OpenByRole,
    /// Clients by application.
    ClientsByApplication,
    /// How often streams of workers went from one state to another.
    StreamTransitions,
    /// How long parts of streams' ways through workers took.
    StreamPhases,
    /// Decisions of the scaler by outcome.
    ScalerDecisions,
    /// Workers by state.
    WorkersByState,
    /// Reloads by outcome.
    Reloads,
    /// One value for the whole node; none where the kernel does not tell.
    Node(fn(&NodeFacts) -> Option<f64>),
    /// What the kernel counted, by role and application.
    KernelCount(fn(&GroupTotals) -> u64),
    /// How it is now, by role and application; none where it is not known.
    KernelGauge(fn(&GroupTotals) -> Option<f64>),
    /// What the kernel counted, by service.
    KernelService(fn(&ServiceTotals) -> u64),
    /// The constant one, labelled with the version.
    Build,
}

const fn total(name: &'static str, help: &'static str, read: fn(&ShardCounters) -> u64) -> Metric {
    Metric { name, kind: Counter, labels: &[], help, source: Source::Sum(read) }
}

const fn sum(name: &'static str, help: &'static str, read: fn(&ShardCounters) -> u64) -> Metric {
    Metric { name, kind: Gauge, labels: &[], help, source: Source::Sum(read) }
}

const fn each(name: &'static str, help: &'static str, read: fn(&ShardCounters) -> f64) -> Metric {
    let source = Source::EachShard(read);
    Metric { name, kind: Gauge, labels: &["shard"], help, source }
}

const fn node(
    name: &'static str,
    kind: MetricKind,
    help: &'static str,
    read: fn(&NodeFacts) -> Option<f64>,
) -> Metric {
    Metric { name, kind, labels: &[], help, source: Source::Node(read) }
}

const fn counted(name: &'static str, help: &'static str, read: fn(&GroupTotals) -> u64) -> Metric {
    let source = Source::KernelCount(read);
    Metric { name, kind: Counter, labels: &["role", "application"], help, source }
}

const fn gauged(
    name: &'static str,
    help: &'static str,
    read: fn(&GroupTotals) -> Option<f64>,
) -> Metric {
    let source = Source::KernelGauge(read);
    Metric { name, kind: Gauge, labels: &["role", "application"], help, source }
}

const fn grouped(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
    source: Source,
) -> Metric {
    Metric { name, kind, labels, help, source }
}

/// Every metric, in the order of `docs/metrics.md`.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point in Prometheus")]
pub const METRICS: &[Metric] = &[
    // The node.
    grouped(
        "edgerelay_build_info",
        Gauge,
        &["version"],
        "Always 1; the label tells which version runs.",
        Source::Build,
    ),
    node("edgerelay_shards", Gauge, "Shards configured.", |n| Some(n.shards as f64)),
    node("edgerelay_shards_up", Gauge, "Shards that have started.", |n| Some(n.shards_up as f64)),
    node(
        "edgerelay_shards_silent",
        Gauge,
        "Shards that did not describe their clients in time at this scrape.",
        |n| Some(n.shards_silent as f64),
    ),
    node("edgerelay_draining", Gauge, "1 while the node drains.", |n| {
        Some(f64::from(u8::from(n.draining)))
    }),
    node(
        "edgerelay_ebpf_attached",
        Gauge,
        "1 when the kernel accounting programs are attached.",
        |n| Some(f64::from(u8::from(n.ebpf_attached))),
    ),
    grouped(
        "edgerelay_reloads_total",
        Counter,
        &["outcome"],
        "Reloads of the configuration, by what became of them.",
        Source::Reloads,
    ),
    node(
        "edgerelay_config_last_reload_successful",
        Gauge,
        "1 unless the last reload was refused.",
        |n| Some(f64::from(u8::from(n.reloads.errors.is_empty()))),
    ),
    node(
        "edgerelay_config_last_success_timestamp_seconds",
        Gauge,
        "When a configuration was taken over last, in Unix time.",
        |n| Some(n.reloads.applied_at),
    ),
    node("edgerelay_config_restart_keys", Gauge, "Keys whose change waits for a restart.", |n| {
        Some(n.reloads.restart_keys.len() as f64)
    }),
    // Connections.
    total("edgerelay_connections_accepted_total", "Connections accepted.", |c| {
        c.connections_accepted.total()
    }),
    total(
        "edgerelay_connections_rejected_total",
        "Connections turned away at once because a limit was reached.",
        |c| c.connections_rejected.total(),
    ),
    total("edgerelay_accept_failures_total", "Accept calls that failed.", |c| {
        c.accept_failures.total()
    }),
    grouped(
        "edgerelay_connections_closed_total",
        Counter,
        &["reason"],
        "Connections closed, by reason.",
        Source::ClosedByReason,
    ),
    grouped(
        "edgerelay_connections",
        Gauge,
        &["role"],
        "Connections open, by what they are for.",
        Source::OpenByRole,
    ),
    // Traffic.
    total("edgerelay_received_bytes_total", "Bytes read from RTMP sockets.", |c| {
        c.bytes_in.total()
    }),
    total("edgerelay_sent_bytes_total", "Bytes written to RTMP sockets.", |c| c.bytes_out.total()),
    total(
        "edgerelay_payload_received_bytes_total",
        "Media payload bytes received from publishers and origins.",
        |c| c.payload_bytes_in.total(),
    ),
    total(
        "edgerelay_payload_sent_bytes_total",
        "Media bytes sent to players and upstreams, chunk headers included.",
        |c| c.payload_bytes_out.total(),
    ),
    total(
        "edgerelay_payload_copied_bytes_total",
        "Media payload bytes copied in user space because a peer sent tiny chunks.",
        |c| c.payload_bytes_copied.total(),
    ),
    total("edgerelay_frames_received_total", "Media messages received.", |c| c.frames_in.total()),
    total(
        "edgerelay_frames_sent_total",
        "Media messages sent, counted once for each subscriber.",
        |c| c.frames_out.total(),
    ),
    // As the kernel counts it.
    gauged("edgerelay_kernel_connections", "Connections open in the kernel.", |sum| {
        Some(sum.opened.saturating_sub(sum.closed) as f64)
    }),
    counted(
        "edgerelay_kernel_connections_opened_total",
        "Connections opened, or turned to this role.",
        |sum| sum.opened,
    ),
    counted(
        "edgerelay_kernel_connections_closed_total",
        "Connections closed, or turned to another role.",
        |sum| sum.closed,
    ),
    counted(
        "edgerelay_kernel_received_bytes_total",
        "Bytes that the kernel received for us.",
        |sum| sum.bytes_in,
    ),
    counted(
        "edgerelay_kernel_sent_bytes_total",
        "Bytes that the kernel sent for us and that were acknowledged.",
        |sum| sum.bytes_out,
    ),
    counted("edgerelay_kernel_retransmits_total", "Segments that were sent again.", |sum| {
        sum.retransmits
    }),
    gauged(
        "edgerelay_kernel_rtt_seconds",
        "Mean of the smoothed round-trip times of open connections.",
        |sum| sum.rtt_seconds,
    ),
    grouped(
        "edgerelay_kernel_service_opened_total",
        Counter,
        &["service"],
        "Connections opened, as the kernel programs count by port.",
        Source::KernelService(|sum| sum.opened),
    ),
    grouped(
        "edgerelay_kernel_service_closed_total",
        Counter,
        &["service"],
        "Connections closed, as the kernel programs count by port.",
        Source::KernelService(|sum| sum.closed),
    ),
    node(
        "edgerelay_kernel_untracked_total",
        Counter,
        "Connections that the kernel programs had no room for.",
        |n| Some(n.kernel.untracked as f64),
    ),
    node(
        "edgerelay_kernel_missed_total",
        Counter,
        "Connections missing from these sums because too many came at once.",
        |n| Some(n.kernel.missed as f64),
    ),
    // Streams and subscribers.
    sum("edgerelay_streams", "Streams being published.", |c| c.streams_active.value()),
    each(
        "edgerelay_shard_streams",
        "Streams with a publisher or a subscriber on the shard.",
        |c| c.streams.value() as f64,
    ),
    sum("edgerelay_log_bytes", "Bytes held in stream logs.", |c| c.log_bytes.value()),
    total("edgerelay_publishes_total", "Publications begun.", |c| c.publishes.total()),
    total("edgerelay_publishes_refused_total", "Publish requests refused.", |c| {
        c.publish_refused.total()
    }),
    total(
        "edgerelay_publishers_replaced_total",
        "Publishers and pulls whose name a newer publisher took.",
        |c| c.publisher_replaced.total(),
    ),
    total("edgerelay_plays_total", "Plays begun.", |c| c.plays.total()),
    total("edgerelay_plays_refused_total", "Play requests refused.", |c| c.play_refused.total()),
    total(
        "edgerelay_subscriber_skips_total",
        "Times a subscriber fell behind and was moved to the newest keyframe.",
        |c| c.subscriber_skips.total(),
    ),
    total(
        "edgerelay_subscriber_frames_dropped_total",
        "Media messages that subscribers missed through skips.",
        |c| c.subscriber_frames_dropped.total(),
    ),
    // Pushes and pulls.
    total("edgerelay_push_attempts_total", "Attempts to connect a push.", |c| {
        c.push_attempts.total()
    }),
    total("edgerelay_push_connected_total", "Pushes that began to publish.", |c| {
        c.push_connected.total()
    }),
    total("edgerelay_push_failures_total", "Push attempts and running pushes that failed.", |c| {
        c.push_failures.total()
    }),
    total("edgerelay_push_resolutions_total", "Name look-ups made for pushes.", |c| {
        c.push_resolutions.total()
    }),
    total("edgerelay_pull_attempts_total", "Attempts to connect a pull.", |c| {
        c.pull_attempts.total()
    }),
    total("edgerelay_pull_connected_total", "Pulls that began to play.", |c| {
        c.pull_connected.total()
    }),
    total("edgerelay_pull_failures_total", "Pull attempts and running pulls that failed.", |c| {
        c.pull_failures.total()
    }),
    // Workers.
    grouped(
        "edgerelay_workers",
        Gauge,
        &["state"],
        "Workers that the node knows, by state.",
        Source::WorkersByState,
    ),
    node("edgerelay_workers_max", Gauge, "Workers that there may be.", |n| {
        Some(n.workers_max as f64)
    }),
    node("edgerelay_worker_streams", Gauge, "Streams that workers are to have.", |n| {
        Some(n.work.streams as f64)
    }),
    node(
        "edgerelay_worker_streams_pending",
        Gauge,
        "Streams that no worker has a place for yet.",
        |n| Some(n.work.streams_pending as f64),
    ),
    node("edgerelay_worker_streams_failed", Gauge, "Streams that no worker got on with.", |n| {
        Some(n.work.streams_failed as f64)
    }),
    grouped(
        "edgerelay_stream_transitions_total",
        Counter,
        &["from", "to"],
        "Streams of workers that went from one state to another.",
        Source::StreamTransitions,
    ),
    grouped(
        "edgerelay_stream_phase_seconds",
        Histogram,
        &["phase"],
        "How long parts of a stream's way through a worker took.",
        Source::StreamPhases,
    ),
    grouped(
        "edgerelay_scaler_decisions_total",
        Counter,
        &["outcome"],
        "Decisions of the scaler, by outcome.",
        Source::ScalerDecisions,
    ),
    // Shards at work.
    each("edgerelay_shard_busy_ratio", "Share of its time that the shard works, 0 to 1.", |c| {
        c.busy_permille.value() as f64 / 1e3
    }),
    each(
        "edgerelay_shard_merge_window_seconds",
        "How long the shard gathers frames before it sends them.",
        |c| c.merge_window_micros.value() as f64 / 1e6,
    ),
    total(
        "edgerelay_mailbox_full_total",
        "Batches dropped because another shard's mailbox was full.",
        |c| c.mailbox_full.total(),
    ),
    total("edgerelay_ring_enters_total", "System calls that submitted sends.", |c| {
        c.ring_enters.total()
    }),
    total("edgerelay_ring_sends_total", "Sends given to the send ring.", |c| c.ring_sends.total()),
    total(
        "edgerelay_ring_short_sends_total",
        "Sends that the kernel finished in part and that were resubmitted.",
        |c| c.ring_short_sends.total(),
    ),
    total("edgerelay_ring_zero_copy_sends_total", "Sends asked to be made without copying.", |c| {
        c.ring_zero_copy_sends.total()
    }),
    total(
        "edgerelay_ring_zero_copy_copied_total",
        "Zero-copy sends that the kernel copied after all.",
        |c| c.ring_zero_copy_copied.total(),
    ),
    total(
        "edgerelay_ring_zero_copy_enomem_total",
        "Zero-copy sends made again as copying ones because locked memory ran out.",
        |c| c.ring_zero_copy_enomem.total(),
    ),
    // Names that dashboards and scalers for nginx-rtmp query.
    grouped(
        "nginx_rtmp_nclients",
        Gauge,
        &["application"],
        "Publishers and players, without the node's own pushes and pulls.",
        Source::ClientsByApplication,
    ),
    sum("rtmp_streams_active", "Streams being published.", |c| c.streams_active.value()),
    // The process.
    node(
        "process_cpu_seconds_total",
        Counter,
        "Processor time used, in user and kernel mode.",
        |n| n.process.cpu_seconds,
    ),
    node("process_resident_memory_bytes", Gauge, "Resident memory.", |n| {
        n.process.resident_bytes.map(|bytes| bytes as f64)
    }),
    node("process_open_fds", Gauge, "Open file descriptors.", |n| {
        n.process.open_fds.map(|fds| fds as f64)
    }),
    node("process_max_fds", Gauge, "File descriptors the process may open.", |n| {
        n.process.fds_max.map(|fds| fds as f64)
    }),
    node(
        "process_start_time_seconds",
        Gauge,
        "When the process started, in seconds since the Unix epoch.",
        |n| n.process.start_time_seconds,
    ),
];
