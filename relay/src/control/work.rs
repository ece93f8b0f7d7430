//! The JSON of workers, of the work on streams and of the scaler. Field names are a contract, described
//! in `openapi.json`.

use serde::Serialize;

use crate::config::WorkerBackend;
use crate::message::{WorkSnapshot, WorkedStream, WorkerSnapshot};

/// `/api/v1/workers`.
#[derive(Debug, Serialize)]
pub(super) struct Workers {
    backend: &'static str,
    workers: Vec<Worker>,
}

#[derive(Debug, Serialize)]
struct Worker {
    id: u16,
    state: &'static str,
    state_seconds: f64,
    pid: Option<u32>,
    address: Option<String>,
    streams: Vec<Name>,
    streams_max: usize,
    reserved_cpu_percent: usize,
    reserved_memory_bytes: u64,
    reserved_bits_per_second: u64,
}

#[derive(Debug, Serialize)]
struct Name {
    app: String,
    name: String,
}

/// What is done with a stream, in `/api/v1/streams`.
#[derive(Debug, Serialize)]
pub(super) struct Work {
    state: &'static str,
    worker: Option<u16>,
    place: Option<usize>,
    waits_for: Option<String>,
    failures: u32,
    bytes_out: u64,
    age_seconds: f64,
    reason: String,
    log: Vec<String>,
}

impl Workers {
    /// The workers that the node knows, and who starts and stops them.
    pub(super) fn new(backend: WorkerBackend, work: &WorkSnapshot) -> Self {
        let workers = work.workers.iter().map(Worker::new).collect();
        Self { backend: backend.label(), workers }
    }
}

impl Worker {
    fn new(worker: &WorkerSnapshot) -> Self {
        let names = worker.streams.iter();
        let names = names.map(|key| Name { app: key.app.to_string(), name: key.name.to_string() });
        Self {
            id: worker.id,
            state: worker.state,
            state_seconds: worker.since.as_secs_f64(),
            pid: worker.pid,
            address: worker.address.clone(),
            streams: names.collect(),
            streams_max: worker.streams_max,
            reserved_cpu_percent: worker.cpu_percent,
            reserved_memory_bytes: worker.memory_bytes,
            reserved_bits_per_second: worker.bits_per_second,
        }
    }
}

impl From<&WorkedStream> for Work {
    fn from(work: &WorkedStream) -> Self {
        Self {
            state: work.state,
            worker: work.worker,
            place: work.place,
            waits_for: work.waits_for.clone(),
            failures: work.failures,
            bytes_out: work.bytes_out,
            age_seconds: work.age.as_secs_f64(),
            reason: work.reason.clone(),
            log: work.log.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::id::StreamKey;

    #[test]
    fn the_description_names_exactly_the_fields_of_workers_and_work() {
        let description: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let schemas = &description["components"]["schemas"];
        let worker = WorkerSnapshot {
            id: 1,
            state: "ready",
            since: Duration::from_secs(3),
            pid: Some(7),
            address: Some("127.0.0.1:19351".to_owned()),
            streams: vec![StreamKey::new("live", "cam1")],
            streams_max: 4,
            cpu_percent: 5,
            memory_bytes: 1 << 20,
            bits_per_second: 0,
        };
        let snapshot = WorkSnapshot { workers: vec![worker], ..WorkSnapshot::default() };
        let workers =
            serde_json::to_value(Workers::new(WorkerBackend::Process, &snapshot)).unwrap();
        let work = serde_json::to_value(Work::from(&WorkedStream::default())).unwrap();
        for (schema, sent) in [
            ("Workers", &workers),
            ("Worker", &workers["workers"][0]),
            ("StreamName", &workers["workers"][0]["streams"][0]),
            ("Work", &work),
        ] {
            let described = schemas[schema]["properties"].as_object().unwrap().keys();
            let sent = sent.as_object().unwrap().keys();
            let (described, sent): (BTreeSet<_>, BTreeSet<_>) =
                (described.collect(), sent.collect());
            assert_eq!(described, sent, "{schema}");
        }
    }
}
