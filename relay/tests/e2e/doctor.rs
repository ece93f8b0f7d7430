//! `edgerelay doctor` on a machine that is broken in one way after another, and on the same unbroken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::machine;
use crate::support::namespace::in_own_network;
use crate::support::relay::{BINARY, Settings};

/// Where Debian's own Python is, which has Debian's modules.
const PYTHON: &str = "/usr/bin/python3";
const REFUSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/support/refuse.py");
/// The kernel's settings of the network that this thread is in.
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// A way in which the machine is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Port,
    Descriptors,
    LockedMemory,
    Ring,
    ReadOnlyFolder,
    FullFolder,
    Backlog,
    Congestion,
}

impl Broken {
    /// What is to be found: the check, its level, and a part of what it says.
    fn finding(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Port => ("listen", "error", "is taken by"),
            Self::Descriptors => ("nofile", "warning", "300 descriptors for this shell"),
            Self::LockedMemory => ("memlock", "warning", "65536 bytes may be locked"),
            Self::Ring => ("io_uring", "error", "io_uring is refused (EPERM)"),
            Self::ReadOnlyFolder => ("storage", "error", "read-only"),
            Self::FullFolder => ("storage", "error", "is full"),
            Self::Backlog => ("sysctl", "warning", "net.core.somaxconn = 128"),
            Self::Congestion => ("congestion", "warning", "reno"),
        }
    }
}

/// A configuration, and a folder that its control socket is to be in.
struct Patient {
    folder: TempDir,
    settings: Settings,
}

/// What doctor said.
#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    report: Value,
}

impl Answer {
    fn new(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let report = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
        });
        Self { code: output.status.code(), report }
    }

    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.report["findings"].as_array().expect("a list of findings").iter()
    }

    /// The checks that are worse than a hint.
    fn bad(&self) -> BTreeSet<&str> {
        let bad = self.findings().filter(|it| it["level"] == "warning" || it["level"] == "error");
        bad.map(|it| it["check"].as_str().expect("a name")).collect()
    }

    /// The finding of `check` that says `part`.
    #[track_caller]
    fn finding(&self, check: &str, part: &str) -> &Value {
        let says = |it: &&Value| it["what"].as_str().is_some_and(|what| what.contains(part));
        let found = self.findings().filter(|it| it["check"] == check).find(says);
        found.unwrap_or_else(|| panic!("no {check} with {part:?} in {}", self.report))
    }
}

impl Patient {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("run")).expect("ours");
        let socket = folder.path().join("run/control.sock");
        // Few enough connections for the descriptors of any shell.
        let settings = Settings::new()
            .rtmp("connections_max = 100")
            .control(&format!("socket = \"{}\"", socket.display()));
        std::fs::write(folder.path().join("edgerelay.toml"), settings.text()).expect("write");
        Self { folder, settings }
    }

    fn config(&self) -> String {
        self.folder.path().join("edgerelay.toml").display().to_string()
    }

    /// What doctor says of the machine, broken in these ways.
    #[track_caller]
    fn examine(&self, broken: &[Broken]) -> Answer {
        let is = |way| broken.contains(&way);
        let held = is(Broken::Port)
            .then(|| TcpListener::bind(self.settings.rtmp_address()).expect("a free port"));
        let backlog = is(Broken::Backlog).then(|| Changed::to(SOMAXCONN, "128"));
        let congestion = is(Broken::Congestion).then(|| Changed::to(CONGESTION, "reno"));
        let run = self.folder.path().join("run").display().to_string();
        let script = match (is(Broken::ReadOnlyFolder), is(Broken::FullFolder)) {
            (true, _) => "mount -t tmpfs -o ro none \"$1\" && shift && exec \"$@\"",
            (_, true) => {
                "mount -t tmpfs -o size=64k none \"$1\" && \
                 { head -c 1M /dev/zero > \"$1/full\" 2>/dev/null; shift; exec \"$@\"; }"
            }
            _ => "shift && exec \"$@\"",
        };
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh", &run]);
        if is(Broken::Ring) {
            command.args([PYTHON, REFUSE, "io_uring_setup"]);
        }
        command.arg("/usr/bin/prlimit");
        if is(Broken::Descriptors) {
            command.arg("--nofile=300");
        }
        if is(Broken::LockedMemory) {
            command.arg("--memlock=65536");
        }
        command.args([BINARY, "doctor", "--json", "--config", &self.config()]);
        let answer = Answer::new(&command.output().expect("start doctor"));
        drop((held, backlog, congestion));
        answer
    }
}

/// A setting of the kernel, until this is dropped.
struct Changed {
    path: &'static str,
    before: String,
}

impl Changed {
    fn to(path: &'static str, value: &str) -> Self {
        let before = std::fs::read_to_string(path).expect("the kernel has it");
        std::fs::write(path, value).expect("a network of our own");
        Self { path, before }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _ = std::fs::write(self.path, &self.before);
    }
}

