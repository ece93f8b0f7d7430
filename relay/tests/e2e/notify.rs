//! What systemd is told, with a socket of ours in its place.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::ffmpeg::publish_looped;
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::process::code;
use crate::support::relay::Settings;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn systemd_hears_of_readiness_life_and_a_drain_that_takes_long() {
    let _machine = machine::shared();
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a socket");
    let wait_for = |wanted: &str| {
        let mut words = [0; 4096];
        loop {
            let count = socket.recv(&mut words).unwrap_or_else(|error| {
                panic!("{error}, waiting for {wanted}");
            });
            if String::from_utf8_lossy(&words[..count]).lines().any(|it| it.starts_with(wanted)) {
                return;
            }
        }
    };
    let place = format!("NOTIFY_SOCKET={}", path.display());
    let mut relay = Settings::new().start_by("env", &[&place, "WATCHDOG_USEC=1500000"]);
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    let publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    relay.wait_for_streams(1);
    relay.signal(Signal::TERM);
    wait_for("STOPPING=1");
    // The shard without a publisher has nothing to wait for and ends; that is no failure.
    for _ in 0..3 {
        wait_for("WATCHDOG=1");
    }
    wait_for("EXTEND_TIMEOUT_USEC=");
    drop(publisher);
    assert_eq!(code(relay.wait(LIMIT)), 0, "{}", relay.log());
}
