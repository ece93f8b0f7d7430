//! What a client announces in `connect`. Enhanced RTMP v2, "Enhancing NetConnection connect
//! Command". Owns the reading of it and our answer; must not decide what is sent to whom.

use crate::amf0::Value;
use crate::limits::FOUR_CCS_MAX;

/// Understands `NetConnection.Connect.ReconnectRequest`.
const CAPS_EX_RECONNECT: u32 = 0x01;
/// Understands multitrack messages.
const CAPS_EX_MULTITRACK: u32 = 0x02;
/// Can parse ModEx prologues.
const CAPS_EX_MOD_EX: u32 = 0x04;

/// What we say of ourselves: a relay forwards everything untouched.
pub(super) const CAPS_EX_OURS: u32 = CAPS_EX_RECONNECT | CAPS_EX_MULTITRACK | CAPS_EX_MOD_EX;

/// FourCcInfoMask: can forward, neither decode nor encode.
const FOUR_CC_CAN_FORWARD: f64 = 4.0;

/// What a client announced in `connect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerCapabilities {
    /// The FourCCs it names, without `*`.
    pub four_ccs: Vec<[u8; 4]>,
    /// Whether it takes any FourCC (`*`).
    pub any_four_cc: bool,
    /// The bits of `capsEx`.
    pub caps_ex: u32,
    /// AMF version of its commands: 0 or 3.
    pub object_encoding: f64,
    announced_list: bool,
    announced_video_map: bool,
    announced_audio_map: bool,
    announced_caps_ex: bool,
}

impl PeerCapabilities {
    /// Reads `connect`'s command object.
    #[must_use]
    pub fn read(object: &Value) -> Self {
        let mut capabilities = Self {
            object_encoding: object.get("objectEncoding").and_then(Value::as_number).unwrap_or(0.0),
            ..Self::default()
        };
        if let Some(items) = object.get("fourCcList").and_then(Value::items) {
            capabilities.announced_list = true;
            for name in items.iter().take(FOUR_CCS_MAX).filter_map(Value::as_str) {
                capabilities.add(name);
            }
        }
        for (map, video) in [("videoFourCcInfoMap", true), ("audioFourCcInfoMap", false)] {
            let Some(properties) = object.get(map).and_then(Value::properties) else { continue };
            if video {
                capabilities.announced_video_map = true;
            } else {
                capabilities.announced_audio_map = true;
            }
            for (name, _) in properties.iter().take(FOUR_CCS_MAX) {
                capabilities.add(name);
            }
        }
        if let Some(bits) = object.get("capsEx").and_then(Value::as_number) {
            capabilities.announced_caps_ex = true;
            // The cast saturates, and turns not-a-number into zero.
            capabilities.caps_ex = bits as u32;
        }
        capabilities
    }

    /// Whether it announced any part of Enhanced RTMP.
    #[must_use]
    pub const fn enhanced(&self) -> bool {
        self.announced_list
            || self.announced_video_map
            || self.announced_audio_map
            || self.announced_caps_ex
    }

    /// Whether it reconnects when asked to.
    #[must_use]
    pub const fn reconnect(&self) -> bool {
        self.caps_ex & CAPS_EX_RECONNECT != 0
    }

    /// Whether it understands multitrack messages.
    #[must_use]
    pub const fn multitrack(&self) -> bool {
        self.caps_ex & CAPS_EX_MULTITRACK != 0
    }

    /// Whether it can parse ModEx prologues.
    #[must_use]
    pub const fn mod_ex(&self) -> bool {
        self.caps_ex & CAPS_EX_MOD_EX != 0
    }

    /// Our answer to what was announced: to each property its counterpart, and nothing to a client
    /// that announced nothing.
    pub(super) fn answer(&self) -> Vec<(String, Value)> {
        let mut properties = Vec::new();
        if self.announced_list {
            let list = Value::StrictArray(vec!["*".into()]);
            properties.push(("fourCcList".to_owned(), list));
        }
        if self.announced_video_map {
            properties.push(("videoFourCcInfoMap".to_owned(), forward_anything()));
        }
        if self.announced_audio_map {
            properties.push(("audioFourCcInfoMap".to_owned(), forward_anything()));
        }
        if self.announced_caps_ex {
            properties.push(("capsEx".to_owned(), Value::Number(f64::from(CAPS_EX_OURS))));
        }
        properties
    }

    fn add(&mut self, name: &str) {
        if name == "*" {
            self.any_four_cc = true;
        } else if let Ok(four_cc) = <[u8; 4]>::try_from(name.as_bytes())
            && self.four_ccs.len() < FOUR_CCS_MAX
            && !self.four_ccs.contains(&four_cc)
        {
            self.four_ccs.push(four_cc);
        }
    }
}

/// What our own clients announce.
pub(super) fn announcement() -> Vec<(String, Value)> {
    // Servers that know only version 1 of Enhanced RTMP look for names, not for the asterisk.
    const FOUR_CCS: [&str; 12] = [
        "avc1", "hvc1", "vvc1", "av01", "vp08", "vp09", "mp4a", "Opus", ".mp3", "ac-3", "ec-3",
        "fLaC",
    ];
    let list = FOUR_CCS.into_iter().map(Value::from).collect();
    vec![
        ("fourCcList".to_owned(), Value::StrictArray(list)),
        ("videoFourCcInfoMap".to_owned(), forward_anything()),
        ("audioFourCcInfoMap".to_owned(), forward_anything()),
        ("capsEx".to_owned(), Value::Number(f64::from(CAPS_EX_OURS))),
    ]
}

fn forward_anything() -> Value {
    Value::object([("*", Value::Number(FOUR_CC_CAN_FORWARD))])
}
