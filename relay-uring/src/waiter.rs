//! Tells the runtime when a send ring has completions.
//!
//! Separate from the ring, so that no borrow of the ring is held while
//! waiting.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for completions of the [`SendRing`](crate::SendRing) it came from.
pub struct RingWaiter {
    fd: AsyncFd<OwnedFd>,
}

impl RingWaiter {
    /// # Safety
    ///
    /// `ring_fd` must be open.
    pub(crate) unsafe fn new(ring_fd: RawFd) -> io::Result<Self> {
        // SAFETY: open, says the caller; the loan ends on this line.
        let own = unsafe { BorrowedFd::borrow_raw(ring_fd) }.try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` stays open, and the same, until it is dropped.
        let fd = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) }?;
        Ok(Self { fd })
    }

    /// Returns when something may have completed since it last returned; then
    /// call [`SendRing::completions`](crate::SendRing::completions). It may
    /// return for nothing. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Only when the runtime is shutting down.
    pub async fn ready(&self) -> io::Result<()> {
        // Readiness is an edge: it is cleared before the completions are
        // taken, so that one arriving meanwhile raises it again.
        self.fd.readable().await?.clear_ready();
        Ok(())
    }
}

impl fmt::Debug for RingWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RingWaiter").field(&self.fd.as_raw_fd()).finish()
    }
}
