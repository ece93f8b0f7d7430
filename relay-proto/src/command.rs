//! NetConnection and NetStream commands as messages. RTMP 1.0 §7.2.
//!
//! Owns the common shape (name, transaction id, command object, arguments) and the shape of
//! answers. Must not know what a session does with a command.

use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::amf0::{self, Value};
use crate::fault::PeerFault;
use crate::limits::COMMAND_BYTES_MAX;
use crate::payload::Payload;

/// A command, or an answer to one.
#[derive(Clone, PartialEq)]
pub struct Command {
    /// The procedure's name; `_result` and `_error` for answers.
    pub name: String,
    /// Zero when no answer is wanted.
    pub transaction_id: f64,
    /// The command object, null for most commands.
    pub object: Value,
    /// What follows it.
    pub arguments: Vec<Value>,
}

impl Command {
    /// Reads the body of a command message, AMF0 or AMF3-framed. What is missing behind the name is
    /// taken as zero, null and nothing: clients leave it out.
    ///
    /// # Errors
    /// It has no name, or exceeds a limit.
    pub fn parse(payload: &Payload) -> Result<Self, PeerFault> {
        if payload.len() > COMMAND_BYTES_MAX {
            return Err(PeerFault::StringTooLong("command"));
        }
        let bytes = payload.to_contiguous();
        let (values, fault) = amf0::decode_leading(amf0::unwrap_amf3(&bytes));
        // A command cut short in its last argument is still the command it says it is.
        if let Some(fault @ (PeerFault::AmfDepth | PeerFault::AmfItems)) = fault {
            return Err(fault);
        }
        let mut values = values.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(PeerFault::BadCommand("no name"));
        };
        let transaction_id = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction_id, object, arguments: values.collect() })
    }

    /// The argument at `place`, behind the command object.
    #[must_use]
    pub fn argument(&self, place: usize) -> Option<&Value> {
        self.arguments.get(place)
    }

    /// The text argument at `place`.
    #[must_use]
    pub fn text(&self, place: usize) -> Option<&str> {
        self.argument(place).and_then(Value::as_str)
    }

    /// The number argument at `place`.
    #[must_use]
    pub fn number(&self, place: usize) -> Option<f64> {
        self.argument(place).and_then(Value::as_number)
    }

    /// Whether the sender waits for `_result` or `_error`.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        self.transaction_id.is_finite() && self.transaction_id != 0.0
    }

    /// The body of a command message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        amf0::encode(&Value::string(self.name.as_str()), &mut out);
        amf0::encode(&Value::Number(self.transaction_id), &mut out);
        amf0::encode(&self.object, &mut out);
        amf0::encode_all(&self.arguments, &mut out);
        out.freeze()
    }

    /// A command with a null command object.
    #[must_use]
    pub fn new(name: &str, transaction_id: f64, arguments: Vec<Value>) -> Self {
        Self { name: name.to_owned(), transaction_id, object: Value::Null, arguments }
    }

    /// `_result` for the command with this transaction id.
    #[must_use]
    pub fn result(transaction_id: f64, object: Value, information: Value) -> Self {
        Self { name: "_result".to_owned(), transaction_id, object, arguments: vec![information] }
    }

    /// `_error` for the command with this transaction id.
    #[must_use]
    pub fn error(transaction_id: f64, information: Value) -> Self {
        Self::new("_error", transaction_id, vec![information])
    }

    /// `onStatus`.
    #[must_use]
    pub fn on_status(status: &Status<'_>) -> Self {
        Self::new("onStatus", 0.0, vec![status.to_value()])
    }
}

/// Without the arguments: they hold stream keys.
impl fmt::Debug for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Command")
            .field("name", &self.name)
            .field("transaction_id", &self.transaction_id)
            .finish_non_exhaustive()
    }
}

/// How grave a status is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Things go as asked.
    Status,
    /// They do not.
    Error,
}

/// The information object of `onStatus`, `_result` and `_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// How grave.
    pub level: Level,
    /// What players and encoders look at, such as `NetStream.Play.Start`.
    pub code: &'a str,
    /// For people.
    pub description: &'a str,
}

impl<'a> Status<'a> {
    /// Things go as asked.
    #[must_use]
    pub const fn notice(code: &'a str, description: &'a str) -> Self {
        Self { level: Level::Status, code, description }
    }

    /// They do not.
    #[must_use]
    pub const fn error(code: &'a str, description: &'a str) -> Self {
        Self { level: Level::Error, code, description }
    }

    /// As an AMF0 object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let level = match self.level {
            Level::Status => "status",
            Level::Error => "error",
        };
        Value::object([
            ("level", level.into()),
            ("code", self.code.into()),
            ("description", self.description.into()),
        ])
    }
}
