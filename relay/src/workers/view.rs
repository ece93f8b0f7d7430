//! What the control plane sees of workers and their streams.

use super::fleet::Fleet;
use crate::message::{WorkSnapshot, WorkedStream, WorkerSnapshot};
use crate::placement::{StreamView, Wait, WorkerState, WorkerView};

impl Fleet {
    /// Describes everything anew.
    pub(super) fn show(&self) {
        let streams = self.placement.streams();
        let workers = self.placement.workers();
        for state in WorkerState::ALL {
            let count = workers.iter().filter(|worker| worker.state == state).count();
            self.counters.set_workers(state.label(), count);
        }
        let load = self.placement.load();
        self.counters.set_streams(load.streams, load.pending, load.failed);
        let snapshot = WorkSnapshot {
            streams: streams.into_iter().map(|it| (it.stream.clone(), self.stream(it))).collect(),
            workers: workers.into_iter().map(|it| self.worker(&it)).collect(),
            scaler: self.backend.is_managed().then(|| self.scaling.shown()),
        };
        self.view.send_replace(snapshot);
    }

    fn stream(&self, view: StreamView) -> WorkedStream {
        let report = self.streams.get(&view.stream).map(|known| known.report.clone());
        let (bytes_out, log, reported) =
            report.map(|it| (it.bytes_out, it.log, it.reason)).unwrap_or_default();
        let reason = match view.last_failure {
            _ if !reported.is_empty() => reported,
            Some((failure, detail)) if detail.is_empty() => failure.label().to_owned(),
            Some((failure, detail)) => format!("{}: {detail}", failure.label()),
            None => String::new(),
        };
        WorkedStream {
            state: view.state.label(),
            worker: view.worker.map(|worker| worker.0),
            place: view.place,
            waits_for: view.wait.map(describe),
            failures: view.failures,
            bytes_out,
            reason,
            log,
            age: self.now().saturating_since(view.published_at),
        }
    }

    fn worker(&self, view: &WorkerView) -> WorkerSnapshot {
        WorkerSnapshot {
            id: view.worker.0,
            state: view.state.label(),
            since: self.now().saturating_since(view.since),
            pid: self.backend.pid(view.worker),
            address: self.backend.address(view.worker),
            streams: view.streams.clone(),
            streams_max: view.room.streams,
            cpu_percent: view.reserved.cpu_percent,
            memory_bytes: view.reserved.memory_bytes,
            bits_per_second: view.reserved.bitrate.bits_per_second(),
        }
    }
}

fn describe(wait: Wait) -> String {
    match wait {
        Wait::NoRoom { shortage } | Wait::TooLarge { shortage } => {
            format!("{}: {shortage:?}", wait.label()).to_lowercase()
        }
        Wait::NoWorker | Wait::StartsFail { .. } | Wait::Backoff { .. } => wait.label().to_owned(),
    }
}
