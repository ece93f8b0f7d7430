//! What each signal asks for, and what a missing one does not.

use super::*;

#[test]
fn a_value_has_to_be_above_its_activation() {
    for (activation, value, desired) in
        [(0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 2, 1), (5, 5, 0), (5, 6, 2), (100, 100, 0)]
    {
        let scaling = ScalingConfig { streams_activation: activation, ..streams_alone() };
        let decision = first(scaling, 0, streams(value));
        assert_eq!(decision.desired, desired, "{value} streams, activation {activation}");
        assert_eq!(decision.readings[0].active, desired > 0);
    }
}

#[test]
fn values_are_divided_by_their_threshold_and_rounded_up() {
    for (value, desired) in [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (40, 10), (41, 10)] {
        assert_eq!(first(streams_alone(), 0, streams(value)).desired, desired, "{value}");
    }
    assert_eq!(first(streams_alone(), 0, streams(u64::MAX)).desired, 10);
}

#[test]
fn the_most_demanding_signal_counts_and_one_below_its_activation_too() {
    let scaling =
        ScalingConfig { clients_threshold: 10, clients_activation: 1_000, ..streams_alone() };
    let clients = Connections { publish: 1, play: 59, ..Connections::default() };
    let sample = Sample { connections: Some(clients), ..streams(1) };
    let decision = first(scaling.clone(), 0, sample);
    assert_eq!(decision.desired, 6, "{decision:?}");
    // Alone it wakes nobody.
    let sample = Sample { connections: Some(clients), ..streams(0) };
    assert_eq!(first(scaling, 0, sample).desired, 0);
}

#[test]
fn bits_are_compared_with_bits() {
    let scaling = ScalingConfig {
        bitrate_threshold: BitRate::from_bits_per_second(20_000_000),
        streams_threshold: 0,
        ..streams_alone()
    };
    for (bytes_per_second, desired) in
        [(0, 0), (1, 1), (2_500_000, 1), (2_500_001, 2), (20_000_000, 8)]
    {
        let received = BitRate::from_bytes(bytes_per_second * 10, Duration::from_secs(10));
        let decision = first(scaling.clone(), 0, Sample { received, ..quiet() });
        assert_eq!(decision.desired, desired, "{bytes_per_second} bytes a second");
    }
}

#[test]
fn our_own_connections_are_no_clients() {
    let scaling = ScalingConfig { clients_threshold: 1, streams_threshold: 0, ..streams_alone() };
    let ours = Connections { push: 40, pull: 30, worker: 20, ..Connections::default() };
    let sample = Sample { connections: Some(ours), ..quiet() };
    assert_eq!(first(scaling.clone(), 0, sample).desired, 0);
    // Nor do they keep workers awake.
    let mut scaler = scaler(scaling.clone(), 2);
    assert_eq!(watch(&mut scaler, 0, &[sample; 4]), [2, 2, 2, 0]);
    let clients = Connections { publish: 1, play: 2, ..ours };
    let sample = Sample { connections: Some(clients), ..quiet() };
    assert_eq!(first(scaling, 0, sample).desired, 3);
}

#[test]
fn waiting_streams_ask_for_workers_besides_those_that_are_taken() {
    let scaling = ScalingConfig { streams_threshold: 0, ..ScalingConfig::default() };
    for (pending, taken, desired) in [(0, 3, 0), (1, 0, 1), (1, 3, 4), (4, 3, 4), (5, 3, 5)] {
        let sample = Sample { pending: Some(pending), workers: busy(taken), ..quiet() };
        let decision = first(scaling.clone(), 0, sample);
        assert_eq!(decision.wanted, Some(desired), "{pending} wait, {taken} are taken");
    }
}

#[test]
fn what_is_missing_is_no_reason_for_fewer() {
    let scaling = ScalingConfig {
        clients_threshold: 10,
        bitrate_threshold: BitRate::from_bits_per_second(1_000_000),
        ..ScalingConfig::default()
    };
    for sample in [
        Sample { connections: None, ..quiet() },
        Sample { streams: None, ..quiet() },
        Sample { received: None, ..quiet() },
        Sample { pending: None, ..quiet() },
        Sample::default(),
    ] {
        let mut scaler = scaler(scaling.clone(), 3);
        assert_eq!(watch(&mut scaler, 0, &[sample; 20]), [3; 20], "{sample:?}");
        let last = scaler.decisions().last().unwrap();
        assert_eq!(last.outcome, Outcome::Hold(Hold::Missing));
    }
}

