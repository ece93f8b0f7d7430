//! When it is looked, and how long fewer workers have to be enough.

use super::*;

#[test]
fn nothing_is_decided_between_two_looks() {
    let mut scaler = scaler(streams_alone(), 0);
    assert_eq!(scaler.poll_timeout(), None);
    assert!(scaler.handle_sample(at(0), quiet()).is_some());
    assert_eq!(scaler.poll_timeout(), Some(at(10)));
    assert!(scaler.handle_sample(Instant::from_millis(9_999), streams(9)).is_none());
    assert_eq!(scaler.desired(), 0);
    assert!(scaler.handle_sample(at(10), streams(9)).is_some());
    assert_eq!(scaler.desired(), 3);
}

#[test]
fn the_first_waiting_stream_does_not_wait_for_the_next_look() {
    let mut scaler = scaler(ScalingConfig::default(), 0);
    scaler.handle_sample(at(0), quiet());
    let waits = Sample { pending: Some(1), ..streams(1) };
    let decision = scaler.handle_sample(at(1), waits).unwrap();
    assert_eq!((decision.occasion, decision.desired), (Occasion::Waiting, 1));
    // The next look is ten seconds after this one.
    assert_eq!(scaler.poll_timeout(), Some(at(11)));
}

#[test]
fn the_same_waiting_streams_are_no_news() {
    let mut scaler = scaler(ScalingConfig::default(), 0);
    let waits = |pending, starting| Sample {
        pending: Some(pending),
        workers: WorkerCounts { starting, ..WorkerCounts::default() },
        ..streams(pending)
    };
    scaler.handle_sample(at(0), waits(1, 0));
    // Its worker did not come up; whoever starts workers tries again by itself.
    assert!(scaler.handle_sample(at(1), waits(1, 0)).is_none());
    // A worker is on its way, and may have room for the next one.
    assert!(scaler.handle_sample(at(2), waits(2, 1)).is_none());
    assert!(scaler.handle_sample(at(3), waits(2, 0)).is_some());
}

#[test]
fn streams_that_wait_below_their_activation_wake_nobody_and_are_looked_at_once() {
    let scaling = ScalingConfig { streams_activation: 2, pending_activation: 2, ..streams_alone() };
    let mut scaler = scaler(scaling, 0);
    scaler.handle_sample(at(0), quiet());
    let waits = |count| Sample { pending: Some(count), ..streams(count) };
    let desired = [1, 1, 2, 2, 3]
        .map(|count| scaler.handle_sample(at(1), waits(count)).map(|decision| decision.desired));
    assert_eq!(desired, [Some(0), None, Some(0), None, Some(1)]);
}

#[test]
fn workers_go_when_the_cooldown_is_over_and_not_before() {
    let mut scaler = scaler(streams_alone(), 0);
    assert_eq!(watch(&mut scaler, 0, &[streams(8)]), [2]);
    assert_eq!(watch(&mut scaler, 10, &[quiet(); 4]), [2, 2, 2, 0]);
    let remaining: Vec<_> = scaler.decisions().skip(1).map(|decision| decision.outcome).collect();
    let left = |remaining_millis| Outcome::Hold(Hold::Cooldown { remaining_millis });
    assert_eq!(remaining, [left(30_000), left(20_000), left(10_000), Outcome::In]);
}

#[test]
fn what_was_needed_within_the_cooldown_stays() {
    let mut scaler = scaler(streams_alone(), 5);
    let samples = [streams(0), streams(12), streams(4), streams(4), streams(4)];
    // 12 streams want three workers. The lower wish begins its own cooldown.
    assert_eq!(watch(&mut scaler, 0, &samples), [5, 5, 5, 3, 3]);
    assert_eq!(watch(&mut scaler, 50, &[streams(4); 3]), [3, 3, 1]);
}

#[test]
fn flapping_input_adds_workers_once_and_removes_none() {
    let mut scaler = scaler(streams_alone(), 0);
    let samples: Vec<_> = (0..100).map(|look| streams(if look % 3 == 0 { 8 } else { 0 })).collect();
    let seen = watch(&mut scaler, 0, &samples);
    assert!(seen.iter().all(|desired| *desired == 2), "{seen:?}");
    let changes = scaler.decisions().filter(|decision| decision.desired != decision.current);
    assert_eq!(changes.count(), 1);
}

#[test]
fn a_clock_that_jumps_ahead_has_seen_no_quiet_time() {
    let mut scaler = scaler(streams_alone(), 3);
    scaler.handle_sample(at(0), quiet());
    for (second, desired) in [(86_400, 3), (86_410, 0)] {
        // A day counts for two polls: 20 s, and 30 s only with the next look.
        let decision = scaler.handle_sample(at(second), quiet()).unwrap();
        assert_eq!(decision.desired, desired, "at {second} s");
    }
}

#[test]
fn a_clock_that_goes_back_neither_stops_the_scaler_nor_ends_a_cooldown() {
    let mut scaler = scaler(streams_alone(), 3);
    assert_eq!(watch(&mut scaler, 1_000, &[quiet(), quiet(), quiet()]), [3, 3, 3]);
    let decision = scaler.handle_sample(at(5), quiet()).unwrap();
    assert_eq!(decision.outcome, Outcome::Hold(Hold::Cooldown { remaining_millis: 10_000 }));
    assert_eq!(scaler.poll_timeout(), Some(at(15)));
    assert_eq!(watch(&mut scaler, 15, &[quiet()]), [0]);
}

#[test]
fn a_step_bounds_each_look_both_ways() {
    let scaling = ScalingConfig { step_max: 2, ..streams_alone() };
    let mut scaler = scaler(scaling, 0);
    assert_eq!(watch(&mut scaler, 0, &[streams(20); 4]), [2, 4, 5, 5]);
    // The cooldown is over once; from then on each look may take its step.
    assert_eq!(watch(&mut scaler, 40, &[quiet(); 7]), [5, 5, 5, 3, 1, 0, 0]);
}

#[test]
fn a_dry_run_decides_and_changes_nothing() {
    let scaling = ScalingConfig { dry_run: true, ..streams_alone() };
    let mut scaler = scaler(scaling, 1);
    assert_eq!(watch(&mut scaler, 0, &[streams(20), streams(20)]), [5, 5]);
    assert!(scaler.decisions().all(|decision| !decision.applied && decision.current == 1));
    assert_eq!(scaler.desired(), 1);
}

#[test]
fn no_cooldown_means_at_once() {
    let scaling = ScalingConfig { cooldown: Duration::ZERO, ..streams_alone() };
    assert_eq!(first(scaling, 4, quiet()).desired, 0);
}

#[test]
fn as_many_decisions_are_kept_as_promised() {
    let mut scaler = scaler(streams_alone(), 0);
    watch(&mut scaler, 0, &vec![quiet(); DECISIONS_KEPT_MAX + 5]);
    assert_eq!(scaler.decisions().count(), DECISIONS_KEPT_MAX);
    assert_eq!(scaler.decisions().next().unwrap().at_micros, 50_000_000);
}
