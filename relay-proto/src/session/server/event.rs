//! What goes into a server session and what comes out of it.

use core::time::Duration;

use crate::limits::MESSAGE_BYTES_MAX_DEFAULT;
use crate::session::media::MediaMessage;
use crate::session::output::SessionOutput;
use crate::session::request::{ConnectRequest, PlayRequest, PublishRequest};

/// How a server session behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSessionConfig {
    /// The acknowledgement window we ask for, bytes.
    pub window_ack_size: u32,
    /// The bandwidth limit we announce, bytes.
    pub peer_bandwidth: u32,
    /// The chunk size of what we send.
    pub chunk_size: u32,
    /// The longest message accepted.
    pub message_bytes_max: usize,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
    /// From there to `connect`, and from `connect` to `publish` or `play`.
    pub command_timeout: Duration,
    /// Silence after which the client is pinged; zero turns pings off.
    pub ping_interval: Duration,
    /// Silence after the ping.
    pub ping_timeout: Duration,
}

impl Default for ServerSessionConfig {
    fn default() -> Self {
        Self {
            window_ack_size: 5_000_000,
            peer_bandwidth: 5_000_000,
            chunk_size: 65_536,
            message_bytes_max: MESSAGE_BYTES_MAX_DEFAULT,
            handshake_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(30),
        }
    }
}

/// What a server session gives out.
pub type ServerOutput = SessionOutput<ServerEvent>;

/// What a client did.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    /// `connect`: answer with `accept_connect` or `refuse_connect`.
    Connect(ConnectRequest),
    /// `publish`: answer with `accept_publish` or `refuse_publish`.
    Publish(PublishRequest),
    /// `play`: answer with `accept_play` or `refuse_play`, at any later time.
    Play(PlayRequest),
    /// A message of an accepted publisher.
    Media {
        /// The publisher's message stream.
        stream_id: u32,
        /// The message.
        message: MediaMessage,
    },
    /// A player paused or went on; it has been told so.
    Pause {
        /// The player's message stream.
        stream_id: u32,
        /// Paused, or going on.
        paused: bool,
    },
    /// A player switched audio on or off.
    ReceiveAudio {
        /// The player's message stream.
        stream_id: u32,
        /// On or off.
        enabled: bool,
    },
    /// A player switched video on or off.
    ReceiveVideo {
        /// The player's message stream.
        stream_id: u32,
        /// On or off.
        enabled: bool,
    },
    /// A publisher ended its stream.
    Unpublish {
        /// The publisher's message stream.
        stream_id: u32,
    },
    /// A player stopped, or withdrew an unanswered `play`.
    StopPlay {
        /// The player's message stream.
        stream_id: u32,
    },
}
