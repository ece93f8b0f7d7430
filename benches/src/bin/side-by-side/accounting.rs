//! edgerelay counted by the kernel: the programs that count, and somebody who looks at the figures. They
//! run on the load's core, so that what is measured is what the relay pays.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::contender::write;
use super::process::{LOAD_CORE, Process};

/// As often as anybody is likely to.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// What an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// What the programs may take to count.
const START_LIMIT: Duration = Duration::from_secs(20);
const START_LOOK: Duration = Duration::from_millis(20);

/// Where the relay shows its figures.
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// A namespace of the network's has a `/sys` of its own, without these file systems.
const FILE_SYSTEMS: [(&str, &str); 2] = [("bpf", "bpf"), ("cgroup2", "cgroup")];

/// `edgerelay accounting`, on file systems of its own.
#[derive(Debug)]
pub(crate) struct Counting {
    loader: Option<Process>,
    mounted: Vec<PathBuf>,
}

impl Counting {
    /// Starts it and waits until it counts.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let mut counting = Self { loader: None, mounted: Vec::new() };
        for (kind, name) in FILE_SYSTEMS {
            let place = folder.join(name);
            fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
            let mut mount = Command::new("mount");
            mount.args(["-t", kind, "none"]).arg(&place);
            ensure!(mount.status().context("run mount")?.success(), "mount {kind}");
            counting.mounted.push(place);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1935));
        let file = write(folder, "accounting.toml", &config(address, Some(folder)))?;
        let mut command = Command::new(program);
        command.args(["accounting", "--config"]).arg(file);
        let log = folder.join("accounting.log");
        let mut loader = Process::server(&command, &LOAD_CORE.to_string(), &log)?;
        let until = Instant::now() + START_LIMIT;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        while !said().contains("counting connections") {
            if loader.child().try_wait()?.is_some() || Instant::now() > until {
                bail!("accounting does not count: {}", said());
            }
            thread::sleep(START_LOOK);
        }
        counting.loader = Some(loader);
        Ok(counting)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // Before its pins go.
        drop(self.loader.take());
        for place in &self.mounted {
            let _still_there = Command::new("umount").arg(place).status();
        }
    }
}

/// Asks for the metrics once a second, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // A relay that does not answer shows in what it delivers.
                let _unanswered = look();
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn look() -> std::io::Result<usize> {
    let mut connection = TcpStream::connect_timeout(&HTTP, ANSWER_LIMIT)?;
    connection.set_read_timeout(Some(ANSWER_LIMIT))?;
    connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    connection.read_to_end(&mut Vec::new())
}

/// The relay's configuration; counted where the file systems are in `counts`.
pub(crate) fn config(address: SocketAddr, counts: Option<&Path>) -> String {
    let accounting = match counts {
        None => "enabled = false\n".to_owned(),
        Some(folder) => {
            let at = |name: &str| folder.join(name).display().to_string();
            format!("pin_dir = \"{}/pins\"\ncgroup = \"{}\"\n", at("bpf"), at("cgroup"))
        }
    };
    format!(
        "[node]\nshards = 1\n\
         [rtmp]\nlisten = [\"{address}\"]\nmerge_window = \"0s\"\n\
         connections_max = 20000\nplay_wait_timeout = \"0s\"\n\
         [http]\nlisten = [\"{HTTP}\"]\n\
         [accounting]\n{accounting}\
         [[app]]\nname = \"live\"\n"
    )
}
