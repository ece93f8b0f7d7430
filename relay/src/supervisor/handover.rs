//! Hands the listening sockets of a running node to the process that takes its place.
//!
//! The node starts its successor with one end of a pair of sockets as standard input. Over it go the
//! very sockets that it listens on, so that no connection that waits in their queues is lost. The
//! successor tells when all of it runs; then the node accepts nothing more, and tells it to begin.
//! Owns that conversation. Whom the node serves to the end is not decided here, and what the two say to
//! each other later is the line's.
//!
//! The successor is not the node's child but init's: systemd is told of the end of its own children
//! alone, and has to be told when the process ends that is the service from now on.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::line::Line;

/// The command that starts another and leaves it to init, which the command line knows.
const DETACH: &str = "detach";
/// The flag of a process that takes another's place, which the command line knows.
const TAKE_OVER: &str = "--take-over";

/// What a successor has from its start until it is ready. As long as shards have, and some for reading
/// a configuration.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// What either side has to say the next word where there is nothing to wait for.
const WORD_PATIENCE: Duration = Duration::from_secs(10);
/// What a successor has to end by itself, once it is not wanted, before it is killed.
const LAST_WORDS: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Sockets that one process may be given: as many as the largest node has, twice over.
const SOCKETS_MAX: usize = 1 << 17;

/// The successor's process id follows.
const PROCESS: u8 = b'p';
/// A socket comes with this byte.
const SOCKET: u8 = b's';
/// That were all sockets.
const ALL: u8 = b'a';
/// The successor is ready.
const READY: u8 = b'r';
/// The successor is to accept connections from now on.
const BEGIN: u8 = b'b';

/// Why no other process took the place of this one.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandoverError {
    #[error("the listening sockets could not be copied: {0}")]
    Copy(io::Error),
    #[error("{0} could not be started: {1}")]
    Start(PathBuf, io::Error),
    #[error("the successor did not become ready: {0}")]
    NotReady(#[from] io::Error),
}

/// A successor that is ready, and waits for the word to begin.
#[derive(Debug)]
pub(super) struct Successor {
    pid: u32,
    process: OwnedFd,
    line: UnixStream,
    begun: bool,
}

impl Successor {
    /// Starts this program again, as its file is now, with the same arguments; gives it the sockets and
    /// waits until it is ready. Blocks.
    ///
    /// # Errors
    /// It could not be started, ended, or took too long. There is nothing left of it then: before it has
    /// said who it is, it ends with the line, and after that it is killed.
    pub(super) fn start(listeners: &[TcpListener]) -> Result<Self, HandoverError> {
        let (program, mut command) = successor();
        let failed = |error| HandoverError::Start(program.clone(), error);
        let (mut line, far_end) = UnixStream::pair().map_err(failed)?;
        let started =
            command.stdin(Stdio::from(OwnedFd::from(far_end))).status().map_err(failed)?;
        if !started.success() {
            return Err(failed(io::Error::other(started.to_string())));
        }
        // Its end of the line is open there alone now, so that its death is noticed here.
        drop(command);
        line.set_write_timeout(Some(WORD_PATIENCE))?;
        line.set_read_timeout(Some(READY_PATIENCE))?;
        let (pid, process) = hear_process(&mut line)?;
        let mut successor = Self { pid, process, line, begun: false };
        successor.converse(listeners)?;
        Ok(successor)
    }

    fn converse(&mut self, listeners: &[TcpListener]) -> io::Result<()> {
        for listener in listeners {
            send_socket(&self.line, listener)?;
        }
        self.line.write_all(&[ALL])?;
        hear(&mut self.line, READY)
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Has it accept connections. One that cannot hear it any more is dead, and systemd's to start.
    pub(super) fn begin(mut self) -> Option<Line> {
        self.begun = true;
        let line = self.line.write_all(&[BEGIN]).and_then(|()| Line::of(&self.line));
        line.inspect_err(|error| tracing::error!(%error, "the successor is gone")).ok()
    }
}

impl Drop for Successor {
    /// This process ends and was not replaced, or does not wait any longer.
    fn drop(&mut self) {
        if self.begun {
            return;
        }
        // It finds that out, says so and ends; or said before why it cannot go on, and is about to end.
        let _closed = self.line.shutdown(Shutdown::Both);
        let mut awaited = [PollFd::new(&self.process, PollFlags::IN)];
        let _ended = retry_on_intr(|| poll(&mut awaited, Some(&LAST_WORDS)));
        // It may have ended by itself.
        let _gone = pidfd_send_signal(&self.process, Signal::KILL);
    }
}

/// This program with the arguments that it was started with.
fn successor() -> (PathBuf, Command) {
    let mut arguments = std::env::args_os();
    let program = arguments.next().map(PathBuf::from);
    // By the name that it was started by: the file behind it is another by now.
    let named = program.filter(|program| program.is_absolute());
    let program = named.or_else(own_file).unwrap_or_default();
    let mut command = Command::new(&program);
    command.args([DETACH, "--"]).arg(&program);
    command.args(arguments.filter(|argument| argument != TAKE_OVER)).arg(TAKE_OVER);
    // What was said to this process alone.
    for variable in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        command.env_remove(variable);
    }
    (program, command)
}

