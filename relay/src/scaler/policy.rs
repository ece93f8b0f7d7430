//! How many workers a sample asks for. Knows nothing of what was before.

use super::decision::{Reading, Signal};
use super::sample::Sample;
use crate::config::{ScalingConfig, ScalingPolicy};

/// What a policy makes of a sample, before any limit.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) readings: Vec<Reading>,
    /// The workers that are needed by what is known; none where nothing is.
    pub(super) wants: Option<usize>,
    /// Whether everything is known: else fewer workers are no option.
    pub(super) complete: bool,
}

pub(super) fn wish(settings: &ScalingConfig, sample: &Sample, current: usize) -> Wish {
    match settings.policy {
        ScalingPolicy::Threshold => threshold(settings, sample),
        ScalingPolicy::QueueRatio => queue_ratio(settings, sample, current),
    }
}

/// The rule of KEDA: nothing is needed while no value is above its activation; else the most that
/// any signal asks for, each value divided by its threshold and rounded up, those not above their
/// activation included.
fn threshold(settings: &ScalingConfig, sample: &Sample) -> Wish {
    let signals = [
        (
            Signal::Clients,
            sample.connections.map(|connections| connections.clients()),
            settings.clients_threshold as u64,
            settings.clients_activation as u64,
        ),
        (
            Signal::Streams,
            sample.streams,
            settings.streams_threshold as u64,
            settings.streams_activation as u64,
        ),
        (
            Signal::Bitrate,
            sample.received.map(|rate| rate.bits_per_second()),
            settings.bitrate_threshold.bits_per_second(),
            settings.bitrate_activation.bits_per_second(),
        ),
        (
            Signal::Pending,
            sample.pending,
            settings.pending_threshold as u64,
            settings.pending_activation as u64,
        ),
    ];
    let readings: Vec<Reading> = signals
        .into_iter()
        .filter(|(_, _, threshold, _)| *threshold > 0)
        .map(|(signal, value, threshold, activation)| {
            let active = value.is_some_and(|value| value > activation);
            let wants = value.map(|value| {
                let workers = usize::try_from(value.div_ceil(threshold)).unwrap_or(usize::MAX);
                // Those that carry streams are taken: waiting ones need workers besides.
                let taken =
                    if signal == Signal::Pending && value > 0 { sample.workers.busy } else { 0 };
                workers.saturating_add(taken)
            });
            Reading { signal, value, threshold, activation, active, wants }
        })
        .collect();
    let active = readings.iter().any(|reading| reading.active);
    let most = readings.iter().filter_map(|reading| reading.wants).max();
    Wish {
        wants: most.map(|most| if active { most } else { 0 }),
        complete: readings.iter().all(|reading| reading.value.is_some()),
        readings,
    }
}

/// One more while too many streams wait for each ready worker, one less when none waits.
fn queue_ratio(settings: &ScalingConfig, sample: &Sample, current: usize) -> Wish {
    let (high, low) = (settings.queue_high_percent as u64, settings.queue_low_percent as u64);
    let ready = sample.workers.ready as u64;
    let ratio = sample.pending.map(|pending| pending.saturating_mul(100) / ready.max(1));
    // Without a ready worker any number of waiting streams is too many.
    let exceeds = sample
        .pending
        .is_some_and(|pending| pending.saturating_mul(100) > high.saturating_mul(ready));
    let on_their_way = ready == 0 && sample.workers.starting > 0;
    let wants = sample.pending.zip(ratio).map(|(pending, ratio)| {
        if exceeds && !on_their_way {
            current.saturating_add(1)
        } else if pending == 0 && ratio < low.max(1) {
            current.saturating_sub(1)
        } else {
            current
        }
    });
    let reading = Reading {
        signal: Signal::QueuePercent,
        value: ratio,
        threshold: high,
        activation: low,
        active: exceeds,
        wants,
    };
    Wish { readings: vec![reading], wants, complete: wants.is_some() }
}
