//! A stream's ordinary way: from zero, in turn, to its end.

use super::super::*;
use super::world::World;
use super::*;
use crate::id::WorkerId;

#[test]
fn from_zero_a_stream_is_assigned_when_its_worker_is_ready() {
    let mut world = World::new(settings());
    world.publish("a");
    assert_eq!(world.state("a"), Some(StreamState::Pending));
    assert_eq!(world.view("a").wait, Some(Wait::NoWorker));
    assert_eq!(world.placement.load().pending, 1);
    world.desire(1);
    assert_eq!(world.told(), ["start 1"]);
    assert_eq!(world.state("a"), Some(StreamState::Assigned));
    world.pass(seconds(2));
    world.ready(1);
    assert_eq!(world.told(), ["assign a to 1"]);
    assert_eq!(world.state("a"), Some(StreamState::Starting));
    world.pass(millis(300));
    world.receive("a");
    world.receive("a");
    world.pass(millis(200));
    world.progress("a");
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
    assert_eq!(
        world.phases,
        [
            (Phase::Queue, seconds(2)),
            (Phase::Worker, millis(300)),
            (Phase::Upstream, millis(200)),
            (Phase::Total, millis(2_500)),
        ],
    );
    let events: Vec<_> = world.transitions.iter().map(|transition| transition.event).collect();
    assert_eq!(events, [Event::Published, Event::Placed, Event::Begun, Event::Progressed]);
}

#[test]
fn streams_spread_over_the_workers_and_then_wait_in_turn() {
    let mut world = World::new(PlacementSettings { workers_max: 2, ..settings() });
    world.desire(2);
    for number in [1, 2] {
        world.ready(number);
    }
    world.told();
    for stream in ["a", "b", "c", "d", "e", "f"] {
        world.publish(stream);
    }
    assert_eq!(world.told(), ["assign a to 1", "assign b to 2", "assign c to 1", "assign d to 2"],);
    for (stream, place) in [("e", 1), ("f", 2)] {
        let view = world.view(stream);
        assert_eq!(view.place, Some(place));
        assert_eq!(view.wait, Some(Wait::NoRoom { shortage: Shortage::Streams }));
    }
    world.end("b");
    world.flush("b");
    assert_eq!(world.told(), ["finish b on 2", "assign e to 2"]);
    assert_eq!(world.view("f").place, Some(1));
}

#[test]
fn a_stream_stays_where_it_is_however_many_workers_come() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a", "b"]);
    world.desire(4);
    for number in [2, 3, 4] {
        world.ready(number);
    }
    world.pass(seconds(100));
    assert_eq!(world.told(), ["start 2", "start 3", "start 4"]);
    assert_eq!((world.worker_of("a"), world.worker_of("b")), (Some(1), Some(1)));
}

#[test]
fn what_a_stream_reserves_has_to_fit() {
    let cpu = |percent| Resources { cpu_percent: percent, ..Resources::default() };
    let room = Room { streams: 10, resources: cpu(400) };
    let settings = PlacementSettings { room, need: cpu(300), workers_max: 1, ..settings() };
    let mut world = World::new(settings);
    world.desire(1);
    world.ready(1);
    world.publish("a");
    world.publish("b");
    assert_eq!(world.view("b").wait, Some(Wait::NoRoom { shortage: Shortage::Cpu }));
    // A small one does not overtake it.
    world.handle(Input::Published { stream: key("small"), need: Some(cpu(50)) });
    assert_eq!(world.state("small"), Some(StreamState::Pending));
    // What fits no worker at all is stepped over.
    world.handle(Input::Published { stream: key("huge"), need: Some(cpu(401)) });
    assert_eq!(world.view("huge").wait, Some(Wait::TooLarge { shortage: Shortage::Cpu }));
    world.end("huge");
    world.handle(Input::Published { stream: key("huge"), need: Some(cpu(500)) });
    world.end("a");
    world.flush("a");
    assert_eq!(world.worker_of("b"), Some(1));
    assert_eq!(world.worker_of("small"), Some(1));
    assert_eq!(world.placement.workers()[0].reserved.cpu_percent, 350);
    // A worker that says it is larger takes it.
    let room = Room { streams: 1, resources: cpu(500) };
    world.handle(Input::WorkerFound { worker: WorkerId(2), room: Some(room), streams: vec![] });
    assert_eq!(world.worker_of("huge"), Some(2));
}

#[test]
fn an_end_in_any_state_ends_the_stream() {
    let mut world = World::new(settings());
    world.publish("pending");
    world.end("pending");
    world.desire(1);
    world.publish("assigned");
    world.end("assigned");
    assert_eq!(world.told(), ["start 1"]);
    world.ready(1);
    world.publish("starting");
    world.end("starting");
    assert_eq!(world.state("starting"), Some(StreamState::Draining));
    world.flush("starting");
    world.relay(&["relaying"]);
    world.end("relaying");
    world.flush("relaying");
    world.relay(&["recovering"]);
    world.fail("recovering", Failure::CommandExited, "");
    world.end("recovering");
    assert_eq!(world.states.len(), 0);
    assert_eq!(world.placement.load().workers_busy, 0);
}

#[test]
fn a_worker_that_never_says_that_it_is_done_is_not_waited_for() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.end("a");
    world.pass(seconds(8));
    world.progress("a");
    world.pass(millis(9_999));
    assert_eq!(world.state("a"), Some(StreamState::Draining));
    world.pass(millis(1));
    assert_eq!(world.state("a"), None);
    assert_eq!(world.told(), ["finish a on 1", "abort a on 1"]);
    assert_eq!(world.worker_state(1), Some(WorkerState::Ready), "an end is no stall");
}

#[test]
fn a_name_that_comes_back_cuts_its_end_short() {
    let mut world = World::new(settings());
    world.desire(2);
    world.relay(&["a", "b", "c"]);
    assert_eq!(world.worker_of("b"), Some(2));
    world.end("b");
    world.publish("b");
    assert_eq!(world.told(), ["finish b on 2", "abort b on 2", "assign b to 2"]);
    world.progress("b");
    assert_eq!(world.state("b"), Some(StreamState::Relaying));
}

#[test]
fn a_publish_of_a_stream_that_goes_on_changes_nothing() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.publish("a");
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn news_of_an_attempt_that_is_over_is_passed_over() {
    let mut world = World::new(settings());
    world.desire(2);
    world.relay(&["a"]);
    let old = world.attempt("a");
    world.fail("a", Failure::Disconnected, "");
    world.pass(millis(250));
    assert_eq!(world.told(), ["assign a to 2"]);
    for input in [
        Input::Progressed { stream: key("a"), attempt: old },
        Input::Received { stream: key("a"), attempt: old },
        Input::Flushed { stream: key("a"), attempt: old },
        Input::Failed {
            stream: key("a"),
            attempt: old,
            failure: Failure::CommandExited,
            detail: String::new(),
        },
    ] {
        world.handle(input);
        assert_eq!(world.state("a"), Some(StreamState::Starting));
    }
}
