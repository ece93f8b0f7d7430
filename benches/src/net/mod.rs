//! Sockets, readiness, clocks: the only place of the load generator that asks the kernel. Must not
//! know RTMP.

pub mod clock;
pub mod outbox;
pub mod poller;
pub mod receive;
pub mod socket;
