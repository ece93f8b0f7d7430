//! What holds for every series of samples, however wild.

use proptest::prelude::*;

use super::*;

fn scaling_strategy() -> impl Strategy<Value = ScalingConfig> {
    let thresholds = (0..4usize, 0..4usize, 0..4u64, 0..4usize);
    let activations = (0..3usize, 0..3usize, 0..3usize);
    (any::<bool>(), 0..40u64, 0..4usize, thresholds, activations).prop_map(
        |(ratio, cooldown, step_max, (clients, streams, kilobits, pending), activations)| {
            ScalingConfig {
                policy: if ratio { ScalingPolicy::QueueRatio } else { ScalingPolicy::Threshold },
                cooldown: Duration::from_secs(cooldown),
                step_max,
                clients_threshold: clients,
                clients_activation: activations.0,
                streams_threshold: streams,
                streams_activation: activations.1,
                bitrate_threshold: BitRate::from_bits_per_second(kilobits * 1_000),
                pending_threshold: pending,
                pending_activation: activations.2,
                ..ScalingConfig::default()
            }
        },
    )
}

fn sample_strategy() -> impl Strategy<Value = Sample> {
    let known = |range| prop::option::weighted(0.9, range);
    let workers = (0..3usize, 0..6usize, 0..6usize);
    (known(0..40u64), known(0..20u64), known(0..9_000u64), known(0..9u64), workers).prop_map(
        |(clients, streams, bits, pending, (starting, ready, busy))| Sample {
            connections: clients.map(|play| Connections { play, push: 99, ..Default::default() }),
            streams,
            received: bits.map(BitRate::from_bits_per_second),
            pending,
            workers: WorkerCounts { starting, ready, busy },
        },
    )
}

fn series() -> impl Strategy<Value = (Opening, Vec<(i64, Sample)>)> {
    let opening = (0..4usize, 0..6usize, 0..12usize, scaling_strategy()).prop_map(
        |(min, more, running, scaling)| Opening { min, max: min + more, scaling, running },
    );
    // Mostly ten seconds, at times less, a jump ahead, or a step back.
    let step = prop_oneof![
        6 => Just(10_000i64),
        2 => 0..15_000i64,
        1 => 0..10_000_000i64,
        1 => -50_000..0i64,
    ];
    (opening, prop::collection::vec((step, sample_strategy()), 1..60))
}

/// The decisions of a series, each with the time that had passed since the one before.
fn decide(opening: &Opening, steps: &[(i64, Sample)]) -> (Scaler, Vec<Decision>) {
    let mut scaler = Scaler::open(opening.clone());
    let mut millis = 1_000_000u64;
    let mut decisions = Vec::new();
    for (step, sample) in steps {
        millis = millis.saturating_add_signed(*step);
        decisions.extend(scaler.handle_sample(Instant::from_millis(millis), *sample));
    }
    (scaler, decisions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn desired_stays_within_its_limits_and_its_step((opening, steps) in series()) {
        let (scaler, decisions) = decide(&opening, &steps);
        let step = match opening.scaling.step_max { 0 => usize::MAX, step => step };
        for decision in &decisions {
            prop_assert!((opening.min..=opening.max).contains(&decision.desired), "{decision:?}");
            prop_assert!(decision.desired.abs_diff(decision.current) <= step, "{decision:?}");
        }
        prop_assert!((opening.min..=opening.max).contains(&scaler.desired()));
    }

    #[test]
    fn fewer_are_decided_only_on_full_knowledge_and_never_fewer_than_busy(
        (opening, steps) in series(),
    ) {
        let (_, decisions) = decide(&opening, &steps);
        for decision in decisions.iter().filter(|decision| decision.desired < decision.current) {
            prop_assert!(decision.readings.iter().all(|reading| reading.value.is_some()));
            prop_assert!(decision.desired >= decision.sample.workers.busy, "{decision:?}");
            prop_assert_eq!(decision.outcome, Outcome::In);
            prop_assert_eq!(decision.occasion, Occasion::Poll);
        }
    }

    #[test]
    fn fewer_are_decided_only_after_a_whole_cooldown((opening, steps) in series()) {
        let (_, decisions) = decide(&opening, &steps);
        let cooldown = u64::try_from(opening.scaling.cooldown.as_micros()).unwrap();
        let mut quiet_micros = 0u64;
        let mut before: Option<&Decision> = None;
        for decision in &decisions {
            let known = decision.readings.iter().all(|reading| reading.value.is_some());
            let fewer = known && decision.wanted.is_some_and(|wanted| wanted < decision.current);
            let fewer_before = before.is_some_and(|before| {
                matches!(before.outcome, Outcome::In | Outcome::Hold(Hold::Cooldown { .. } | Hold::Busy))
            });
            quiet_micros = match before {
                Some(before) if fewer && fewer_before => {
                    quiet_micros + decision.at_micros.saturating_sub(before.at_micros)
                }
                _ => 0,
            };
            if decision.desired < decision.current {
                prop_assert!(quiet_micros >= cooldown, "{quiet_micros} µs before {decision:?}");
            }
            before = Some(decision);
        }
    }

    #[test]
    fn a_record_of_any_series_replays((opening, steps) in series()) {
        let (scaler, decisions) = decide(&opening, &steps);
        let mut lines = vec![RecordLine::Opening(scaler.opening().clone()).to_json()];
        lines.extend(decisions.iter().map(|decision| RecordLine::Decision(decision.clone()).to_json()));
        let replayed = replay(lines.iter().map(String::as_str));
        let expected = Replayed { openings: 1, decisions: decisions.len() };
        prop_assert_eq!(replayed.map_err(|fault| fault.to_string()), Ok(expected));
    }
}
