//! What operators want of workers and of the work on streams.

use std::fs;
use std::time::Duration;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish, publish_looped};
use crate::support::fleet::{self, fleet, fleet_at, foreign_worker, runs};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::operator::{Desk, NOBODY_IN_4711};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_worker_that_is_drained_keeps_its_stream_and_another_one_takes_the_next() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let desk = Desk::new();
    let relay = desk.at(fleet(&nginx.base())).start();
    let mut publisher = publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime);
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let drained = fleet::workers(&relay)[0].clone();
    for _ in 0..2 {
        let told = desk.answer(&["workers", "drain", "1"]);
        assert_eq!(told, "worker 1 gets no new streams and ends once it has none\n");
    }
    eventually("the worker to be drained", LIMIT, || {
        let workers = fleet::workers(&relay);
        workers
            .iter()
            .any(|it| it.id == 1 && it.state == "draining" && it.streams == 1)
            .then_some(())
    });
    let _other = publish_looped(Clip::Plain.path(), &relay.url("other"));
    let other = fleet::wait_for_state(&relay, "other", "relaying", LIMIT);
    assert_ne!(other.worker, Some(1));
    publisher.succeed(LIMIT);
    fleet::wait_until_done(&relay, "cam", LIMIT);
    nginx.recordings("cam")[0].is_all_of(&Clip::Plain.frames()).unwrap();
    fleet::no_stream_was_disturbed(&relay);
    let pid = drained.pid.expect("a child of the relay");
    eventually("the end of the worker", LIMIT, || (!runs(pid)).then_some(()));
}

#[test]
fn a_stream_that_failed_is_tried_again_when_an_operator_wants_it() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let desk = Desk::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mended = folder.path().join("mended");
    let run = "exec ffmpeg -v warning -nostdin -progress pipe:1 -rtmp_live live -i {input} -c copy \
               -f flv {output}";
    let script = format!("test -e {} || exit 3; {run}", mended.display());
    let settings = fleet(&nginx.base())
        .workers("pipeline.kind = \"command\"")
        .workers(&format!("pipeline.command = {:?}", ["sh", "-c", &script]))
        .workers("retry_delay = \"100ms\"");
    let relay = desk.at(settings).start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam.1"));
    fleet::wait_for_state(&relay, "cam.1", "failed", LIMIT);
    fs::write(mended, "").expect("ours");
    assert_eq!(desk.answer(&["streams", "retry", "live/cam.1"]), "live/cam.1 waits for a worker\n");
    fleet::wait_for_state(&relay, "cam.1", "relaying", LIMIT);
    let mut upstream = Player::start(&nginx.url("cam.1"));
    upstream.wait_for_frames(30, LIMIT);
    let again = desk.run(&["streams", "retry", "live/cam.1"]);
    assert_eq!(again.code, Some(69), "{again:?}");
    assert!(again.err.contains("status 409: the stream has not failed"), "{again:?}");
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let Some(desk) = Desk::for_others() else { return };
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let worker = foreign_worker(&nginx.base()).start();
    let settings = fleet_at(&[worker.address().to_string()]).control("group = \"4711\"");
    let relay = desk.at(settings).start();
    fleet::wait_for_ready(&relay, 1, LIMIT);
    for (words, why) in [
        (&["workers", "drain", "1"][..], "status 409: somebody else runs this worker"),
        (&["workers", "drain", "9"], "status 404: there is no such worker"),
        (&["streams", "retry", "live/cam"], "status 404: no such stream goes to workers"),
    ] {
        let refused = desk.run(words);
        assert_eq!((refused.code, &*refused.out), (Some(69), ""), "{refused:?}");
        assert!(refused.err.contains(why), "{refused:?}");
        // Who may look may not do this.
        let refused = desk.run_as(&NOBODY_IN_4711, words);
        assert_eq!(refused.code, Some(77), "{refused:?}");
    }
    assert_eq!(fleet::workers(&relay)[0].state, "ready");
}
