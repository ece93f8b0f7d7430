//! Which workers are started, stopped, found and lost.

use super::super::*;
use super::world::World;
use super::*;
use crate::config::{WorkerBackend, WorkersConfig};
use crate::id::WorkerId;

fn found(number: u16, streams: &[&str]) -> Input {
    let streams = streams.iter().map(|stream| key(stream)).collect();
    Input::WorkerFound { worker: WorkerId(number), room: None, streams }
}

#[test]
fn a_dry_run_starts_not_even_the_least_number() {
    let mut config =
        WorkersConfig { backend: WorkerBackend::Process, min: 2, ..Default::default() };
    let told = |config: &WorkersConfig| World::new(PlacementSettings::new(config)).told();
    assert_eq!(told(&config), ["start 1", "start 2"]);
    config.scaling.dry_run = true;
    assert_eq!(told(&config), Vec::<String>::new());
}

#[test]
fn the_least_number_of_workers_runs_from_the_start() {
    let mut world = World::new(PlacementSettings { workers_min: 2, ..settings() });
    assert_eq!(world.told(), ["start 1", "start 2"]);
    world.desire(0);
    world.pass(seconds(20));
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn no_more_workers_run_than_allowed_those_that_stop_included() {
    let mut world = World::new(settings());
    world.desire(9);
    assert_eq!(world.told(), ["start 1", "start 2", "start 3", "start 4"]);
    for number in 1..=4 {
        world.ready(number);
    }
    world.desire(3);
    world.desire(4);
    assert_eq!(world.told(), ["stop 4"]);
    world.lose(4, Loss::Exited);
    assert_eq!(world.told(), ["start 4"]);
}

#[test]
fn only_idle_workers_are_stopped_and_the_others_when_they_are_empty() {
    let mut world = World::new(settings());
    world.desire(3);
    world.relay(&["a", "b", "c"]);
    world.end("b");
    world.flush("b");
    world.told();
    world.desire(0);
    assert_eq!(world.told(), ["stop 2"]);
    world.pass(seconds(5));
    world.end("a");
    assert_eq!(world.told(), ["finish a on 1"]);
    world.flush("a");
    assert_eq!(world.told(), ["stop 1"]);
    assert_eq!(world.state("c"), Some(StreamState::Relaying));
}

#[test]
fn what_is_too_much_gets_new_streams_last() {
    let mut world = World::new(settings());
    world.desire(3);
    world.relay(&["a", "b", "c"]);
    world.desire(1);
    world.publish("d");
    assert_eq!(world.told(), ["assign d to 1"]);
    world.publish("e");
    assert_eq!(world.told(), ["assign e to 2"]);
}

#[test]
fn a_worker_that_does_not_stop_is_killed() {
    let mut world = World::new(settings());
    world.desire(1);
    world.ready(1);
    world.desire(0);
    assert_eq!(world.told(), ["start 1", "stop 1"]);
    world.pass(seconds(25));
    assert_eq!(world.told(), ["kill 1", "kill 1"]);
    world.lose(1, Loss::Exited);
    world.pass(seconds(100));
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.placement.poll_timeout(), None);
}

#[test]
fn a_worker_that_does_not_come_up_is_killed_and_its_streams_wait_again() {
    let mut world = World::new(settings());
    world.publish("a");
    world.desire(1);
    world.pass(seconds(30));
    assert_eq!(world.told(), ["start 1", "kill 1"]);
    assert_eq!(world.state("a"), Some(StreamState::Pending));
    let retry_at = world.now + millis(250);
    assert_eq!(world.view("a").wait, Some(Wait::StartsFail { retry_at }));
    world.pass(millis(250));
    assert_eq!(world.told(), ["start 2"]);
    // Its own tries are not used up by that.
    assert_eq!(world.view("a").failures, 0);
    world.ready(2);
    assert_eq!(world.told(), ["assign a to 2"]);
    // The first one turns up after all: it is on its way out.
    world.ready(1);
    assert_eq!(world.worker_state(1), Some(WorkerState::Stopping));
}

#[test]
fn a_worker_that_never_starts_is_tried_at_growing_pauses_for_ever() {
    let mut world = World::new(settings());
    world.publish("a");
    world.desire(1);
    for pause in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        world.told();
        world.lose(1, Loss::StartFailed);
        world.pass(millis(pause - 1));
        assert_eq!(world.told(), Vec::<String>::new(), "within {pause} ms");
        world.pass(millis(1));
        assert_eq!(world.told(), ["start 1"]);
    }
    assert_eq!(world.state("a"), Some(StreamState::Assigned));
}

#[test]
fn a_drained_worker_takes_no_streams_and_ends_when_it_is_empty() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.handle(Input::Drain { worker: WorkerId(1) });
    // Another one takes its part.
    assert_eq!(world.told(), ["start 2"]);
    world.publish("b");
    assert_eq!(world.worker_of("b"), Some(2));
    world.ready(2);
    world.pass(seconds(3_600));
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
    world.told();
    world.end("a");
    world.flush("a");
    assert_eq!(world.told(), ["finish a on 1", "stop 1"]);
}

