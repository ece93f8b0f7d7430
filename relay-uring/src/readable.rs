//! Tells when a stream of the runtime can be read.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio_uring::net::TcpStream;

/// A stream that is watched for something to read, as long as this lives.
pub struct ReadableStream {
    fd: AsyncFd<SharedStream>,
}

/// Keeps the descriptor open for as long as it is watched.
pub(crate) struct SharedStream(Rc<TcpStream>);

impl AsRawFd for SharedStream {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl ReadableStream {
    /// Watches a stream; call it within the runtime.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be watched.
    pub fn new(stream: Rc<TcpStream>) -> io::Result<Self> {
        let shared = SharedStream(stream);
        // SAFETY: the stream closes its descriptor when it is dropped, which
        // is after the `AsyncFd`, its owner, has let go of it.
        let fd = unsafe { AsyncFd::register_with_interest(shared, Interest::READABLE) }?;
        Ok(Self { fd })
    }

    pub(crate) fn get(&self) -> &TcpStream {
        &self.fd.get_ref().0
    }

    pub(crate) async fn ready(&self) -> io::Result<AsyncFdReadyGuard<'_, SharedStream>> {
        self.fd.readable().await
    }
}

impl fmt::Debug for ReadableStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadableStream").field(&self.fd.as_raw_fd()).finish()
    }
}
