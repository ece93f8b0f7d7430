//! Why a connection was closed: one value per cause, one metric label per value.

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer ended the connection in an orderly way.
    PeerClosed,
    /// The peer broke the protocol; carries the fault's own short name.
    PeerFault(&'static str),
    /// The handshake was not finished in time.
    HandshakeTimeout,
    /// No publish or play came in time after the handshake.
    CommandTimeout,
    /// A publisher sent no media for too long.
    PublishIdle,
    /// The stream that a player asked for never came.
    PlayWaitTimeout,
    /// The peer did not answer a ping.
    PingTimeout,
    /// A newer publisher took the name.
    Replaced,
    /// We refused what the peer asked for.
    Refused,
    /// A subscriber took nothing for longer than allowed.
    SubscriberStalled,
    /// A peer did not read our replies, and too many of them were waiting.
    OutputOverflow,
    /// The node carries as many connections as it may.
    TooManyConnections,
    /// One address holds as many connections as it may.
    TooManyConnectionsPerAddress,
    /// The socket failed: reset, timed out in the kernel, unreachable.
    IoError,
    /// The node is draining.
    Drain,
    /// The node is stopping.
    Stop,
    /// The upstream or origin ended the connection.
    UpstreamClosed,
    /// The upstream or origin refused the stream.
    UpstreamRefused,
    /// The upstream or origin could not be connected to, or did not answer in time.
    UpstreamUnreachable,
    /// The stream that the connection carried is over.
    StreamEnded,
}

impl CloseReason {
    /// Every reason but the peer's faults, whose names belong to the protocol.
    pub const FIXED: [Self; 19] = [
        Self::PeerClosed,
        Self::HandshakeTimeout,
        Self::CommandTimeout,
        Self::PublishIdle,
        Self::PlayWaitTimeout,
        Self::PingTimeout,
        Self::Replaced,
        Self::Refused,
        Self::SubscriberStalled,
        Self::OutputOverflow,
        Self::TooManyConnections,
        Self::TooManyConnectionsPerAddress,
        Self::IoError,
        Self::Drain,
        Self::Stop,
        Self::UpstreamClosed,
        Self::UpstreamRefused,
        Self::UpstreamUnreachable,
        Self::StreamEnded,
    ];

    /// The `reason` label in metrics and logs: short, fixed, without anything the peer chose.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::PeerFault(reason) => reason,
            Self::HandshakeTimeout => "handshake_timeout",
            Self::CommandTimeout => "command_timeout",
            Self::PublishIdle => "publish_idle",
            Self::PlayWaitTimeout => "play_wait_timeout",
            Self::PingTimeout => "ping_timeout",
            Self::Replaced => "replaced",
            Self::Refused => "refused",
            Self::SubscriberStalled => "subscriber_stalled",
            Self::OutputOverflow => "output_overflow",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyConnectionsPerAddress => "too_many_connections_per_address",
            Self::IoError => "io_error",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::UpstreamClosed => "upstream_closed",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::StreamEnded => "stream_ended",
        }
    }

    /// Whether the peer broke the protocol, which is worth a line in the log.
    #[must_use]
    pub const fn is_peer_fault(self) -> bool {
        matches!(self, Self::PeerFault(_))
    }
}
