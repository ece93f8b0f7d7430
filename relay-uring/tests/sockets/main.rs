//! The ring and the receive buffers on real sockets.

mod peers;
mod sending;
