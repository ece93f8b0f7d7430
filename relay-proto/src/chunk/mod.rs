//! Chunk streams: messages cut into interleaved chunks, and back. RTMP 1.0 §5.3.
//!
//! Owns chunk headers, per-chunk-stream assembly and the chunk sizes of both directions. Must not
//! look into a message, except for Set Chunk Size and Abort, which are about chunks themselves.

mod assembly;
mod decoder;
mod encoder;
mod header;
mod media_headers;

pub use decoder::{ChunkDecoder, ChunkLimits};
pub use encoder::{ChunkEncoder, WireMessage, encode_media, encode_media_header};
pub use media_headers::MediaHeaders;

/// Chunk stream of protocol control messages. RTMP 1.0 §5.4.
pub const CSID_CONTROL: u32 = 2;
/// Chunk stream we send commands on.
pub const CSID_COMMAND: u32 = 3;
/// Chunk stream we send audio on.
pub const CSID_AUDIO: u32 = 4;
/// Chunk stream we send data messages on.
pub const CSID_DATA: u32 = 5;
/// Chunk stream we send video on.
pub const CSID_VIDEO: u32 = 6;

/// Smallest and largest chunk stream id the basic header can say. RTMP 1.0 §5.3.1.1.
pub const CSID_MIN: u32 = 2;
/// See [`CSID_MIN`].
pub const CSID_MAX: u32 = 65_599;

/// A timestamp field of this value, or any greater timestamp, is followed by 32 bits of it.
const EXTENDED_TIMESTAMP: u32 = 0x00FF_FFFF;

#[cfg(test)]
mod tests;
