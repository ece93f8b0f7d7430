//! The relay under test: the built binary with a configuration of its own on free ports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::eventually::eventually;
use super::http::{Answer, ask, metric};
use super::namespace::{Namespaces, program_with_file};
use super::ports::free_address;
use super::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);

/// The path of the binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_edgerelay");

/// The name of its configuration file.
const CONFIGURATION: &str = "edgerelay.toml";
/// The name of its own hosts file, beside the configuration.
const HOSTS: &str = "hosts";

/// A configuration for a test.
#[derive(Clone)]
pub(crate) struct Settings {
    rtmp: SocketAddr,
    http: SocketAddr,
    node: String,
    rtmp_keys: String,
    accounting: String,
    control: String,
    apps: String,
    workers: String,
    workers_max: usize,
    environment: Vec<(String, String)>,
    hosts: Option<(Namespaces, String)>,
}

impl Settings {
    /// Two shards and the application `live` without more.
    pub(crate) fn new() -> Self {
        Self {
            rtmp: free_address(),
            http: free_address(),
            node: String::new(),
            rtmp_keys: String::new(),
            accounting: String::new(),
            control: String::new(),
            apps: "[[app]]\nname = \"live\"\n".to_owned(),
            workers: String::new(),
            workers_max: 0,
            environment: Vec::new(),
            hosts: None,
        }
    }

    /// Adds a line to `[node]`.
    pub(crate) fn node(mut self, line: &str) -> Self {
        writeln!(self.node, "{line}").expect("writing to a string");
        self
    }

    /// Adds a line to `[rtmp]`.
    pub(crate) fn rtmp(mut self, line: &str) -> Self {
        writeln!(self.rtmp_keys, "{line}").expect("writing to a string");
        self
    }

    /// Adds a line to `[accounting]`.
    pub(crate) fn accounting(mut self, line: &str) -> Self {
        writeln!(self.accounting, "{line}").expect("writing to a string");
        self
    }

    /// Adds a line to `[control]`. Without any there is no control socket.
    pub(crate) fn control(mut self, line: &str) -> Self {
        writeln!(self.control, "{line}").expect("writing to a string");
        self
    }

    /// Adds a line to the last application.
    pub(crate) fn app(mut self, line: &str) -> Self {
        writeln!(self.apps, "{line}").expect("writing to a string");
        self
    }

    /// Adds a push to the last application; no more of its own keys may follow.
    pub(crate) fn push(self, url: &str) -> Self {
        self.app("[[app.push]]").app(&format!("url = \"{url}\""))
    }

    /// Adds a line to `[workers]` and what is below it.
    pub(crate) fn workers(mut self, line: &str) -> Self {
        if self.workers.is_empty() {
            self.workers.push_str("[workers]\n");
        }
        writeln!(self.workers, "{line}").expect("writing to a string");
        self
    }

    /// Puts a variable in its environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets how many workers it may have.
    pub(crate) fn max_workers(mut self, max: usize) -> Self {
        self.workers_max = max;
        self
    }

    /// Gives it a hosts file of its own, which can be changed while it runs.
    pub(crate) fn hosts(mut self, namespaces: Namespaces, text: &str) -> Self {
        self.hosts = Some((namespaces, text.to_owned()));
        self
    }

    /// Serves RTMP at `address`.
    pub(crate) fn at(mut self, address: SocketAddr) -> Self {
        self.rtmp = address;
        self
    }

    /// Where RTMP will be served.
    pub(crate) fn rtmp_address(&self) -> SocketAddr {
        self.rtmp
    }

    /// Where HTTP will be served.
    pub(crate) fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The configuration file's text.
    pub(crate) fn text(&self) -> String {
        let workers = match &*self.workers {
            "" => String::new(),
            lines => format!("{lines}max = {}\n", self.workers_max),
        };
        let control = if self.control.is_empty() { "socket = \"\"\n" } else { &self.control };
        format!(
            "[node]\nname = \"test\"\nshards = 2\n{}\n[rtmp]\nlisten = [\"{}\"]\n{}\n\
             [http]\nlisten = [\"{}\"]\n\n[control]\n{control}\n[accounting]\n{}\n[log]\nlevel = \"debug\"\nformat = \"human\"\n\n{}\n{}",
            self.node, self.rtmp, self.rtmp_keys, self.http, self.accounting, self.apps, workers
        )
    }

