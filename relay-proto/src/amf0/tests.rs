//! AMF0: byte vectors, bounds, tolerance, and the round trip.

use bytes::BytesMut;

use super::{Value, decode_all, decode_leading, decode_one, encode, unwrap_amf3};
use crate::fault::PeerFault;
use crate::limits::{AMF_DEPTH_MAX, AMF_ITEMS_MAX};

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(value, &mut out);
    out.to_vec()
}

#[test]
fn connect_command_decodes_as_written_by_an_encoder() {
    let wire =
        b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\x00\x00\x09";
    let values = decode_all(wire).expect("a valid command");
    assert_eq!(
        values,
        [Value::from("connect"), Value::from(1.0), Value::object([("app", Value::from("live"))])]
    );
    let again: Vec<u8> = values.iter().flat_map(encoded).collect();
    assert_eq!(again, wire);
}

#[test]
fn every_marker_decodes() {
    let cases: [(&[u8], Value); 12] = [
        (b"\x00\x40\x00\0\0\0\0\0\0", Value::Number(2.0)),
        (b"\x01\x02", Value::Boolean(true)),
        (b"\x02\x00\x01a", Value::from("a")),
        (b"\x05", Value::Null),
        (b"\x06", Value::Undefined),
        (b"\x07\x01\x02", Value::Reference(0x0102)),
        (b"\x0a\0\0\0\x02\x05\x06", Value::StrictArray(vec![Value::Null, Value::Undefined])),
        (b"\x0b\x40\x00\0\0\0\0\0\0\xff\xff", Value::Date { millis: 2.0, zone: -1 }),
        (b"\x0c\0\0\0\x01a", Value::from("a")),
        (b"\x0d", Value::Unsupported),
        (b"\x0f\0\0\0\x01x", Value::XmlDocument("x".into())),
        (
            b"\x10\x00\x01C\x00\x01p\x05\x00\x00\x09",
            Value::TypedObject {
                class_name: "C".into(),
                properties: vec![("p".into(), Value::Null)],
            },
        ),
    ];
    for (wire, value) in cases {
        assert_eq!(decode_all(wire), Ok(vec![value]), "{wire:02x?}");
    }
}

#[test]
fn ecma_array_is_read_to_its_end_marker_whatever_its_count_says() {
    for count in [0_u32, 1, 7, u32::MAX] {
        let mut wire = vec![0x08];
        wire.extend(count.to_be_bytes());
        wire.extend(b"\x00\x05width\x00\x40\x94\0\0\0\0\0\0\x00\x00\x09");
        let value = Value::EcmaArray(vec![("width".into(), Value::Number(1280.0))]);
        assert_eq!(decode_all(&wire), Ok(vec![value]));
    }
}

#[test]
fn an_object_without_end_marker_at_the_end_of_the_message_is_forgiven() {
    let wire = b"\x08\0\0\0\x01\x00\x01a\x05";
    assert_eq!(decode_all(wire), Ok(vec![Value::EcmaArray(vec![("a".into(), Value::Null)])]));
}

#[test]
fn an_empty_property_name_is_kept() {
    let value = Value::Object(vec![(String::new(), Value::Null), ("a".into(), Value::Null)]);
    assert_eq!(decode_all(&encoded(&value)), Ok(vec![value]));
}

#[test]
fn text_that_is_not_utf8_is_no_fault() {
    let values = decode_all(b"\x02\x00\x03a\xffb").expect("tolerated");
    assert_eq!(values, [Value::from("a\u{fffd}b")]);
}

