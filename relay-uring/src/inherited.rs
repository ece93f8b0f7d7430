//! Listening sockets that the process was started with.
//!
//! Whoever starts it says so in its environment, as systemd does: they are
//! the descriptors from 3 on, `LISTEN_FDS` of them, and meant for the process
//! `LISTEN_PID` alone. This takes such numbers for sockets of its own, once.

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Socket;

/// The first descriptor that is handed on.
const FIRST: RawFd = 3;
/// Descriptors that are believed in: what a process can have by default.
const COUNT_MAX: RawFd = 1024;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The listening TCP sockets that this process was started with; none the
/// second time. Call it before anything else opens a descriptor.
///
/// # Errors
///
/// What was said of them is not true: there is no such descriptor, or it is
/// no listening socket.
pub fn inherited_listeners() -> io::Result<Vec<TcpListener>> {
    let meant = number("LISTEN_PID")?;
    let count = number("LISTEN_FDS")?.unwrap_or(0);
    if meant != Some(i64::from(std::process::id())) || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let count = RawFd::try_from(count).ok().filter(|count| (0..=COUNT_MAX).contains(count));
    let Some(count) = count else { return Err(invalid("LISTEN_FDS is out of range")) };
    (FIRST..FIRST + count).map(adopt).collect()
}

fn number(variable: &str) -> io::Result<Option<i64>> {
    match std::env::var(variable) {
        Ok(text) => {
            let number = text.parse::<i64>().map(Some);
            number.map_err(|_| invalid(&format!("{variable} is not a number")))
        }
        Err(_) => Ok(None),
    }
}

fn adopt(fd: RawFd) -> io::Result<TcpListener> {
    // SAFETY: looks at the number, whatever it stands for.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open. It was opened before this process began,
    // for this process by the variables' word, and is adopted this once: so
    // nobody else closes it.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    socket.set_cloexec(true)?;
    if socket.is_listener()? && socket.local_addr()?.as_socket().is_some() {
        Ok(socket.into())
    } else {
        Err(invalid(&format!("descriptor {fd} is not a listening TCP socket")))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
