//! The crate's errors: why there is no ring, and why a send was not taken.

use std::io;

/// Why this machine, or this process on it, has no usable io_uring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingUnavailable {
    /// The administrator turned io_uring off.
    #[error(
        "io_uring is disabled by the sysctl kernel.io_uring_disabled = {value}: \
         set it to 0, or to 1 with the process in the group kernel.io_uring_group"
    )]
    DisabledBySysctl {
        /// The sysctl's value: 1 for unprivileged processes, 2 for all.
        value: u32,
    },
    /// The kernel was built without io_uring, or a filter answers ENOSYS.
    #[error("the kernel has no io_uring (ENOSYS): Linux 5.11 or newer with CONFIG_IO_URING")]
    NotInKernel,
    /// A seccomp filter or security module refuses the system call.
    #[error(
        "io_uring is refused (EPERM): a seccomp filter, as containers have by default, \
         or a security module forbids io_uring_setup"
    )]
    Denied,
    /// The ring's memory could not be had or locked.
    #[error(
        "no memory for io_uring (ENOMEM): raise the locked-memory limit \
         (LimitMEMLOCK=, ulimit -l)"
    )]
    LockedMemory,
    /// The kernel's io_uring is too old.
    #[error("the kernel's io_uring is too old: it lacks {missing}")]
    TooOld {
        /// The operation or feature that is missing.
        missing: &'static str,
    },
    /// Any other failure to set the ring up.
    #[error("io_uring cannot be set up: {0}")]
    Other(#[source] io::Error),
}

/// Why [`SendRing::send`](crate::SendRing::send) did not take a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket's previous batch is still in flight.
    #[error("the socket has a send in flight")]
    Busy,
    /// The key is stale, or an earlier send on the socket failed.
    #[error("the socket is closed")]
    Closed,
    /// The batch holds no byte.
    #[error("the batch is empty")]
    Empty,
}