/// The file that this program was read from, or the one that has its name now.
fn own_file() -> Option<PathBuf> {
    let file = std::env::current_exe().ok()?;
    // So the kernel says of one that was replaced.
    let replaced = file.to_str().and_then(|name| name.strip_suffix(" (deleted)"));
    Some(replaced.map_or_else(|| file.clone(), PathBuf::from))
}

/// The place that this process takes.
#[derive(Debug)]
pub(super) struct Predecessor {
    line: UnixStream,
}

impl Predecessor {
    /// Gets the sockets of the process that started this one for that.
    ///
    /// # Errors
    /// Nobody did, or it stopped in the middle.
    pub(super) fn meet() -> io::Result<(Self, Vec<TcpListener>)> {
        let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Whatever this process starts has no part in the conversation.
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        line.set_read_timeout(Some(WORD_PATIENCE))?;
        line.set_write_timeout(Some(WORD_PATIENCE))?;
        tell_process(&line)?;
        let mut listeners = Vec::new();
        while let Some(socket) = receive_socket(&line)? {
            listeners.push(TcpListener::from(socket));
            if listeners.len() > SOCKETS_MAX {
                return Err(io::Error::other("too many sockets"));
            }
        }
        Ok((Self { line }, listeners))
    }

    /// Tells that all runs, and waits until the one before accepts nothing any more. If it dies
    /// meanwhile, there is nothing to wait for.
    ///
    /// # Errors
    /// It says nothing: it has given this process up.
    pub(super) fn relieve(mut self) -> io::Result<Option<Line>> {
        let told = self.line.write_all(&[READY]).and_then(|()| hear(&mut self.line, BEGIN));
        match told.map_err(|error| (error.kind(), error)) {
            Err((io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe, _)) => Ok(None),
            Err((_, error)) => Err(error),
            Ok(()) => Line::of(&self.line).map(Some),
        }
    }
}

fn hear(line: &mut UnixStream, word: u8) -> io::Result<()> {
    let mut heard = [0];
    line.read_exact(&mut heard)?;
    if heard == [word] { Ok(()) } else { Err(io::Error::other("an unknown word")) }
}

/// Tells which process this is.
fn tell_process(mut line: &UnixStream) -> io::Result<()> {
    let [one, two, three, four] = std::process::id().to_be_bytes();
    line.write_all(&[PROCESS, one, two, three, four])
}

/// The other process, and a hold on it that is about no other.
fn hear_process(line: &mut UnixStream) -> io::Result<(u32, OwnedFd)> {
    hear(line, PROCESS)?;
    let mut number = [0; 4];
    line.read_exact(&mut number)?;
    let number = u32::from_be_bytes(number);
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
    Ok((number, pidfd_open(pid, PidfdFlags::empty())?))
}

fn send_socket(line: &UnixStream, listener: &TcpListener) -> io::Result<()> {
    let socket = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&socket)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let word = [IoSlice::new(&[SOCKET])];
    retry_on_intr(|| sendmsg(line, &word, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// The next socket; none when that were all.
fn receive_socket(line: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0];
    let mut slices = [IoSliceMut::new(&mut word)];
    // Where a socket has a time limit, whatever interrupts a call ends it: also what the kernel has to do
    // for a ring that is gone.
    let received =
        retry_on_intr(|| recvmsg(line, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (received.bytes, word, socket) {
        (1, [SOCKET], Some(socket)) => Ok(Some(socket)),
        (1, [ALL], None) => Ok(None),
        (0, ..) => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Err(io::Error::other("an unknown word")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sockets_arrive_with_what_waits_in_their_queues() {
        let (near, far) = UnixStream::pair().unwrap();
        let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|it| it.local_addr().unwrap()).collect();
        let waiting = std::net::TcpStream::connect(addresses[1]).unwrap();
        for listener in &listeners {
            send_socket(&near, listener).unwrap();
        }
        (&near).write_all(&[ALL]).unwrap();
        drop((listeners, near));
        let mut received = Vec::new();
        while let Some(socket) = receive_socket(&far).unwrap() {
            received.push(TcpListener::from(socket));
        }
        let arrived: Vec<_> = received.iter().map(|it| it.local_addr().unwrap()).collect();
        assert_eq!(arrived, addresses);
        let (_, from) = received[1].accept().unwrap();
        assert_eq!(from, waiting.local_addr().unwrap());
        assert!(receive_socket(&far).is_err(), "nobody is there any more");
    }
}
