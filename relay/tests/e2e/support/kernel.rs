//! Kernel accounting for tests: a BPF file system of their own, and the loader.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use edgerelay_ebpf_common::{Heartbeat, maps};
use rustix::process::Signal;
use tempfile::TempDir;

use super::eventually::eventually;
use super::namespace::{Namespaces, program_with_file};
use super::process::{Process, code};
use super::relay::{BINARY, Settings};

const LIMIT: Duration = Duration::from_secs(20);

/// What the loader says when connections are counted.
const COUNTING: &str = "counting connections";

/// What the loader says where it cannot be tested: built without the programs, no right to load them
/// (`EPERM`), nothing to attach them to. Programs that the verifier does not like are none of these.
const EXCUSES: [&str; 3] = ["is not compiled in", "(os error 1)", "no cgroup2 is mounted"];

/// A mounted BPF file system; it goes with this value.
pub(crate) struct PinPlace {
    folder: TempDir,
}

impl PinPlace {
    /// `None`, loudly, where programs may not be loaded, or the relay was built without them.
    pub(crate) fn new() -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "bpf", "bpf"]).arg(folder.path()).stderr(Stdio::null());
        if !mount.status().is_ok_and(|status| status.success()) {
            return skipped("no BPF file system may be mounted here");
        }
        let place = Self { folder };
        // Nobody is to be counted on this port; it is about being allowed to.
        let mut probe = Loader::launch(&place.settings(), &[]);
        let counting = eventually("the loader to count or to give up", LIMIT, || {
            match probe.process.ended() {
                Some(_) => Some(false),
                None => probe.log().contains(COUNTING).then_some(true),
            }
        });
        if counting {
            probe.stop();
            return Some(place);
        }
        let why = probe.log();
        let excused = EXCUSES.iter().any(|excuse| why.contains(excuse));
        assert!(excused, "the loader gave up without an excuse: {why}");
        skipped(why.lines().last().unwrap_or("the loader gave up"))
    }

    /// The folder that the loader makes.
    pub(crate) fn pins(&self) -> std::path::PathBuf {
        self.folder.path().join("edgerelay")
    }

    /// Settings for a relay whose connections are counted here.
    pub(crate) fn settings(&self) -> Settings {
        Settings::new().accounting(&self.setting())
    }

    /// The setting that makes them so.
    pub(crate) fn setting(&self) -> String {
        format!("pin_dir = \"{}\"", self.pins().display())
    }

    /// Makes what is pinned look as if a loader of another version had left it there.
    pub(crate) fn pretend_layout(&self, version: u32) {
        let map = MapData::from_pin(self.pins().join(maps::HEARTBEAT)).expect("is pinned");
        let mut map: Array<_, Heartbeat> = Map::Array(map).try_into().expect("as we know it");
        let found = map.get(&0, 0).expect("a value");
        map.set(0, Heartbeat { version, ..found }, 0).expect("ours");
    }

    /// Lets everybody pass through to the pins, which only the loader's group may read.
    pub(crate) fn open(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.folder.path(), mode).expect("ours");
    }
}

impl Drop for PinPlace {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    // Not by the macro, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: kernel accounting: {why}");
    None
}

/// `edgerelay accounting`.
pub(crate) struct Loader {
    process: Process,
    _folder: TempDir,
}

impl Loader {
    /// Starts it for a relay of these settings, and waits until it counts.
    #[track_caller]
    pub(crate) fn start(settings: &Settings) -> Self {
        Self::start_with(settings, &[])
    }

    /// As [`Self::start`], with more arguments.
    #[track_caller]
    pub(crate) fn start_with(settings: &Settings, arguments: &[&str]) -> Self {
        Self::launch(settings, arguments).counting()
    }

    /// As [`Self::start`], by way of `program`, which takes the command after its own arguments.
    #[track_caller]
    pub(crate) fn start_by(settings: &Settings, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(BINARY);
        Self::run(command, settings, &[]).counting()
    }

    /// As [`Self::start`], on a kernel that does not describe its types. Needs leave to make mount
    /// namespaces.
    #[track_caller]
    pub(crate) fn start_without_types(settings: &Settings, namespaces: Namespaces) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let nothing = folder.path().join("nothing");
        std::fs::write(&nothing, "").expect("write a file");
        let types = "/sys/kernel/btf/vmlinux";
        Self::run(program_with_file(namespaces, &nothing, types, BINARY), settings, &[]).counting()
    }

    fn launch(settings: &Settings, arguments: &[&str]) -> Self {
        Self::run(Command::new(BINARY), settings, arguments)
    }

    fn run(mut command: Command, settings: &Settings, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("edgerelay.toml");
        std::fs::write(&file, settings.text()).expect("write the configuration");
        command.args(["accounting", "--config"]).arg(&file).args(arguments);
        Self { process: Process::start(&mut command), _folder: folder }
    }

    #[track_caller]
    fn counting(mut self) -> Self {
        eventually("the loader to count", LIMIT, || {
            assert!(self.process.ended().is_none(), "the loader ended: {}", self.log());
            self.log().contains(COUNTING).then_some(())
        });
        self
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr() + &self.process.stdout()
    }

    /// Tells it to stop, and waits for that.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.succeed(LIMIT);
    }

    /// Kills it, so that it can tidy nothing up.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        assert_eq!(code(self.process.wait(LIMIT)), -9);
    }

    /// Waits for it to end by itself, and well.
    #[track_caller]
    pub(crate) fn succeed(&mut self) {
        self.process.succeed(LIMIT);
    }
}

/// What lies in a folder of pins, in order.
pub(crate) fn pinned(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
