//! The handshake, chunks and AMF0.

use bytes::{Bytes, BytesMut};
use edgerelay_proto::amf0::{Value, decode_all, decode_leading, decode_one, encode_all};
use edgerelay_proto::chunk::{ChunkDecoder, ChunkEncoder, ChunkLimits};
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::handshake::{
    ClientHandshake, ClientHandshakeKind, HandshakeStep, ServerHandshake,
};
use edgerelay_proto::limits::{COALESCE_BYTES, PAYLOAD_SLICES_FREE};
use edgerelay_proto::message::{Message, MessageType};

use super::reads;

/// Small, so that the fuzzer reaches the limits.
const LIMITS: ChunkLimits = ChunkLimits { message_bytes_max: 16 * 1024, chunk_streams_max: 8 };

/// A handshake gives the same however it is cut, and leaves exactly what follows it.
pub fn handshake(data: &[u8]) {
    let Some((whole, pieces)) = reads(data) else { return };
    let server = |reads: &[Bytes]| {
        let mut handshake = ServerHandshake::new(1);
        run_handshake(reads, |input| handshake.handle_input(input))
    };
    assert_eq!(server(std::slice::from_ref(&whole)), server(&pieces));
    for kind in [ClientHandshakeKind::Plain, ClientHandshakeKind::Digest] {
        let client = |reads: &[Bytes]| {
            let mut handshake = ClientHandshake::new(1, kind);
            run_handshake(reads, |input| handshake.handle_input(input))
        };
        assert_eq!(client(std::slice::from_ref(&whole)), client(&pieces));
    }
}

/// What was sent, what was left over, and the fault.
type Handshaken = (Vec<Bytes>, Vec<u8>, Option<PeerFault>);

fn run_handshake(
    reads: &[Bytes],
    mut handle_input: impl FnMut(&mut Bytes) -> Result<HandshakeStep, PeerFault>,
) -> Handshaken {
    let (mut sent, mut left, mut done) = (Vec::new(), Vec::new(), false);
    // The first call is without input: a client has something to send before it gets any.
    for read in std::iter::once(&Bytes::new()).chain(reads) {
        let mut input = read.clone();
        while !done {
            match handle_input(&mut input) {
                Ok(HandshakeStep::NeedMore) => {
                    assert!(input.is_empty(), "more is needed, so all is consumed");
                    break;
                }
                Ok(HandshakeStep::Send(bytes)) => sent.push(bytes),
                Ok(HandshakeStep::Done) => done = true,
                Err(fault) => return (sent, left, Some(fault)),
            }
        }
        left.extend_from_slice(&input);
    }
    (sent, left, None)
}

/// Chunks give the same messages however they are cut, memory stays within its bound, and each
/// message survives being encoded and decoded again.
pub fn chunk_decoder(data: &[u8]) {
    let Some((whole, pieces)) = reads(data) else { return };
    let decoded = run_decoder(std::slice::from_ref(&whole));
    assert_eq!(decoded, run_decoder(&pieces));
    let (messages, _) = decoded;
    for message in &messages {
        assert_eq!(again(message).as_ref(), Some(message));
    }
}

fn run_decoder(reads: &[Bytes]) -> (Vec<Message>, Option<PeerFault>) {
    let mut decoder = ChunkDecoder::new(LIMITS);
    let (mut messages, mut received) = (Vec::new(), 0);
    for read in reads {
        received += read.len();
        decoder.handle_input(read.clone());
        loop {
            let polled = decoder.poll_message();
            assert!(decoder.partial_bytes() <= received);
            match polled {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => return (messages, Some(fault)),
            }
            assert!(decoder.partial_bytes() <= LIMITS.partial_bytes_max());
        }
    }
    for message in &messages {
        let len = message.payload.len();
        assert!(len <= LIMITS.message_bytes_max);
        let slices_max = PAYLOAD_SLICES_FREE + 2 + 2 * len / COALESCE_BYTES;
        assert!(message.payload.slices().len() <= slices_max);
    }
    (messages, None)
}

fn again(message: &Message) -> Option<Message> {
    let mut wire = BytesMut::new();
    // A chunk size message would have to be obeyed by its own continuation.
    let mut decoder = ChunkDecoder::new(LIMITS);
    let sent = Message { message_type: MessageType(255), ..message.clone() };
    ChunkEncoder::new().encode(3, &sent, &mut wire);
    decoder.handle_input(wire.freeze());
    let decoded = decoder.poll_message().expect("our own chunks");
    assert_eq!(decoder.partial_bytes(), 0);
    decoded.map(|decoded| Message { message_type: message.message_type, ..decoded })
}

/// What decodes encodes to bytes that decode to the same, and the three ways of decoding agree.
pub fn amf0(data: &[u8]) {
    let (values, fault) = decode_leading(data);
    assert_eq!(decode_all(data).err(), fault);
    if values.len() > 64 {
        // Each `decode_one` may read far before its fault.
        return;
    }
    let first = encoded(&values);
    let mut input = &first[..];
    let mut again = Vec::new();
    while !input.is_empty() {
        again.push(decode_one(&mut input).expect("our own AMF0"));
    }
    // Bytes, not values: NaN differs from itself.
    assert_eq!(encoded(&again), first);
}

fn encoded(values: &[Value]) -> BytesMut {
    let mut out = BytesMut::new();
    encode_all(values, &mut out);
    out
}
