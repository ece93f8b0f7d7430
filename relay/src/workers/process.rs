//! Workers as child processes of this node: started with a configuration of their own, ready when they
//! say so, and gone with everything they started when this node goes, however that happens.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::READY_LINE;
use crate::config::{Config, Secrets};
use crate::id::WorkerId;
use crate::placement::{Input, Loss, Stop};

/// Variables that this node's own configuration or its service manager may have put in the environment,
/// and that mean nothing for a worker.
const ENVIRONMENT_PREFIX: &str = "EDGERELAY_";
const ENVIRONMENT_OWN: [&str; 5] =
    ["RTMP_PUSH_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"];

/// The workers that run as children.
#[derive(Debug)]
pub(super) struct ProcessBackend {
    config: Arc<Config>,
    program: PathBuf,
    inputs: mpsc::Sender<Input>,
    workers: BTreeMap<WorkerId, Running>,
}

#[derive(Debug)]
struct Running {
    orders: mpsc::Sender<Stop>,
    /// Its process; zero before and after there is one.
    pid: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl ProcessBackend {
    pub(super) fn new(config: Arc<Config>, program: PathBuf, inputs: mpsc::Sender<Input>) -> Self {
        Self { config, program, inputs, workers: BTreeMap::new() }
    }

    pub(super) fn start(&mut self, worker: WorkerId) {
        let (orders, taken) = mpsc::channel(2);
        let pid = Arc::<AtomicU32>::default();
        let birth = Birth {
            worker,
            pid: Arc::clone(&pid),
            program: self.program.clone(),
            config: self.config.of_worker(u32::from(worker.0)).map(|it| it.to_toml(Secrets::Shown)),
            start_timeout: self.config.workers.start_timeout,
            stop_timeout: self.config.workers.stop_timeout,
        };
        let inputs = self.inputs.clone();
        let task = tokio::spawn(async move {
            let (loss, detail) = birth.live(&inputs, taken).await;
            birth.pid.store(0, Ordering::Relaxed);
            tracing::info!(worker = worker.0, ?loss, detail, "worker gone");
            // An error: the node ends.
            let _ended = inputs.send(Input::WorkerLost { worker, loss, detail }).await;
        });
        self.workers.insert(worker, Running { orders, pid, task });
    }

    pub(super) fn stop(&mut self, worker: WorkerId, stop: Stop) {
        if let Some(running) = self.workers.get(&worker) {
            // Full: it was told twice already. Closed: it is gone, which is on its way.
            let _known = running.orders.try_send(stop);
        }
    }

    pub(super) fn address(&self, worker: WorkerId) -> Option<String> {
        self.config.worker_address(u32::from(worker.0)).map(|address| address.to_string())
    }

    pub(super) fn pid(&self, worker: WorkerId) -> Option<u32> {
        let pid = self.workers.get(&worker)?.pid.load(Ordering::Relaxed);
        (pid > 0).then_some(pid)
    }

    /// Ends all of them, in order if they end in time.
    pub(super) async fn shut_down(&mut self) {
        for running in self.workers.values() {
            let _known = running.orders.try_send(Stop::Gracefully);
        }
        for (_, running) in std::mem::take(&mut self.workers) {
            let _panicked = running.task.await;
        }
    }
}

/// All that one worker's life needs.
struct Birth {
    worker: WorkerId,
    pid: Arc<AtomicU32>,
    program: PathBuf,
    config: Option<String>,
    start_timeout: Duration,
    stop_timeout: Duration,
}

impl Birth {
    /// From its start to its end: what became of it, and more about that.
    async fn live(
        &self,
        inputs: &mpsc::Sender<Input>,
        mut orders: mpsc::Receiver<Stop>,
    ) -> (Loss, String) {
        let Some(config) = &self.config else {
            return (Loss::StartFailed, "there is no port left for it".to_owned());
        };
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => return (Loss::StartFailed, error.to_string()),
        };
        let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) else {
            return (Loss::StartFailed, "it has no process id".to_owned());
        };
        self.pid.store(pid.as_raw_nonzero().get().unsigned_abs(), Ordering::Relaxed);
        tracing::info!(worker = self.worker.0, pid = pid.as_raw_nonzero(), "worker started");
        let ready = tokio::select! {
            ready = timeout(self.start_timeout, become_ready(&mut child, config)) => match ready {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_elapsed) => Err(format!("not ready in {} s", self.start_timeout.as_secs_f64())),
            },
            Some(_) = orders.recv() => Err("stopped before it was ready".to_owned()),
        };
        if let Err(why) = ready {
            end(&mut child, pid).await;
            return (Loss::StartFailed, why);
        }
        tracing::info!(worker = self.worker.0, "worker ready");
        let _ended = inputs.send(Input::WorkerReady { worker: self.worker, room: None }).await;
        let order = tokio::select! {
            status = child.wait() => {
                let detail = status.map_or_else(|error| error.to_string(), |it| it.to_string());
                return (Loss::Exited, detail);
            }
            // The backend gone is the node's end.
            order = orders.recv() => order.unwrap_or(Stop::Kill),
        };
        if order == Stop::Gracefully {
            let _ended = kill_process(pid, Signal::TERM);
            tokio::select! {
                _ = child.wait() => {}
                () = sleep(self.stop_timeout) => {}
                _ = orders.recv() => {}
            }
        }
        end(&mut child, pid).await;
        (Loss::Exited, "stopped".to_owned())
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(["worker", "--instance", &self.worker.to_string()])
            .args(["--parent", &std::process::id().to_string(), "--config", "/dev/stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(ENVIRONMENT_PREFIX.as_bytes()) {
                command.env_remove(name);
            }
        }
        for name in ENVIRONMENT_OWN {
            command.env_remove(name);
        }
        command.spawn()
    }
}

/// Hands a worker its configuration and waits until it takes streams.
async fn become_ready(child: &mut Child, config: &str) -> io::Result<()> {
    let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "it ended at once");
    let mut stdin = child.stdin.take().ok_or_else(ended)?;
    stdin.write_all(config.as_bytes()).await?;
    drop(stdin);
    let stdout = child.stdout.take().ok_or_else(ended)?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        if line == READY_LINE {
            return Ok(());
        }
    }
    Err(ended())
}

/// Ends a worker with its process group, unless its end was taken note of: its number may be another
/// process's then. What it ran for streams stands in groups of its own, with guards that end it.
async fn end(child: &mut Child, group: Pid) {
    if child.id().is_some() {
        let _ended = kill_process_group(group, Signal::KILL);
        let _status = child.wait().await;
    }
}
