//! RTMP as pure state machines: bytes and [`time::Instant`] in, bytes and events out.
//!
//! Nothing here reads a clock, opens a socket, starts a thread or spawns a task. Payload bytes are
//! never copied: a message's payload is a list of [`bytes::Bytes`] slices of the receive buffers.
#![forbid(unsafe_code)]

pub mod amf0;
pub mod chunk;
pub mod command;
pub mod fault;
pub mod handshake;
pub mod limits;
pub mod media;
pub mod message;
pub mod payload;
pub mod session;
pub mod slice_list;
pub mod time;