#[test]
fn a_starting_worker_that_is_drained_gives_its_places_back() {
    let mut world = World::new(settings());
    world.publish("a");
    world.desire(1);
    assert_eq!(world.state("a"), Some(StreamState::Assigned));
    world.handle(Input::Drain { worker: WorkerId(1) });
    assert_eq!(world.told(), ["start 1", "start 2", "stop 1"]);
    assert_eq!(world.worker_of("a"), Some(2));
}

#[test]
fn workers_of_another_life_are_kept_and_get_their_streams_back() {
    let mut world = World::new(settings());
    world.handle(found(1, &["x"]));
    world.handle(found(3, &["a", "b"]));
    assert_eq!(world.told(), Vec::<String>::new());
    // Worker 1 has fewer streams, but 3 works on this one already.
    world.publish("a");
    assert_eq!(world.told(), ["assign a to 3"]);
    // 3 keeps a place for b, so it is full.
    world.publish("c");
    world.publish("d");
    assert_eq!(world.told(), ["assign c to 1"]);
    assert_eq!(world.state("d"), Some(StreamState::Pending));
    // d was there before, but the place is not for it.
    world.publish("b");
    assert_eq!(world.told(), ["assign b to 3"]);
    assert_eq!(world.state("d"), Some(StreamState::Pending));
}

#[test]
fn a_place_is_not_kept_for_ever() {
    let mut world = World::new(settings());
    world.handle(found(1, &["a", "b"]));
    world.desire(0);
    world.pass(millis(29_999));
    assert_eq!(world.told(), Vec::<String>::new(), "it may carry them yet");
    world.pass(millis(1));
    assert_eq!(world.told(), ["stop 1"]);
}

#[test]
fn a_worker_that_is_found_twice_or_while_it_starts_is_one_worker() {
    let mut world = World::new(settings());
    world.publish("a");
    world.desire(1);
    world.handle(found(1, &["x"]));
    assert_eq!(world.told(), ["start 1", "assign a to 1"]);
    world.handle(found(1, &[]));
    assert_eq!(world.placement.load().workers_ready, 1);
}

#[test]
fn workers_of_others_are_neither_started_nor_stopped() {
    let mut world =
        World::new(PlacementSettings { fleet: Fleet::Given, workers_min: 1, ..settings() });
    world.desire(3);
    world.handle(found(1, &[]));
    world.handle(found(2, &[]));
    world.desire(0);
    world.publish("a");
    world.publish("b");
    assert_eq!(world.told(), ["assign a to 1", "assign b to 2"]);
    world.lose(1, Loss::Silent);
    world.pass(millis(250));
    assert_eq!(world.told(), ["abort a on 1", "assign a to 2"]);
    assert_eq!(world.worker_state(1), None);
    world.handle(found(1, &[]));
    world.pass(seconds(100));
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_drained_worker_of_others_is_let_go_when_it_is_empty_and_may_be_found_again() {
    let mut world = World::new(PlacementSettings { fleet: Fleet::Given, ..settings() });
    world.handle(found(1, &[]));
    world.publish("a");
    world.progress("a");
    world.told();
    world.handle(Input::Drain { worker: WorkerId(1) });
    world.publish("b");
    assert_eq!(world.told(), Vec::<String>::new(), "a goes on, b waits");
    world.end("a");
    world.flush("a");
    assert_eq!(world.told(), ["finish a on 1", "stop 1"]);
    world.lose(1, Loss::Exited);
    assert_eq!(world.worker_state(1), None);
    world.handle(found(1, &[]));
    assert_eq!(world.told(), ["assign b to 1"]);
}

#[test]
fn a_stuck_worker_of_others_is_avoided_and_gets_another_chance() {
    let mut world = World::new(PlacementSettings { fleet: Fleet::Given, ..settings() });
    world.handle(found(1, &[]));
    world.publish("a");
    world.progress("a");
    world.feed("a");
    world.pass(seconds(10));
    assert_eq!(world.worker_state(1), Some(WorkerState::Suspect));
    // There is no other, so it is tried again there.
    world.pass(millis(250));
    assert_eq!(world.told(), ["assign a to 1", "abort a on 1", "assign a to 1"]);
    world.handle(found(2, &[]));
    world.publish("b");
    assert_eq!(world.told(), ["assign b to 2"]);
    world.pass(seconds(10));
    assert_eq!(world.worker_state(1), Some(WorkerState::Ready));
}

#[test]
fn a_reload_changes_what_is_new_and_moves_nothing() {
    let mut world = World::new(settings());
    world.desire(2);
    world.relay(&["a", "b"]);
    world.settings = PlacementSettings { workers_max: 1, ..settings() };
    world.placement.configure(world.now, world.settings.clone());
    assert_eq!(world.placement.poll_output(), None);
    assert_eq!((world.worker_of("a"), world.worker_of("b")), (Some(1), Some(2)));
    world.end("b");
    world.flush("b");
    assert_eq!(world.told(), ["finish b on 2", "stop 2"]);
}
