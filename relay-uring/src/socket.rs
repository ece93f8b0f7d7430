//! Socket options and addresses of the runtime's sockets.
//!
//! tokio-uring's types have no option but `TCP_NODELAY`, and only a raw
//! descriptor; here it is lent out without giving it away.

use std::fmt;
use std::io;
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

/// Has the socket take in `bytes` that are not read yet before it holds up its peer, or as many as
/// `net.ipv4.tcp_rmem` allows; says how many it takes in. The kernel may make it more later.
///
/// Raising the mark below which a socket is not readable is what makes room for as much
/// (`SO_RCVLOWAT`, socket(7)); it is let down again at once. `SO_RCVBUF` would end the kernel's own
/// tuning.
///
/// # Errors
///
/// What `setsockopt(2)` and `getsockopt(2)` say.
pub fn hold_unread(stream: &TcpStream, bytes: usize) -> io::Result<usize> {
    set_receive_low_water_mark(stream, bytes)?;
    set_receive_low_water_mark(stream, 1)?;
    // Half of the buffer is for the kernel's own needs (tcp(7)).
    Ok(socket_ref(stream).recv_buffer_size()? / 2)
}

fn set_receive_low_water_mark(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    let mark = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open while `stream` is borrowed; the kernel reads one `c_int`.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const mark).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
