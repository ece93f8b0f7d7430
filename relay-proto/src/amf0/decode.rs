//! AMF0 decoding, bounded in depth and in number of values; never panics.

use super::{Value, marker};
use crate::fault::PeerFault;
use crate::limits::{AMF_DEPTH_MAX, AMF_ITEMS_MAX};

/// Decodes every value of `input`.
///
/// # Errors
/// The input ends inside a value, is nested too deep, holds too many values, or has an undefined
/// type marker.
pub fn decode_all(input: &[u8]) -> Result<Vec<Value>, PeerFault> {
    let (values, fault) = decode_leading(input);
    fault.map_or(Ok(values), Err)
}

/// Decodes values up to the first that cannot be decoded, for readers that take what they can get
/// (metadata) and relay the rest unread.
#[must_use]
pub fn decode_leading(input: &[u8]) -> (Vec<Value>, Option<PeerFault>) {
    let mut decoder = Decoder { input, items_left: AMF_ITEMS_MAX };
    let mut values = Vec::new();
    while !decoder.input.is_empty() {
        match decoder.value(0) {
            Ok(value) => values.push(value),
            Err(fault) => return (values, Some(fault)),
        }
    }
    (values, None)
}

/// Decodes one value and moves `input` past it. On a fault `input` stays where it was.
///
/// # Errors
/// As [`decode_all`].
pub fn decode_one(input: &mut &[u8]) -> Result<Value, PeerFault> {
    let mut decoder = Decoder { input, items_left: AMF_ITEMS_MAX };
    let value = decoder.value(0)?;
    *input = decoder.input;
    Ok(value)
}

/// The AMF0 inside an AMF3 command or data message (types 17 and 15): a leading zero byte, the
/// encoding selector, is dropped where there is one.
#[must_use]
pub const fn unwrap_amf3(input: &[u8]) -> &[u8] {
    match input {
        // A number begins with the same byte as the selector does, but neither a command nor a data
        // message begins with a number.
        [0, rest @ ..] => rest,
        whole => whole,
    }
}

struct Decoder<'a> {
    input: &'a [u8],
    items_left: usize,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, PeerFault> {
        if depth > AMF_DEPTH_MAX {
            return Err(PeerFault::AmfDepth);
        }
        self.items_left = self.items_left.checked_sub(1).ok_or(PeerFault::AmfItems)?;
        let value = match self.byte()? {
            marker::NUMBER => Value::Number(self.number()?),
            marker::BOOLEAN => Value::Boolean(self.byte()? != 0),
            marker::STRING => Value::String(self.short_string()?),
            marker::OBJECT => Value::Object(self.properties(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => Value::Reference(u16::from_be_bytes(self.array()?)),
            marker::ECMA_ARRAY => {
                self.array::<4>()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            marker::STRICT_ARRAY => Value::StrictArray(self.items(depth)?),
            marker::DATE => {
                let millis = self.number()?;
                Value::Date { millis, zone: i16::from_be_bytes(self.array()?) }
            }
            marker::LONG_STRING => Value::String(self.long_string()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML_DOCUMENT => Value::XmlDocument(self.long_string()?),
            marker::TYPED_OBJECT => {
                let class_name = self.short_string()?;
                Value::TypedObject { class_name, properties: self.properties(depth)? }
            }
            // Within an object the end of the AMF3 part is not known without decoding it.
            marker::AVM_PLUS if depth == 0 => {
                Value::Amf3(core::mem::take(&mut self.input).to_vec())
            }
            other => return Err(PeerFault::AmfMarker(other)),
        };
        Ok(value)
    }

    /// Properties up to the end marker. One missing at the very end of the message is forgiven: it
    /// is left out by encoders that go by an ECMA array's count.
    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, PeerFault> {
        let mut properties = Vec::new();
        while !self.input.is_empty() {
            if let Some(rest) = self.input.strip_prefix(&[0, 0, marker::OBJECT_END]) {
                self.input = rest;
                break;
            }
            let name = self.short_string()?;
            properties.push((name, self.value(depth + 1)?));
        }
        Ok(properties)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Value>, PeerFault> {
        let count = u32::from_be_bytes(self.array()?);
        // The announced count reserves nothing: each item has to be there first.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(items)
    }

    fn short_string(&mut self) -> Result<String, PeerFault> {
        let len = u16::from_be_bytes(self.array()?);
        self.text(usize::from(len))
    }

    fn long_string(&mut self) -> Result<String, PeerFault> {
        let len = u32::from_be_bytes(self.array()?);
        self.text(usize::try_from(len).map_err(|_| PeerFault::AmfTruncated)?)
    }

    fn text(&mut self, len: usize) -> Result<String, PeerFault> {
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn number(&mut self) -> Result<f64, PeerFault> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn byte(&mut self) -> Result<u8, PeerFault> {
        let (first, rest) = self.input.split_first().ok_or(PeerFault::AmfTruncated)?;
        self.input = rest;
        Ok(*first)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PeerFault> {
        let (head, rest) = self.input.split_first_chunk::<N>().ok_or(PeerFault::AmfTruncated)?;
        self.input = rest;
        Ok(*head)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], PeerFault> {
        let (head, rest) = self.input.split_at_checked(len).ok_or(PeerFault::AmfTruncated)?;
        self.input = rest;
        Ok(head)
    }
}
