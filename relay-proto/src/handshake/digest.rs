//! The digest handshake that Flash clients and most encoders try: a keyed hash at a place in the
//! block which four other bytes of the block point to. Undocumented, known from its many servers.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::BLOCK_BYTES;
use super::block::Block;

/// Bytes of a digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// A digest.
pub(super) type Digest = [u8; DIGEST_BYTES];

/// The 30 and 36 readable bytes are the keys of C1's and S1's own digests; with the 32 bytes that
/// follow they are the keys of the replies.
const CLIENT_NAME: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_NAME: &[u8] = b"Genuine Adobe Flash Media Server 001";
const KEY_TAIL: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57,
    0x6E, 0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

/// Who made a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Client => CLIENT_NAME,
            Self::Server => SERVER_NAME,
        }
    }
}

/// Where the digest is: in the first half of the block or in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Pointed to by bytes 772 to 775, and behind them.
    Zero,
    /// Pointed to by bytes 8 to 11, and behind them.
    One,
}

impl Scheme {
    const BOTH: [Self; 2] = [Self::Zero, Self::One];

    /// The digest's place: at most 776 + 727, so that it always fits.
    fn offset(self, block: &Block) -> usize {
        let pointer: usize = match self {
            Self::Zero => 772,
            Self::One => 8,
        };
        let sum: usize = block.iter().skip(pointer).take(4).map(|byte| usize::from(*byte)).sum();
        pointer + 4 + sum % 728
    }
}

/// The scheme and digest of a block that `side` made; `None` when it has no valid digest.
pub(super) fn find(block: &Block, side: Side) -> Option<(Scheme, Digest)> {
    Scheme::BOTH.into_iter().find_map(|scheme| {
        let (own, expected) = own_digest(block, scheme, side)?;
        (own == expected).then_some((scheme, own))
    })
}

/// Writes the digest of `side` into a block of its own making.
pub(super) fn sign(block: &mut Block, scheme: Scheme, side: Side) {
    let offset = scheme.offset(block);
    if let Some((_, digest)) = own_digest(block, scheme, side)
        && let Some(place) = block.get_mut(offset..offset + DIGEST_BYTES)
    {
        place.copy_from_slice(&digest);
    }
}

/// Turns random bytes into the reply (C2, S2) of `side` to a block with the digest `peer_digest`.
pub(super) fn sign_reply(reply: &mut Block, side: Side, peer_digest: &Digest) {
    let key = hmac(&[side.name(), &KEY_TAIL].concat(), &[peer_digest]);
    if let Some((random, place)) = reply.split_last_chunk_mut::<DIGEST_BYTES>() {
        *place = hmac(&key, &[random]);
    }
}

/// The digest that is in the block, and the one that should be.
fn own_digest(block: &Block, scheme: Scheme, side: Side) -> Option<(Digest, Digest)> {
    let (before, rest) = block.split_at_checked(scheme.offset(block))?;
    let (own, after) = rest.split_first_chunk::<DIGEST_BYTES>()?;
    debug_assert_eq!(before.len() + after.len(), BLOCK_BYTES - DIGEST_BYTES);
    Some((*own, hmac(side.name(), &[before, after])))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Digest {
    // Never an error: HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; DIGEST_BYTES] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