    /// Starts the relay and does not wait for it.
    pub(crate) fn launch(self) -> Relay {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join(CONFIGURATION);
        std::fs::write(&file, self.text()).expect("write the configuration");
        let command = match &self.hosts {
            None => Command::new(BINARY),
            Some((namespaces, text)) => {
                let hosts = folder.path().join(HOSTS);
                std::fs::write(&hosts, text).expect("write the hosts file");
                program_with_file(namespaces, &hosts, "/etc/hosts", BINARY)
            }
        };
        self.run(command, folder, &file)
    }

    /// Starts the relay with a listening socket as systemd gives one, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start_with_socket(self, listener: TcpListener) -> Relay {
        const GIVE: &str = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join(CONFIGURATION);
        std::fs::write(&file, self.text()).expect("write the configuration");
        let mut command = Command::new("sh");
        command.args(["-c", GIVE, "sh", BINARY, "run", "--config"]).arg(&file);
        let input = Stdio::from(OwnedFd::from(listener));
        let process = Process::start_with_input(&mut command, input);
        let mut relay = Relay { process, rtmp: self.rtmp, http: self.http, folder };
        relay.wait_until_ready();
        relay
    }

    fn run(self, mut command: Command, folder: TempDir, file: &Path) -> Relay {
        command.envs(self.environment);
        command.args(["run", "--config"]).arg(file);
        Relay { process: Process::start(&mut command), rtmp: self.rtmp, http: self.http, folder }
    }

    /// Starts the relay by a `command` that has it read these settings, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start_as(self, command: &mut Command) -> Relay {
        let folder = TempDir::new().expect("a temporary folder");
        let process = Process::start(command);
        let mut relay = Relay { process, rtmp: self.rtmp, http: self.http, folder };
        relay.wait_until_ready();
        relay
    }

    /// Starts the relay by way of `program`, which takes the relay's path and arguments after its
    /// own, and waits until it is ready. Anybody may read what it needs.
    #[track_caller]
    pub(crate) fn start_by(self, program: &str, arguments: &[&str]) -> Relay {
        let folder = TempDir::new().expect("a temporary folder");
        let open = |path: &Path| {
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours");
        };
        open(folder.path());
        let (file, binary) = (folder.path().join(CONFIGURATION), folder.path().join("edgerelay"));
        std::fs::write(&file, self.text()).expect("write the configuration");
        std::fs::copy(BINARY, &binary).expect("copy the relay");
        open(&binary);
        let mut command = Command::new(program);
        command.args(arguments).arg(&binary);
        let mut relay = self.run(command, folder, &file);
        relay.wait_until_ready();
        relay
    }

    /// Starts the relay and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(self) -> Relay {
        let mut relay = self.launch();
        relay.wait_until_ready();
        relay
    }
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reloaded {
    Applied,
    Refused,
}

/// A running relay.
pub(crate) struct Relay {
    process: Process,
    rtmp: SocketAddr,
    http: SocketAddr,
    /// Keeps the configuration file, and a hosts file.
    folder: TempDir,
}

