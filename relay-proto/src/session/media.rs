//! Audio, video and data messages as sessions hand them on.

use crate::message::MessageType;
use crate::payload::Payload;

/// What a media message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// An FLV audio tag body.
    Audio,
    /// An FLV video tag body.
    Video,
    /// AMF0 script data, such as `onMetaData`.
    Data,
}

impl MediaKind {
    /// The message type that carries this kind.
    #[must_use]
    pub const fn message_type(self) -> MessageType {
        match self {
            Self::Audio => MessageType::AUDIO,
            Self::Video => MessageType::VIDEO,
            Self::Data => MessageType::DATA_AMF0,
        }
    }
}

/// One audio, video or data message of a stream. Aggregates are already split, AMF3 data is
/// unwrapped to AMF0, and a leading `@setDataFrame` is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaMessage {
    /// What the payload is.
    pub kind: MediaKind,
    /// Milliseconds modulo 2³², as the sender gave it.
    pub timestamp: u32,
    /// The body.
    pub payload: Payload,
}
