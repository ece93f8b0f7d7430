//! A publisher's bytes through a server session: what arrives on a socket to media messages.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession, RtmpUrl, ServerEvent,
    ServerOutput, ServerSession, ServerSessionConfig,
};
use edgerelay_proto::time::Instant;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions as rml;

use crate::{OURS, RML_RTMP, media};

const READ_BYTES: usize = 64 * 1024;

pub(crate) fn benches(criterion: &mut Criterion) {
    let messages = media::group_of_pictures(0);
    let mut group = criterion.benchmark_group("session");
    for chunk_size in [128, 4_096, 65_536] {
        let case = format!("2.5Mbps/{chunk_size}");
        let wire = media::wire(&messages, 1, chunk_size);
        let reads: Vec<Bytes> = wire.chunks(READ_BYTES).map(|read| wire.slice_ref(read)).collect();
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(BenchmarkId::new(OURS, &case), |bencher| {
            let mut session = our_publishing_session();
            our_media(&mut session, media::set_chunk_size(chunk_size));
            bencher.iter(|| {
                let count: usize =
                    reads.iter().map(|read| our_media(&mut session, read.clone())).sum();
                assert_eq!(count, messages.len());
            });
        });
        group.bench_function(BenchmarkId::new(RML_RTMP, &case), |bencher| {
            let mut session = their_publishing_session();
            their_media(&mut session, &media::set_chunk_size(chunk_size));
            bencher.iter(|| {
                let count: usize = reads.iter().map(|read| their_media(&mut session, read)).sum();
                assert_eq!(count, messages.len());
            });
        });
    }
    group.finish();
}

/// Hands in what was read; how many media messages that gave.
fn our_media(session: &mut ServerSession, read: Bytes) -> usize {
    session.handle_input(Instant::EPOCH, read).expect("well-formed RTMP");
    let mut count = 0;
    while let Some(output) = session.poll_output() {
        if let ServerOutput::Event(ServerEvent::Media { message, .. }) = output {
            black_box(message);
            count += 1;
        }
    }
    count
}

fn their_media(session: &mut rml::ServerSession, read: &[u8]) -> usize {
    let results = session.handle_input(read).expect("well-formed RTMP");
    let mut count = 0;
    for result in results {
        if let rml::ServerSessionResult::RaisedEvent(
            rml::ServerSessionEvent::VideoDataReceived { data, .. }
            | rml::ServerSessionEvent::AudioDataReceived { data, .. },
        ) = result
        {
            black_box(data);
            count += 1;
        }
    }
    count
}

fn publisher() -> ClientSession {
    let url = RtmpUrl::parse("rtmp://127.0.0.1/live/stream").expect("a URL");
    ClientSession::new(ClientConfig::new(url, ClientMode::Publish), Instant::EPOCH, 7)
}

/// What a publisher sends next; whether it may send media.
fn client_outputs(client: &mut ClientSession) -> (Bytes, bool) {
    let mut bytes = BytesMut::new();
    let mut ready = false;
    while let Some(output) = client.poll_output() {
        match output {
            ClientOutput::Send(piece) => bytes.extend_from_slice(&piece),
            ClientOutput::Event(event) => ready |= matches!(event, ClientEvent::Ready { .. }),
        }
    }
    (bytes.freeze(), ready)
}

/// A session of ours whose client has been let publish.
fn our_publishing_session() -> ServerSession {
    let mut client = publisher();
    let mut server = ServerSession::new(ServerSessionConfig::default(), Instant::EPOCH, 7);
    loop {
        let (bytes, ready) = client_outputs(&mut client);
        if ready {
            return server;
        }
        server.handle_input(Instant::EPOCH, bytes).expect("well-formed RTMP");
        while let Some(output) = server.poll_output() {
            match output {
                ServerOutput::Send(bytes) => {
                    client.handle_input(Instant::EPOCH, bytes).expect("well-formed RTMP");
                }
                ServerOutput::Event(ServerEvent::Connect(_)) => {
                    server.accept_connect().expect("a connect");
                }
                ServerOutput::Event(ServerEvent::Publish(request)) => {
                    server.accept_publish(request.stream_id).expect("a publish");
                }
                ServerOutput::Event(_) => {}
            }
        }
    }
}

/// A session of `rml_rtmp`'s whose client, ours, has been let publish.
fn their_publishing_session() -> rml::ServerSession {
    let mut client = publisher();
    let mut input = shake_hands(&mut client);
    let config = rml::ServerSessionConfig::new();
    let (mut server, results) = rml::ServerSession::new(config).expect("a session");
    hand_over(&mut client, &mut server, results);
    loop {
        let results = server.handle_input(&input).expect("well-formed RTMP");
        hand_over(&mut client, &mut server, results);
        let (bytes, ready) = client_outputs(&mut client);
        if ready {
            return server;
        }
        input = bytes;
    }
}

/// What the client says behind the handshake.
fn shake_hands(client: &mut ClientSession) -> Bytes {
    let mut handshake = Handshake::new(PeerType::Server);
    loop {
        let (bytes, _) = client_outputs(client);
        match handshake.process_bytes(&bytes).expect("a handshake") {
            HandshakeProcessResult::InProgress { response_bytes } => {
                client.handle_input(Instant::EPOCH, response_bytes.into()).expect("a handshake");
            }
            HandshakeProcessResult::Completed { remaining_bytes, .. } => {
                return remaining_bytes.into();
            }
        }
    }
}

fn hand_over(
    client: &mut ClientSession,
    server: &mut rml::ServerSession,
    results: Vec<rml::ServerSessionResult>,
) {
    for result in results {
        let accepted = match result {
            rml::ServerSessionResult::OutboundResponse(packet) => {
                client.handle_input(Instant::EPOCH, packet.bytes.into()).expect("well-formed RTMP");
                continue;
            }
            rml::ServerSessionResult::RaisedEvent(
                rml::ServerSessionEvent::ConnectionRequested { request_id, .. }
                | rml::ServerSessionEvent::PublishStreamRequested { request_id, .. },
            ) => server.accept_request(request_id).expect("a request"),
            _ => continue,
        };
        hand_over(client, server, accepted);
    }
}
