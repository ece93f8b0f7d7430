//! A frame's whole way: a publisher's socket, a relay of one shard in this process, players'
//! sockets. Sender and players share a thread of their own, and their cost is in the figure.

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::node::Node;
use crate::{OURS, media};

/// Frames sent before the players are read: half a second of video.
const BURST_FRAMES: u32 = 15;
/// Chunk header that the relay puts before each frame.
const HEADER_BYTES: usize = 12;
const CHUNK_SIZE: u32 = 65_536;

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loopback_fan_out");
    for players in [1, 50, 200] {
        let frame_bytes = HEADER_BYTES + media::INTER_BYTES;
        let burst = (BURST_FRAMES as usize * frame_bytes * players) as u64;
        let joined = (media::KEYFRAME_BYTES * players) as u64;
        group.throughput(Throughput::Bytes(burst));
        group.bench_function(BenchmarkId::new(OURS, players), |bencher| {
            let node = Node::start().expect("a relay");
            let mut publisher = node.publish("stream").expect("a publisher");
            let mut players = node.play("stream", players).expect("players");
            let stream_id = publisher.stream_id();
            let first = [&media::head()[..], &[media::keyframe(0, media::KEYFRAME_BYTES)]].concat();
            publisher.send(&media::wire(&first, stream_id, CHUNK_SIZE)).expect("a relay");
            players.settle(joined).expect("players");
            // A timestamp of their own for every burst would have to be made within the timed
            // part; that it does not move is nothing to the relay.
            let keyframe = media::keyframe(0, media::INTER_BYTES);
            let inters = (1..BURST_FRAMES).map(|_| media::inter(0, media::INTER_BYTES));
            let frames: Vec<_> = std::iter::once(keyframe).chain(inters).collect();
            let wire = media::wire(&frames, stream_id, CHUNK_SIZE);
            bencher.iter(|| {
                publisher.send(&wire).expect("a relay");
                players.receive(burst).expect("every byte");
            });
        });
    }
    group.finish();
}
