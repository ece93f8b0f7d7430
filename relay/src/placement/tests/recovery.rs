//! What goes wrong with streams and workers, and how streams come back.

use super::super::*;
use super::world::World;
use super::*;

#[test]
fn streams_of_a_dead_worker_go_to_others_within_a_second() {
    let mut world = World::new(PlacementSettings {
        room: Room { streams: 4, ..settings().room },
        ..settings()
    });
    world.desire(1);
    world.relay(&["a", "b", "c"]);
    world.desire(2);
    world.ready(2);
    world.told();
    world.lose(1, Loss::Exited);
    assert_eq!(world.told(), ["abort a on 1", "abort b on 1", "abort c on 1"]);
    assert_eq!(world.state("a"), Some(StreamState::Recovering));
    world.pass(millis(250));
    assert_eq!(world.told(), ["assign a to 2", "assign b to 2", "assign c to 2", "start 1"]);
    world.pass(millis(100));
    world.progress("b");
    assert_eq!(world.phases.last(), Some(&(Phase::Recovery, millis(350))));
}

#[test]
fn the_only_worker_that_dies_is_replaced_and_gets_its_streams_back() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a", "b"]);
    world.lose(1, Loss::Exited);
    let retry_at = world.now + millis(250);
    assert_eq!(world.view("a").wait, Some(Wait::Backoff { retry_at }));
    assert_eq!(world.view("a").last_failure, Some((Failure::WorkerLost, "signal 9".to_owned())));
    world.told();
    world.pass(millis(250));
    assert_eq!(world.told(), ["start 1"]);
    assert_eq!(world.state("a"), Some(StreamState::Assigned));
    world.ready(1);
    assert_eq!(world.told(), ["assign a to 1", "assign b to 1"]);
}

#[test]
fn a_command_that_exits_at_once_is_tried_again_with_growing_pauses_and_then_given_up() {
    let mut world = World::new(settings());
    world.desire(1);
    world.publish("a");
    world.publish("other");
    world.ready(1);
    world.progress("other");
    world.told();
    for pause in [250, 500, 1_000] {
        world.fail("a", Failure::CommandExited, "status 1");
        world.pass(millis(pause - 1));
        assert_eq!(world.told(), Vec::<String>::new());
        world.pass(millis(1));
        assert_eq!(world.told(), ["assign a to 1"]);
    }
    world.fail("a", Failure::CommandExited, "no such codec");
    assert_eq!(world.told(), ["fail a after 4: command_exited: no such codec"]);
    world.pass(seconds(3_600));
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.state("a"), Some(StreamState::Failed));
    // Nothing happened to the other one, and a failed stream wants no worker.
    assert_eq!(world.state("other"), Some(StreamState::Relaying));
    assert_eq!((world.placement.load().streams, world.placement.load().failed), (1, 1));
}

#[test]
fn what_a_worker_has_tried_often_enough_is_not_tried_again() {
    let mut world = World::new(settings());
    world.desire(2);
    world.relay(&["a"]);
    world.fail("a", Failure::GivenUp, "status 1, four times");
    assert_eq!(world.told(), ["fail a after 1: given_up: status 1, four times"]);
    assert_eq!(world.state("a"), Some(StreamState::Failed));
}

#[test]
fn a_failed_stream_is_tried_again_when_asked_or_published_anew() {
    let mut world = World::new(PlacementSettings {
        retry: RetrySettings { retries_max: 0, ..settings().retry },
        ..settings()
    });
    world.desire(1);
    world.relay(&["a"]);
    let retry = Input::Retry { stream: key("a") };
    world.handle(retry.clone());
    assert_eq!(world.state("a"), Some(StreamState::Relaying), "it has not failed");
    for input in [retry, Input::Published { stream: key("a"), need: None }] {
        world.fail("a", Failure::CommandExited, "");
        assert_eq!(world.state("a"), Some(StreamState::Failed));
        world.handle(input);
        assert_eq!(world.state("a"), Some(StreamState::Starting));
    }
}

#[test]
fn an_upstream_that_takes_nothing_costs_neither_a_try_nor_the_worker() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    for round in 0..20 {
        let attempt = world.attempt("a");
        world.handle(Input::Hindered { stream: key("a"), attempt });
        while world.carried.get(&key("a")).is_some_and(|it| it.attempt == attempt) {
            world.feed("a");
            world.pass(seconds(1));
        }
        let (failure, _) = world.view("a").last_failure.expect("it got stuck");
        assert_eq!(failure, Failure::Upstream, "round {round}");
        world.pass(seconds(30));
        assert_eq!(world.state("a"), Some(StreamState::Starting), "round {round}");
        assert_eq!(world.worker_state(1), Some(WorkerState::Ready), "round {round}");
    }
    world.progress("a");
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
    // What comes out of nothing afterwards is the worker's fault again.
    for _ in 0..12 {
        world.feed("a");
        world.pass(seconds(1));
    }
    assert_eq!(world.view("a").last_failure.map(|it| it.0), Some(Failure::Stalled));
}

