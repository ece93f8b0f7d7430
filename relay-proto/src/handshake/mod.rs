//! The RTMP handshake, both sides, simple and digest. RTMP 1.0 §5.2.
//!
//! Owns the exchange up to the first chunk. Must not refuse a peer for what its random bytes are:
//! encoders in use echo them wrongly, so only the version byte is judged.

mod block;
mod client;
mod digest;
mod exchange;
mod server;

pub use client::{ClientHandshake, ClientHandshakeKind};
pub use server::ServerHandshake;

use bytes::Bytes;

use crate::fault::PeerFault;

/// Bytes of C1, C2, S1 and S2. RTMP 1.0 §5.2.3.
pub const BLOCK_BYTES: usize = 1536;

/// The RTMP version in C0 and S0. RTMP 1.0 §5.2.2.
const VERSION: u8 = 3;

/// What a handshake does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeStep {
    /// All input is consumed and more is needed.
    NeedMore,
    /// These bytes are to be sent, in one send: some encoders break on a handshake in pieces.
    Send(Bytes),
    /// The handshake is over; what is left of the input are chunks.
    Done,
}

/// Judges the first byte a peer sent.
fn check_version(version: u8) -> Result<(), PeerFault> {
    match version {
        VERSION => Ok(()),
        6 => Err(PeerFault::Rtmpe),
        // Alert and handshake records, §5.1 of RFC 8446.
        0x15 | 0x16 => Err(PeerFault::TlsOnRtmp),
        b'A'..=b'Z' => Err(PeerFault::HttpOnRtmp),
        other => Err(PeerFault::HandshakeVersion(other)),
    }
}

#[cfg(test)]
mod tests;
