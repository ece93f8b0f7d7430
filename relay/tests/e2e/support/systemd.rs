//! What stands in for systemd: its manager's interface on a message bus of the test's own, with units
//! that are real workers and ready when they say so, as `Type=notify` has it.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::oneshot;
use zbus::zvariant::OwnedObjectPath;

use super::eventually::eventually;
use super::process::Process;
use super::relay::BINARY;
use super::rtmp::block_on;

const LIMIT: Duration = Duration::from_secs(10);
const UNIT: &str = "edgerelay-worker@";

/// A unit that was started, and may have ended since.
struct Unit {
    process: Process,
    told: UnixDatagram,
    ready: bool,
}

impl Unit {
    fn state(&mut self) -> &'static str {
        let mut word = [0; 4096];
        while let Ok(count) = self.told.recv(&mut word) {
            self.ready |= String::from_utf8_lossy(&word[..count]).contains("READY=1");
        }
        match (self.process.ended(), self.ready) {
            (Some(status), _) if status.success() => "inactive",
            (Some(_), _) => "failed",
            (None, true) => "active",
            (None, false) => "activating",
        }
    }
}

#[derive(Default)]
struct Units {
    by_name: BTreeMap<String, Unit>,
    starts: usize,
    /// What a shell is to do before the next unit begins.
    before: Option<&'static str>,
}

struct Manager {
    folder: PathBuf,
    config: PathBuf,
    units: Arc<Mutex<Units>>,
}

type Listed =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text.to_owned()).expect("an object path")
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn start_unit(&self, name: &str, mode: &str) -> zbus::fdo::Result<OwnedObjectPath> {
        assert_eq!(mode, "replace");
        let instance = name.strip_prefix(UNIT).and_then(|rest| rest.strip_suffix(".service"));
        let instance = instance.ok_or(zbus::fdo::Error::FileNotFound(name.to_owned()))?;
        let mut units = self.units.lock().expect("no caller panics");
        units.starts += 1;
        let socket = self.folder.join(format!("notify-{}", units.starts));
        let told = UnixDatagram::bind(&socket).expect("a socket");
        told.set_nonblocking(true).expect("a socket that does not block");
        let mut command = match units.before.take() {
            None => Command::new(BINARY),
            Some(before) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), BINARY]);
                shell
            }
        };
        command.args(["worker", "--instance", instance, "--config"]).arg(&self.config);
        let process = Process::start(command.env("NOTIFY_SOCKET", &socket));
        units.by_name.insert(name.to_owned(), Unit { process, told, ready: false });
        Ok(path("/org/freedesktop/systemd1/job/1"))
    }

    fn stop_unit(&self, name: &str, _mode: &str) -> OwnedObjectPath {
        if let Some(unit) = self.units.lock().expect("no caller panics").by_name.get(name) {
            unit.process.signal(Signal::TERM);
        }
        path("/org/freedesktop/systemd1/job/2")
    }

    fn kill_unit(&self, name: &str, _whom: &str, signal: i32) {
        assert_eq!(signal, 9);
        if let Some(unit) = self.units.lock().expect("no caller panics").by_name.get(name) {
            unit.process.signal(Signal::KILL);
        }
    }

    fn list_units_by_patterns(&self, _states: Vec<String>, patterns: Vec<String>) -> Vec<Listed> {
        assert!(patterns.into_iter().eq(["edgerelay-worker@*.service"]), "ours alone");
        let mut units = self.units.lock().expect("no caller panics");
        let listed = units.by_name.iter_mut().map(|(name, unit)| {
            let none = String::new;
            let object = path("/org/freedesktop/systemd1/unit/one");
            let (loaded, state) = ("loaded".to_owned(), unit.state().to_owned());
            let job = (0, none(), path("/"));
            (name.clone(), none(), loaded, state, none(), none(), object, job.0, job.1, job.2)
        });
        listed.collect()
    }
}

/// The bus with the manager on it.
pub(crate) struct Systemd {
    units: Arc<Mutex<Units>>,
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _bus: Process,
    _folder: TempDir,
}

impl Systemd {
    /// Starts it. Units run with the configuration `text`.
    pub(crate) fn start(text: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let address = format!("unix:path={}", folder.path().join("bus").display());
        let bus_config = format!(
            "<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>"
        );
        let bus_file = folder.path().join("bus.conf");
        std::fs::write(&bus_file, bus_config).expect("write the bus's configuration");
        let config = folder.path().join("edgerelay.toml");
        std::fs::write(&config, text).expect("write the configuration");
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile"]);
        command.arg(format!("--config-file={}", bus_file.display()));
        let mut bus = Process::start(&mut command);
        eventually("the bus", LIMIT, || {
            assert!(bus.ended().is_none(), "the bus ended: {}", bus.stderr());
            folder.path().join("bus").exists().then_some(())
        });
        let units = Arc::<Mutex<Units>>::default();
        let manager =
            Manager { folder: folder.path().to_owned(), config, units: Arc::clone(&units) };
        let (stop, stopped) = oneshot::channel::<()>();
        let (serving, serves) = std::sync::mpsc::channel();
        let at = address.clone();
        let thread = thread::spawn(move || {
            block_on(async move {
                let _connection = zbus::connection::Builder::address(at.as_str())
                    .and_then(|it| it.name("org.freedesktop.systemd1"))
                    .and_then(|it| it.serve_at("/org/freedesktop/systemd1", manager))
                    .expect("an address, a name and a path")
                    .build()
                    .await
                    .expect("the bus takes us");
                serving.send(()).expect("the test waits");
                let _over = stopped.await;
            });
        });
        serves.recv_timeout(LIMIT).expect("the manager is served");
        Self { units, address, stop: Some(stop), thread: Some(thread), _bus: bus, _folder: folder }
    }

    /// Where it is, as D-Bus writes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Has a shell do something before the next unit begins.
    pub(crate) fn hamper(&self, before: &'static str) {
        self.units.lock().expect("no caller panics").before = Some(before);
    }

    /// How many units were started so far.
    pub(crate) fn starts(&self) -> usize {
        self.units.lock().expect("no caller panics").starts
    }

    /// The units that run.
    pub(crate) fn running(&self) -> Vec<String> {
        let mut units = self.units.lock().expect("no caller panics");
        let states = units.by_name.iter_mut().map(|(name, unit)| (name.clone(), unit.state()));
        states.filter(|(_, state)| *state == "active").map(|(name, _)| name).collect()
    }

    /// Ends a unit as a crash would.
    pub(crate) fn kill(&self, name: &str) {
        let units = self.units.lock().expect("no caller panics");
        units.by_name[name].process.signal(Signal::KILL);
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the manager does not panic");
        }
    }
}
