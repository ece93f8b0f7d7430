//! What encoders in the field put on the wire.

use super::super::{ChunkDecoder, ChunkLimits};
use super::{decode, drain, message, set_chunk_size, type0};
use crate::fault::PeerFault;
use crate::message::MessageType;

#[test]
fn every_legal_chunk_size_is_taken_and_used() {
    for size in [1, 128, 4096, 65_536, 128 << 20, i32::MAX as u32] {
        let body: Vec<u8> = (0..=255).collect();
        let mut wire = set_chunk_size(size);
        wire.extend(type0(6, 5, body.len(), MessageType::VIDEO));
        for (index, piece) in body.chunks(size as usize).enumerate() {
            wire.extend((index > 0).then_some(0xC6));
            wire.extend(piece);
        }
        let messages = decode(&wire).expect("legal");
        assert_eq!(messages.len(), 2, "chunk size {size}");
        assert_eq!(messages[0], message(MessageType::SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes()));
        assert_eq!(messages[1], message(MessageType::VIDEO, 1, 5, &body));
    }
}

#[test]
fn chunk_size_zero_or_with_the_top_bit_closes() {
    assert_eq!(decode(&set_chunk_size(0)), Err(PeerFault::ChunkSizeZero));
    assert_eq!(decode(&set_chunk_size(1 << 31)), Err(PeerFault::ChunkSizeReserved));
    assert_eq!(decode(&set_chunk_size(u32::MAX)), Err(PeerFault::ChunkSizeReserved));
    let short = b"\x02\0\0\0\0\0\x03\x01\0\0\0\0\x01\x02\x03";
    assert_eq!(decode(short), Err(PeerFault::ControlTruncated(1)));
}

#[test]
fn chunk_stream_ids_of_one_two_and_three_bytes_are_told_apart() {
    let basics: [(&[u8], u32); 7] = [
        (&[0x02], 2),
        (&[0x3f], 63),
        (&[0x00, 0x00], 64),
        (&[0x00, 0xff], 319),
        (&[0x01, 0x00, 0x00], 64),
        (&[0x01, 0x00, 0x01], 320),
        (&[0x01, 0xff, 0xff], 65_599),
    ];
    let rest = b"\0\0\x07\0\0\x02\x08\x01\0\0\0";
    for (basic, csid) in basics {
        let wire = [basic, rest, b"ab"].concat();
        assert_eq!(decode(&wire), Ok(vec![message(MessageType::AUDIO, 1, 7, b"ab")]), "{csid}");
    }
    // Both forms of 64 are the same chunk stream: the second is a type 3 chunk.
    let wire = [&[0x00, 0x00], &rest[..], b"ab", &[0xc1, 0x00, 0x00], b"cd"].concat();
    assert_eq!(decode(&wire).map(|messages| messages.len()), Ok(2));
}

#[test]
fn dji_starts_chunk_stream_33_with_type_2() {
    // No length is known, so the zero-filled message is empty and harmless.
    let mut wire = b"\xa1\0\0\x21".to_vec();
    wire.extend(type0(33, 40, 2, MessageType::AUDIO));
    wire.extend(b"ab");
    let expected =
        vec![message(MessageType(0), 0, 0x21, b""), message(MessageType::AUDIO, 1, 40, b"ab")];
    assert_eq!(decode(&wire), Ok(expected));
}

#[test]
fn librtmp_opens_chunk_stream_2_with_type_1() {
    let wire = b"\x42\0\0\0\0\0\x04\x05\0\x26\x25\xa0";
    let expected = message(MessageType::WINDOW_ACK_SIZE, 0, 0, b"\0\x26\x25\xa0");
    assert_eq!(decode(wire), Ok(vec![expected]));
}

#[test]
fn type_3_without_an_earlier_header_closes() {
    let fault = PeerFault::ChunkWithoutHeader { csid: 4, format: 3 };
    assert_eq!(decode(b"\xc4abc"), Err(fault));
}

