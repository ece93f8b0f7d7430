//! Timestamps: deltas, the extended field, and what wraps.

use bytes::{BufMut, BytesMut};

use super::super::{CSID_VIDEO, encode_media};
use super::{decode, type0};
use crate::message::MessageType;
use crate::payload::Payload;

fn timestamps(wire: &[u8]) -> Vec<u32> {
    decode(wire).expect("legal").iter().map(|message| message.timestamp).collect()
}

#[test]
fn type_3_that_starts_a_message_adds_the_delta_again() {
    // As FMLE sends audio: 0x04, 0x44, then 0xC4 for each frame.
    let mut wire = type0(4, 1000, 1, MessageType::AUDIO).to_vec();
    wire.push(b'a');
    wire.extend(b"\x44\0\0\x17\0\0\x01\x08b");
    wire.extend(b"\xc4c\xc4d");
    wire.extend(b"\x84\0\0\x05e\xc4f");
    assert_eq!(timestamps(&wire), [1000, 1023, 1046, 1069, 1074, 1079]);
}

#[test]
fn type_3_after_type_0_adds_its_timestamp_as_the_specification_says() {
    let mut wire = type0(4, 23, 1, MessageType::AUDIO).to_vec();
    wire.extend(b"a\xc4b");
    assert_eq!(timestamps(&wire), [23, 46]);
}

#[test]
fn continuations_leave_the_timestamp_alone() {
    let mut wire = type0(6, 40, 300, MessageType::VIDEO).to_vec();
    wire.extend([0; 128]);
    wire.push(0xC6);
    wire.extend([0; 128]);
    wire.push(0xC6);
    wire.extend([0; 44]);
    wire.extend(b"\x86\0\0\x28");
    wire.extend([0; 128]);
    wire.push(0xC6);
    wire.extend([0; 128]);
    wire.push(0xC6);
    wire.extend([0; 44]);
    assert_eq!(timestamps(&wire), [40, 80]);
}

/// A 200-byte video message in two chunks, with and without the timestamp repeated on the second.
fn extended(timestamp: u32, repeated: Option<u32>, body: &[u8; 200]) -> Vec<u8> {
    let mut wire = type0(6, 0x00FF_FFFF, body.len(), MessageType::VIDEO);
    wire.put_u32(timestamp);
    wire.put_slice(&body[..128]);
    wire.put_u8(0xC6);
    if let Some(repeated) = repeated {
        wire.put_u32(repeated);
    }
    wire.put_slice(&body[128..]);
    wire.to_vec()
}

#[test]
fn the_extended_timestamp_of_type_3_chunks_may_be_there_or_not() {
    for timestamp in [0x00FF_FFFF, 0x0100_0000, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
        for repeated in [Some(timestamp), None] {
            // Payload whose start shares three bytes with the timestamp is the hardest to tell.
            let mut body = [7; 200];
            body[128..131].copy_from_slice(&timestamp.to_be_bytes()[..3]);
            let messages = decode(&extended(timestamp, repeated, &body)).expect("legal");
            assert_eq!(messages.len(), 1);
            assert_eq!(messages[0].timestamp, timestamp);
            assert_eq!(
                &messages[0].payload.to_contiguous()[..],
                body,
                "{timestamp:x} {repeated:?}"
            );
        }
    }
}

#[test]
fn a_continuation_shorter_than_the_extended_timestamp_is_not_waited_for() {
    // One byte of payload after the first chunk, from a peer that does not repeat the timestamp.
    let mut wire = type0(6, 0x00FF_FFFF, 129, MessageType::VIDEO);
    wire.put_u32(0x0123_4567);
    wire.put_bytes(7, 128);
    wire.put_slice(b"\xc6\x07");
    assert_eq!(timestamps(&wire), [0x0123_4567]);
}

#[test]
fn an_extended_delta_may_be_repeated_as_such_or_as_the_absolute_timestamp() {
    let absolute = 0x0200_0005_u32;
    for repeated in [0x0200_0000, absolute] {
        let mut wire = type0(6, 5, 1, MessageType::VIDEO);
        wire.put_slice(b"x\x46\xff\xff\xff\0\0\x82\x09\x02\0\0\0");
        wire.put_bytes(7, 128);
        wire.put_u8(0xC6);
        wire.put_u32(repeated);
        wire.put_slice(b"yz");
        let messages = decode(&wire).expect("legal");
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1].timestamp, absolute);
        assert!(messages[1].payload.to_contiguous().ends_with(b"\x07yz"));
    }
}

#[test]
fn deltas_carry_across_24_31_and_32_bits() {
    for (start, delta, expected) in [
        (0x00FF_FFF0, 0x20, 0x0100_0010),
        (0x7FFF_FFF0, 0x20, 0x8000_0010),
        (0xFFFF_FFF0, 0x20, 0x10),
    ] {
        let mut wire = BytesMut::new();
        let payload = Payload::from(bytes::Bytes::from_static(b"a"));
        let first = encode_media(CSID_VIDEO, MessageType::VIDEO, 1, start, &payload, 128);
        wire.put_slice(&first.header);
        wire.put_slice(b"a\x86");
        wire.put_uint(delta, 3);
        wire.put_u8(b'b');
        assert_eq!(timestamps(&wire), [start, expected]);
    }
}

#[test]
fn a_negative_delta_goes_back() {
    let mut wire = type0(6, 1000, 1, MessageType::VIDEO);
    wire.put_slice(b"a\x86\xff\xff\xff");
    wire.put_i32(-40);
    wire.put_u8(b'b');
    assert_eq!(timestamps(&wire), [1000, 960]);
}
