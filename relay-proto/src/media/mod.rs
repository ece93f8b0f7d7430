//! FLV tag inspection: what an audio, video or data message is, without decoding it.
//!
//! Owns the reading of tag headers (legacy and Enhanced RTMP v1 and v2), of decoder configurations
//! as far as statistics want them, and of `onMetaData`. Inspection never fails: what is not
//! recognised is reported as unknown and relayed untouched.

mod audio;
mod avc;
mod bits;
mod codec;
mod enhanced;
mod hevc;
mod metadata;
mod reader;
mod summary;
mod video;

pub use audio::{AudioInfo, AudioPacket, inspect_audio};
pub use codec::{AudioCodec, VideoCodec};
pub use enhanced::Track;
pub use metadata::{StreamMetadata, strip_set_data_frame};
pub(crate) use reader::PayloadReader;
pub use summary::{AudioSummary, VideoSummary};
pub use video::{VideoFrame, VideoInfo, inspect_video};

#[cfg(test)]
mod tests;
