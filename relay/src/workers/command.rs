//! One run of a command for a stream: started behind its guard, its output read, watched for progress,
//! and ended with all that it started. Whether it is run again is decided elsewhere.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::presets::StreamCommand;
use super::tail::{LINE_BYTES_MAX, LogTail, Progress};

/// What a command has to end by itself once its stream is over: its input ends then.
const END_GRACE: Duration = Duration::from_secs(3);
/// What it has to end once it was asked to.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How often it is looked at whether it gets on.
const LOOK: Duration = Duration::from_millis(200);
/// Lines on their way from the command's output.
const LINES_WAITING_MAX: usize = 64;
/// Bytes of a line that are read; what follows belongs to the next.
const LINE_READ_BYTES_MAX: u64 = 4 * LINE_BYTES_MAX as u64;
/// What is still read of a command's output when it has ended.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// The stream was over, and so the command.
    Finished,
    /// It ended while the stream went on.
    Exited(String),
    /// It was killed: media went in and nothing came out.
    Stalled,
    /// It could not be started.
    NotStarted(String),
}

/// What a command shows while it runs.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) log: LogTail,
    pub(super) progress: Progress,
}

/// What a run is told from outside.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// Media messages that have come for the stream.
    pub(super) frames_in: watch::Receiver<u64>,
    /// Whether the stream is over.
    pub(super) over: watch::Receiver<bool>,
}

impl Signals {
    /// Returns once the stream is over.
    pub(super) async fn is_over(&mut self) {
        // An error: whoever would say so is gone, and the node ends.
        let _node_ends = self.over.wait_for(|over| *over).await;
    }
}

/// Runs the command to its end, by itself or by the stream's. `shown` is told of every line.
pub(super) async fn run(
    guard: &Path,
    command: &StreamCommand,
    stall_timeout: Duration,
    signals: &mut Signals,
    shown: &watch::Sender<Shown>,
) -> RunEnd {
    let mut child = match spawn(guard, command) {
        Ok(child) => child,
        Err(error) => return RunEnd::NotStarted(error.to_string()),
    };
    let (lines, mut printed) = mpsc::channel(LINES_WAITING_MAX);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(read_lines(stdout, lines.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(read_lines(stderr, lines));
    }
    // Its end kills the command, so it is held until then.
    let mut lifeline = child.stdin.take();
    let mut stall = Stall::new(*signals.frames_in.borrow());
    let mut looks = tokio::time::interval(LOOK);
    let end = loop {
        tokio::select! {
            status = child.wait() => break RunEnd::Exited(describe(status)),
            Some(line) = printed.recv() => {
                show(shown, &line);
                stall.on_progress(shown.borrow().progress, *signals.frames_in.borrow());
            }
            _ = looks.tick() => {
                let is_late = stall.is_late(*signals.frames_in.borrow(), stall_timeout);
                if command.tells_progress && is_late {
                    break RunEnd::Stalled;
                }
            }
            () = signals.is_over() => {
                finish(&mut child, &mut lifeline).await;
                break RunEnd::Finished;
            }
        }
    };
    drop(lifeline);
    // The guard ends once nothing of the command is left.
    let _status = child.wait().await;
    let rest = async {
        while let Some(line) = printed.recv().await {
            show(shown, &line);
        }
    };
    let _all_read = timeout(DRAIN_MAX, rest).await;
    end
}

fn spawn(guard: &Path, command: &StreamCommand) -> io::Result<Child> {
    Command::new(guard)
        .args(["guard", "--"])
        .args(&command.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Lets the command come to its end, then asks it to.
async fn finish(child: &mut Child, lifeline: &mut Option<ChildStdin>) {
    if timeout(END_GRACE, child.wait()).await.is_ok() {
        return;
    }
    if let Some(lifeline) = lifeline {
        // It ended at this moment.
        let _ended = lifeline.write_all(b"t").await;
    }
    let _killed_next = timeout(TERM_GRACE, child.wait()).await;
}

fn show(shown: &watch::Sender<Shown>, line: &[u8]) {
    shown.send_modify(|shown| {
        if !shown.progress.take(line) {
            shown.log.push(line);
        }
    });
}

async fn read_lines(source: impl AsyncRead + Unpin, lines: mpsc::Sender<Vec<u8>>) {
    let mut source = BufReader::new(source);
    loop {
        let mut line = Vec::new();
        let read = (&mut source).take(LINE_READ_BYTES_MAX).read_until(b'\n', &mut line).await;
        // A run that is over reads no more.
        if matches!(read, Ok(0) | Err(_)) || lines.send(line).await.is_err() {
            return;
        }
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    const SIGNALLED: i32 = 128;

    match status.map(|status| status.code()) {
        Ok(Some(0)) => "the command ended while the stream went on".to_owned(),
        Ok(Some(127)) => "there is no such command".to_owned(),
        Ok(Some(code)) if code > SIGNALLED => {
            let signal = Signal::from_named_raw(code - SIGNALLED);
            format!("the command was ended by {signal:?}")
        }
        Ok(Some(code)) => format!("the command ended with code {code}"),
        Ok(None) => "the command's guard was killed".to_owned(),
        Err(error) => format!("the command's end cannot be learnt: {error}"),
    }
}

/// Whether media goes in and nothing comes out.
struct Stall {
    progress: Progress,
    at: Instant,
    frames_in: u64,
    came_in_at: Instant,
}

impl Stall {
    fn new(frames_in: u64) -> Self {
        let now = Instant::now();
        Self { progress: Progress::default(), at: now, frames_in, came_in_at: now }
    }

    fn on_progress(&mut self, progress: Progress, frames_in: u64) {
        if progress != self.progress {
            self.progress = progress;
            self.at = Instant::now();
            self.frames_in = frames_in;
        }
    }

    fn is_late(&mut self, frames_in: u64, stall_timeout: Duration) -> bool {
        let now = Instant::now();
        if frames_in != self.frames_in {
            self.frames_in = frames_in;
            self.came_in_at = now;
        }
        // A publisher that sends nothing is not the command's fault: the time before media came
        // again does not count.
        if now - self.came_in_at >= stall_timeout {
            self.at = now;
        }
        now - self.at >= stall_timeout
    }
}
