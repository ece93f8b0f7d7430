//! What systemd is told, with a socket of ours in its place.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::ffmpeg::publish_looped;
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::notify::NotifySocket;
use crate::support::process::code;
use crate::support::relay::Settings;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn systemd_hears_of_readiness_life_and_a_drain_that_takes_long() {
    let _machine = machine::shared();
    let systemd = NotifySocket::start();
    let mut relay = Settings::new()
        .environment("NOTIFY_SOCKET", &systemd.address())
        .environment("WATCHDOG_USEC", "1500000")
        .start();
    systemd.hear("READY=1");
    systemd.hear("WATCHDOG=1");
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    relay.wait_for_streams(1);
    relay.signal(Signal::TERM);
    systemd.hear("STOPPING=1");
    // The shard without a publisher has nothing to wait for and ends; that is no failure.
    for _ in 0..3 {
        systemd.hear("WATCHDOG=1");
    }
    systemd.hear("EXTEND_TIMEOUT_USEC=");
    drop(publisher);
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}
