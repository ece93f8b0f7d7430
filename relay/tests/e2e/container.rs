//! The relay as the image and the manifests run it: nothing but what `rootfs.sh` lays out, read-only, as
//! nobody, without a capability, behind the seccomp profile.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::namespace::mounts;
use crate::support::packaging::{path, text};
use crate::support::ports::free_ports;
use crate::support::process::{Process, code};
use crate::support::relay::{BINARY, Relay, Settings};

const LIMIT: Duration = Duration::from_secs(30);
const PROFILE: &str = "kubernetes/seccomp/edgerelay.json";
const CONFIG: &str = "/etc/edgerelay/edgerelay.toml";
/// Where Debian's own Python is, which has Debian's modules.
const PYTHON: &str = "/usr/bin/python3";

/// What the image holds, laid out in a folder.
struct Image {
    root: TempDir,
}

impl Image {
    fn new(config: &str) -> Self {
        let root = TempDir::new().expect("a temporary folder");
        let layout =
            Command::new(path("container/rootfs.sh")).arg(BINARY).arg(root.path()).status();
        assert!(layout.expect("start rootfs.sh").success());
        std::fs::write(root.path().join(&CONFIG[1..]), config).expect("write the configuration");
        let open = Command::new("chmod").args(["-R", "a+rX"]).arg(root.path()).status();
        assert!(open.expect("start chmod").success());
        Self { root }
    }

    /// The command that runs the relay in it. `None`, loudly, where this machine does not let us.
    fn command(&self, profile: &Path) -> Option<Command> {
        let namespaces = mounts()?;
        if namespaces.contains(&"--map-root-user") {
            // Not by the macro, whose output the test harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: only root may take another user's place");
            return None;
        }
        let mut command = Command::new("unshare");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/support/contain.py");
        command.args(namespaces).args([PYTHON, script]).arg(self.root.path()).arg(profile);
        command.args(["/usr/bin/edgerelay", "run", "--config", CONFIG]);
        Some(command)
    }
}

#[test]
fn the_image_relays_as_nobody_behind_its_seccomp_profile() {
    let _machine = machine::shared();
    let upstream = Relay::start();
    let listen = free_ports(2);
    let settings = Settings::new()
        .workers("backend = \"process\"")
        .max_workers(1)
        .workers(&format!("listen = \"{listen}\""))
        .workers(&format!("pipeline.push_url = \"rtmp://{}/live\"", upstream.address()));
    let image = Image::new(&settings.text());
    let Some(mut command) = image.command(&path(PROFILE)) else { return };
    let mut relay = settings.start_as(&mut command);
    let status = relay.status();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in {status}"))
            .split_whitespace()
            .nth(1)
            .map(str::to_owned)
    };
    assert_eq!(field("Uid:").as_deref(), Some("65532"));
    assert_eq!(field("CapEff:").as_deref(), Some("0000000000000000"));
    assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"));
    assert_eq!(field("Seccomp:").as_deref(), Some("2"), "a filter is in force");

    // Through a worker, which is a process of its own, and a player.
    let player = Player::start(&upstream.url("cam"));
    upstream.wait_for_role("play", 1);
    let mut publisher = publish(Clip::Plain.path(), &relay.url("cam"), Pace::RealTime);
    publisher.succeed(LIMIT);
    let frames = Clip::Plain.frames();
    player.finish(LIMIT).is_all_of(&frames).expect("all of it");
    relay.signal(Signal::TERM);
    let status = relay.wait(LIMIT);
    assert!(status.success(), "{status}: {}", relay.log());
}

#[test]
fn behind_a_profile_without_io_uring_the_relay_says_so_and_ends() {
    let _machine = machine::shared();
    let mut profile: Value = serde_json::from_str(&text(PROFILE)).expect("JSON");
    let rules = profile["syscalls"].as_array_mut().expect("a list of rules");
    let before = rules.len();
    rules
        .retain(|rule| !rule["names"][0].as_str().is_some_and(|name| name.starts_with("io_uring")));
    assert_eq!(rules.len(), before - 1, "the profile lets io_uring through");
    let settings = Settings::new();
    let image = Image::new(&settings.text());
    let file = image.root.path().join("profile.json");
    std::fs::write(&file, profile.to_string()).expect("write the profile");
    let Some(mut command) = image.command(&file) else { return };
    let mut relay = Process::start(&mut command);
    assert_eq!(code(relay.wait(LIMIT)), 69, "{}", relay.stderr());
    assert!(relay.stderr().contains("io_uring is refused (EPERM)"), "{}", relay.stderr());
}