impl Relay {
    /// Starts one with plain settings.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Settings::new().start()
    }

    #[track_caller]
    fn wait_until_ready(&mut self) {
        let (http, process) = (self.http, &mut self.process);
        eventually("the relay to be ready", START_LIMIT, || {
            assert!(process.ended().is_none(), "the relay ended: {}", process.stderr());
            ask(http, "/readyz").filter(|answer| answer.status == 200)
        });
    }

    /// Writes another text over its own hosts file. One as long as the one before is never read
    /// half written.
    pub(crate) fn change_hosts(&self, text: &str) {
        let file = self.folder.path().join(HOSTS);
        let before = std::fs::read_to_string(&file).expect("a hosts file of its own");
        assert_eq!(before.len(), text.len(), "as long as the one before");
        // The file that is mounted, not another in its place.
        let mut file = OpenOptions::new().write(true).open(&file).expect("open the hosts file");
        file.write_all(text.as_bytes()).expect("write the hosts file");
    }

    /// Writes another configuration, tells it to read that, and waits until it has. What became of it.
    #[track_caller]
    pub(crate) fn reload(&self, text: &str) -> Reloaded {
        let counts = || {
            ["applied", "refused"].map(|outcome| {
                self.metric("edgerelay_reloads_total", &[&format!("outcome=\"{outcome}\"")])
            })
        };
        let before = counts();
        self.write(text);
        self.signal(Signal::HUP);
        eventually("a reload", START_LIMIT, || match counts() {
            [applied, _] if applied > before[0] => Some(Reloaded::Applied),
            [_, refused] if refused > before[1] => Some(Reloaded::Refused),
            _ => None,
        })
    }

    /// Writes another configuration, of which it is told nothing.
    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join(CONFIGURATION), text).expect("write the file");
    }

    /// The process that answers HTTP at its address.
    pub(crate) fn answering(&self) -> Option<i32> {
        let stat = ask(self.http, "/stat")?.body;
        let (pid, _) = stat.split_once("<pid>")?.1.split_once("</pid>")?;
        pid.parse().ok()
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).expect("a process id")
    }

    /// Where it serves RTMP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.rtmp
    }

    /// Where it serves HTTP.
    pub(crate) fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The URL of a stream of the application `live`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.rtmp)
    }

    /// GET of `path` on its control plane.
    #[track_caller]
    pub(crate) fn ask(&self, path: &str) -> Answer {
        ask(self.http, path).unwrap_or_else(|| panic!("the relay answers GET {path}"))
    }

    /// The sum of a metric's series with all these labels.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        metric(&self.ask("/metrics").body, name, labels)
    }

    /// Waits until the sum of a metric's series is what `accept` takes.
    #[track_caller]
    pub(crate) fn wait_for_metric(
        &self,
        name: &str,
        labels: &[&str],
        limit: Duration,
        accept: impl Fn(f64) -> bool,
    ) -> f64 {
        eventually(&format!("{name}{labels:?}"), limit, || {
            let text = ask(self.http, "/metrics")?.body;
            Some(metric(&text, name, labels)).filter(|value| accept(*value))
        })
    }

    /// Waits until `count` streams are published.
    #[track_caller]
    pub(crate) fn wait_for_streams(&self, count: u32) {
        self.wait_for_metric("rtmp_streams_active", &[], START_LIMIT, |value| {
            value == f64::from(count)
        });
    }

    /// Waits until `count` connections have `role`.
    #[track_caller]
    pub(crate) fn wait_for_role(&self, role: &str, count: u32) {
        let label = format!("role=\"{role}\"");
        self.wait_for_metric("edgerelay_connections", &[&label], START_LIMIT, |value| {
            value == f64::from(count)
        });
    }

    /// Connections closed so far for `reason`.
    #[track_caller]
    pub(crate) fn closed(&self, reason: &str) -> f64 {
        let label = format!("reason=\"{reason}\"");
        self.metric("edgerelay_connections_closed_total", &[&label])
    }

    /// How many connections with `role` each shard carries.
    #[track_caller]
    pub(crate) fn by_shard(&self, role: &str) -> BTreeMap<u64, usize> {
        let clients: Value = serde_json::from_str(&self.ask("/api/v1/clients").body).expect("JSON");
        let mut shards = BTreeMap::new();
        for client in clients["clients"].as_array().expect("a list of clients") {
            if client["role"] == role {
                *shards.entry(client["shard"].as_u64().expect("a number")).or_default() += 1;
            }
        }
        shards
    }

    /// Whether somebody publishes to it.
    #[track_caller]
    pub(crate) fn has_publisher(&self) -> bool {
        self.metric("edgerelay_connections", &["role=\"publish\""]) > 0.0
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr() + &self.process.stdout()
    }

    /// What the kernel says of its process.
    pub(crate) fn status(&self) -> String {
        self.process.status()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait(limit)
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.ended().is_none()
    }
}
