//! A frame: one media message as the log keeps it, with what it is and its bytes on the wire.

use std::rc::Rc;

use bytes::Bytes;
use edgerelay_proto::chunk::{
    CSID_AUDIO, CSID_DATA, CSID_VIDEO, MediaHeaders, WireMessage, encode_media, encode_media_header,
};
use edgerelay_proto::media::{
    AudioInfo, AudioPacket, Track, VideoFrame, VideoInfo, inspect_audio, inspect_video,
};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};
use edgerelay_proto::slice_list::SliceList;
use edgerelay_proto::time::Instant;

use super::headers::{HeaderSet, HeaderSlot};
use super::limits::FRAME_SLICES_MAX;

/// The message stream id that frames are encoded for. Players that ask for their streams in the
/// usual order have it; others get a header of their own.
pub const MESSAGE_STREAM_ID: u32 = 1;

/// The chunk stream that carries a kind.
#[must_use]
pub const fn csid(kind: MediaKind) -> u32 {
    match kind {
        MediaKind::Audio => CSID_AUDIO,
        MediaKind::Video => CSID_VIDEO,
        MediaKind::Data => CSID_DATA,
    }
}

/// What a message means for joins and skips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameClass {
    /// Metadata or a decoder configuration.
    Header(HeaderSlot),
    /// Video that decoding can start at.
    Keyframe,
    /// Video that needs frames before it.
    Inter,
    /// Coded audio.
    Audio,
    /// Neither: data, empty messages, ends of sequence, what nobody knows.
    Other,
}

impl FrameClass {
    /// Whether it is coded audio or video.
    pub(super) const fn is_coded(self) -> bool {
        matches!(self, Self::Keyframe | Self::Inter | Self::Audio)
    }
}

/// What inspection found, before the message becomes a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inspected {
    Video(VideoInfo),
    Audio(AudioInfo),
    Data { metadata: bool },
}

impl Inspected {
    pub(super) fn read(message: &MediaMessage) -> Self {
        match message.kind {
            MediaKind::Video => Self::Video(inspect_video(&message.payload)),
            MediaKind::Audio => Self::Audio(inspect_audio(&message.payload)),
            MediaKind::Data => Self::Data { metadata: is_metadata(&message.payload) },
        }
    }

    pub(super) fn class(&self) -> FrameClass {
        match self {
            Self::Video(info) => video_class(info),
            Self::Audio(info) => audio_class(info),
            Self::Data { metadata: true } => FrameClass::Header(HeaderSlot::Metadata),
            Self::Data { metadata: false } => FrameClass::Other,
        }
    }
}

fn video_class(info: &VideoInfo) -> FrameClass {
    match info.frame {
        VideoFrame::Keyframe if info.is_join_point() => FrameClass::Keyframe,
        VideoFrame::Keyframe | VideoFrame::Inter | VideoFrame::Disposable => FrameClass::Inter,
        VideoFrame::SequenceHeader | VideoFrame::Metadata => {
            FrameClass::Header(HeaderSlot::Video {
                track: info.track,
                many_codec: (info.track == Track::Many).then_some(info.codec),
                packet: info.frame,
            })
        }
        VideoFrame::EndOfSequence
        | VideoFrame::Command
        | VideoFrame::Empty
        | VideoFrame::Unknown => FrameClass::Other,
    }
}

fn audio_class(info: &AudioInfo) -> FrameClass {
    match info.packet {
        AudioPacket::SequenceHeader | AudioPacket::MultichannelConfig => {
            FrameClass::Header(HeaderSlot::Audio {
                track: info.track,
                many_codec: (info.track == Track::Many).then_some(info.codec),
                packet: info.packet,
            })
        }
        AudioPacket::Coded => FrameClass::Audio,
        AudioPacket::EndOfSequence | AudioPacket::Empty | AudioPacket::Unknown => FrameClass::Other,
    }
}

