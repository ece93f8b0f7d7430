//! Workers as systemd units. systemd is a mock of its manager's interface on a real message bus; the
//! units are real workers.

use std::time::Duration;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, publish, publish_looped};
use crate::support::fleet::{self, fleet_of};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::ports::free_ports;
use crate::support::relay::Settings;
use crate::support::systemd::Systemd;

const LIMIT: Duration = Duration::from_secs(30);

/// Puts a relay with such settings on the bus.
fn on_bus(settings: Settings, systemd: &Systemd) -> Settings {
    settings.environment("DBUS_SYSTEM_BUS_ADDRESS", systemd.address())
}

#[test]
fn units_are_started_found_again_replaced_and_stopped() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let listen = free_ports(8);
    let settings =
        || fleet_of("systemd", listen, &nginx.base()).workers("scaling.cooldown = \"2s\"");
    let systemd = Systemd::start(&settings().text());
    let start = || on_bus(settings(), &systemd).start();
    let one = "edgerelay-worker@1.service".to_owned();

    let relay = start();
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let work = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    assert_eq!(work.worker, Some(1));
    assert_eq!(systemd.running(), std::slice::from_ref(&one));

    // The node crashes, and finds its worker again.
    drop((publisher, relay));
    let relay = start();
    let found = fleet::wait_for_ready(&relay, 1, LIMIT);
    assert_eq!(found[0].id, 1);
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    assert_eq!(systemd.starts(), 1, "no other was needed");

    systemd.kill(&one);
    eventually("another worker with the stream", LIMIT, || {
        let work = fleet::work(&relay, "cam")?;
        (systemd.starts() == 2 && work.state == "relaying").then_some(())
    });
    drop(publisher);
    eventually("no unit", LIMIT, || systemd.running().is_empty().then_some(()));
    eventually("no worker", LIMIT, || fleet::workers(&relay).is_empty().then_some(()));
}

#[test]
fn a_worker_that_starts_slowly_gets_all_of_the_stream_that_waits_for_it() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let settings = fleet_of("systemd", free_ports(8), &nginx.base());
    let systemd = Systemd::start(&settings.text());
    systemd.hamper("sleep 3");
    let relay = on_bus(settings, &systemd).start();
    let mut publisher = publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime);
    fleet::wait_for_state(&relay, "cam", "assigned", LIMIT);
    assert_eq!(fleet::workers(&relay)[0].state, "starting");
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    publisher.succeed(LIMIT);
    fleet::wait_until_done(&relay, "cam", LIMIT);
    nginx.recordings("cam")[0].is_all_of(&Clip::Plain.frames()).unwrap();
    fleet::no_stream_was_disturbed(&relay);
    assert_eq!(systemd.starts(), 1);
}

#[test]
fn a_worker_that_does_not_start_is_given_up_and_another_one_gets_its_stream() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let settings =
        fleet_of("systemd", free_ports(8), &nginx.base()).workers("start_timeout = \"2s\"");
    let systemd = Systemd::start(&settings.text());
    systemd.hamper("exec sleep 1000");
    let relay = on_bus(settings, &systemd).start();
    let mut publisher = publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime);
    let work = fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    assert_eq!(work.failures, 0, "the stream is not to blame");
    publisher.succeed(LIMIT);
    fleet::wait_until_done(&relay, "cam", LIMIT);
    nginx.recordings("cam")[0].is_all_of(&Clip::Plain.frames()).unwrap();
    assert_eq!(systemd.starts(), 2);
    assert_eq!(systemd.running().len(), 1, "what did not start is gone");
}
