//! What the fuzz targets check, apart from not panicking. The protocol crate's tests replay the
//! committed corpora through the same functions, with the stable compiler and without libFuzzer.
//!
//! The first byte of an input says how the rest is cut into reads, except for `amf0`, which is only
//! ever given whole messages. A byte of options stands before it for the sessions.
#![forbid(unsafe_code)]

mod entry;

pub use entry::{amf0, chunk_decoder, client_session, handshake, server_session};
