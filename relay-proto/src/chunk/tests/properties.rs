//! What holds for every input: splits do not matter, the round trip, and the memory bound.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{
    CSID_CONTROL, CSID_MAX, ChunkDecoder, ChunkEncoder, ChunkLimits, encode_media,
    encode_media_header,
};
use super::{drain, message};
use crate::message::{Message, MessageType};
use crate::payload::Payload;

const LIMITS: ChunkLimits = ChunkLimits { message_bytes_max: 4096, chunk_streams_max: 64 };

fn timestamps() -> impl Strategy<Value = u32> {
    prop_oneof![0..100_u32, 0x00FF_FFF0..0x0100_0010_u32, 0xFFFF_FF00..=u32::MAX, any::<u32>()]
}

fn csids() -> impl Strategy<Value = u32> {
    prop_oneof![3..8_u32, 62..70_u32, 316..324_u32, CSID_MAX - 2..=CSID_MAX]
}

fn media() -> impl Strategy<Value = (u32, Message)> {
    let kinds = prop_oneof![Just(8_u8), Just(9), Just(18), Just(20)];
    let fields = (csids(), kinds, 0..3_u32, timestamps(), vec(any::<u8>(), 0..1500));
    fields.prop_map(|(csid, kind, stream_id, timestamp, body)| {
        (csid, message(MessageType(kind), stream_id, timestamp, &body))
    })
}

fn chunk_sizes() -> impl Strategy<Value = u32> {
    prop_oneof![1..200_u32, 500..520_u32, 1..70_000_u32, Just(i32::MAX as u32)]
}

/// Cuts `wire` into pieces of the lengths in `cuts`, over and over.
fn cut(wire: &Bytes, cuts: &[usize]) -> Vec<Bytes> {
    let mut rest = wire.clone();
    let mut lens = cuts.iter().cycle();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let len = lens.next().map_or(rest.len(), |len| rest.len().min(*len));
        pieces.push(rest.split_to(len));
    }
    pieces
}

/// Bytes that are chunk headers often enough to get somewhere.
fn chunk_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(vec![0_u8, 1, 2, 3, 4, 0x42, 0x83, 0xC2, 0xC3, 0xC4, 0xFF]),
        1 => any::<u8>(),
    ];
    vec(byte, 0..600)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_the_wire_is_split(
        items in vec(media(), 1..12),
        chunk_size in chunk_sizes(),
        cuts in vec(1..3000_usize, 1..20),
    ) {
        let mut encoder = ChunkEncoder::new();
        let mut wire = BytesMut::new();
        let size = message(MessageType::SET_CHUNK_SIZE, 0, 0, &chunk_size.to_be_bytes());
        encoder.encode(CSID_CONTROL, &size, &mut wire);
        encoder.set_chunk_size(chunk_size);
        for (csid, item) in &items {
            encoder.encode(*csid, item, &mut wire);
        }
        let mut decoder = ChunkDecoder::new(LIMITS);
        let (mut messages, fault) = drain(&mut decoder, &cut(&wire.freeze(), &cuts));
        prop_assert_eq!(fault, None);
        prop_assert_eq!(messages.remove(0), size);
        let items: Vec<Message> = items.into_iter().map(|(_, item)| item).collect();
        prop_assert_eq!(messages, items);
        prop_assert_eq!(decoder.partial_bytes(), 0);
    }

    #[test]
    fn media_encoding_is_the_same_bytes_as_the_copying_one(
        (csid, item) in media(),
        chunk_size in chunk_sizes(),
        cuts in vec(1..700_usize, 1..5),
    ) {
        let mut payload = Payload::new();
        for slice in cut(&item.payload.to_contiguous(), &cuts) {
            payload.push(slice);
        }
        let Message { message_type, stream_id, timestamp, .. } = item;
        let wire = encode_media(csid, message_type, stream_id, timestamp, &payload, chunk_size);
        let mut expected = BytesMut::new();
        let mut encoder = ChunkEncoder::new();
        encoder.set_chunk_size(chunk_size);
        encoder.encode(csid, &item, &mut expected);
        let joined = [&wire.header[..], &wire.body.concat()].concat();
        prop_assert_eq!(wire.wire_len, joined.len());
        prop_assert_eq!(joined, expected);
        let header = encode_media_header(csid, message_type, stream_id, timestamp, payload.len());
        prop_assert_eq!(wire.header, header);
    }

    #[test]
    fn any_bytes_give_the_same_however_split_and_stay_within_the_bound(
        wire in chunk_like(),
        cuts in vec(1..40_usize, 1..10),
    ) {
        let wire = Bytes::from(wire);
        let whole = drain(&mut ChunkDecoder::new(LIMITS), std::slice::from_ref(&wire));
        let mut decoder = ChunkDecoder::new(LIMITS);
        prop_assert_eq!(whole, drain(&mut decoder, &cut(&wire, &cuts)));
        prop_assert!(decoder.partial_bytes() <= LIMITS.partial_bytes_max());
        prop_assert!(decoder.partial_bytes() <= wire.len());
    }
}
