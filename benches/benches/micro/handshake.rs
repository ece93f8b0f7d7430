//! The handshake in memory: a client and a server from the first byte to the last, and the server
//! alone.
//!
//! `rml_rtmp`'s client always sends a digest; its server takes both kinds.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use edgerelay_proto::handshake::{
    BLOCK_BYTES, ClientHandshake, ClientHandshakeKind, HandshakeStep, ServerHandshake,
};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};

use crate::{OURS, RML_RTMP};

/// Both sides' version bytes and two blocks each.
const EXCHANGE_BYTES: usize = 2 * (1 + 2 * BLOCK_BYTES);

const KINDS: [(&str, ClientHandshakeKind); 2] =
    [("simple", ClientHandshakeKind::Plain), ("digest", ClientHandshakeKind::Digest)];

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake");
    group.throughput(Throughput::Bytes(EXCHANGE_BYTES as u64));
    for (name, kind) in KINDS {
        group.bench_function(BenchmarkId::new(OURS, name), |bencher| {
            let mut seed = 0;
            bencher.iter(|| {
                seed += 1;
                ours(kind, seed);
            });
        });
    }
    group.bench_function(BenchmarkId::new(RML_RTMP, "digest"), |bencher| bencher.iter(theirs));
    group.finish();

    let mut group = criterion.benchmark_group("handshake_server");
    group.throughput(Throughput::Bytes(EXCHANGE_BYTES as u64));
    for (name, kind) in KINDS {
        let hello = our_step(&mut ClientHandshake::new(7, kind), &mut Bytes::new());
        group.bench_function(BenchmarkId::new(OURS, name), |bencher| {
            let mut seed = 0;
            bencher.iter(|| {
                seed += 1;
                our_step(&mut ServerHandshake::new(seed), &mut hello.clone())
            });
        });
        group.bench_function(BenchmarkId::new(RML_RTMP, name), |bencher| {
            bencher.iter(|| their_step(&mut Handshake::new(PeerType::Server), &hello));
        });
    }
    group.finish();
}

fn ours(kind: ClientHandshakeKind, seed: u64) {
    let mut client = ClientHandshake::new(seed, kind);
    let mut server = ServerHandshake::new(!seed);
    let mut hello = our_step(&mut client, &mut Bytes::new());
    let mut answer = our_step(&mut server, &mut hello);
    let mut reply = our_step(&mut client, &mut answer);
    assert_eq!(client.handle_input(&mut answer), Ok(HandshakeStep::Done));
    assert_eq!(server.handle_input(&mut reply), Ok(HandshakeStep::Done));
}

trait Shakes {
    fn shake(&mut self, input: &mut Bytes) -> HandshakeStep;
}

impl Shakes for ClientHandshake {
    fn shake(&mut self, input: &mut Bytes) -> HandshakeStep {
        self.handle_input(input).expect("a handshake")
    }
}

impl Shakes for ServerHandshake {
    fn shake(&mut self, input: &mut Bytes) -> HandshakeStep {
        self.handle_input(input).expect("a handshake")
    }
}

fn our_step(side: &mut impl Shakes, input: &mut Bytes) -> Bytes {
    match side.shake(input) {
        HandshakeStep::Send(bytes) => bytes,
        other => panic!("{other:?} where bytes are to be sent"),
    }
}

fn theirs() {
    let mut client = Handshake::new(PeerType::Client);
    let mut server = Handshake::new(PeerType::Server);
    let hello = client.generate_outbound_p0_and_p1().expect("C0 and C1");
    let answer = their_step(&mut server, &hello);
    let reply = their_step(&mut client, &answer);
    let end = server.process_bytes(&reply).expect("a handshake");
    assert!(matches!(end, HandshakeProcessResult::Completed { .. }));
}

fn their_step(side: &mut Handshake, input: &[u8]) -> Vec<u8> {
    match side.process_bytes(input).expect("a handshake") {
        HandshakeProcessResult::InProgress { response_bytes }
        | HandshakeProcessResult::Completed { response_bytes, .. } => response_bytes,
    }
}