#[test]
fn whatever_is_broken_is_found_and_nothing_else() {
    use Broken::{
        Backlog, Congestion, Descriptors, FullFolder, LockedMemory, Port, ReadOnlyFolder, Ring,
    };
    let _machine = machine::shared();
    in_own_network(|| {
        // What the host's own network is set to may be hinted at, but not warned of. Which of these two
        // may be chosen here is the host's to say.
        let is_chosen = |name: &&str| std::fs::write(CONGESTION, name).is_ok();
        ["bbr", "cubic"].iter().find(|it| is_chosen(it)).expect("one of them may be chosen");
        let patient = Patient::new();
        let well = patient.examine(&[]);
        let usual = well.bad();
        let ways = [
            Port,
            Descriptors,
            LockedMemory,
            Ring,
            ReadOnlyFolder,
            FullFolder,
            Backlog,
            Congestion,
        ];
        for way in ways {
            let (check, level, part) = way.finding();
            assert!(!usual.contains(check), "{check} before anything is broken: {}", well.report);
            let ill = patient.examine(&[way]);
            let finding = ill.finding(check, part);
            assert_eq!(finding["level"], level, "{finding}");
            assert!(finding["mend"].is_string(), "{finding}");
            let more: Vec<_> = ill.bad().difference(&usual).copied().collect();
            assert_eq!(more, [check], "{way:?}: {}", ill.report);
            let worst = if level == "error" { 2 } else { 1 };
            assert!(ill.code >= Some(worst), "{way:?}: {:?}", ill.code);
            println!("{level}  {check}  {}  > {}", finding["what"], finding["mend"]);
        }

        // All at once, of which none hides another.
        let six = [Port, Descriptors, LockedMemory, Ring, ReadOnlyFolder, Backlog];
        let ill = patient.examine(&six);
        for way in six {
            let (check, level, part) = way.finding();
            assert_eq!(ill.finding(check, part)["level"], level, "{way:?}");
        }
        assert_eq!(ill.code, Some(2));
        assert_eq!(ill.report["worst"], "error");
        let again = patient.examine(&[]);
        assert_eq!(again.bad(), usual, "broken for as long as it was");
        if usual.is_empty() {
            assert_eq!(again.code, Some(0), "{}", again.report);
        }
    });
}

#[test]
fn who_has_the_port_is_named() {
    let _machine = machine::shared();
    let patient = Patient::new();
    let _held = TcpListener::bind(patient.settings.rtmp_address()).expect("a free port");
    let output = Command::new(BINARY).args(["doctor", "--config", &patient.config()]).output();
    let output = output.expect("start doctor");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stdout);
    let own = std::process::id();
    let at = patient.settings.rtmp_address();
    let line = text.lines().find(|line| line.contains(&format!("rtmp.listen {at} is taken by")));
    assert!(line.is_some_and(|line| line.ends_with(&format!("({own})"))), "{text}");
    assert!(text.contains(&format!("> systemctl status {own}")), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("1 error")), "{text}");
}

#[test]
fn a_node_that_runs_is_no_conflict_and_has_limits_of_its_own() {
    let _machine = machine::shared();
    let patient = Patient::new();
    let relay = patient.settings.clone().start();
    let mut command = Command::new("/usr/bin/prlimit");
    command.args(["--nofile=300", BINARY, "doctor", "--json", "--config", &patient.config()]);
    let answer = Answer::new(&command.output().expect("start doctor"));
    let bad = answer.bad();
    assert!(!bad.contains("listen") && !bad.contains("nofile"), "{}", answer.report);
    let node = answer.report["node"].as_u64().expect("its process");
    let status = relay.status();
    assert!(status.contains(&format!("\nPid:\t{node}\n")), "{node}: {status}");
    answer.finding("nofile", &format!("the running node ({node})"));
    answer.finding("listen", &format!("the running node ({node}) has its ports"));
}

#[test]
fn the_command_that_is_told_mends_it() {
    let _machine = machine::shared();
    in_own_network(|| {
        let patient = Patient::new();
        std::fs::write(SOMAXCONN, "128").expect("a network of our own");
        let ill = patient.examine(&[]);
        let mend = ill.finding("sysctl", "net.core.somaxconn")["mend"].as_str().expect("a command");
        let done = Command::new("sh").args(["-c", mend]).output().expect("start sh");
        assert!(done.status.success(), "{mend}: {done:?}");
        let well = patient.examine(&[]);
        assert!(!well.bad().contains("sysctl"), "{}", well.report);
    });
}

#[test]
fn a_wrong_configuration_is_one_error_with_its_place_and_hides_nothing_of_the_machine() {
    let _machine = machine::shared();
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("edgerelay.toml");
    let mut levels = BTreeMap::new();
    for text in ["[rtmp]\nchunk_size = 4096\n", "[rtmp]\nchunk_size = \"a lot\"\n"] {
        std::fs::write(&file, text).expect("write");
        let mut command = Command::new(BINARY);
        command.args(["doctor", "--json", "--config"]).arg(&file);
        let answer = Answer::new(&command.output().expect("start doctor"));
        let finding = answer.finding("configuration", &file.display().to_string());
        levels.insert(text, finding["level"].as_str().expect("a level").to_owned());
        answer.finding("kernel", "Linux");
        answer.finding("io_uring", "operations");
        if levels[text] == "error" {
            assert_eq!(answer.code, Some(2));
            assert_eq!(finding["mend"], format!("editor +2 {}", file.display()));
        }
    }
    assert_eq!(levels.into_values().collect::<Vec<_>>(), ["error", "ok"]);
}
