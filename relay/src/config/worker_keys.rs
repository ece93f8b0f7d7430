//! The keys of `[workers]` and the tables below it, as `keys` has those of all other sections.

use super::codec::{Address, Choice, Count, Flag, List, Size, Text};
use super::keys::{Visitor, always, size};
use super::limits;
use super::worker_codec::{Argument, Endpoint, PushBase, Rate, UNIT_NAME};
use super::workers::{
    CapacityConfig, PipelineConfig, PipelineKind, Resources, ScalingConfig, ScalingPolicy,
    WorkerBackend, WorkersConfig,
};

pub(super) fn visit_workers<V: Visitor>(workers: &mut WorkersConfig, visitor: &mut V) {
    let WorkersConfig {
        backend,
        apps,
        min,
        max,
        listen,
        addresses,
        unit,
        start_timeout,
        stop_timeout,
        stall_timeout,
        retries_max,
        retry_delay,
        retry_delay_max,
        retry_reset,
        scaling,
        capacity,
        pipeline,
    } = workers;
    visitor.setting("backend", backend, &BACKEND);
    let names = List { item: Text::APP_NAME, min: 1, max: limits::APPS_MAX };
    visitor.setting("apps", apps, &names);
    visitor.setting("min", min, &count(limits::WORKERS_MAX));
    visitor.setting("max", max, &Count { min: 1, max: limits::WORKERS_MAX });
    visitor.setting("listen", listen, &Address);
    let endpoints = List { item: Endpoint, min: 0, max: limits::UPSTREAMS_MAX };
    visitor.setting("addresses", addresses, &endpoints);
    visitor.setting("unit", unit, &UNIT_NAME);
    visitor.setting("start_timeout", start_timeout, &always(limits::WORKER_TURN));
    visitor.setting("stop_timeout", stop_timeout, &always(limits::WORKER_TURN));
    visitor.setting("stall_timeout", stall_timeout, &always(limits::STALL_TIMEOUT));
    visitor.setting("max_retries", retries_max, &count(limits::RETRIES_MAX));
    visitor.setting("retry_delay", retry_delay, &always(limits::RETRY_DELAY));
    visitor.setting("retry_delay_max", retry_delay_max, &always(limits::RETRY_DELAY));
    visitor.setting("retry_reset", retry_reset, &always(limits::RETRY_RESET));
    visitor.table("scaling", scaling, visit_scaling);
    visitor.table("capacity", capacity, visit_capacity);
    visitor.table("pipeline", pipeline, visit_pipeline);
}

fn visit_scaling<V: Visitor>(scaling: &mut ScalingConfig, visitor: &mut V) {
    let ScalingConfig {
        policy,
        poll,
        cooldown,
        step_max,
        dry_run,
        clients_threshold,
        clients_activation,
        streams_threshold,
        streams_activation,
        bitrate_threshold,
        bitrate_activation,
        pending_threshold,
        pending_activation,
        queue_high_percent,
        queue_low_percent,
    } = scaling;
    let clients = count(limits::CONNECTIONS_MAX);
    let streams = count(limits::STREAMS_MAX);
    let percent = count(limits::QUEUE_PERCENT_MAX);
    visitor.setting("policy", policy, &POLICY);
    visitor.setting("poll", poll, &always(limits::POLL));
    visitor.setting("cooldown", cooldown, &always(limits::COOLDOWN));
    visitor.setting("max_step", step_max, &count(limits::WORKERS_MAX));
    visitor.setting("dry_run", dry_run, &Flag);
    visitor.setting("clients_threshold", clients_threshold, &clients);
    visitor.setting("clients_activation", clients_activation, &clients);
    visitor.setting("streams_threshold", streams_threshold, &streams);
    visitor.setting("streams_activation", streams_activation, &streams);
    visitor.setting("bitrate_threshold", bitrate_threshold, &rate("not looked at"));
    visitor.setting("bitrate_activation", bitrate_activation, &rate("any"));
    visitor.setting("pending_threshold", pending_threshold, &streams);
    visitor.setting("pending_activation", pending_activation, &streams);
    visitor.setting("queue_high_percent", queue_high_percent, &percent);
    visitor.setting("queue_low_percent", queue_low_percent, &percent);
}

fn visit_capacity<V: Visitor>(capacity: &mut CapacityConfig, visitor: &mut V) {
    let CapacityConfig { streams, resources } = capacity;
    visitor.setting("streams", streams, &Count { min: 1, max: limits::STREAMS_MAX });
    visit_resources(resources, visitor, "not counted");
}

fn visit_pipeline<V: Visitor>(pipeline: &mut PipelineConfig, visitor: &mut V) {
    let PipelineConfig { kind, command, push_url, need } = pipeline;
    visitor.setting("kind", kind, &KIND);
    let arguments = List { item: Argument, min: 0, max: limits::ARGUMENTS_MAX };
    visitor.setting("command", command, &arguments);
    visitor.setting("push_url", push_url, &PushBase);
    visit_resources(need, visitor, "what is usual");
}

fn visit_resources<V: Visitor>(resources: &mut Resources, visitor: &mut V, zero: &'static str) {
    let Resources { cpu_percent, memory_bytes, bitrate } = resources;
    visitor.setting("cpu_percent", cpu_percent, &count(limits::CPU_PERCENT_MAX));
    let memory = Size { zero: Some(zero), ..size(limits::MEMORY) };
    visitor.setting("memory", memory_bytes, &memory);
    visitor.setting("bitrate", bitrate, &rate(zero));
}

const BACKEND: Choice<WorkerBackend> = Choice(&[
    (WorkerBackend::Off.label(), WorkerBackend::Off),
    (WorkerBackend::Process.label(), WorkerBackend::Process),
    (WorkerBackend::Systemd.label(), WorkerBackend::Systemd),
    (WorkerBackend::Static.label(), WorkerBackend::Static),
]);

const POLICY: Choice<ScalingPolicy> =
    Choice(&[("threshold", ScalingPolicy::Threshold), ("queue-ratio", ScalingPolicy::QueueRatio)]);

const KIND: Choice<PipelineKind> = Choice(&[
    ("passthrough", PipelineKind::Passthrough),
    ("command", PipelineKind::Command),
    ("abr", PipelineKind::Abr),
    ("audio-only", PipelineKind::AudioOnly),
]);

const fn count(max: u64) -> Count {
    Count { min: 0, max }
}

const fn rate(zero: &'static str) -> Rate {
    Rate { bounds: limits::BITRATE, zero }
}
