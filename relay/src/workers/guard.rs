//! The process between a worker and a command that it runs: `edgerelay guard`. It sees to it that
//! nothing of the command is left when the command ends, or when the worker does, however that ends.
//!
//! The worker holds the other end of the guard's standard input. A byte there asks the command to end;
//! the end of it kills the command at once. The guard adopts whatever the command leaves behind, and
//! ends that too. It reads no configuration and logs nothing.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, set_parent_process_death_signal, wait,
};

/// `EX_OSERR`: the guard itself could not do its work.
const EXIT_UNABLE: u8 = 71;
/// What shells say when there is no such program.
const EXIT_NOT_FOUND: u8 = 127;
/// What shells add to the number of the signal that ended a program.
const EXIT_SIGNALLED: u8 = 128;

/// What the last of a command's processes have to be gone once killed.
const SWEEP_MAX: Duration = Duration::from_secs(2);
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// Runs `command` and watches over it; `inner` is the guard's own child, which becomes the command.
#[must_use]
pub fn run(command: &[OsString], inner: bool) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(EXIT_NOT_FOUND);
    };
    if inner {
        return become_program(program, arguments);
    }
    match watch(program, arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("edgerelay guard: {error}");
            ExitCode::from(EXIT_UNABLE)
        }
    }
}

/// Turns this process into the program, which then dies with the guard.
fn become_program(program: &OsString, arguments: &[OsString]) -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("edgerelay guard: {error}");
        return ExitCode::from(EXIT_UNABLE);
    }
    let error = Command::new(program).args(arguments).exec();
    eprintln!("edgerelay guard: {}: {error}", program.to_string_lossy());
    ExitCode::from(EXIT_NOT_FOUND)
}

fn watch(program: &OsString, arguments: &[OsString]) -> io::Result<u8> {
    set_child_subreaper(Some(getpid()))?;
    let mut child = Command::new("/proc/self/exe")
        .args(["guard", "--inner", "--"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    let ended = wait_for(&mut child);
    // Its group first, then whatever left the group.
    let group = Pid::from_child(&child);
    let _none_left = kill_process_group(group, Signal::KILL);
    let status = child.wait();
    sweep();
    ended?;
    Ok(exit_code(status?))
}

/// Returns when the command has ended, or is to be killed.
fn wait_for(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_child(child);
    let process = pidfd_open(group, PidfdFlags::empty())?;
    let mut input = io::stdin();
    loop {
        let handle = input.as_fd();
        let mut watched = [
            PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(handle, PollFlags::IN),
        ];
        match poll(&mut watched, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [ended, word] = watched.map(|one| !one.revents().is_empty());
        if ended {
            return Ok(());
        }
        if word {
            let mut byte = [0; 1];
            if input.read(&mut byte)? == 0 {
                return Ok(());
            }
            let _ended_meanwhile = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Kills and takes the ends of all that became children of this process.
fn sweep() {
    let end = Instant::now() + SWEEP_MAX;
    while Instant::now() < end {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => {
                for child in children() {
                    let _ended_meanwhile = kill_process(child, Signal::KILL);
                }
                std::thread::sleep(SWEEP_PAUSE);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_no_children) => return,
        }
    }
}

fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero();
    let listed = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let listed = listed.unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

fn exit_code(status: ExitStatus) -> u8 {
    let signalled = || {
        let signal = u8::try_from(status.signal().unwrap_or_default()).unwrap_or_default();
        EXIT_SIGNALLED.saturating_add(signal)
    };
    status.code().map_or_else(signalled, |code| u8::try_from(code).unwrap_or(u8::MAX))
}
