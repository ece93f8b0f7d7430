//! The hub without sockets: one frame to many subscribers, and a subscriber that joins.

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use edgerelay::config::AppConfig;
use edgerelay::hub::egress::Segment;
use edgerelay::hub::limits::StreamLimits;
use edgerelay::hub::stream::Stream;
use edgerelay::hub::subscriber::{SubscriberKey, SubscriberOptions};
use edgerelay_proto::session::MediaMessage;
use edgerelay_proto::time::Instant;
use edgerelay_uring::{BatchPool, SendBatch};

use crate::{OURS, media};

const CHUNK_SIZE: u32 = 65_536;
const SEND_IOVECS_MAX: usize = 1_024;
const SEND_BYTES_MAX: usize = 1 << 20;
/// Frames between two sweeps of old frames: a shard sweeps once a second.
const SWEEP_FRAMES: u32 = 30;

pub(crate) fn benches(criterion: &mut Criterion) {
    fan_out(criterion);
    join(criterion);
}

/// A stream with its publisher's headers in it.
fn published(now: Instant) -> Stream {
    let mut stream = Stream::new(StreamLimits::new(&AppConfig::default(), CHUNK_SIZE), now);
    stream.on_publish(now);
    for message in media::head() {
        stream.append(now, message);
    }
    stream
}

/// Appends a frame, makes its batch, and hands it to every subscriber, as a turn of a shard does.
fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub_fan_out");
    for subscribers in [1, 50, 200, 500] {
        let bytes = (media::INTER_BYTES * subscribers) as u64;
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new(OURS, subscribers), |bencher| {
            let mut now = Instant::EPOCH;
            let mut stream = published(now);
            let keys: Vec<_> = (0..subscribers)
                .map(|_| stream.subscribe(now, SubscriberOptions::default()))
                .collect();
            let keyframe = media::keyframe(0, media::INTER_BYTES);
            let inter = media::inter(0, media::INTER_BYTES);
            stream.append(now, keyframe.clone());
            for key in &keys {
                let segment = stream.poll_segment(now, *key, SEND_IOVECS_MAX, SEND_BYTES_MAX);
                assert!(matches!(segment, Segment::Private(_)), "a join");
                stream.on_sent(now, *key);
            }
            let mut batches = BatchPool::default();
            let mut frame = 0;
            bencher.iter(|| {
                frame += 1;
                now += Duration::from_millis(u64::from(media::FRAME_MILLIS));
                let first = frame % media::GOP_FRAMES == 0;
                let template = if first { &keyframe } else { &inter };
                let timestamp = frame * media::FRAME_MILLIS;
                stream.append(now, MediaMessage { timestamp, ..template.clone() });
                if frame % SWEEP_FRAMES == 0 {
                    stream.handle_timeout(now);
                }
                send_to_all(&mut stream, &mut batches, now, &keys);
            });
        });
    }
    group.finish();
}

fn send_to_all(stream: &mut Stream, batches: &mut BatchPool, now: Instant, keys: &[SubscriberKey]) {
    let mut shared = None;
    for key in keys {
        let segment = stream.poll_segment(now, *key, SEND_IOVECS_MAX, SEND_BYTES_MAX);
        let Segment::Shared { range } = segment else { panic!("{segment:?} in steady state") };
        let (of, batch) = shared.get_or_insert_with(|| {
            let batch = batches.batch(stream.shared_slices(&range).cloned());
            (range.clone(), batch)
        });
        assert_eq!(*of, range);
        black_box(Rc::clone(batch));
    }
    for key in keys {
        black_box(stream.on_sent(now, *key));
    }
    if let Some((_, batch)) = shared {
        batches.put_back(batch);
        batches.release();
    }
}

/// Subscribes to a stream with a whole group of pictures in its log, and takes the first segment:
/// metadata, headers and all frames since the keyframe.
fn join(criterion: &mut Criterion) {
    let now = Instant::EPOCH;
    let mut stream = published(now);
    let messages = media::group_of_pictures(0);
    let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
    for message in messages {
        stream.append(now, message);
    }
    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(BenchmarkId::new(OURS, "gop_2s"), |bencher| {
        bencher.iter(|| {
            let key = stream.subscribe(now, SubscriberOptions::default());
            let segment = stream.poll_segment(now, key, SEND_IOVECS_MAX, SEND_BYTES_MAX);
            let Segment::Private(slices) = segment else { panic!("{segment:?} at a join") };
            black_box(SendBatch::new(slices));
            stream.on_sent(now, key);
            stream.unsubscribe(key);
        });
    });
    group.finish();
}
