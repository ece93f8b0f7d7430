//! The server's side of the handshake.

use bytes::{BufMut, Bytes, BytesMut};

use super::block::{Block, random_block, set_fields};
use super::digest::{self, Side};
use super::exchange::Exchange;
use super::{BLOCK_BYTES, HandshakeStep, VERSION};
use crate::fault::PeerFault;

/// Any version but zero says that the server knows the digest handshake.
const SERVER_VERSION: [u8; 4] = [5, 0, 3, 1];

/// Answers a client's handshake.
///
/// | input | output |
/// |---|---|
/// | C0 C1 | S0 S1 S2 in one piece |
/// | C2, unread | |
#[derive(Debug)]
pub struct ServerHandshake {
    seed: u64,
    exchange: Exchange,
}

impl ServerHandshake {
    /// A handshake whose random bytes are made from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, exchange: Exchange::Version }
    }

    /// Consumes from `input` what belongs to the handshake and says what to do. Call it again with
    /// the same input after [`HandshakeStep::Send`].
    ///
    /// # Errors
    /// The peer speaks another protocol or version.
    pub fn handle_input(&mut self, input: &mut Bytes) -> Result<HandshakeStep, PeerFault> {
        self.exchange.handle_input(input, |c1| answer(c1, self.seed))
    }
}

/// S0, S1 and S2: with digests if C1 has one, else plain, S2 being C1 again.
fn answer(c1: &Block, seed: u64) -> Bytes {
    let mut s1 = random_block(seed);
    let s2 = if let Some((scheme, client_digest)) = digest::find(c1, Side::Client) {
        set_fields(&mut s1, [0; 4], SERVER_VERSION);
        digest::sign(&mut s1, scheme, Side::Server);
        let mut s2 = random_block(!seed);
        digest::sign_reply(&mut s2, Side::Server, &client_digest);
        s2
    } else {
        set_fields(&mut s1, [0; 4], [0; 4]);
        *c1
    };
    let mut out = BytesMut::with_capacity(1 + 2 * BLOCK_BYTES);
    out.put_u8(VERSION);
    out.put_slice(&s1);
    out.put_slice(&s2);
    out.freeze()
}
