//! The 1536-byte blocks of the handshake: collecting, skipping and filling them.

use bytes::{Buf, Bytes};

use super::BLOCK_BYTES;

/// A block as C1, C2, S1 and S2 are.
pub(super) type Block = [u8; BLOCK_BYTES];

/// A block that comes in pieces.
#[derive(Debug)]
pub(super) struct PartialBlock {
    bytes: Box<Block>,
    filled: usize,
}

impl PartialBlock {
    pub(super) fn new() -> Self {
        Self { bytes: Box::new([0; BLOCK_BYTES]), filled: 0 }
    }

    /// Takes from `input` what the block lacks; the block, once it is whole.
    pub(super) fn fill(&mut self, input: &mut Bytes) -> Option<&Block> {
        let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
        let take = room.len().min(input.len());
        for (to, from) in room.iter_mut().zip(input.iter()) {
            *to = *from;
        }
        input.advance(take);
        self.filled += take;
        (self.filled == BLOCK_BYTES).then_some(&*self.bytes)
    }
}

/// Drops up to `missing` bytes of `input`; whether none are missing any more.
pub(super) fn skip(missing: &mut usize, input: &mut Bytes) -> bool {
    let take = input.len().min(*missing);
    input.advance(take);
    *missing -= take;
    *missing == 0
}

/// A block of bytes derived from `seed`. They need to differ, not to be secret: the handshake
/// protects nothing.
pub(super) fn random_block(mut seed: u64) -> Block {
    let mut block = [0; BLOCK_BYTES];
    for word in block.chunks_exact_mut(8) {
        // SplitMix64.
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    block
}

/// Writes the time and version fields, the first eight bytes of C1 and S1.
pub(super) fn set_fields(block: &mut Block, time: [u8; 4], version: [u8; 4]) {
    for (to, from) in block.iter_mut().zip(time.into_iter().chain(version)) {
        *to = from;
    }
}