/// Whether a data message is `onMetaData`: an AMF0 string of that value leads it.
fn is_metadata(payload: &Payload) -> bool {
    const NAME: &[u8; 13] = b"\x02\x00\x0AonMetaData";
    payload.prefix::<13>() == (*NAME, NAME.len())
}

/// One message of a stream, immutable, encoded once for all subscribers.
#[derive(Debug)]
pub struct Frame {
    /// The message as received, with the publisher's timestamp.
    pub message: MediaMessage,
    /// The timestamp subscribers see.
    pub timestamp: u32,
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// Whether it is a decoder configuration.
    pub sequence_header: bool,
    /// The bytes on the wire, for [`MESSAGE_STREAM_ID`].
    pub wire: WireFrame,
    pub(super) class: FrameClass,
    /// Whether a subscriber may start here.
    pub(super) entry: bool,
    pub(super) arrived: Instant,
    /// Which publication it belongs to.
    pub(super) epoch: u64,
    /// Wire bytes appended to the log before it.
    pub(super) offset: u64,
    /// The headers in force before it.
    pub(super) headers: Rc<HeaderSet>,
}

impl Frame {
    /// Slices of a send it takes.
    pub(super) fn slices(&self) -> usize {
        1 + self.body().len()
    }

    /// Its bytes on the wire behind the first chunk's header.
    pub(super) fn body(&self) -> &[Bytes] {
        match &self.wire.body {
            WireBody::AsReceived => self.message.payload.slices(),
            WireBody::Cut(slices) => slices,
        }
    }

    /// Its first chunk's header for another message stream id.
    pub(super) fn header_for(&self, stream_id: u32) -> Bytes {
        if stream_id == MESSAGE_STREAM_ID {
            return self.wire.header.clone();
        }
        let MediaMessage { kind, payload, .. } = &self.message;
        encode_media_header(
            csid(*kind),
            kind.message_type(),
            stream_id,
            self.timestamp,
            payload.len(),
        )
    }
}

/// A frame's bytes on the wire.
#[derive(Debug)]
pub struct WireFrame {
    /// The first chunk's header.
    pub header: Bytes,
    /// Bytes of header and body.
    pub wire_len: usize,
    body: WireBody,
}

#[derive(Debug)]
enum WireBody {
    /// One chunk: the payload's own slices, which the frame holds anyway.
    AsReceived,
    /// Payload slices with the headers of the other chunks between them.
    Cut(SliceList),
}

impl WireFrame {
    /// Encodes a message for [`MESSAGE_STREAM_ID`], and says how many payload bytes were copied: all
    /// or none. They are where the publisher's or our own chunks are so small that one send could
    /// not take the slices.
    pub(super) fn encode(
        headers: &mut MediaHeaders,
        message: &MediaMessage,
        timestamp: u32,
        chunk_size: u32,
    ) -> (Self, u64) {
        let MediaMessage { kind, payload, .. } = message;
        let (csid, message_type) = (csid(*kind), kind.message_type());
        if payload.len() <= chunk_size as usize && payload.slices().len() < FRAME_SLICES_MAX {
            let len = payload.len();
            let header = headers.encode(csid, message_type, MESSAGE_STREAM_ID, timestamp, len);
            let wire_len = header.len() + len;
            return (Self { header, wire_len, body: WireBody::AsReceived }, 0);
        }
        let WireMessage { header, body, wire_len } =
            encode_media(csid, message_type, MESSAGE_STREAM_ID, timestamp, payload, chunk_size);
        let (body, copied) = if body.len() < FRAME_SLICES_MAX {
            (body, 0)
        } else {
            (Bytes::from(body.concat()).into(), payload.len() as u64)
        };
        (Self { header, wire_len, body: WireBody::Cut(body) }, copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_small_for_a_stream_keeps_hundreds() {
        let bytes = size_of::<Frame>();
        assert!(bytes <= 176, "{bytes}");
    }
}