#[test]
fn going_well_for_long_wins_the_retries_back() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    for _ in 0..10 {
        world.pass(seconds(61));
        world.fail("a", Failure::CommandExited, "");
        world.pass(millis(250));
        world.progress("a");
    }
    assert_eq!(world.view("a").failures, 1);
    for _ in 0..2 {
        world.pass(seconds(59));
        world.fail("a", Failure::CommandExited, "");
        world.pass(seconds(1));
        world.progress("a");
    }
    assert_eq!(world.view("a").failures, 3);
}

#[test]
fn a_failed_attempt_is_followed_by_one_elsewhere() {
    let mut world = World::new(settings());
    world.desire(2);
    world.relay(&["a"]);
    world.fail("a", Failure::Refused, "");
    world.pass(millis(250));
    assert_eq!(world.told(), ["assign a to 2"]);
}

#[test]
fn a_worker_that_takes_media_and_gives_none_is_found_out() {
    let mut world = World::new(settings());
    world.desire(2);
    world.relay(&["a", "b", "c"]);
    assert_eq!(world.worker_of("c"), Some(1));
    for _ in 0..9 {
        for stream in ["a", "b", "c"] {
            world.feed(stream);
        }
        world.progress("b");
        world.pass(seconds(1));
    }
    assert_eq!(world.told(), Vec::<String>::new());
    world.feed("b");
    world.progress("b");
    world.pass(seconds(1));
    assert_eq!(world.told(), ["abort a on 1", "abort c on 1", "start 3", "kill 1"]);
    assert_eq!(world.view("a").last_failure.unwrap().0, Failure::Stalled);
    world.pass(millis(250));
    assert_eq!(world.told(), ["assign a to 2"]);
    assert_eq!(world.state("c"), Some(StreamState::Assigned));
    world.ready(3);
    assert_eq!(world.told(), ["assign c to 3"]);
}

#[test]
fn a_stall_is_found_when_its_time_is_over_however_news_of_feeding_come() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    for _ in 0..3 {
        world.feed("a");
        world.pass(millis(400));
        world.progress("a");
        world.pass(millis(600));
    }
    // It last got on 600 ms ago and was fed since; the next news of that comes now.
    for _ in 0..9 {
        world.feed("a");
        world.pass(seconds(1));
    }
    world.feed("a");
    world.pass(millis(399));
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
    world.pass(millis(1));
    assert_eq!(world.state("a"), Some(StreamState::Recovering));
}

#[test]
fn media_after_a_pause_is_not_held_against_the_worker_for_the_pause() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.feed("a");
    world.progress("a");
    world.pass(seconds(60));
    world.feed("a");
    world.pass(millis(9_999));
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
}

#[test]
fn one_stuck_stream_among_others_does_not_cost_the_worker() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a", "b"]);
    for _ in 0..10 {
        world.feed("a");
        world.feed("b");
        world.pass(millis(500));
        world.progress("b");
        world.pass(millis(500));
    }
    assert_eq!(world.told(), ["abort a on 1"]);
    assert_eq!(world.worker_state(1), Some(WorkerState::Ready));
    assert_eq!(world.state("b"), Some(StreamState::Relaying));
}

#[test]
fn a_silent_publisher_is_no_stalled_worker() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.pass(seconds(3_600));
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
}

#[test]
fn a_stall_is_also_found_before_the_first_byte_is_upstream() {
    let mut world = World::new(settings());
    world.desire(1);
    world.publish("a");
    world.ready(1);
    world.feed("a");
    world.pass(seconds(10));
    assert_eq!(world.state("a"), Some(StreamState::Recovering));
    assert_eq!(world.worker_state(1), Some(WorkerState::Stopping));
}

#[test]
fn a_suspect_that_gets_on_again_is_trusted_again() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a", "b"]);
    world.feed("a");
    world.pass(seconds(10));
    assert_eq!(world.worker_state(1), Some(WorkerState::Suspect));
    // It carries b, so it is not ended.
    assert_eq!(world.told(), ["abort a on 1", "start 2"]);
    world.progress("b");
    assert_eq!(world.worker_state(1), Some(WorkerState::Ready));
}

#[test]
fn a_clock_that_jumps_is_no_stall() {
    let mut world = World::new(settings());
    world.desire(2);
    world.ready(1);
    world.publish("a");
    world.feed("a");
    world.told();
    world.jump(86_400_000);
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.worker_state(2), Some(WorkerState::Starting));
    // From here time counts again.
    world.pass(seconds(10));
    assert_eq!(world.state("a"), Some(StreamState::Recovering));
    assert_eq!(world.view("a").last_failure.unwrap().0, Failure::Stalled);
}

#[test]
fn a_clock_that_goes_back_does_nothing() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.feed("a");
    world.told();
    world.jump(-1_000);
    world.pass(seconds(9));
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.state("a"), Some(StreamState::Relaying));
}

#[test]
fn a_worker_that_flushes_a_live_stream_has_failed_it() {
    let mut world = World::new(settings());
    world.desire(1);
    world.relay(&["a"]);
    world.flush("a");
    assert_eq!(world.state("a"), Some(StreamState::Recovering));
}
