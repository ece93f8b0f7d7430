//! AMF0 encoding. What is encoded is ours or was decoded within the bounds, so it cannot fail.

use bytes::{BufMut, BytesMut};

use super::{Value, marker};

/// Appends `value` to `out`.
///
/// Property and class names are cut at 65 535 bytes, the most the wire can say.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(truth) => {
            out.put_u8(marker::BOOLEAN);
            out.put_u8(u8::from(*truth));
        }
        Value::String(text) => put_string(text, out),
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            put_properties(properties, out);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Reference(index) => {
            out.put_u8(marker::REFERENCE);
            out.put_u16(*index);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(count(properties.len()));
            put_properties(properties, out);
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(count(items.len()));
            encode_all(items, out);
        }
        Value::Date { millis, zone } => {
            out.put_u8(marker::DATE);
            out.put_f64(*millis);
            out.put_i16(*zone);
        }
        Value::Unsupported => out.put_u8(marker::UNSUPPORTED),
        Value::XmlDocument(text) => {
            out.put_u8(marker::XML_DOCUMENT);
            put_long(text, out);
        }
        Value::TypedObject { class_name, properties } => {
            out.put_u8(marker::TYPED_OBJECT);
            put_name(class_name, out);
            put_properties(properties, out);
        }
        Value::Amf3(rest) => {
            out.put_u8(marker::AVM_PLUS);
            out.put_slice(rest);
        }
    }
}

/// Appends `values`, one after the other.
pub fn encode_all(values: &[Value], out: &mut BytesMut) {
    for value in values {
        encode(value, out);
    }
}

fn put_properties(properties: &[(String, Value)], out: &mut BytesMut) {
    for (name, value) in properties {
        put_name(name, out);
        encode(value, out);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

fn put_string(text: &str, out: &mut BytesMut) {
    if u16::try_from(text.len()).is_ok() {
        out.put_u8(marker::STRING);
        put_name(text, out);
    } else {
        out.put_u8(marker::LONG_STRING);
        put_long(text, out);
    }
}

fn put_name(text: &str, out: &mut BytesMut) {
    let cut = text.floor_char_boundary(usize::from(u16::MAX));
    let head = text.get(..cut).unwrap_or_default();
    out.put_u16(u16::try_from(head.len()).unwrap_or(u16::MAX));
    out.put_slice(head.as_bytes());
}

fn put_long(text: &str, out: &mut BytesMut) {
    out.put_u32(count(text.len()));
    out.put_slice(text.as_bytes());
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
