//! The types of settings that only workers have, as `codec` does it for all others.

use super::codec::{Codec, Text, UrlTemplate, Wrong, is_name_char, or_zero};
use super::unit::{parse_rate, render_rate};
use super::value::{Value, quote};
use super::workers::BitRate;
use super::{command, limits, url};

/// Bits per second.
pub(super) struct Rate {
    pub(super) bounds: (u64, u64),
    /// What zero means.
    pub(super) zero: &'static str,
}

impl Codec<BitRate> for Rate {
    fn expected(&self) -> String {
        let (min, max) = self.bounds;
        let range = format!("a rate from {} to {} a second", render_rate(min), render_rate(max));
        or_zero(Some(self.zero), "0bit", range)
    }

    fn read(&self, value: &Value) -> Result<BitRate, Vec<Wrong>> {
        // A plain number would leave it open whether bits or bytes are meant.
        let Some(text) = value.as_text() else { return self.refuse_type(value) };
        let Some(bits) = parse_rate(text) else {
            return self.refuse(value, format!("{} is not a rate", quote(text)));
        };
        let (min, max) = self.bounds;
        if (min..=max).contains(&bits) || bits == 0 {
            Ok(BitRate::from_bits_per_second(bits))
        } else {
            self.refuse_type(value)
        }
    }

    fn write(&self, field: &BitRate) -> toml::Value {
        render_rate(field.bits_per_second()).into()
    }
}

/// Where a worker is: a host and perhaps a port.
pub(super) struct Endpoint;

impl Codec<String> for Endpoint {
    fn expected(&self) -> String {
        "HOST[:PORT], like \"worker.example:1935\", \"192.0.2.7\" or \"[2001:db8::7]\"".to_owned()
    }

    fn read(&self, value: &Value) -> Result<String, Vec<Wrong>> {
        let Some(text) = value.as_text() else { return self.refuse_type(value) };
        match url::parse_authority(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(what) => self.refuse(value, what),
        }
    }

    fn write(&self, field: &String) -> toml::Value {
        field.as_str().into()
    }
}

/// Where a worker's results go. Its text is never quoted: it may hold a key.
pub(super) struct PushBase;

impl Codec<String> for PushBase {
    fn expected(&self) -> String {
        "rtmp://HOST[:PORT]/APP, to which /{name} is added, or \"\" (none)".to_owned()
    }

    fn read(&self, value: &Value) -> Result<String, Vec<Wrong>> {
        let Some(base) = value.as_text() else {
            return self.refuse(value, format!("is {}", value.kind()));
        };
        if base.is_empty() {
            return Ok(String::new());
        }
        match url::Target::parse(&url::with_name(base)) {
            Ok(_) => Ok(base.to_owned()),
            Err(what) => self.refuse(value, what),
        }
    }

    fn write(&self, field: &String) -> toml::Value {
        UrlTemplate.write(field)
    }
}

/// An argument of a command. Its text is never quoted: it may hold a key.
pub(super) struct Argument;

impl Codec<String> for Argument {
    fn expected(&self) -> String {
        command::EXPECTED.to_owned()
    }

    fn read(&self, value: &Value) -> Result<String, Vec<Wrong>> {
        let Some(argument) = value.as_text() else {
            return self.refuse(value, format!("is {}", value.kind()));
        };
        match command::check_argument(argument) {
            Ok(()) => Ok(argument.to_owned()),
            Err(what) => self.refuse(value, what),
        }
    }

    fn write(&self, field: &String) -> toml::Value {
        field.as_str().into()
    }
}

/// `workers.unit`.
pub(super) const UNIT_NAME: Text = Text {
    accepts: |name| {
        (1..=limits::UNIT_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_name_char)
    },
    expected: || {
        let max = limits::UNIT_NAME_BYTES_MAX;
        format!("1 to {max} letters, digits, '.', '-' and '_', to which @N.service is added")
    },
};
