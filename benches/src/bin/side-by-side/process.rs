//! Programs on a core of their own, ended when they are dropped.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// The contender's core.
pub(crate) const SERVER_CORE: usize = 0;
/// The cores of one with two shards.
pub(crate) const BOTH_CORES: &str = "0,1";
/// The load's core.
pub(crate) const LOAD_CORE: usize = 1;

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program on `cores`, as taskset reads them; what it prints goes to `log`.
    pub(crate) fn server(command: &Command, cores: &str, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut pinned = pinned(command, cores);
        pinned.stdout(log.try_clone()?).stderr(log);
        Self::start(pinned, command)
    }

    /// Starts a program whose output is read.
    pub(crate) fn piped(command: &Command, core: usize) -> Result<Self> {
        let mut pinned = pinned(command, &core.to_string());
        pinned.stdout(Stdio::piped()).stderr(Stdio::null());
        Self::start(pinned, command)
    }

    fn start(mut pinned: Command, command: &Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = pinned.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { child, name })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until it listens.
    pub(crate) fn wait_for_port(&mut self, address: SocketAddr) -> Result<()> {
        let until = Instant::now() + START_LIMIT;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended: {status}", self.name);
            }
            if Instant::now() > until {
                bail!("{} does not listen on {address}", self.name);
            }
            sleep(LOOK);
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by itself.
            let _gone = kill_process(id, signal);
        }
    }
}

/// taskset executes the program in its own place, so the process is the program's.
fn pinned(command: &Command, cores: &str) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.arg("-c").arg(cores).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        pinned.current_dir(folder);
    }
    pinned.stdin(Stdio::null());
    pinned
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let until = Instant::now() + END_LIMIT;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            self.signal(Signal::TERM);
            sleep(LOOK);
        }
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
