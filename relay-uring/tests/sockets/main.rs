//! The ring and the receive buffers on real sockets.

mod holding;
mod listening;
mod peers;
mod receiving;
mod sending;