#[test]
fn audio_and_video_may_interleave_with_control_messages_between_their_chunks() {
    let video: Vec<u8> = (0..=255).cycle().take(300).collect();
    let audio = [9; 130];
    let mut wire = type0(6, 40, video.len(), MessageType::VIDEO).to_vec();
    wire.extend(&video[..128]);
    wire.extend(type0(4, 41, audio.len(), MessageType::AUDIO));
    wire.extend(&audio[..128]);
    wire.push(0xC6);
    wire.extend(&video[128..256]);
    wire.extend(b"\x02\0\0\0\0\0\x04\x03\0\0\0\0\0\0\0\x01");
    wire.push(0xC4);
    wire.extend(&audio[128..]);
    wire.push(0xC6);
    wire.extend(&video[256..]);
    let expected = vec![
        message(MessageType::ACKNOWLEDGEMENT, 0, 0, b"\0\0\0\x01"),
        message(MessageType::AUDIO, 1, 41, &audio),
        message(MessageType::VIDEO, 1, 40, &video),
    ];
    assert_eq!(decode(&wire), Ok(expected));
}

#[test]
fn abort_drops_the_message_in_the_making_and_keeps_its_header() {
    let mut wire = type0(6, 40, 200, MessageType::VIDEO).to_vec();
    wire.extend([1; 128]);
    wire.extend(b"\x02\0\0\0\0\0\x04\x02\0\0\0\0\0\0\0\x06");
    // Type 3 now starts a message of the same length and type.
    wire.push(0xC6);
    wire.extend([2; 128]);
    wire.push(0xC6);
    wire.extend([2; 72]);
    let messages = decode(&wire).expect("legal");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].message_type, MessageType::ABORT);
    assert_eq!(messages[1], message(MessageType::VIDEO, 1, 80, &[2; 200]));
}

#[test]
fn abort_of_an_unknown_chunk_stream_is_ignored() {
    let wire = b"\x02\0\0\0\0\0\x04\x02\0\0\0\0\0\0\0\x2a";
    assert_eq!(decode(wire).map(|messages| messages.len()), Ok(1));
}

#[test]
fn zero_length_audio_and_video_are_messages() {
    let mut wire = type0(6, 40, 0, MessageType::VIDEO).to_vec();
    wire.extend(type0(4, 41, 0, MessageType::AUDIO));
    // Types 2 and 3 repeat the length of zero.
    wire.extend(b"\x84\0\0\x05");
    wire.extend(b"\xc4");
    let expected = vec![
        message(MessageType::VIDEO, 1, 40, b""),
        message(MessageType::AUDIO, 1, 41, b""),
        message(MessageType::AUDIO, 1, 46, b""),
        message(MessageType::AUDIO, 1, 51, b""),
    ];
    assert_eq!(decode(&wire), Ok(expected));
}

#[test]
fn a_continuation_with_a_repeated_header_goes_on_with_the_message() {
    let mut wire = type0(6, 40, 200, MessageType::VIDEO).to_vec();
    wire.extend([1; 128]);
    wire.extend(b"\x46\0\0\0\0\0\xc8\x09");
    wire.extend([1; 72]);
    assert_eq!(decode(&wire), Ok(vec![message(MessageType::VIDEO, 1, 40, &[1; 200])]));
}

#[test]
fn a_new_header_in_mid_message_abandons_it() {
    let mut wire = type0(6, 40, 200, MessageType::VIDEO).to_vec();
    wire.extend([1; 128]);
    wire.extend(type0(6, 80, 2, MessageType::VIDEO));
    wire.extend(b"ab");
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let (messages, fault) = drain(&mut decoder, &[wire.into()]);
    assert_eq!((messages, fault), (vec![message(MessageType::VIDEO, 1, 80, b"ab")], None));
    assert_eq!(decoder.partial_bytes(), 0);
}
