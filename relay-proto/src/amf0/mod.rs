//! AMF0 values: what commands and metadata are written in.
//!
//! Owns the value type, its decoding and its encoding. Must not know what any value means, and must
//! not panic on any input. Specification: Action Message Format AMF 0, sections 2.1 to 2.18.

mod decode;
mod encode;

pub use decode::{decode_all, decode_leading, decode_one, unwrap_amf3};
pub use encode::{encode, encode_all};

/// An AMF0 value.
///
/// Strings that are not UTF-8 are kept with the bad bytes replaced: encoders send such names, and a
/// stream must not fail for its metadata. Properties keep their order and may repeat.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Marker 0x00.
    Number(f64),
    /// Marker 0x01.
    Boolean(bool),
    /// Marker 0x02, or 0x0C (long string) where the length needs it.
    String(String),
    /// Marker 0x03, an anonymous object.
    Object(Vec<(String, Value)>),
    /// Marker 0x05.
    Null,
    /// Marker 0x06.
    Undefined,
    /// Marker 0x07. Never resolved: no known client needs the referenced object.
    Reference(u16),
    /// Marker 0x08. The count on the wire is ignored on reading: encoders get it wrong.
    EcmaArray(Vec<(String, Value)>),
    /// Marker 0x0A.
    StrictArray(Vec<Value>),
    /// Marker 0x0B.
    Date {
        /// Milliseconds since 1970, UTC.
        millis: f64,
        /// Time zone; reserved, zero in practice.
        zone: i16,
    },
    /// Marker 0x0D.
    Unsupported,
    /// Marker 0x0F.
    XmlDocument(String),
    /// Marker 0x10.
    TypedObject {
        /// The class the sender registered.
        class_name: String,
        /// Its properties.
        properties: Vec<(String, Value)>,
    },
    /// Marker 0x11: the rest of the message is AMF3, kept undecoded.
    Amf3(Vec<u8>),
}

impl Value {
    /// A string value.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An object from `(name, value)` pairs.
    #[must_use]
    pub fn object<const N: usize>(properties: [(&str, Self); N]) -> Self {
        Self::Object(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The text, of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::XmlDocument(text) => Some(text),
            _ => None,
        }
    }

    /// The number, of a number.
    #[must_use]
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value of a boolean, or of a number, as some players send one for the other.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            Self::Number(number) => Some(*number != 0.0),
            _ => None,
        }
    }

    /// The properties of an object, an ECMA array or a typed object.
    #[must_use]
    pub fn properties(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(properties)
            | Self::EcmaArray(properties)
            | Self::TypedObject { properties, .. } => Some(properties),
            _ => None,
        }
    }

    /// The items of a strict array.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::StrictArray(items) => Some(items),
            _ => None,
        }
    }

    /// The first property called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.properties()?.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether there is nothing here: null or undefined.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        matches!(self, Self::Null | Self::Undefined)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

/// AMF0 type markers, §2.1.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML_DOCUMENT: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVM_PLUS: u8 = 0x11;
}

#[cfg(test)]
mod tests;
