//! The checks, one function for each fuzz target.

mod sessions;
mod wire;

pub use sessions::{client_session, server_session};
pub use wire::{amf0, chunk_decoder, handshake};

use bytes::Bytes;

/// The input without its first byte, and that cut into reads: of 1 to 127 bytes, or for 0 and from
/// 128 on in one.
fn reads(data: &[u8]) -> Option<(Bytes, Vec<Bytes>)> {
    let (&first, rest) = data.split_first()?;
    let whole = Bytes::copy_from_slice(rest);
    let len = match first {
        1..128 => usize::from(first),
        _ => rest.len().max(1),
    };
    let pieces =
        (0..rest.len()).step_by(len).map(|at| whole.slice(at..rest.len().min(at + len))).collect();
    Some((whole, pieces))
}
