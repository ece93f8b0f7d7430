//! Socket options and addresses of the runtime's sockets.
//!
//! tokio-uring's types have no option but `TCP_NODELAY`, and only a raw
//! descriptor; here it is lent out without giving it away.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

use tokio_uring::net::{TcpListener, TcpStream};

/// A [`socket2::Socket`] on loan: the same descriptor, not closed on drop.
pub struct SocketRef<'a> {
    socket: ManuallyDrop<socket2::Socket>,
    owner: PhantomData<&'a ()>,
}

impl SocketRef<'_> {
    /// # Safety
    ///
    /// `fd` must stay open for the lifetime of the result.
    unsafe fn new(fd: RawFd) -> Self {
        // SAFETY: the caller keeps it open; `ManuallyDrop` keeps us from
        // closing it.
        let socket = unsafe { socket2::Socket::from_raw_fd(fd) };
        Self { socket: ManuallyDrop::new(socket), owner: PhantomData }
    }
}

impl Deref for SocketRef<'_> {
    type Target = socket2::Socket;

    fn deref(&self) -> &Self::Target {
        &self.socket
    }
}

impl fmt::Debug for SocketRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SocketRef").field(&self.socket.as_raw_fd()).finish()
    }
}

/// A stream's socket, for options and addresses.
pub fn socket_ref(stream: &TcpStream) -> SocketRef<'_> {
    // SAFETY: a `TcpStream` closes its descriptor only when it is dropped,
    // and the result borrows it.
    unsafe { SocketRef::new(stream.as_raw_fd()) }
}

/// A listener's socket, for options and addresses.
pub fn listener_ref(listener: &TcpListener) -> SocketRef<'_> {
    // SAFETY: a `TcpListener` closes its descriptor only when it is dropped,
    // and the result borrows it.
    unsafe { SocketRef::new(listener.as_raw_fd()) }
}

/// Makes a listener refuse connections and a pending `accept` on it return
/// an error (`EINVAL`), so that its task ends.
///
/// Dropping the `accept` future instead would leave the operation in the
/// kernel, and lose the connection it accepts.
///
/// # Errors
///
/// What `shutdown(2)` says.
pub fn stop_listening(listener: &TcpListener) -> io::Result<()> {
    listener_ref(listener).shutdown(Shutdown::Both)
}
