//! A child process that does not outlive its test, with everything it printed.

use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::eventually::eventually;

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// What a program printed so far.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn follow(mut source: impl Read + Send + 'static) -> Self {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let sink = bytes.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no writer panics")).into_owned()
    }

    /// Reads to the end, which comes when the program ends.
    fn complete(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

impl Process {
    /// Starts `command` without standard input.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_input(command, Stdio::null())
    }

    /// Starts `command` with what is typed for its standard input.
    pub(crate) fn start_typing(command: &mut Command) -> (Self, ChildStdin) {
        let mut process = Self::start_with_input(command, Stdio::piped());
        let keys = process.child.stdin.take().expect("piped");
        (process, keys)
    }

    /// Starts `command` with that as its standard input.
    pub(crate) fn start_with_input(command: &mut Command, input: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}; try `cargo xtask setup`"));
        let stdout = Output::follow(child.stdout.take().expect("piped"));
        let stderr = Output::follow(child.stderr.take().expect("piped"));
        Self { name, child, stdout, stderr }
    }

    /// What it printed on standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it printed on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Its exit status, if it has ended. All that it printed can be had then.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for")?;
        self.stdout.complete();
        self.stderr.complete();
        Some(status)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        eventually(&what, limit, || self.ended())
    }

    /// Waits for its end, and that it ends well.
    #[track_caller]
    pub(crate) fn succeed(&mut self, limit: Duration) {
        let status = self.wait(limit);
        assert!(status.success(), "{} ended with {status}: {}", self.name, self.stderr());
    }

    /// What the kernel says of it in `/proc/PID/status`.
    #[track_caller]
    pub(crate) fn status(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal. No error when it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        if let Some(pid) = Pid::from_raw(id) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end, and kills it when it does not.
    pub(crate) fn stop(&mut self, limit: Duration) {
        self.signal(Signal::INT);
        let mut polls = limit.as_millis() / 10;
        let _ = eventually("a stopped process", limit * 2, || {
            polls = polls.saturating_sub(1);
            if polls == 0 {
                self.signal(Signal::KILL);
            }
            self.ended()
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let (out, err) = (self.stdout(), self.stderr());
            let tail = |text: &str| {
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(40)..].join("\n")
            };
            eprintln!("--- {} printed:\n{}\n{}", self.name, tail(&out), tail(&err));
        }
    }
}

/// The exit code, or minus the signal that ended the process.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}
