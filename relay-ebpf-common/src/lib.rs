//! What the kernel programs and the relay both know: the layout of the maps, and how a connection's
//! bytes are counted.
//!
//! No system calls, except behind the feature `user`, which adds what only user space needs.
#![cfg_attr(not(any(test, feature = "user")), no_std)]

mod counting;
mod layout;
#[cfg(feature = "user")]
mod user;

pub use counting::{Growth, Observation, TcpState};
pub use layout::{
    Connection, Heartbeat, LAYOUT_VERSION, PortKey, SERVICES_MAX, Service, Side, SocketOffsets,
    Totals, maps,
};
#[cfg(feature = "user")]
pub use user::open_pin_read_only;
