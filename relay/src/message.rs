//! The owned values that threads exchange: shard to shard, and shards, control plane and workers with
//! each other.

mod reloading;
mod wishes;
mod working;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use edgerelay_proto::media::{AudioSummary, VideoSummary};
use edgerelay_proto::session::MediaMessage;
use tokio::sync::oneshot;

pub use self::reloading::{RELOAD_REQUESTS_MAX, ReloadReport, ReloadRequest, ReloadedKey};
pub use self::wishes::{WORK_REQUESTS_MAX, Wish, WishRefused, WorkRequest};
pub use self::working::{
    LegEnd, NODE_EVENTS_MAX, NodeEvent, PipelineFailure, PipelineState, StreamReport, WorkSnapshot,
    WorkedStream, WorkerSnapshot,
};
use crate::config::Config;
use crate::id::{ConnectionId, LegId, ShardId, StreamKey};
pub use crate::telemetry::ClientRole;
pub use crate::telemetry::account::{KernelFigures, KernelSource};

/// What arrives in a shard's mailbox.
#[derive(Debug)]
pub enum ShardMessage {
    /// Frames of a stream that this shard has subscribers for, from its home shard, in order.
    Media {
        /// The stream.
        stream: StreamKey,
        /// Which publication of the stream, so that frames of a replaced one are dropped.
        epoch: u64,
        /// The merge window they may have waited at home: it counts for this shard's.
        waited: Duration,
        /// The frames.
        batch: Vec<MediaMessage>,
    },
    /// A publication starts, or the home shard answers [`ShardMessage::Interest`].
    Published {
        /// The stream.
        stream: StreamKey,
        /// Which publication.
        epoch: u64,
        /// Metadata, sequence headers and the current GOP, in order.
        backlog: Vec<MediaMessage>,
    },
    /// The publication ended.
    Unpublished {
        /// The stream.
        stream: StreamKey,
        /// Which publication.
        epoch: u64,
        /// Whether the publisher said that it is over; else it may come back.
        finished: bool,
    },
    /// Another shard has its first subscriber of a stream that lives here.
    Interest {
        /// The stream.
        stream: StreamKey,
        /// Who asks.
        shard: ShardId,
    },
    /// Another shard lost its last subscriber.
    NoInterest {
        /// The stream.
        stream: StreamKey,
        /// Who asks.
        shard: ShardId,
    },
    /// Close a publisher that a newer one replaced.
    Evict {
        /// The publisher's connection.
        connection: ConnectionId,
    },
    /// Bring a stream to a worker, from what is held for it on.
    StartLeg {
        /// The stream.
        stream: StreamKey,
        /// Which publication of it, as [`NodeEvent::StreamBegan`] said.
        publication: u64,
        /// What the connection is called.
        leg: LegId,
        /// Where to.
        url: String,
    },
    /// End a leg; the worker is told that the stream is over for it.
    EndLeg {
        /// The stream.
        stream: StreamKey,
        /// Which connection.
        leg: LegId,
    },
    /// No worker is going to get this publication: hold nothing for one.
    GiveUpOn {
        /// The stream.
        stream: StreamKey,
        /// Which publication of it.
        publication: u64,
    },
    /// Tell a stream's publisher, another of our nodes, how the stream fares.
    Report {
        /// The stream.
        stream: StreamKey,
        /// A [`StreamReport`].
        text: String,
    },
    /// Go by another configuration from now on.
    Configure {
        /// The configuration.
        config: Arc<Config>,
        /// Told once it is in force.
        applied: oneshot::Sender<()>,
    },
    /// Describe all streams and clients.
    Snapshot(oneshot::Sender<ShardSnapshot>),
    /// Accept connections from these listeners from now on.
    Listen(Vec<TcpListener>),
    /// Accept no more; all else goes on.
    StopListening,
    /// Close the listeners, ask clients to reconnect elsewhere, finish by the deadline.
    Drain {
        /// How long publishers and players have.
        timeout: Duration,
    },
    /// Close everything now.
    Stop,
}

/// One shard's streams and clients at one moment.
#[derive(Clone, Debug, Default)]
pub struct ShardSnapshot {
    /// Streams with a publisher or a subscriber on this shard.
    pub streams: Vec<StreamSnapshot>,
    /// Every connection of this shard.
    pub clients: Vec<ClientSnapshot>,
}

/// One stream as one shard sees it. A stream with clients on several shards appears once for each;
/// the reader merges by name.
#[derive(Clone, Debug)]
pub struct StreamSnapshot {
    /// The stream.
    pub stream: StreamKey,
    /// Whether its publisher is on this shard.
    pub home: bool,
    /// Whether a publication runs.
    pub publishing: bool,
    /// Since the stream appeared on this shard.
    pub age: Duration,
    /// Media bytes received from the publisher (zero where not home).
    pub bytes_in: u64,
    /// Media bytes sent to this shard's subscribers.
    pub bytes_out: u64,
    /// Bits per second over ten seconds, received.
    pub bits_per_second_in: u64,
    /// Bits per second over ten seconds, sent.
    pub bits_per_second_out: u64,
    /// Bits per second over ten seconds, audio received.
    pub audio_bits_per_second: u64,
    /// Bits per second over ten seconds, video received.
    pub video_bits_per_second: u64,
    /// Frames received.
    pub frames_in: u64,
    /// Bytes held in this shard's log.
    pub log_bytes: u64,
    /// Frames held in this shard's log.
    pub log_frames: u64,
    /// What the video is, once known.
    pub video: Option<VideoSummary>,
    /// What the audio is, once known.
    pub audio: Option<AudioSummary>,
}

/// One connection at one moment.
#[derive(Clone, Debug)]
pub struct ClientSnapshot {
    /// The connection.
    pub id: ConnectionId,
    /// The shard that carries it.
    pub shard: ShardId,
    /// The far side.
    pub address: SocketAddr,
    /// What it is for.
    pub role: ClientRole,
    /// The stream it publishes or plays, once known.
    pub stream: Option<StreamKey>,
    /// Since it was accepted or connected.
    pub age: Duration,
    /// The peer's `flashVer`, bounded.
    pub flash_ver: String,
    /// The peer's `swfUrl`, bounded.
    pub swf_url: String,
    /// The peer's `pageUrl`, bounded.
    pub page_url: String,
    /// Bytes read from the socket.
    pub bytes_in: u64,
    /// Bytes written to the socket.
    pub bytes_out: u64,
    /// Frames not sent because the subscriber was too slow.
    pub frames_dropped: u64,
    /// Times the subscriber skipped to a keyframe.
    pub skips: u64,
    /// Timestamp of the last media message, milliseconds.
    pub timestamp: u32,
    /// Timestamp of the last audio minus that of the last video message, milliseconds.
    pub audio_video_offset_ms: i64,
    /// The connection as the kernel counts it.
    pub kernel: KernelFigures,
}
