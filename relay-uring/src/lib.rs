//! Batched sends on io_uring and receive buffers: the relay's `unsafe`.
//!
//! It owns what the kernel reads and writes while an operation is in flight:
//! a [`SendBatch`] is shared by any number of sockets, a [`SendRing`] sends
//! it to all of them with one system call, a [`ReceiveBuffer`] is what a
//! connection reads into. It knows nothing of RTMP, and keeps no policy: who
//! is sent what, and when, is decided by the caller.
//!
//! One turn of a shard:
//!
//! 1. [`RingWaiter::ready`] returns: something may have completed;
//! 2. [`SendRing::completions`] hands out what did;
//! 3. [`SendRing::send`] for every idle socket with news;
//! 4. [`SendRing::submit`]: one `io_uring_enter` for all of them.

mod availability;
mod batch;
mod clock;
mod error;
mod flight;
mod inherited;
mod readable;
mod receive;
mod ring;
mod slab_pool;
mod socket;
mod stats;
mod tcp_info;
mod verdict;
mod waiter;
mod zero_copy;

pub use availability::{Support, probe};
pub use batch::{BatchPool, IOVECS_MAX, SendBatch};
pub use clock::clock_is_synchronised;
pub use error::{RingUnavailable, SendError};
pub use inherited::inherited_listeners;
pub use readable::ReadableStream;
pub use receive::{ReceiveBuffer, SMALL_BYTES};
pub use ring::{Completion, SendRing, SocketKey};
pub use slab_pool::{SLAB_BYTES_MAX, SLAB_BYTES_MIN, SlabPool};
pub use socket::{SocketRef, hold_unread, socket_ref};
pub use stats::SendRingStats;
pub use tcp_info::{TcpInfo, tcp_info};
pub use waiter::RingWaiter;
pub use zero_copy::{ZERO_COPY_AUTO_BYTES_MIN, ZeroCopy};
