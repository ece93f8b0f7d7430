//! The client's side of the handshake, for pushes and pulls.

use bytes::{BufMut, Bytes, BytesMut};

use super::block::{Block, random_block, set_fields};
use super::digest::{self, Scheme, Side};
use super::exchange::Exchange;
use super::{BLOCK_BYTES, HandshakeStep, VERSION};
use crate::fault::PeerFault;

/// What Flash Player 9.0.124.2 sends; servers know it as one that speaks digests.
const CLIENT_VERSION: [u8; 4] = [9, 0, 124, 2];

/// The kind of C1 a client sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientHandshakeKind {
    /// Without a digest; every server takes it.
    #[default]
    Plain,
    /// With a digest, for the few servers that refuse H.264 to clients without one.
    Digest,
}

/// Opens a handshake with a server. Whatever S1 and S2 hold is accepted.
///
/// | input | output |
/// |---|---|
/// | | C0 C1 in one piece |
/// | S0 S1 | C2 |
/// | S2, unread | |
#[derive(Debug)]
pub struct ClientHandshake {
    seed: u64,
    kind: ClientHandshakeKind,
    /// `None` until C0 and C1 are sent.
    exchange: Option<Exchange>,
}

impl ClientHandshake {
    /// A handshake whose random bytes are made from `seed`.
    #[must_use]
    pub const fn new(seed: u64, kind: ClientHandshakeKind) -> Self {
        Self { seed, kind, exchange: None }
    }

    /// Consumes from `input` what belongs to the handshake and says what to do. The first call, with
    /// whatever input, sends C0 and C1. Call it again with the same input after
    /// [`HandshakeStep::Send`].
    ///
    /// # Errors
    /// The peer speaks another protocol or version.
    pub fn handle_input(&mut self, input: &mut Bytes) -> Result<HandshakeStep, PeerFault> {
        let Some(exchange) = &mut self.exchange else {
            self.exchange = Some(Exchange::Version);
            return Ok(HandshakeStep::Send(hello(self.kind, self.seed)));
        };
        exchange.handle_input(input, |s1| reply(s1, self.kind, self.seed))
    }
}

fn hello(kind: ClientHandshakeKind, seed: u64) -> Bytes {
    let mut c1 = random_block(seed);
    match kind {
        ClientHandshakeKind::Plain => set_fields(&mut c1, [0; 4], [0; 4]),
        ClientHandshakeKind::Digest => {
            set_fields(&mut c1, [0; 4], CLIENT_VERSION);
            digest::sign(&mut c1, Scheme::One, Side::Client);
        }
    }
    let mut out = BytesMut::with_capacity(1 + BLOCK_BYTES);
    out.put_u8(VERSION);
    out.put_slice(&c1);
    out.freeze()
}

fn reply(s1: &Block, kind: ClientHandshakeKind, seed: u64) -> Bytes {
    let server_digest = match kind {
        ClientHandshakeKind::Plain => None,
        ClientHandshakeKind::Digest => digest::find(s1, Side::Server),
    };
    let c2 = match server_digest {
        Some((_, server_digest)) => {
            let mut c2 = random_block(!seed);
            digest::sign_reply(&mut c2, Side::Client, &server_digest);
            c2
        }
        None => *s1,
    };
    Bytes::copy_from_slice(&c2)
}
