//! What the scaler is shown, and what becomes of its decisions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::config::BitRate;
use crate::message::{ClientRole, ShardSnapshot};
use crate::placement::Input;
use crate::scaler::{Connections, Outcome, RecordLine, Sample, Scaler, WorkerCounts};

/// The newest decisions that the API shows.
const DECISIONS_SHOWN_MAX: usize = 50;

/// The scaler, and what it is shown that takes asking.
pub(super) struct Scaling {
    scaler: Scaler,
    connections: Option<Connections>,
    received: Option<BitRate>,
    /// As the API shows it; made anew when there is another decision.
    shown: Arc<Value>,
}

impl Scaling {
    pub(super) fn new(scaler: Scaler) -> Self {
        tracing::debug!(
            record = RecordLine::Opening(scaler.opening().clone()).to_json(),
            "scaler begins"
        );
        let mut own = Self { scaler, connections: None, received: None, shown: Arc::default() };
        own.describe();
        own
    }

    /// What the shards carry: all of it, or what is missing is not known.
    pub(super) fn on_snapshots(&mut self, parts: &[ShardSnapshot], shards: usize) {
        if parts.len() < shards {
            self.connections = None;
            self.received = None;
            return;
        }
        let mut connections = Connections::default();
        for client in parts.iter().flat_map(|part| &part.clients) {
            match client.role {
                ClientRole::Idle => {}
                ClientRole::Publisher => connections.publish += 1,
                ClientRole::Player => connections.play += 1,
                ClientRole::Push => connections.push += 1,
                ClientRole::Pull => connections.pull += 1,
                ClientRole::Worker => connections.worker += 1,
            }
        }
        self.connections = Some(connections);
        let streams = parts.iter().flat_map(|part| &part.streams).filter(|stream| stream.home);
        let received = streams.fold(0_u64, |sum, it| sum.saturating_add(it.bits_per_second_in));
        self.received = Some(BitRate::from_bits_per_second(received));
    }

    pub(super) fn shown(&self) -> Arc<Value> {
        Arc::clone(&self.shown)
    }

    fn describe(&mut self) {
        let opening = self.scaler.opening();
        let mut decisions: Vec<_> = self.scaler.decisions().collect();
        decisions.reverse();
        decisions.truncate(DECISIONS_SHOWN_MAX);
        self.shown = Arc::new(json!({
            "policy": opening.scaling.policy,
            "min": opening.min,
            "max": opening.max,
            "dry_run": opening.scaling.dry_run,
            "desired": self.scaler.desired(),
            "decisions": decisions,
        }));
    }
}

impl Fleet {
    /// Shows the scaler how things are, and passes on what it decides.
    pub(super) fn scale(&mut self) {
        let load = self.placement.load();
        let sample = Sample {
            connections: self.scaling.connections,
            streams: Some(load.streams as u64),
            received: self.scaling.received,
            pending: Some(load.pending as u64),
            workers: WorkerCounts {
                starting: load.workers_starting,
                ready: load.workers_ready,
                busy: load.workers_busy,
            },
        };
        let now = self.now();
        let Some(decision) = self.scaling.scaler.handle_sample(now, sample) else { return };
        self.counters.on_decision(decision.outcome.label());
        let (applied, workers) = (decision.applied, decision.desired);
        let changes = matches!(decision.outcome, Outcome::Out | Outcome::In);
        let (outcome, current) = (decision.outcome.label(), decision.current);
        let record = RecordLine::Decision(decision).to_json();
        if changes {
            tracing::info!(outcome, current, desired = workers, applied, record, "scaler decided");
        } else {
            tracing::debug!(outcome, current, desired = workers, applied, record, "scaler decided");
        }
        self.scaling.describe();
        if applied {
            self.placement.handle(now, Input::Desired { workers });
        }
    }
}
