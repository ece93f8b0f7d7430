//! Media without an encoder: messages that look like H.264 and AAC at 2.5 Mbit/s, and their bytes as
//! a publisher sends them. Pure.

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::chunk::{CSID_CONTROL, ChunkEncoder};
use edgerelay_proto::message::{Message, MessageType};
use edgerelay_proto::session::{MediaKind, MediaMessage};

/// Milliseconds from one video frame to the next.
pub(crate) const FRAME_MILLIS: u32 = 33;
/// Video frames in a group of pictures: two seconds.
pub(crate) const GOP_FRAMES: u32 = 60;
/// Bytes of a keyframe, and of the frames after it: 2.5 Mbit/s in all.
pub(crate) const KEYFRAME_BYTES: usize = 60_000;
/// See [`KEYFRAME_BYTES`].
pub(crate) const INTER_BYTES: usize = 9_500;
/// Bytes of an AAC packet of 21 ms at 128 kbit/s.
pub(crate) const AUDIO_BYTES: usize = 340;
const AUDIO_MICROS: u64 = 21_333;

const VIDEO_CONFIGURATION: &[u8] =
    b"\x17\0\0\0\0\x01\x42\xc0\x1e\xff\xe1\0\x04\x67\x42\xc0\x1e\x01\0\x04\x68\xce\x3c\x80";
const AUDIO_CONFIGURATION: &[u8] = b"\xaf\0\x12\x10";
const METADATA: &[u8] = b"\x02\0\x0aonMetaData\x08\0\0\0\x02\
    \0\x05width\0\x40\x94\0\0\0\0\0\0\0\x06height\0\x40\x86\x80\0\0\0\0\0\0\0\x09";

/// A video message that decoding can start at.
pub(crate) fn keyframe(timestamp: u32, bytes: usize) -> MediaMessage {
    coded(MediaKind::Video, b"\x17\x01\0\0\0", timestamp, bytes)
}

/// A video message that needs those before it.
pub(crate) fn inter(timestamp: u32, bytes: usize) -> MediaMessage {
    coded(MediaKind::Video, b"\x27\x01\0\0\0", timestamp, bytes)
}

/// An audio message.
pub(crate) fn audio(timestamp: u32, bytes: usize) -> MediaMessage {
    coded(MediaKind::Audio, b"\xaf\x01", timestamp, bytes)
}

/// Metadata and the decoder configurations, which a publisher sends first.
pub(crate) fn head() -> [MediaMessage; 3] {
    let head = |kind, bytes: &'static [u8]| MediaMessage {
        kind,
        timestamp: 0,
        payload: Bytes::from_static(bytes).into(),
    };
    [
        head(MediaKind::Data, METADATA),
        head(MediaKind::Video, VIDEO_CONFIGURATION),
        head(MediaKind::Audio, AUDIO_CONFIGURATION),
    ]
}

/// A group of pictures of two seconds with its audio, in the order of time.
pub(crate) fn group_of_pictures(first_timestamp: u32) -> Vec<MediaMessage> {
    let mut messages = Vec::new();
    let mut audio_micros = 0;
    for frame in 0..GOP_FRAMES {
        let millis = frame * FRAME_MILLIS;
        let video = if frame == 0 { keyframe } else { inter };
        let bytes = if frame == 0 { KEYFRAME_BYTES } else { INTER_BYTES };
        messages.push(video(first_timestamp + millis, bytes));
        while audio_micros < u64::from(millis + FRAME_MILLIS) * 1_000 {
            let timestamp = first_timestamp + (audio_micros / 1_000) as u32;
            messages.push(audio(timestamp, AUDIO_BYTES));
            audio_micros += AUDIO_MICROS;
        }
    }
    messages
}

/// Set Chunk Size as it is sent.
pub(crate) fn set_chunk_size(chunk_size: u32) -> Bytes {
    let payload = Bytes::copy_from_slice(&chunk_size.to_be_bytes());
    let message = Message {
        message_type: MessageType::SET_CHUNK_SIZE,
        stream_id: 0,
        timestamp: 0,
        payload: payload.into(),
    };
    let mut out = BytesMut::new();
    ChunkEncoder::new().encode(CSID_CONTROL, &message, &mut out);
    out.freeze()
}

/// The messages on the wire, as a publisher with this chunk size sends them.
pub(crate) fn wire(messages: &[MediaMessage], stream_id: u32, chunk_size: u32) -> Bytes {
    let mut encoder = ChunkEncoder::new();
    encoder.set_chunk_size(chunk_size);
    let mut out = BytesMut::new();
    for MediaMessage { kind, timestamp, payload } in messages {
        let message = Message {
            message_type: kind.message_type(),
            stream_id,
            timestamp: *timestamp,
            payload: payload.clone(),
        };
        encoder.encode(edgerelay::hub::frame::csid(*kind), &message, &mut out);
    }
    out.freeze()
}

fn coded(kind: MediaKind, head: &[u8], timestamp: u32, bytes: usize) -> MediaMessage {
    let mut body = BytesMut::with_capacity(bytes);
    body.put_slice(head);
    let filler = (head.len()..bytes).map(|index| (index * 31 % 251) as u8);
    body.extend(filler);
    MediaMessage { kind, timestamp, payload: body.freeze().into() }
}
