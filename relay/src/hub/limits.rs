//! Every bound of the hub, by name. Owns no logic beyond turning configuration into bounds.

use std::time::Duration;

use crate::config::AppConfig;

/// Frames a log holds at most, however small they are: each costs some 300 bytes besides its
/// payload, so this bounds the overhead at about 10 MiB. A minute of 60 frames and 47 audio
/// packets a second is 6 420.
pub const LOG_FRAMES_MAX: usize = 32_768;

/// Slices one frame's wire image may have; one with more is copied into a single slice. A send
/// takes 1 024, and a prelude may share it.
pub const FRAME_SLICES_MAX: usize = 512;

/// Sequence headers kept outside the log, one for each kind, codec and track. A seventeenth
/// replaces the oldest.
pub const SEQUENCE_HEADERS_MAX: usize = 16;

/// A sequence header or metadata message larger than this is relayed but not kept for joiners.
pub const KEPT_HEADER_BYTES_MAX: usize = 256 * 1024;

/// How far back a player of a stream without video starts, so that it has something to buffer.
pub const AUDIO_JOIN_DURATION: Duration = Duration::from_secs(1);

/// Frames looked at to find the start of [`AUDIO_JOIN_DURATION`].
pub const AUDIO_JOIN_FRAMES_MAX: usize = 128;

/// After a replaced publication that had video, how long subscribers wait for the new one's first
/// video before they take its audio alone.
pub const VIDEO_EXPECTED_MAX: Duration = Duration::from_secs(1);

/// A publication whose video brings no keyframe for so long, and has none left in the log, is
/// joined at any frame: its decoder recovers by itself (intra refresh) or not at all.
pub const KEYFRAME_GAP_MAX: Duration = Duration::from_secs(30);

/// A timestamp further back than this is a new timeline of the encoder's, not reordering.
pub const REORDER_MILLIS_MAX: u32 = 10_000;

/// What one stream may hold, and how far behind a subscriber may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Wire bytes the log holds.
    pub log_bytes_max: usize,
    /// Frames the log holds.
    pub log_frames_max: usize,
    /// Age since arrival of the oldest frame, except in the current group of pictures, which only
    /// `log_bytes_max` and `log_frames_max` cut short.
    pub log_duration_max: Duration,
    /// Whether joins start at the last keyframe rather than the next.
    pub gop_cache: bool,
    /// A subscriber with more bytes than this to go skips to the newest keyframe.
    pub lag_bytes_max: usize,
    /// A subscriber further behind than this skips to the newest keyframe.
    pub lag_duration_max: Duration,
    /// A subscriber that takes nothing for so long is to be closed.
    pub disconnect_after: Duration,
    /// Chunk size of what subscribers are sent.
    pub chunk_size: u32,
}

impl StreamLimits {
    /// The limits of an application's streams.
    #[must_use]
    pub fn new(app: &AppConfig, chunk_size: u32) -> Self {
        Self {
            log_bytes_max: app.log_bytes_max,
            log_frames_max: LOG_FRAMES_MAX,
            log_duration_max: app.log_duration_max,
            gop_cache: app.gop_cache,
            lag_bytes_max: app.lag_bytes_max,
            lag_duration_max: app.lag_max,
            disconnect_after: app.disconnect_after,
            chunk_size,
        }
    }
}
