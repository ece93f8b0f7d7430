//! What a peer can do wrong. Each fault closes that one connection and nothing else.
//!
//! Owns the enum and its metric labels; must not name faults of our own or of the network.

/// A fault of the peer. The connection it happened on is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// C0 or S0 says 6: encrypted RTMPE, which is not offered.
    #[error("the peer asks for RTMPE (encrypted RTMP), which is not supported")]
    Rtmpe,
    /// The first byte is the start of an HTTP method.
    #[error("the peer speaks HTTP on the RTMP port")]
    HttpOnRtmp,
    /// The first byte is a TLS handshake record.
    #[error("the peer speaks TLS on the plain RTMP port")]
    TlsOnRtmp,
    /// The first byte is no RTMP version.
    #[error("the handshake asks for version {0}, expected 3")]
    HandshakeVersion(u8),
    /// The handshake was not finished in time.
    #[error("the handshake was not finished in time")]
    HandshakeTimeout,
    /// Set Chunk Size of zero.
    #[error("Set Chunk Size of 0")]
    ChunkSizeZero,
    /// Set Chunk Size with the reserved top bit set.
    #[error("Set Chunk Size with the reserved top bit set")]
    ChunkSizeReserved,
    /// A type 3 chunk that continues nothing: its chunk stream has no earlier header.
    #[error("chunk stream {csid}: a type {format} chunk without an earlier header")]
    ChunkWithoutHeader {
        /// The chunk stream.
        csid: u32,
        /// The chunk header format.
        format: u8,
    },
    /// More chunk streams than [`crate::limits::CHUNK_STREAMS_MAX`].
    #[error("more than {max} chunk streams")]
    TooManyChunkStreams {
        /// The limit.
        max: usize,
    },
    /// A message longer than the configured limit.
    #[error("a message of {len} bytes, the limit is {max}")]
    MessageTooLarge {
        /// What the chunk header announced.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Too much of unfinished messages at once.
    #[error("unfinished messages hold more than {max} bytes")]
    PartialTooLarge {
        /// The limit.
        max: usize,
    },
    /// A protocol control message whose payload is shorter than its fields.
    #[error("control message of type {0} is truncated")]
    ControlTruncated(u8),
    /// AMF0 ends in the middle of a value.
    #[error("AMF0 ends in the middle of a value")]
    AmfTruncated,
    /// AMF0 nested deeper than [`crate::limits::AMF_DEPTH_MAX`].
    #[error("AMF0 is nested too deep")]
    AmfDepth,
    /// More AMF0 values than [`crate::limits::AMF_ITEMS_MAX`].
    #[error("AMF0 holds too many values")]
    AmfItems,
    /// A type marker AMF0 does not define, or a reserved one.
    #[error("AMF0 type marker {0:#04x} is not defined")]
    AmfMarker(u8),
    /// A command that lacks what it must have.
    #[error("bad command: {0}")]
    BadCommand(&'static str),
    /// A name, argument or other string beyond its bound.
    #[error("{0} is too long")]
    StringTooLong(&'static str),
    /// A command that is not allowed now, such as `publish` before `connect`.
    #[error("command out of order: {0}")]
    CommandOrder(&'static str),
    /// No `connect`, or nothing after it, in time.
    #[error("no command in time")]
    CommandTimeout,
    /// A ping was not answered in time.
    #[error("ping not answered in time")]
    PingTimeout,
    /// More requests at once than the session keeps.
    #[error("too many {0} at once")]
    TooMany(&'static str),
}

impl PeerFault {
    /// A short label for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Rtmpe => "rtmpe",
            Self::HttpOnRtmp => "http_on_rtmp",
            Self::TlsOnRtmp => "tls_on_rtmp",
            Self::HandshakeVersion(_) => "handshake_version",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::ChunkSizeZero => "chunk_size_zero",
            Self::ChunkSizeReserved => "chunk_size_reserved",
            Self::ChunkWithoutHeader { .. } => "chunk_without_header",
            Self::TooManyChunkStreams { .. } => "too_many_chunk_streams",
            Self::MessageTooLarge { .. } => "message_too_large",
            Self::PartialTooLarge { .. } => "partial_too_large",
            Self::ControlTruncated(_) => "control_truncated",
            Self::AmfTruncated => "amf_truncated",
            Self::AmfDepth => "amf_depth",
            Self::AmfItems => "amf_items",
            Self::AmfMarker(_) => "amf_marker",
            Self::BadCommand(_) => "bad_command",
            Self::StringTooLong(_) => "string_too_long",
            Self::CommandOrder(_) => "command_order",
            Self::CommandTimeout => "command_timeout",
            Self::PingTimeout => "ping_timeout",
            Self::TooMany(_) => "too_many",
        }
    }
}
