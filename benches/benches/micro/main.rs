//! Micro-benchmarks of what a frame meets on its way through the relay, and of what opens a
//! connection. The `rml_rtmp` crate stands beside ours wherever it does the same work; inputs are
//! made outside the timed part.
//!
//! `cargo bench -p edgerelay-benches -- chunk_decode` runs one group.

mod amf0;
mod chunk;
mod handshake;
mod hub;
mod loopback;
mod media;
mod node;
mod session;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// The allocator that the relay runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Names of the two implementations within a group.
const OURS: &str = "ours";
const RML_RTMP: &str = "rml_rtmp";

/// Short enough that the whole suite takes a few minutes.
fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
}

criterion_group! {
    name = benches;
    config = settings();
    targets = chunk::benches, amf0::benches, handshake::benches, session::benches, hub::benches,
        loopback::benches
}
criterion_main!(benches);
