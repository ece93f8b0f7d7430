//! Samples in, decisions out.

mod properties;
mod replays;
mod signals;
mod time;

use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::*;
use crate::config::{BitRate, ScalingConfig, ScalingPolicy};

/// The defaults look at streams and at waiting streams; these look at streams alone.
fn streams_alone() -> ScalingConfig {
    ScalingConfig { pending_threshold: 0, ..ScalingConfig::default() }
}

fn queue_ratio() -> ScalingConfig {
    ScalingConfig { policy: ScalingPolicy::QueueRatio, ..ScalingConfig::default() }
}

/// A scaler from 0 to 10 workers.
fn scaler(scaling: ScalingConfig, running: usize) -> Scaler {
    Scaler::open(Opening { min: 0, max: 10, scaling, running })
}

/// A sample in which everything is known and nothing is there.
fn quiet() -> Sample {
    Sample {
        connections: Some(Connections::default()),
        streams: Some(0),
        received: Some(BitRate::ZERO),
        pending: Some(0),
        workers: WorkerCounts::default(),
    }
}

fn streams(count: u64) -> Sample {
    Sample { streams: Some(count), ..quiet() }
}

fn busy(count: usize) -> WorkerCounts {
    WorkerCounts { ready: count, busy: count, ..WorkerCounts::default() }
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

/// The first look.
#[track_caller]
fn first(scaling: ScalingConfig, running: usize, sample: Sample) -> Decision {
    scaler(scaling, running).handle_sample(at(0), sample).expect("the first look is due")
}

/// Looks every ten seconds from `start`: what was desired after each.
#[track_caller]
fn watch(scaler: &mut Scaler, start: u64, samples: &[Sample]) -> Vec<usize> {
    let looks = samples.iter().zip((start..).step_by(10));
    looks
        .map(|(sample, second)| {
            scaler.handle_sample(at(second), *sample).expect("a look is due").desired
        })
        .collect()
}
