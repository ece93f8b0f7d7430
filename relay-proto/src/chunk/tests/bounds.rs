//! Limits, copied bytes and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

use super::super::{CSID_VIDEO, ChunkDecoder, ChunkEncoder, ChunkLimits};
use super::{decode, drain, message, set_chunk_size, type0};
use crate::fault::PeerFault;
use crate::limits::{
    CHUNK_STREAMS_MAX, COALESCE_BYTES, MESSAGE_BYTES_MAX_DEFAULT, PAYLOAD_SLICES_FREE,
    PINNED_BYTES_FREE, PINNED_FACTOR, RECEIVE_BYTES_MAX,
};
use crate::message::MessageType;

/// `SET_CHUNK_SIZE` and one video message of `len` bytes cut accordingly.
fn video(chunk_size: u32, len: usize) -> Bytes {
    let mut out = BytesMut::from(&set_chunk_size(chunk_size)[..]);
    let mut encoder = ChunkEncoder::new();
    encoder.set_chunk_size(chunk_size);
    let body: Vec<u8> = (0..=255).cycle().take(len).collect();
    encoder.encode(CSID_VIDEO, &message(MessageType::VIDEO, 1, 0, &body), &mut out);
    out.freeze()
}

fn pieces(wire: &Bytes, len: usize) -> Vec<Bytes> {
    (0..wire.len()).step_by(len).map(|at| wire.slice(at..wire.len().min(at + len))).collect()
}

#[test]
fn a_message_beyond_the_limit_closes_before_its_payload_comes() {
    let max = MESSAGE_BYTES_MAX_DEFAULT;
    let fault = PeerFault::MessageTooLarge { len: max + 1, max };
    assert_eq!(decode(&type0(6, 0, max + 1, MessageType::VIDEO)), Err(fault));
    assert_eq!(decode(&type0(6, 0, max, MessageType::VIDEO)), Ok(vec![]));
}

#[test]
fn chunk_streams_are_bounded() {
    let open = |count: usize| -> Vec<u8> {
        let id = |index| u8::try_from(index).expect("few");
        (0..count).flat_map(|index| [&[0, id(index)], &[0; 11][..]].concat()).collect()
    };
    assert!(decode(&open(CHUNK_STREAMS_MAX)).is_ok());
    let fault = PeerFault::TooManyChunkStreams { max: CHUNK_STREAMS_MAX };
    assert_eq!(decode(&open(CHUNK_STREAMS_MAX + 1)), Err(fault));
}

#[test]
fn unfinished_messages_together_are_bounded() {
    let limits = ChunkLimits { message_bytes_max: 1000, chunk_streams_max: 8 };
    let mut wire = set_chunk_size(999);
    for csid in 3..7 {
        wire.extend(type0(csid, 0, 1000, MessageType::VIDEO));
        wire.extend([0; 999]);
    }
    let mut decoder = ChunkDecoder::new(limits);
    let (_, fault) = drain(&mut decoder, &pieces(&wire.into(), 100));
    assert_eq!(fault, Some(PeerFault::PartialTooLarge { max: 3000 }));
}

#[test]
fn a_publisher_with_sensible_chunks_has_no_byte_copied() {
    for chunk_size in [512, 4096, 65_536, 1 << 20] {
        let wire = video(chunk_size, 4 << 20);
        for read in [1448, RECEIVE_BYTES_MAX, wire.len()] {
            let mut decoder = ChunkDecoder::new(ChunkLimits::default());
            let (messages, fault) = drain(&mut decoder, &pieces(&wire, read));
            assert_eq!((messages.len(), fault), (2, None));
            assert_eq!(decoder.copied_bytes(), 0, "chunk size {chunk_size}, reads of {read}");
        }
    }
}

#[test]
fn a_chunk_that_holds_the_whole_message_gives_one_slice_of_the_input() {
    let wire = video(65_536, 10_000);
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let (messages, _) = drain(&mut decoder, std::slice::from_ref(&wire));
    let [slice] = messages[1].payload.slices() else { panic!("one slice") };
    assert_eq!(slice.as_ptr_range().end, wire.as_ptr_range().end);
}

#[test]
fn tiny_chunks_are_copied_together_and_counted() {
    let wire = video(128, 100_000);
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let (messages, _) = drain(&mut decoder, &pieces(&wire, RECEIVE_BYTES_MAX));
    assert_eq!(messages[1].payload.slices().len(), 1);
    assert_eq!(decoder.copied_bytes(), 100_000);
}

#[test]
fn a_byte_at_a_time_does_not_make_a_slice_of_each() {
    let len = 100_000;
    let wire = video(65_536, len);
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let (messages, _) = drain(&mut decoder, &pieces(&wire, 1));
    let slices = messages[1].payload.slices().len();
    assert!(slices <= PAYLOAD_SLICES_FREE + 2 + 2 * len / COALESCE_BYTES, "{slices} slices");
}

/// A receive buffer that says when it is freed.
struct Tracked {
    bytes: Vec<u8>,
    live: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.live.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[test]
fn a_message_spread_thin_does_not_hold_every_buffer_it_touched() {
    let limits = ChunkLimits::default();
    let live = Arc::new(AtomicUsize::new(0));
    let mut decoder = ChunkDecoder::new(limits);
    decoder.handle_input(set_chunk_size(512).into());
    // Each buffer: 512 bytes of a message that never ends, then other whole messages.
    let (filler, long) = (60_000, 1 << 22);
    let mut most = 0;
    for round in 0..4000 {
        let mut wire =
            if round == 0 { type0(6, 0, long, MessageType::VIDEO).to_vec() } else { vec![0xC6] };
        wire.extend([1; 512]);
        for _ in 0..filler / 512 {
            wire.extend(type0(4, 0, 512, MessageType::AUDIO));
            wire.extend([2; 512]);
        }
        live.fetch_add(wire.len(), Ordering::Relaxed);
        decoder.handle_input(Bytes::from_owner(Tracked { bytes: wire, live: Arc::clone(&live) }));
        while decoder.poll_message().expect("legal").is_some() {}
        most = most.max(live.load(Ordering::Relaxed));
    }
    assert_eq!(decoder.partial_bytes(), 4000 * 512);
    let bound = PINNED_BYTES_FREE + 2 * RECEIVE_BYTES_MAX as u64;
    assert!(most as u64 <= bound + PINNED_FACTOR * 512, "{most} bytes of buffers held");
    assert!(decoder.copied_bytes() > 0);
}
