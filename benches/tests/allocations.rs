//! Counts what a frame allocates on its way from a publisher's bytes to two hundred players, part by
//! part and in a whole relay. A file of its own with one test, because the allocator is the whole
//! process's.

#[path = "../benches/micro/media.rs"]
mod media;
#[path = "../benches/micro/node.rs"]
mod node;

use std::alloc::System;
use std::time::Duration;

use bytes::Bytes;
use edgerelay::config::AppConfig;
use edgerelay::hub::egress::Segment;
use edgerelay::hub::limits::StreamLimits;
use edgerelay::hub::stream::Stream;
use edgerelay::hub::subscriber::{SubscriberKey, SubscriberOptions};
use edgerelay_proto::chunk::{ChunkDecoder, ChunkLimits};
use edgerelay_proto::session::{MediaKind, MediaMessage};
use edgerelay_proto::time::Instant;
use edgerelay_uring::BatchPool;
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

use self::node::Node;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SUBSCRIBERS: usize = 200;
const CHUNK_SIZE: u32 = 65_536;
const SEND_IOVECS_MAX: usize = 1_024;
const SEND_BYTES_MAX: usize = 1 << 20;

/// Groups of pictures sent before anything is counted, and while it is.
const WARM_UP_GOPS: u32 = 3;
const COUNTED_GOPS: u32 = 2;

/// The publisher's: OBS cuts messages in several slices, others do not.
const CHUNK_SIZES: [u32; 2] = [4_096, 65_536];

/// Allocations for a message in a whole relay. Those there are belong to its clock: deadlines and
/// snapshots, four times a second.
const CLOCK_ALLOCATIONS_MAX: f64 = 0.1;

/// Allocations and reallocations of one part, summed up.
#[derive(Default)]
struct Tally {
    allocations: usize,
    bytes: usize,
}

impl Tally {
    /// Runs one part of a frame's way and adds what it allocates.
    fn count<T>(&mut self, part: impl FnOnce() -> T) -> T {
        let before = ALLOCATOR.stats();
        let outcome = part();
        self.add(ALLOCATOR.stats() - before);
        outcome
    }

    fn add(&mut self, change: Stats) {
        self.allocations += change.allocations + change.reallocations;
        self.bytes += change.bytes_allocated;
    }

    /// Shows what each message allocated, and holds it to `max` allocations.
    fn check(&self, name: &str, messages: usize, max: f64) {
        let each = |sum: usize| sum as f64 / messages as f64;
        let (allocations, bytes) = (each(self.allocations), each(self.bytes));
        println!("  {name:<14} {allocations:>8.3} allocations {bytes:>10.1} bytes");
        assert!(allocations <= max, "{name}: {allocations} allocations, {max} are allowed");
    }
}

#[derive(Default)]
struct Parts {
    decode: Tally,
    append: Tally,
    segments: Tally,
    batch: Tally,
    sent: Tally,
    sweep: Tally,
}

#[test]
fn a_frame_allocates_nothing() {
    for chunk_size in CHUNK_SIZES {
        by_part(chunk_size);
        whole_relay(chunk_size);
    }
}

fn by_part(chunk_size: u32) {
    let mut path = Path::new(chunk_size);
    let mut now = Instant::EPOCH;
    let mut messages = 0;
    for gop in 0..WARM_UP_GOPS + COUNTED_GOPS {
        if gop == WARM_UP_GOPS {
            path.parts = Parts::default();
            messages = 0;
        }
        let first_timestamp = gop * media::GOP_FRAMES * media::FRAME_MILLIS;
        for message in media::group_of_pictures(first_timestamp) {
            let wire = media::wire(&[message], 1, chunk_size);
            // As a slice of a receive buffer is, of which the rest is still there.
            let _rest = wire.clone();
            now += Duration::from_millis(u64::from(media::FRAME_MILLIS)) / 3;
            path.relay(now, wire);
            messages += 1;
            if messages % 100 == 0 {
                path.parts.sweep.count(|| path.stream.handle_timeout(now));
            }
        }
    }
    println!("chunks of {chunk_size} bytes, {SUBSCRIBERS} subscribers, for each message:");
    let parts = path.parts;
    parts.decode.check("decode", messages, 0.0);
    parts.append.check("append", messages, 0.0);
    parts.segments.check("segments", messages, 0.0);
    parts.batch.check("batch", messages, 0.0);
    parts.sent.check("on_sent", messages, 0.0);
    parts.sweep.check("sweep", messages, 0.0);
}