#[test]
fn a_signal_that_nobody_looks_at_may_be_missing() {
    let mut scaler = scaler(streams_alone(), 3);
    let sample = Sample { streams: Some(0), ..Sample::default() };
    assert_eq!(watch(&mut scaler, 0, &[sample; 4]), [3, 3, 3, 0]);
}

#[test]
fn a_gap_in_the_samples_starts_the_cooldown_anew() {
    let mut scaler = scaler(streams_alone(), 3);
    let gap = Sample { streams: None, ..quiet() };
    let samples = [quiet(), quiet(), quiet(), gap, quiet(), quiet(), quiet(), quiet()];
    assert_eq!(watch(&mut scaler, 0, &samples), [3, 3, 3, 3, 3, 3, 3, 0]);
}

#[test]
fn what_is_known_may_ask_for_more_although_something_is_missing() {
    let sample = Sample { pending: None, ..streams(9) };
    let decision = first(ScalingConfig::default(), 1, sample);
    assert_eq!((decision.desired, decision.outcome), (3, Outcome::Out));
}

#[test]
fn a_queue_above_its_mark_adds_one_worker_for_each_look() {
    for (pending, ready, desired) in
        [(0, 0, 3), (1, 0, 4), (50, 0, 4), (2, 1, 3), (3, 1, 4), (5, 2, 3), (6, 2, 4), (1, 3, 3)]
    {
        let workers = WorkerCounts { ready, busy: 3, starting: 0 };
        let sample = Sample { pending: Some(pending), workers, ..quiet() };
        let decision = first(queue_ratio(), 3, sample);
        assert_eq!(decision.desired, desired, "{pending} wait for {ready}");
    }
}

#[test]
fn a_queue_that_a_starting_worker_will_take_adds_none() {
    let workers = WorkerCounts { starting: 1, ..WorkerCounts::default() };
    let sample = Sample { pending: Some(9), workers, ..quiet() };
    assert_eq!(first(queue_ratio(), 1, sample).desired, 1);
}

#[test]
fn an_empty_queue_lets_one_worker_go_after_each_cooldown() {
    let mut scaler = scaler(queue_ratio(), 2);
    assert_eq!(watch(&mut scaler, 0, &[quiet(); 9]), [2, 2, 2, 1, 1, 1, 1, 0, 0]);
}

#[test]
fn workers_that_were_found_have_their_cooldown() {
    let mut scaler = scaler(streams_alone(), 0);
    let idle = WorkerCounts { ready: 3, ..WorkerCounts::default() };
    let sample = Sample { workers: idle, ..quiet() };
    assert_eq!(watch(&mut scaler, 0, &[sample; 4]), [3, 3, 3, 0]);
}

#[test]
fn a_busy_worker_is_never_let_go() {
    for scaling in [streams_alone(), queue_ratio()] {
        let mut scaler = scaler(scaling, 5);
        let sample = Sample { streams: Some(4), workers: busy(4), ..quiet() };
        let seen = watch(&mut scaler, 0, &[sample; 12]);
        assert_eq!(seen.last(), Some(&4), "{seen:?}");
        assert_eq!(scaler.decisions().last().unwrap().outcome, Outcome::Hold(Hold::Busy));
    }
}

#[test]
fn the_limits_hold_whatever_is_asked_for() {
    let open =
        |min, max, running| Scaler::open(Opening { min, max, scaling: streams_alone(), running });
    assert_eq!(open(2, 3, 0).desired(), 2);
    assert_eq!(open(2, 3, 9).desired(), 3);
    let mut scaler = open(2, 3, 2);
    assert_eq!(watch(&mut scaler, 0, &[streams(100)]), [3]);
    assert_eq!(watch(&mut scaler, 10, &[quiet(); 5]).last(), Some(&2));
}
