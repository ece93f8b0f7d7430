//! What holds for every series of inputs, in whatever order: [`World`] checks each output, and every
//! view, against what was before. Stopping a worker with a stream, a second worker for a stream, a
//! stream that is forgotten, a transition that is not in the table: each fails there.

use proptest::prelude::*;

use super::super::*;
use super::world::{Running, World};
use super::*;
use crate::id::WorkerId;

const STREAMS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Clone, Debug)]
enum Act {
    Publish(usize),
    End(usize),
    Feed(usize),
    Receive(usize),
    Hinder(usize),
    Progress(usize),
    Fail(usize),
    Flush(usize),
    /// News of an attempt that is over, or never was.
    Stale(usize, u64),
    Retry(usize),
    Desire(usize),
    Ready(u16),
    Found(u16, Vec<usize>),
    Lose(u16, Loss),
    Drain(u16),
    Pass(u64),
    /// The clock moves without anybody having been woken: ahead, or back.
    Jump(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let stream = || 0..STREAMS.len();
    let worker = || 1..6u16;
    let loss = prop_oneof![Just(Loss::Exited), Just(Loss::StartFailed), Just(Loss::Silent)];
    prop_oneof![
        5 => stream().prop_map(Act::Publish),
        2 => stream().prop_map(Act::End),
        4 => stream().prop_map(Act::Feed),
        2 => stream().prop_map(Act::Receive),
        1 => stream().prop_map(Act::Hinder),
        5 => stream().prop_map(Act::Progress),
        2 => stream().prop_map(Act::Fail),
        2 => stream().prop_map(Act::Flush),
        1 => (stream(), 0..20u64).prop_map(|(stream, attempt)| Act::Stale(stream, attempt)),
        1 => stream().prop_map(Act::Retry),
        2 => (0..6usize).prop_map(Act::Desire),
        5 => worker().prop_map(Act::Ready),
        1 => (worker(), prop::collection::vec(stream(), 0..4))
            .prop_map(|(worker, streams)| Act::Found(worker, streams)),
        2 => (worker(), loss).prop_map(|(worker, loss)| Act::Lose(worker, loss)),
        1 => worker().prop_map(Act::Drain),
        5 => (0..3_000u64).prop_map(Act::Pass),
        1 => (0..40_000u64).prop_map(Act::Pass),
        1 => (-5_000..100_000i64).prop_map(Act::Jump),
    ]
}

fn settings_strategy() -> impl Strategy<Value = PlacementSettings> {
    (any::<bool>(), 0..3usize, 1..5usize, 1..4usize, 0..4u32).prop_map(
        |(given, min, max, streams, retries_max)| PlacementSettings {
            fleet: if given { Fleet::Given } else { Fleet::Managed },
            workers_min: min.min(max),
            workers_max: max,
            room: Room { streams, ..settings().room },
            retry: RetrySettings { retries_max, ..settings().retry },
            ..settings()
        },
    )
}

fn perform(world: &mut World, act: &Act) {
    let carried = |world: &World, stream: usize| world.carried.get(&key(STREAMS[stream])).copied();
    let managed = world.settings.fleet == Fleet::Managed;
    match act.clone() {
        Act::Publish(stream) => world.publish(STREAMS[stream]),
        Act::End(stream) => world.end(STREAMS[stream]),
        Act::Feed(stream) => world.feed(STREAMS[stream]),
        Act::Receive(stream) if carried(world, stream).is_some() => world.receive(STREAMS[stream]),
        Act::Hinder(stream) if carried(world, stream).is_some() => {
            let stream = STREAMS[stream];
            world.handle(Input::Hindered { stream: key(stream), attempt: world.attempt(stream) });
        }
        Act::Progress(stream) if carried(world, stream).is_some() => {
            world.progress(STREAMS[stream]);
        }
        Act::Fail(stream) if carried(world, stream).is_some() => {
            world.fail(STREAMS[stream], Failure::CommandExited, "");
        }
        Act::Flush(stream) if carried(world, stream).is_some() => world.flush(STREAMS[stream]),
        Act::Receive(_) | Act::Hinder(_) | Act::Progress(_) | Act::Fail(_) | Act::Flush(_) => {}
        Act::Stale(stream, attempt) => {
            let (stream, attempt) = (key(STREAMS[stream]), Attempt(attempt));
            if world.carried.get(&stream).is_none_or(|carried| carried.attempt != attempt) {
                world.handle(Input::Progressed { stream: stream.clone(), attempt });
                world.handle(Input::Flushed { stream, attempt });
            }
        }
        Act::Retry(stream) => world.handle(Input::Retry { stream: key(STREAMS[stream]) }),
        Act::Desire(workers) => world.desire(workers),
        // Workers speak only if they run; those of others come by being found.
        Act::Ready(number) if world.workers.contains_key(&WorkerId(number)) => world.ready(number),
        Act::Found(number, streams)
            if !managed || usize::from(number) <= world.settings.workers_max =>
        {
            let streams = streams.iter().map(|stream| key(STREAMS[*stream])).collect();
            world.handle(Input::WorkerFound { worker: WorkerId(number), room: None, streams });
        }
        Act::Lose(number, loss) => world.lose(number, loss),
        Act::Drain(number) => world.handle(Input::Drain { worker: WorkerId(number) }),
        Act::Pass(time) => world.pass(millis(time)),
        Act::Jump(time) => world.jump(time),
        Act::Ready(_) | Act::Found(..) => {}
    }
}

/// Workers come up and end as they are told.
fn go_on(world: &mut World) {
    for (worker, running) in world.workers.clone() {
        match running {
            Running::Starting => world.ready(worker.0),
            Running::Stopping => world.lose(worker.0, Loss::Exited),
            Running::Ready => {}
        }
    }
}

/// From now on everything goes well.
fn heal(world: &mut World) {
    world.desire(world.settings.workers_max);
    for _ in 0..120 {
        go_on(world);
        for (stream, carried) in world.carried.clone() {
            if carried.finishing {
                world.flush(name(&stream));
            } else {
                world.progress(name(&stream));
            }
        }
        world.pass(seconds(1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_series_of_inputs_breaks_a_promise(
        settings in settings_strategy(),
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let mut world = World::new(settings);
        for act in &acts {
            perform(&mut world, act);
        }
    }

    #[test]
    fn whatever_happened_streams_get_through_once_all_is_well(
        settings in settings_strategy(),
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let room = settings.room.streams * settings.workers_max;
        let mut world = World::new(settings);
        for act in &acts {
            // A drained worker stays a drained worker as long as its streams last.
            if !matches!(act, Act::Drain(_)) {
                perform(&mut world, act);
            }
        }
        heal(&mut world);
        let waiting = world.placement.load().pending;
        if world.settings.fleet == Fleet::Managed {
            prop_assert_eq!(waiting, world.placement.load().streams.saturating_sub(room));
        } else {
            let ready: Vec<_> = world.placement.workers();
            let places: usize = ready.iter().map(|worker| worker.room.streams).sum();
            prop_assert_eq!(waiting, world.placement.load().streams.saturating_sub(places));
        }
        for (stream, state) in &world.states {
            let settled = matches!(
                state,
                StreamState::Relaying | StreamState::Failed | StreamState::Pending
            ) || (waiting > 0 && *state == StreamState::Recovering);
            prop_assert!(settled, "{} is {state:?}", name(stream));
        }
    }

    #[test]
    fn tries_are_bounded_whatever_fails(
        retries_max in 0..5u32,
        failures in prop::collection::vec(0..3u8, 20),
    ) {
        let retry = RetrySettings { retries_max, ..settings().retry };
        let mut world = World::new(PlacementSettings { retry, ..settings() });
        world.desire(2);
        world.ready(1);
        world.ready(2);
        world.publish("a");
        for failure in failures {
            if !world.carried.contains_key(&key("a")) {
                break;
            }
            match failure {
                0 => world.fail("a", Failure::Refused, ""),
                1 => {
                    let worker = world.worker_of("a").unwrap();
                    world.lose(worker, Loss::Exited);
                }
                _ => {
                    world.feed("a");
                    world.pass(seconds(10));
                }
            }
            world.pass(seconds(10));
            go_on(&mut world);
        }
        let begun = world.transitions.iter().filter(|one| one.event == Event::Begun).count();
        prop_assert_eq!(world.state("a"), Some(StreamState::Failed));
        prop_assert_eq!(begun as u32, retries_max + 1);
    }
}