/// A message's way without sockets and sessions, as a shard goes it.
struct Path {
    decoder: ChunkDecoder,
    stream: Stream,
    keys: Vec<SubscriberKey>,
    batches: BatchPool,
    parts: Parts,
}

impl Path {
    fn new(chunk_size: u32) -> Self {
        let now = Instant::EPOCH;
        let mut decoder = ChunkDecoder::new(ChunkLimits::default());
        decoder.handle_input(media::set_chunk_size(chunk_size));
        assert!(decoder.poll_message().unwrap().is_some());
        let mut stream = Stream::new(StreamLimits::new(&AppConfig::default(), CHUNK_SIZE), now);
        stream.on_publish(now);
        for message in media::head() {
            stream.append(now, message);
        }
        let subscribe = |_| stream.subscribe(now, SubscriberOptions::default());
        let keys = (0..SUBSCRIBERS).map(subscribe).collect();
        Self { decoder, stream, keys, batches: BatchPool::default(), parts: Parts::default() }
    }

    fn relay(&mut self, now: Instant, wire: Bytes) {
        let Self { decoder, stream, keys, batches, parts } = self;
        let message = parts.decode.count(|| {
            decoder.handle_input(wire);
            decoder.poll_message().unwrap().unwrap()
        });
        let kind = [MediaKind::Audio, MediaKind::Video, MediaKind::Data]
            .into_iter()
            .find(|kind| kind.message_type() == message.message_type)
            .unwrap();
        let media = MediaMessage { kind, timestamp: message.timestamp, payload: message.payload };
        parts.append.count(|| stream.append(now, media));
        let mut shared = None;
        for key in keys.iter() {
            let poll = || stream.poll_segment(now, *key, SEND_IOVECS_MAX, SEND_BYTES_MAX);
            match parts.segments.count(poll) {
                Segment::Shared { range } => {
                    assert_eq!(*shared.get_or_insert(range.clone()), range);
                }
                Segment::Private(_) => {}
                other => panic!("{other:?} with a frame to send"),
            }
        }
        if let Some(range) = shared {
            let build = || batches.batch(stream.shared_slices(&range).cloned());
            let batch = parts.batch.count(build);
            parts.batch.count(|| batches.put_back(batch));
        }
        for key in keys.iter() {
            parts.sent.count(|| stream.on_sent(now, *key));
        }
    }
}

/// A relay of one shard with sockets: reads, decodes, keeps, sends.
fn whole_relay(chunk_size: u32) {
    let node = Node::start().unwrap();
    let mut publisher = node.publish("stream").unwrap();
    let mut players = node.play("stream", SUBSCRIBERS).unwrap();
    let stream_id = publisher.stream_id();
    publisher.send(&media::set_chunk_size(chunk_size)).unwrap();
    let first = [&media::head()[..], &[media::keyframe(0, media::KEYFRAME_BYTES)]].concat();
    publisher.send(&media::wire(&first, stream_id, chunk_size)).unwrap();
    players.settle((media::KEYFRAME_BYTES * SUBSCRIBERS) as u64).unwrap();

    let mut tally = Tally::default();
    let mut messages = 0;
    for gop in 0..WARM_UP_GOPS + COUNTED_GOPS {
        let gop_millis = media::GOP_FRAMES * media::FRAME_MILLIS;
        for message in media::group_of_pictures((gop + 1) * gop_millis) {
            let wire = media::wire(std::slice::from_ref(&message), stream_id, chunk_size);
            let sent = ((message.payload.len() + HEADER_BYTES) * SUBSCRIBERS) as u64;
            let mut relay = || {
                publisher.send(&wire).unwrap();
                players.receive(sent).unwrap();
            };
            if gop < WARM_UP_GOPS {
                relay();
            } else {
                tally.count(relay);
                messages += 1;
            }
        }
    }
    tally.check("a whole relay", messages, CLOCK_ALLOCATIONS_MAX);
}

/// Chunk header that the relay puts before each message.
const HEADER_BYTES: usize = 12;
