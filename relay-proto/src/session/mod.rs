//! Sessions: an RTMP connection as a state machine, server side and client side.

mod media;

pub use media::{MediaKind, MediaMessage};
