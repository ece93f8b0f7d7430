//! Received audio, video and data messages to what sessions hand on: aggregates split, AMF3 framing
//! and `@setDataFrame` taken off. Must not copy payloads.

use super::media::{MediaKind, MediaMessage};
use crate::fault::PeerFault;
use crate::limits::AGGREGATE_MESSAGES_MAX;
use crate::media::{PayloadReader, strip_set_data_frame};
use crate::message::{Message, MessageType};
use crate::payload::Payload;

/// Whether a message is one that [`media_messages`] reads.
pub(super) const fn is_media(message_type: MessageType) -> bool {
    matches!(
        message_type,
        MessageType::AUDIO
            | MessageType::VIDEO
            | MessageType::DATA_AMF0
            | MessageType::DATA_AMF3
            | MessageType::AGGREGATE
    )
}

/// Calls `sink` with every media message in `message`, which is taken: to clone a payload of many
/// slices allocates.
pub(super) fn media_messages(
    message: Message,
    sink: &mut impl FnMut(MediaMessage) -> Result<(), PeerFault>,
) -> Result<(), PeerFault> {
    if message.message_type == MessageType::AGGREGATE {
        return split_aggregate(&message, sink);
    }
    match media_message(message.message_type, message.timestamp, message.payload) {
        Some(media) => sink(media),
        None => Ok(()),
    }
}

fn media_message(
    message_type: MessageType,
    timestamp: u32,
    payload: Payload,
) -> Option<MediaMessage> {
    let (kind, payload) = match message_type {
        MessageType::AUDIO => (MediaKind::Audio, payload),
        MessageType::VIDEO => (MediaKind::Video, payload),
        MessageType::DATA_AMF0 => (MediaKind::Data, strip_set_data_frame(&payload)),
        MessageType::DATA_AMF3 => {
            let inner = match payload.prefix::<1>() {
                ([0], 1) => payload.slice(1, payload.len()),
                _ => payload,
            };
            (MediaKind::Data, strip_set_data_frame(&inner))
        }
        _ => return None,
    };
    // A bare `@setDataFrame` says nothing to anybody; empty audio and video are passed on.
    (kind != MediaKind::Data || !payload.is_empty()).then_some(MediaMessage {
        kind,
        timestamp,
        payload,
    })
}

/// RTMP 1.0 §7.1.6: FLV tags, their timestamps moved so that the first has the aggregate's. What is
/// cut off at the end is dropped.
fn split_aggregate(
    aggregate: &Message,
    sink: &mut impl FnMut(MediaMessage) -> Result<(), PeerFault>,
) -> Result<(), PeerFault> {
    const BACK_POINTER_BYTES: usize = 4;

    let mut reader = PayloadReader::new(&aggregate.payload);
    let mut first_timestamp = None;
    for _ in 0..AGGREGATE_MESSAGES_MAX {
        let Some((message_type, len, timestamp)) = read_tag_header(&mut reader) else {
            return Ok(());
        };
        let start = reader.position();
        if reader.skip(len).is_none() {
            return Ok(());
        }
        let first = *first_timestamp.get_or_insert(timestamp);
        let timestamp = aggregate.timestamp.wrapping_add(timestamp.wrapping_sub(first));
        let payload = aggregate.payload.slice(start, start + len);
        if let Some(media) = media_message(message_type, timestamp, payload) {
            sink(media)?;
        }
        if reader.skip(BACK_POINTER_BYTES).is_none() {
            return Ok(());
        }
    }
    if reader.remaining() == 0 {
        Ok(())
    } else {
        Err(PeerFault::TooMany("messages in an aggregate"))
    }
}

fn read_tag_header(reader: &mut PayloadReader<'_>) -> Option<(MessageType, usize, u32)> {
    let message_type = MessageType(reader.u8()?);
    let len = reader.u24()? as usize;
    let [high, middle, low, top] = reader.array()?;
    reader.skip(3)?; // message stream id, always the aggregate's
    Some((message_type, len, u32::from_be_bytes([top, high, middle, low])))
}