#[test]
fn every_truncation_of_a_value_is_a_fault_and_no_panic() {
    let value = Value::TypedObject {
        class_name: "c".into(),
        properties: vec![("d".into(), Value::Date { millis: 1.0, zone: 2 })],
    };
    let wire = encoded(&value);
    let end_marker_start = wire.len() - 3;
    for end in (6..wire.len()).filter(|end| *end != end_marker_start) {
        assert_eq!(decode_all(&wire[..end]), Err(PeerFault::AmfTruncated), "{end}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let mut value = Value::Null;
        for _ in 0..depth {
            value = Value::StrictArray(vec![value]);
        }
        encoded(&value)
    };
    assert!(decode_all(&nested(AMF_DEPTH_MAX)).is_ok());
    assert_eq!(decode_all(&nested(AMF_DEPTH_MAX + 1)), Err(PeerFault::AmfDepth));
    let bottomless = b"\x0a\0\0\0\x01".repeat(1 << 20);
    assert_eq!(decode_all(&bottomless), Err(PeerFault::AmfDepth));
}

#[test]
fn the_number_of_values_is_bounded() {
    assert!(decode_all(&vec![5; AMF_ITEMS_MAX]).is_ok());
    assert_eq!(decode_all(&vec![5; AMF_ITEMS_MAX + 1]), Err(PeerFault::AmfItems));
    assert_eq!(decode_all(b"\x0a\xff\xff\xff\xff\x05"), Err(PeerFault::AmfTruncated));
}

#[test]
fn undefined_markers_are_named() {
    for marker in [0x04, 0x09, 0x0e, 0x12, 0xff] {
        assert_eq!(decode_all(&[marker]), Err(PeerFault::AmfMarker(marker)));
    }
}

#[test]
fn an_amf3_tail_is_kept_at_the_top_and_refused_inside() {
    assert_eq!(decode_all(b"\x05\x11\x01\x02"), Ok(vec![Value::Null, Value::Amf3(vec![1, 2])]));
    assert_eq!(decode_all(b"\x0a\0\0\0\x01\x11\x01"), Err(PeerFault::AmfMarker(0x11)));
}

#[test]
fn what_was_decoded_before_a_fault_is_not_lost() {
    let (values, fault) = decode_leading(b"\x05\x02\x00\x09short");
    assert_eq!(values, [Value::Null]);
    assert_eq!(fault, Some(PeerFault::AmfTruncated));
}

#[test]
fn decode_one_moves_past_the_value_and_stays_on_a_fault() {
    let mut input: &[u8] = b"\x05\x02\x00\x01";
    assert_eq!(decode_one(&mut input), Ok(Value::Null));
    assert_eq!(decode_one(&mut input), Err(PeerFault::AmfTruncated));
    assert_eq!(input, b"\x02\x00\x01");
}

#[test]
fn an_amf3_command_holds_amf0_behind_its_selector() {
    assert_eq!(unwrap_amf3(b"\x00\x02\x00\x01a"), b"\x02\x00\x01a");
    assert_eq!(unwrap_amf3(b"\x02\x00\x01a"), b"\x02\x00\x01a");
    assert_eq!(unwrap_amf3(b""), b"");
}

#[test]
fn a_long_string_takes_the_long_form() {
    let value = Value::String("x".repeat(65_536));
    let wire = encoded(&value);
    assert_eq!(wire[..5], [0x0c, 0, 1, 0, 0]);
    assert_eq!(decode_all(&wire), Ok(vec![value]));
}

mod properties {
    use super::super::{decode_all, decode_leading, encode_all, marker};
    use super::{Value, encoded};
    use bytes::BytesMut;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            prop::num::f64::NORMAL.prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,20}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            any::<u16>().prop_map(Value::Reference),
            (prop::num::f64::NORMAL, any::<i16>())
                .prop_map(|(millis, zone)| Value::Date { millis, zone }),
            Just(Value::Unsupported),
            ".{0,20}".prop_map(Value::XmlDocument),
        ];
        leaf.prop_recursive(4, 60, 6, |inner| {
            let properties = vec((".{0,8}", inner.clone()), 0..6);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.clone().prop_map(Value::EcmaArray),
                vec(inner, 0..6).prop_map(Value::StrictArray),
                (".{0,8}", properties).prop_map(|(class_name, properties)| {
                    Value::TypedObject { class_name, properties }
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(items in vec(values(), 0..6)) {
            let mut wire = BytesMut::new();
            encode_all(&items, &mut wire);
            prop_assert_eq!(decode_all(&wire), Ok(items));
        }

        #[test]
        fn any_bytes_decode_or_fault_and_what_decoded_encodes_to_a_fixed_point(
            wire in vec(prop_oneof![0..=marker::AVM_PLUS, any::<u8>()], 0..200),
        ) {
            let (items, _) = decode_leading(&wire);
            let first: Vec<u8> = items.iter().flat_map(encoded).collect();
            let (again, fault) = decode_leading(&first);
            prop_assert_eq!(fault, None);
            let second: Vec<u8> = again.iter().flat_map(encoded).collect();
            prop_assert_eq!(first, second);
        }
    }
}
