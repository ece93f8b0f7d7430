//! Every bound on what a peer can make this crate hold or do, in one place.
//!
//! Owns numbers and the reason for each; must not hold code that enforces them.

use core::time::Duration;

/// Largest message accepted unless configured otherwise. A 4K keyframe at 100 Mbit/s is about 2 MiB.
pub const MESSAGE_BYTES_MAX_DEFAULT: usize = 8 * 1024 * 1024;

/// Largest message length the 24-bit field of a chunk header can say. RTMP 1.0 §5.3.1.2.1.
pub const MESSAGE_BYTES_WIRE_MAX: usize = 0x00FF_FFFF;

/// Chunk streams one connection may use. Encoders use 3 to 8, each costs about 250 bytes.
pub const CHUNK_STREAMS_MAX: usize = 64;

/// Payload bytes of unfinished messages over all chunk streams of a connection, in units of the
/// largest message: one audio, one video and one other message may be in the making together.
pub const PARTIAL_MESSAGES_MAX: usize = 3;

/// Chunk payloads shorter than this are copied together, not kept as slices: below it, an I/O
/// vector costs more than the copy.
pub const COALESCE_BYTES: usize = 512;

/// Slices a message may have, besides two for each [`COALESCE_BYTES`] of it, before short ones are
/// copied together.
pub const PAYLOAD_SLICES_FREE: usize = 64;

/// Input an unfinished message may be spread over besides [`PINNED_FACTOR`] times its own bytes,
/// before it is copied out of the receive buffers it would keep alive: two receive buffers.
pub const PINNED_BYTES_FREE: u64 = 2 * RECEIVE_BYTES_MAX as u64;

/// See [`PINNED_BYTES_FREE`]. Audio and video chunk by chunk in turn come to less than two.
pub const PINNED_FACTOR: u64 = 2;

/// What a caller may hand to a session in one call. The decoder works on demand, so undecoded input
/// is what the caller gave and not yet polled for; callers read at most this much at a time.
pub const RECEIVE_BYTES_MAX: usize = 64 * 1024;

/// The chunk size both sides start with. RTMP 1.0 §5.4.1.
pub const CHUNK_SIZE_INITIAL: u32 = 128;

/// Nesting of AMF0 objects and arrays. Real metadata nests two or three deep.
pub const AMF_DEPTH_MAX: usize = 16;

/// AMF0 values in one message, nested ones included. Metadata with a keyframe index of a recorded
/// file can hold thousands.
pub const AMF_ITEMS_MAX: usize = 16 * 1024;

/// Largest command message looked at. A `connect` with long tokens stays below 8 KiB.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// Largest data message that is decoded for its contents; larger ones are relayed unread.
pub const DATA_BYTES_DECODED_MAX: usize = 256 * 1024;

/// Application or stream name, without its arguments.
pub const NAME_BYTES_MAX: usize = 512;

/// Arguments (query string) of an application or stream name.
pub const ARGS_BYTES_MAX: usize = 4 * 1024;

/// Any other string of a command that is kept, such as `flashVer` and `pageUrl`.
pub const STRING_BYTES_MAX: usize = 4 * 1024;

/// A report on a stream between our own: a state and the last lines of a log. Less than an AMF0 string
/// may hold.
pub const REPORT_BYTES_MAX: usize = 32 * 1024;

/// Message streams of one connection. Encoders and players use one.
pub const NET_STREAMS_MAX: usize = 32;

/// Messages one aggregate may hold. Servers that send aggregates put a second or two into one.
pub const AGGREGATE_MESSAGES_MAX: usize = 4_096;

/// Events one call may add to a session's output: more than a receive buffer of the smallest audio
/// frames holds, less than one full of empty one-byte messages.
pub const SESSION_EVENTS_MAX: usize = 16 * 1024;

/// Bytes of replies one call may add to a session's output. A receive buffer full of the shortest
/// commands stays below it.
pub const SESSION_REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes a client may send while its `connect` or `publish` awaits an answer.
pub const HELD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most bytes received between two acknowledgements, however large the peer's window is.
pub const ACK_INTERVAL_BYTES_MAX: u64 = 2_500_000;

/// Longest time between two acknowledgements to a peer that sends: Wirecast closes a connection that
/// has not acknowledged for ten seconds, whatever windows were agreed.
pub const ACK_INTERVAL: Duration = Duration::from_secs(3);

/// Fewer bytes than this are not acknowledged for the time that passed: a player sends no more.
pub const ACK_INTERVAL_BYTES_MIN: u64 = 16 * 1024;

/// FourCCs kept of what a client announces.
pub const FOUR_CCS_MAX: usize = 64;
