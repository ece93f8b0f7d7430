//! What goes into a client session and what comes out of it.

use core::time::Duration;

use crate::handshake::ClientHandshakeKind;
use crate::limits::MESSAGE_BYTES_MAX_DEFAULT;
use crate::session::media::MediaMessage;
use crate::session::output::SessionOutput;
use crate::session::url::RtmpUrl;

/// What a connection is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMode {
    /// To push a stream.
    Publish,
    /// To pull one.
    Play,
}

/// How a client session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Where to, and which stream.
    pub url: RtmpUrl,
    /// What for.
    pub mode: ClientMode,
    /// What we call ourselves. Servers pick features by it.
    pub flash_ver: String,
    /// The kind of handshake.
    pub handshake: ClientHandshakeKind,
    /// The chunk size of what we send.
    pub chunk_size: u32,
    /// The acknowledgement window we ask for, bytes.
    pub window_ack_size: u32,
    /// The longest message accepted.
    pub message_bytes_max: usize,
    /// From connected to the end of the handshake.
    pub handshake_timeout: Duration,
    /// For each answer from there to readiness.
    pub command_timeout: Duration,
    /// A server that is silent for so long once ready is pinged; zero turns pings off.
    pub ping_interval: Duration,
    /// And closed when so long after it has said nothing, if it ever answered a ping.
    pub ping_timeout: Duration,
}

impl ClientConfig {
    /// A connection to `url` with the usual settings.
    #[must_use]
    pub fn new(url: RtmpUrl, mode: ClientMode) -> Self {
        let flash_ver = match mode {
            ClientMode::Publish => "FMLE/3.0 (compatible; edgerelay)",
            ClientMode::Play => "LNX 9,0,124,2",
        };
        Self {
            url,
            mode,
            flash_ver: flash_ver.to_owned(),
            handshake: ClientHandshakeKind::Plain,
            chunk_size: 65_536,
            window_ack_size: 2_500_000,
            message_bytes_max: MESSAGE_BYTES_MAX_DEFAULT,
            handshake_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(30),
        }
    }
}

/// What a client session gives out.
pub type ClientOutput = SessionOutput<ClientEvent>;

/// What the server did.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// It accepted: media may be sent on this message stream, or will come.
    Ready {
        /// The message stream.
        stream_id: u32,
    },
    /// A message of the stream we play.
    Media(MediaMessage),
    /// It refused, or ended what it had accepted.
    Rejected {
        /// Its status code, such as `NetStream.Publish.BadName`.
        code: String,
        /// Its words, without our stream name, should it repeat that.
        description: String,
    },
    /// The stream we play is over, for now or for good.
    Eof,
    /// It asks us to connect again.
    ReconnectRequest {
        /// Where to; the same place when it does not say.
        tc_url: Option<String>,
        /// Its words.
        description: String,
    },
    /// One of our own tells how a stream that we push to it fares.
    Report {
        /// What its [`report`](crate::session::ServerSession::report) said.
        text: String,
    },
}
