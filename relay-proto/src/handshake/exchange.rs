//! What a handshake waits for, the same on both sides: a version, a block to answer, and a block
//! that nobody reads.

use bytes::Bytes;

use super::block::{Block, PartialBlock, skip};
use super::{BLOCK_BYTES, HandshakeStep, check_version};
use crate::fault::PeerFault;

/// How far the peer's part has come.
#[derive(Debug)]
pub(super) enum Exchange {
    /// Until C0 or S0.
    Version,
    /// Until C1 or S1, which is answered.
    Hello(PartialBlock),
    /// Until C2 or S2, unread.
    Reply {
        missing: usize,
    },
    Done,
}

impl Exchange {
    /// Consumes from `input` what belongs to the handshake; `answer` makes what is to be sent.
    pub(super) fn handle_input(
        &mut self,
        input: &mut Bytes,
        answer: impl FnOnce(&Block) -> Bytes,
    ) -> Result<HandshakeStep, PeerFault> {
        loop {
            match self {
                Self::Version => {
                    let Some(&version) = input.first() else { return Ok(HandshakeStep::NeedMore) };
                    check_version(version)?;
                    skip(&mut 1, input);
                    *self = Self::Hello(PartialBlock::new());
                }
                Self::Hello(hello) => {
                    let Some(block) = hello.fill(input) else { return Ok(HandshakeStep::NeedMore) };
                    let answer = answer(block);
                    *self = Self::Reply { missing: BLOCK_BYTES };
                    return Ok(HandshakeStep::Send(answer));
                }
                Self::Reply { missing } => {
                    if !skip(missing, input) {
                        return Ok(HandshakeStep::NeedMore);
                    }
                    *self = Self::Done;
                }
                Self::Done => return Ok(HandshakeStep::Done),
            }
        }
    }
}
