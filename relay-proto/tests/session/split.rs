//! Splitting the input at any byte gives the same outputs.

use bytes::Bytes;
use edgerelay_proto::message::MessageType;
use proptest::prelude::*;

use crate::wire::{ClientBytes, Seen, Server, amf};

fn conversation() -> Bytes {
    let mut client = ClientBytes::default();
    client
        .publisher("cam1?token=x")
        .message(
            5,
            MessageType::DATA_AMF0,
            1,
            0,
            amf(&["@setDataFrame".into(), "onMetaData".into()]),
        )
        .message(6, MessageType::VIDEO, 1, 0, vec![0x17; 700])
        .chunk_size(1_000)
        .message(4, MessageType::AUDIO, 1, 0x00FF_FFFE, vec![0xAF; 30])
        .message(6, MessageType::VIDEO, 1, 0x0100_0000, vec![0x27; 2_500])
        .message(2, MessageType::USER_CONTROL, 0, 0, vec![0, 6, 0, 0, 0, 1])
        .call(0, "FCUnpublish", 6.0, &["cam1".into()])
        .call(0, "deleteStream", 7.0, &[1.0.into()]);
    client.out.split().freeze()
}

fn outputs(pieces: impl IntoIterator<Item = Bytes>) -> Vec<Seen> {
    let mut server = Server::new();
    for piece in pieces {
        server.input(piece).unwrap();
    }
    server.take()
}

#[test]
fn one_byte_at_a_time_is_the_same_as_all_at_once() {
    let whole = conversation();
    let expected = outputs([whole.clone()]);
    assert!(expected.len() > 15);
    assert_eq!(outputs((0..whole.len()).map(|at| whole.slice(at..=at))), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_the_input_gives_the_same_outputs(
        sizes in proptest::collection::vec(1_usize..1_500, 1..40)
    ) {
        let whole = conversation();
        let expected = outputs([whole.clone()]);
        let mut rest = whole;
        let mut pieces = Vec::new();
        for size in sizes {
            pieces.push(rest.split_to(size.min(rest.len())));
        }
        pieces.push(rest);
        prop_assert_eq!(outputs(pieces), expected);
    }
}
