//! Media messages in all their wrappings.

use bytes::Bytes;
use edgerelay_proto::message::MessageType;
use edgerelay_proto::session::{MediaKind, ServerEvent};

use crate::wire::{Server, amf};

fn publishing() -> Server {
    let mut server = Server::new();
    server.client.publisher("cam1");
    server.deliver().unwrap();
    server.take();
    server
}

fn tag(message_type: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    let time = timestamp.to_be_bytes();
    let mut out = vec![message_type, len[1], len[2], len[3], time[1], time[2], time[3], time[0]];
    out.extend([0; 3]);
    out.extend(body);
    out.extend((11 + u32::try_from(body.len()).unwrap()).to_be_bytes());
    out
}

#[test]
fn aggregates_are_split_and_their_timestamps_rebased() {
    let mut server = publishing();
    // The tags count from 9 000; the aggregate says 1 000.
    let aggregate = [
        tag(9, 9_000, &[0x17, 1, 0]),
        tag(8, 9_010, &[0xAF, 1]),
        tag(18, 9_020, &amf(&["@setDataFrame".into(), "onCuePoint".into()])),
        tag(8, 9_033, &[]),
    ]
    .concat();
    server.client.message(6, MessageType::AGGREGATE, 1, 1_000, aggregate);
    server.deliver().unwrap();
    let expected: Vec<(u32, Bytes)> = vec![
        (1_000, Bytes::from_static(&[0x17, 1, 0])),
        (1_010, Bytes::from_static(&[0xAF, 1])),
        (1_020, amf(&["onCuePoint".into()])),
        (1_033, Bytes::new()),
    ];
    assert_eq!(server.media(), expected);
}

#[test]
fn aggregate_timestamps_survive_the_wrap() {
    let mut server = publishing();
    let aggregate = [tag(9, u32::MAX, &[0x27]), tag(9, 32, &[0x27])].concat();
    server.client.message(6, MessageType::AGGREGATE, 1, u32::MAX - 4, aggregate);
    server.deliver().unwrap();
    let times: Vec<u32> = server.media().into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [u32::MAX - 4, 28]);
}

#[test]
fn an_aggregate_cut_short_yields_what_is_whole() {
    let whole = [tag(9, 0, &[0x17; 5]), tag(8, 5, &[0xAF; 5])].concat();
    for len in 0..=whole.len() {
        let mut server = publishing();
        server.client.message(6, MessageType::AGGREGATE, 1, 0, whole[..len].to_vec());
        server.deliver().unwrap();
        // The last tag's back pointer is not missed.
        let expected = usize::from(len >= 16) + usize::from(len >= 36);
        assert_eq!(server.media().len(), expected, "cut at {len}");
    }
}

#[test]
fn empty_audio_and_video_are_relayed_and_end_nothing() {
    let mut server = publishing();
    server
        .client
        .message(4, MessageType::AUDIO, 1, 10, Bytes::new())
        .message(6, MessageType::VIDEO, 1, 10, Bytes::new())
        .message(6, MessageType::VIDEO, 1, 20, vec![0x27]);
    server.deliver().unwrap();
    assert_eq!(server.media().len(), 3);
}

#[test]
fn data_passes_in_every_form() {
    let mut server = publishing();
    let set = amf(&["@setDataFrame".into()]);
    server
        .client
        // Bare: nothing to pass on.
        .message(5, MessageType::DATA_AMF0, 1, 0, set.clone())
        .message(5, MessageType::DATA_AMF0, 1, 1, [&set[..], &amf(&["onMetaData".into()])].concat())
        .message(5, MessageType::DATA_AMF0, 1, 2, amf(&["onTextData".into(), 1.0.into()]))
        // Neither decodable nor ours to judge.
        .message(5, MessageType::DATA_AMF0, 1, 3, vec![0xFE, 0xFE])
        .message(5, MessageType::DATA_AMF0, 1, 4, Bytes::new());
    server.deliver().unwrap();
    let times: Vec<u32> = server.media().into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [1, 2, 3]);
    assert!(server.events().iter().all(
        |event| matches!(event, ServerEvent::Media { message, .. } if message.kind == MediaKind::Data)
    ));
}

#[test]
fn enhanced_rtmp_frames_are_relayed_untouched() {
    let mut server = publishing();
    let frames: [&[u8]; 4] = [
        b"\x90hvc1\x01\x02",
        b"\x96\x10av01\x00\x00\x00\x01\x07\x01\x00\x00\x01\x08",
        b"\x97\x02\x00\x01\x02\x01hvc1\x00\x00\x05",
        b"\x91\xde\xad\xbe\xef",
    ];
    for frame in frames {
        server.client.message(6, MessageType::VIDEO, 1, 0, frame.to_vec());
    }
    server.deliver().unwrap();
    let bodies: Vec<Bytes> = server.media().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, frames);
}

#[test]
fn media_before_publish_is_nobodys() {
    let mut server = Server::new();
    server.client.handshake().connect(&[("app", "live".into())]).message(
        6,
        MessageType::VIDEO,
        1,
        0,
        vec![0x17],
    );
    server.deliver().unwrap();
    assert!(server.media().is_empty());
}

#[test]
fn payload_bytes_are_not_copied() {
    let mut server = publishing();
    server.client.chunk_size(65_536);
    server.deliver().unwrap();
    let copied = server.session.bytes_copied();
    server.client.message(6, MessageType::VIDEO, 1, 0, vec![0x17; 60_000]);
    server.deliver().unwrap();
    assert_eq!(server.session.bytes_copied(), copied);
}
