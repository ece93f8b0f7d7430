//! What the kernel knows of a connection: `TCP_INFO`.

use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::AsRawFd;

use tokio_uring::net::TcpStream;

/// A connection as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// The state, as the kernel numbers it.
    pub state: u8,
    /// Bytes received, the peer's FIN included.
    pub bytes_received: u64,
    /// Bytes acknowledged, our SYN and FIN included.
    pub bytes_acked: u64,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Segments sent again.
    pub retransmits: u32,
}

/// Asks the kernel about `stream`. Also possible when the connection is over, as long as the socket
/// is open.
///
/// # Errors
///
/// What `getsockopt(2)` says, or that the kernel is older than what is asked of it.
pub fn tcp_info(stream: &TcpStream) -> io::Result<TcpInfo> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open while `stream` is borrowed; the kernel writes at most `length`
    // bytes, which `info` has room for.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // Kernels before 4.1 end before the byte counts.
    if (length as usize) < offset_of!(libc::tcp_info, tcpi_segs_out) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: integers only, all of them initialised: by the kernel, or with zero.
    let info = unsafe { info.assume_init() };
    Ok(TcpInfo {
        state: info.tcpi_state,
        bytes_received: info.tcpi_bytes_received,
        bytes_acked: info.tcpi_bytes_acked,
        rtt_us: info.tcpi_rtt,
        retransmits: info.tcpi_total_retrans,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn bytes_are_counted_both_ways_and_after_the_end() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut peer =
            std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (mut socket, _) = listener.accept().expect("accepts");
        peer.write_all(&[0; 1000]).expect("writes");
        socket.read_exact(&mut [0; 1000]).expect("reads");
        socket.write_all(&[0; 300]).expect("writes");
        peer.read_exact(&mut [0; 300]).expect("reads");
        let stream = TcpStream::from_std(socket.try_clone().expect("a second descriptor"));
        let info = tcp_info(&stream).expect("a kernel that counts");
        assert_eq!((info.bytes_received, info.bytes_acked), (1000, 300));
        assert!(info.rtt_us > 0, "{info:?}");
        drop(peer);
        assert_eq!(socket.read(&mut [0; 1]).expect("the end"), 0);
        let over = tcp_info(&stream).expect("the socket is open");
        assert_eq!((over.bytes_received, over.bytes_acked), (1001, 300), "with the FIN");
    }
}
