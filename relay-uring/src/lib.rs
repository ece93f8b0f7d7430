//! Batched sends on io_uring and receive buffers: the only crate with `unsafe`.
