//! Chunks to messages and back, for three sizes of messages and three of chunks.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use edgerelay::hub::frame::csid;
use edgerelay_proto::chunk::{ChunkDecoder, ChunkEncoder, ChunkLimits, encode_media};
use edgerelay_proto::message::Message;
use edgerelay_proto::session::MediaMessage;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;

use crate::{OURS, RML_RTMP, media};

const MESSAGE_BYTES: [usize; 3] = [200, 5_000, 60_000];
const CHUNK_SIZES: [u32; 3] = [128, 4_096, 65_536];
/// What one iteration works on, and what one read of a publisher's socket brings at most.
const INPUT_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 64 * 1024;

pub(crate) fn benches(criterion: &mut Criterion) {
    decode(criterion);
    encode(criterion);
}

fn cases() -> impl Iterator<Item = (usize, u32, String)> {
    MESSAGE_BYTES.into_iter().flat_map(|bytes| {
        CHUNK_SIZES.into_iter().map(move |size| (bytes, size, format!("{bytes}B/{size}")))
    })
}

fn messages(bytes: usize) -> Vec<MediaMessage> {
    (0..INPUT_BYTES / bytes).map(|at| media::inter(at as u32, bytes)).collect()
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk_decode");
    for (bytes, chunk_size, case) in cases() {
        let messages = messages(bytes);
        let wire = media::wire(&messages, 1, chunk_size);
        let reads: Vec<Bytes> = wire.chunks(READ_BYTES).map(|read| wire.slice_ref(read)).collect();
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(BenchmarkId::new(OURS, &case), |bencher| {
            let mut decoder = ChunkDecoder::new(ChunkLimits::default());
            decoder.handle_input(media::set_chunk_size(chunk_size));
            assert!(decoder.poll_message().expect("a message").is_some());
            bencher.iter(|| {
                let mut count = 0;
                for read in &reads {
                    decoder.handle_input(read.clone());
                    while let Some(message) = decoder.poll_message().expect("whole messages") {
                        black_box(message);
                        count += 1;
                    }
                }
                assert_eq!(count, messages.len());
            });
        });
        group.bench_function(BenchmarkId::new(RML_RTMP, &case), |bencher| {
            let mut deserializer = ChunkDeserializer::new();
            deserializer.set_max_chunk_size(chunk_size as usize).expect("a size");
            bencher.iter(|| {
                let mut count = 0;
                for read in &reads {
                    let mut input = &read[..];
                    while let Some(message) =
                        deserializer.get_next_message(input).expect("whole messages")
                    {
                        black_box(message);
                        count += 1;
                        input = &[];
                    }
                }
                assert_eq!(count, messages.len());
            });
        });
    }
    group.finish();
}

/// Ours cuts a media message for a gathering write and copies nothing of it; `ours_copied` is our
/// encoder of commands, which makes one piece of it as `rml_rtmp` does.
fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk_encode");
    for (bytes, chunk_size, case) in cases() {
        let messages = messages(bytes);
        group.throughput(Throughput::Bytes((bytes * messages.len()) as u64));
        group.bench_function(BenchmarkId::new(OURS, &case), |bencher| {
            bencher.iter(|| {
                for MediaMessage { kind, timestamp, payload } in &messages {
                    let (csid, kind) = (csid(*kind), kind.message_type());
                    black_box(encode_media(csid, kind, 1, *timestamp, payload, chunk_size));
                }
            });
        });
        group.bench_function(BenchmarkId::new("ours_copied", &case), |bencher| {
            let messages: Vec<_> = messages.iter().map(as_message).collect();
            let mut encoder = ChunkEncoder::new();
            encoder.set_chunk_size(chunk_size);
            bencher.iter(|| {
                for message in &messages {
                    let mut out = BytesMut::new();
                    encoder.encode(6, message, &mut out);
                    black_box(out);
                }
            });
        });
        group.bench_function(BenchmarkId::new(RML_RTMP, &case), |bencher| {
            let messages: Vec<_> = messages.iter().map(as_payload).collect();
            let mut serializer = ChunkSerializer::new();
            serializer.set_max_chunk_size(chunk_size, RtmpTimestamp::new(0)).expect("a size");
            bencher.iter(|| {
                for message in &messages {
                    black_box(serializer.serialize(message, false, false).expect("a packet"));
                }
            });
        });
    }
    group.finish();
}

fn as_message(media: &MediaMessage) -> Message {
    Message {
        message_type: media.kind.message_type(),
        stream_id: 1,
        timestamp: media.timestamp,
        payload: media.payload.clone(),
    }
}

fn as_payload(media: &MediaMessage) -> MessagePayload {
    MessagePayload {
        timestamp: RtmpTimestamp::new(media.timestamp),
        type_id: media.kind.message_type().0,
        message_stream_id: 1,
        data: media.payload.to_contiguous(),
    }
}
