//! RTMP messages: type ids and the decoded message. RTMP 1.0 §5.4, §6, §7.1.

use crate::payload::Payload;

/// A message type id. RTMP 1.0 §5.4 and §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// Set Chunk Size, §5.4.1.
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// Abort Message, §5.4.2.
    pub const ABORT: Self = Self(2);
    /// Acknowledgement, §5.4.3.
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// User Control, §6.2.
    pub const USER_CONTROL: Self = Self(4);
    /// Window Acknowledgement Size, §5.4.4.
    pub const WINDOW_ACK_SIZE: Self = Self(5);
    /// Set Peer Bandwidth, §5.4.5.
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// Audio, §7.1.4.
    pub const AUDIO: Self = Self(8);
    /// Video, §7.1.5.
    pub const VIDEO: Self = Self(9);
    /// AMF3 data, §7.1.2.
    pub const DATA_AMF3: Self = Self(15);
    /// AMF3 shared object, §7.1.3.
    pub const SHARED_OBJECT_AMF3: Self = Self(16);
    /// AMF3 command, §7.1.1.
    pub const COMMAND_AMF3: Self = Self(17);
    /// AMF0 data, §7.1.2.
    pub const DATA_AMF0: Self = Self(18);
    /// AMF0 shared object, §7.1.3.
    pub const SHARED_OBJECT_AMF0: Self = Self(19);
    /// AMF0 command, §7.1.1.
    pub const COMMAND_AMF0: Self = Self(20);
    /// Aggregate, §7.1.6.
    pub const AGGREGATE: Self = Self(22);
}

/// A whole message, as the chunk decoder yields it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the payload is.
    pub message_type: MessageType,
    /// Message stream id; 0 is NetConnection's.
    pub stream_id: u32,
    /// Absolute timestamp, milliseconds modulo 2³².
    pub timestamp: u32,
    /// The body.
    pub payload: Payload,
}
