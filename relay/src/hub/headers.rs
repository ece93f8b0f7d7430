//! What a decoder needs before its first frame: metadata and sequence headers. Owns the newest of
//! each as immutable, versioned sets; a frame refers to the set in force when it came.

use std::rc::Rc;

use bytes::Bytes;
use edgerelay_proto::chunk::encode_media;
use edgerelay_proto::media::{AudioCodec, AudioPacket, Track, VideoCodec, VideoFrame};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{MediaKind, MediaMessage};

use super::frame::csid;
use super::limits::{KEPT_HEADER_BYTES_MAX, SEQUENCE_HEADERS_MAX};

/// Which header a message is: a newer one of the same slot takes its place.
///
/// A track has one decoder at a time, so its slot does not name the codec: after a change of codec
/// the old header is of no use. A message of several tracks is told from another by the first
/// track's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderSlot {
    Metadata,
    Video { track: Track, many_codec: Option<VideoCodec>, packet: VideoFrame },
    Audio { track: Track, many_codec: Option<AudioCodec>, packet: AudioPacket },
}

impl HeaderSlot {
    pub(super) const fn kind(self) -> MediaKind {
        match self {
            Self::Metadata => MediaKind::Data,
            Self::Video { .. } => MediaKind::Video,
            Self::Audio { .. } => MediaKind::Audio,
        }
    }
}

/// Which kinds a subscriber takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) audio: bool,
    pub(super) video: bool,
    pub(super) data: bool,
}

impl Kinds {
    pub(super) const VIDEO: Self = Self { audio: false, video: true, data: false };
    pub(super) const AUDIO: Self = Self { audio: true, video: false, data: false };

    pub(super) const fn contains(self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
            MediaKind::Data => self.data,
        }
    }
}

/// How a prelude is put on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreludeWire {
    pub(super) stream_id: u32,
    pub(super) timestamp: u32,
    pub(super) chunk_size: u32,
}

/// The headers in force at one point of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderSet {
    version: u64,
    // In order of arrival; at most one for each slot.
    headers: Vec<(HeaderSlot, Payload)>,
}

impl HeaderSet {
    /// No headers yet, at the start of a publication. Versions are unique within a stream.
    pub(super) const fn new(version: u64) -> Self {
        Self { version, headers: Vec::new() }
    }

    /// Unlike every other set of the stream. A subscriber that has this version needs no prelude.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// The set after `payload` arrived for `slot`; `None` when it repeats what is there, as many
    /// encoders do at each keyframe, or is too large to keep.
    pub(super) fn with(&self, slot: HeaderSlot, payload: &Payload) -> Option<Rc<Self>> {
        let same = |known: &(HeaderSlot, Payload)| known.0 == slot && known.1 == *payload;
        if payload.len() > KEPT_HEADER_BYTES_MAX || self.headers.iter().any(same) {
            return None;
        }
        let mut headers = self.headers.clone();
        headers.retain(|known| known.0 != slot);
        let sequence_headers = headers.iter().filter(|known| known.0 != HeaderSlot::Metadata);
        if sequence_headers.count() >= SEQUENCE_HEADERS_MAX {
            let oldest = headers.iter().position(|known| known.0 != HeaderSlot::Metadata);
            headers.remove(oldest.unwrap_or_default());
        }
        // It stays long after the frames around it, whose receive buffer it would hold.
        headers.push((slot, payload.to_detached()));
        Some(Rc::new(Self { version: self.version + 1, headers }))
    }

    /// Appends the wire slices of metadata, video and audio headers of `kinds`, in that order.
    pub(super) fn put_prelude(&self, kinds: Kinds, wire: PreludeWire, out: &mut Vec<Bytes>) {
        for (kind, payload) in self.in_join_order().filter(|(kind, _)| kinds.contains(*kind)) {
            let encoded = encode_media(
                csid(kind),
                kind.message_type(),
                wire.stream_id,
                wire.timestamp,
                payload,
                wire.chunk_size,
            );
            out.push(encoded.header);
            out.extend_from_slice(&encoded.body);
        }
    }

    /// The headers as messages of `timestamp`, in the order of a prelude.
    pub(super) fn messages(&self, timestamp: u32) -> impl Iterator<Item = MediaMessage> {
        self.in_join_order().map(move |(kind, payload)| MediaMessage {
            kind,
            timestamp,
            payload: payload.clone(),
        })
    }

    fn in_join_order(&self) -> impl Iterator<Item = (MediaKind, &Payload)> {
        [MediaKind::Data, MediaKind::Video, MediaKind::Audio].into_iter().flat_map(|kind| {
            let of_kind = move |header: &&(HeaderSlot, Payload)| header.0.kind() == kind;
            self.headers.iter().filter(of_kind).map(move |(_, payload)| (kind, payload))
        })
    }
}
