//! Tests of streams as a player sees them: segments are sent, decoded and compared.

mod held;
mod model;
mod publisher;
mod scenarios;
mod slow;
mod timestamps;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use edgerelay_proto::chunk::{CSID_CONTROL, ChunkDecoder, ChunkEncoder, ChunkLimits};
use edgerelay_proto::message::{Message, MessageType};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::time::Instant;

use super::egress::Segment;
use super::limits::StreamLimits;
use super::stream::Stream;
use super::subscriber::{SubscriberKey, SubscriberOptions};

const IOVECS_MAX: usize = 1_024;
const BYTES_MAX: usize = 1 << 20;

fn limits() -> StreamLimits {
    StreamLimits {
        log_bytes_max: 1 << 20,
        log_frames_max: 1_000,
        log_duration_max: Duration::from_secs(30),
        gop_cache: true,
        lag_bytes_max: 1 << 19,
        lag_duration_max: Duration::from_secs(10),
        disconnect_after: Duration::from_secs(20),
        chunk_size: 4_096,
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// What a message is, for short: kind, and the number its payload carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Metadata(u32),
    VideoHeader(u32),
    AudioHeader(u32),
    Keyframe(u32),
    Inter(u32),
    Audio(u32),
    Cue(u32),
    EmptyVideo,
    EmptyAudio,
}

const METADATA: &[u8] = b"\x02\x00\x0AonMetaData";
const CUE: &[u8] = b"\x02\x00\x0AonCuePoint";

fn number(payload: &[u8]) -> u32 {
    payload.last_chunk().copied().map(u32::from_be_bytes).expect("a numbered payload")
}

impl Got {
    fn read(message: &Message) -> Self {
        let payload = message.payload.to_contiguous();
        match (message.message_type, &payload[..]) {
            (MessageType::VIDEO, []) => Self::EmptyVideo,
            (MessageType::AUDIO, []) => Self::EmptyAudio,
            (MessageType::VIDEO, [0x17, 0, ..]) => Self::VideoHeader(number(&payload)),
            (MessageType::VIDEO, [0x17, 1, ..]) => Self::Keyframe(number(&payload)),
            (MessageType::VIDEO, [0x27, 1, ..]) => Self::Inter(number(&payload)),
            (MessageType::AUDIO, [0xAF, 0, ..]) => Self::AudioHeader(number(&payload)),
            (MessageType::AUDIO, [0xAF, 1, ..]) => Self::Audio(number(&payload)),
            (MessageType::DATA_AMF0, data) if data.starts_with(METADATA) => {
                Self::Metadata(number(data))
            }
            (MessageType::DATA_AMF0, data) if data.starts_with(CUE) => Self::Cue(number(data)),
            other => panic!("not a message of these tests: {other:?}"),
        }
    }
}

/// A player: polls, decodes what it gets, and takes as long as it is told to.
struct Player {
    key: SubscriberKey,
    stream_id: u32,
    decoder: ChunkDecoder,
}

impl Player {
    fn join(stream: &mut Stream, now: Instant) -> Self {
        Self::join_with(stream, now, SubscriberOptions::default())
    }

    fn join_with(stream: &mut Stream, now: Instant, options: SubscriberOptions) -> Self {
        let mut decoder = ChunkDecoder::new(ChunkLimits::default());
        let mut hello = BytesMut::new();
        let set_chunk_size = Message {
            message_type: MessageType::SET_CHUNK_SIZE,
            stream_id: 0,
            timestamp: 0,
            payload: Payload::from(Bytes::copy_from_slice(&stream.limits.chunk_size.to_be_bytes())),
        };
        ChunkEncoder::new().encode(CSID_CONTROL, &set_chunk_size, &mut hello);
        decoder.handle_input(hello.freeze());
        decoder.poll_message().expect("a legal chunk size");
        let key = stream.subscribe(now, options);
        Self { key, stream_id: options.message_stream_id, decoder }
    }

    /// Takes one segment without finishing it.
    fn take(&mut self, stream: &mut Stream, now: Instant) -> Result<Vec<Message>, Segment> {
        self.take_within(stream, now, IOVECS_MAX, BYTES_MAX)
    }

    fn take_within(
        &mut self,
        stream: &mut Stream,
        now: Instant,
        iovecs_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Message>, Segment> {
        let slices = match stream.poll_segment(now, self.key, iovecs_max, bytes_max) {
            Segment::Shared { range } => {
                assert!(!range.is_empty(), "a shared segment without frames");
                stream.shared_slices(&range).cloned().collect()
            }
            Segment::Private(slices) => slices,
            other => return Err(other),
        };
        slices.into_iter().for_each(|slice| self.decoder.handle_input(slice));
        let mut messages = Vec::new();
        while let Some(message) = self.decoder.poll_message().expect("legal chunks") {
            assert_eq!(message.stream_id, self.stream_id);
            messages.push(message);
        }
        assert!(!messages.is_empty(), "a segment without a message");
        Ok(messages)
    }

    /// Takes all there is, each send finished at once: timestamps and what they belong to.
    fn drain(&mut self, stream: &mut Stream, now: Instant) -> Vec<(u32, Got)> {
        let mut got = Vec::new();
        while let Ok(messages) = self.take(stream, now) {
            got.extend(messages.iter().map(|message| (message.timestamp, Got::read(message))));
            stream.on_sent(now, self.key);
        }
        got
    }

    /// [`Player::drain`] without the timestamps.
    fn drain_got(&mut self, stream: &mut Stream, now: Instant) -> Vec<Got> {
        self.drain(stream, now).into_iter().map(|(_, got)| got).collect()
    }
}
