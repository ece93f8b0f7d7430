//! Socket options and addresses of the runtime's sockets.
//!
//! tokio-uring's types have no option but `TCP_NODELAY`, and only a raw
//! descriptor; here it is lent out without giving it away.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

use tokio_uring::net::TcpStream;

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
