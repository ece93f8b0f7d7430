//! Handshake: what clients and servers send, in every cut.

use bytes::{Bytes, BytesMut};

use super::block::{Block, random_block, set_fields};
use super::digest::{self, Scheme, Side};
use super::{BLOCK_BYTES, ClientHandshake, ClientHandshakeKind, HandshakeStep, ServerHandshake};
use crate::fault::PeerFault;

/// Feeds `input` in pieces of `piece` bytes; what was sent, each send apart, and what is left.
fn serve(input: &[u8], piece: usize) -> Result<(Vec<Bytes>, Vec<u8>), PeerFault> {
    let mut server = ServerHandshake::new(7);
    let (mut sent, mut left, mut done) = (Vec::new(), Vec::new(), false);
    for piece in input.chunks(piece) {
        let mut piece = Bytes::copy_from_slice(piece);
        while !done {
            match server.handle_input(&mut piece)? {
                HandshakeStep::NeedMore => break,
                HandshakeStep::Send(bytes) => sent.push(bytes),
                HandshakeStep::Done => done = true,
            }
        }
        left.extend(&piece);
    }
    Ok((sent, left))
}

fn plain_c1() -> Block {
    let mut c1 = random_block(1);
    set_fields(&mut c1, [0, 0, 1, 2], [0; 4]);
    c1
}

fn digest_c1(scheme: Scheme) -> Block {
    let mut c1 = random_block(2);
    set_fields(&mut c1, [0; 4], [9, 0, 124, 2]);
    digest::sign(&mut c1, scheme, Side::Client);
    c1
}

/// C0, C1, a C2 that echoes nothing, and the first chunk.
fn client_bytes(c1: &Block) -> Vec<u8> {
    [&[3], &c1[..], &[0x55; BLOCK_BYTES], b"chunk"].concat()
}

fn blocks(answer: &Bytes) -> (Block, Block) {
    assert_eq!((answer.len(), answer[0]), (1 + 2 * BLOCK_BYTES, 3));
    let s1 = answer[1..=BLOCK_BYTES].try_into().expect("S1");
    (s1, answer[1 + BLOCK_BYTES..].try_into().expect("S2"))
}

#[test]
fn the_answer_is_one_send_whatever_the_pieces_and_c2_is_not_judged() {
    for c1 in [plain_c1(), digest_c1(Scheme::Zero), digest_c1(Scheme::One)] {
        let input = client_bytes(&c1);
        let whole = serve(&input, input.len()).expect("accepted");
        assert_eq!((whole.0.len(), &whole.1[..]), (1, &b"chunk"[..]));
        for piece in [1, 2, 700, 1536, 1537, 1538, 3073] {
            assert_eq!(serve(&input, piece), Ok(whole.clone()), "pieces of {piece}");
        }
    }
}

#[test]
fn a_plain_client_gets_its_c1_back() {
    let c1 = plain_c1();
    let (sent, _) = serve(&client_bytes(&c1), 4096).expect("accepted");
    let (s1, s2) = blocks(&sent[0]);
    assert_eq!(s2, c1);
    assert_eq!(s1[4..8], [0; 4], "a plain server has version zero");
    assert_eq!(digest::find(&s1, Side::Server), None);
}

#[test]
fn a_digest_client_gets_digests_of_its_scheme() {
    for scheme in [Scheme::Zero, Scheme::One] {
        let c1 = digest_c1(scheme);
        let (sent, _) = serve(&client_bytes(&c1), 4096).expect("accepted");
        let (s1, s2) = blocks(&sent[0]);
        assert_eq!(digest::find(&s1, Side::Server).map(|(found, _)| found), Some(scheme));
        let (_, client_digest) = digest::find(&c1, Side::Client).expect("signed");
        let mut expected = s2;
        expected[BLOCK_BYTES - 32..].fill(0);
        digest::sign_reply(&mut expected, Side::Server, &client_digest);
        assert_eq!(s2, expected);
    }
}

#[test]
fn a_broken_digest_falls_back_to_the_plain_answer_on_the_same_bytes() {
    let mut c1 = digest_c1(Scheme::One);
    c1[BLOCK_BYTES - 1] ^= 1;
    let (sent, _) = serve(&client_bytes(&c1), 4096).expect("accepted");
    assert_eq!(blocks(&sent[0]).1, c1);
}

#[test]
fn the_digest_is_hmac_sha256_over_the_block_without_it() {
    // All-zero pointers put the digest right behind them. The digest was computed apart from this
    // code, with Python's hmac module.
    let mut block = [0; BLOCK_BYTES];
    digest::sign(&mut block, Scheme::One, Side::Client);
    assert_eq!(hex(&block[12..44]), ZERO_BLOCK_CLIENT_DIGEST);
    let mut block = [0; BLOCK_BYTES];
    digest::sign(&mut block, Scheme::Zero, Side::Server);
    assert_eq!(hex(&block[776..808]), ZERO_BLOCK_SERVER_DIGEST);
    let mut reply = [0; BLOCK_BYTES];
    digest::sign_reply(&mut reply, Side::Server, &[0; 32]);
    assert_eq!(hex(&reply[BLOCK_BYTES - 32..]), ZERO_REPLY_SERVER_DIGEST);
    let mut reply = [0; BLOCK_BYTES];
    digest::sign_reply(&mut reply, Side::Client, &[0; 32]);
    assert_eq!(hex(&reply[BLOCK_BYTES - 32..]), ZERO_REPLY_CLIENT_DIGEST);
}

const ZERO_BLOCK_CLIENT_DIGEST: &str =
    "48568ca3c957d19edd1d11d5a3dc2205f432d23464a3dcb849a22c91822a65d0";
const ZERO_BLOCK_SERVER_DIGEST: &str =
    "cb0601e2795f92cb6e9910805cb09d9b8050bd00faec8f9d0280024c34a90b29";
const ZERO_REPLY_SERVER_DIGEST: &str =
    "6ed73ae4a999bf1cbb935655d0b0ef62f5575e73956bd94bdb20ab2c23b67522";
const ZERO_REPLY_CLIENT_DIGEST: &str =
    "33475a9344118c706c7ebd4d42bdca613ddfc0380acde396f0f9721b95aaab6b";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_digest_fits_at_its_farthest_place() {
    for scheme in [Scheme::Zero, Scheme::One] {
        for pointer in [[0xFF; 4], [0xFF, 0xFF, 0xD9, 0], [0xB6; 4]] {
            let mut block = random_block(3);
            block[8..12].copy_from_slice(&pointer);
            block[772..776].copy_from_slice(&pointer);
            digest::sign(&mut block, scheme, Side::Client);
            assert_eq!(digest::find(&block, Side::Client).map(|(found, _)| found), Some(scheme));
        }
    }
}

#[test]
fn other_protocols_are_told_by_their_first_byte() {
    for (input, fault) in [
        (&b"\x06"[..], PeerFault::Rtmpe),
        (b"GET / HTTP/1.1\r\n", PeerFault::HttpOnRtmp),
        (b"POST /open/1", PeerFault::HttpOnRtmp),
        (b"HEAD /", PeerFault::HttpOnRtmp),
        (b"\x16\x03\x01", PeerFault::TlsOnRtmp),
        (b"\x00", PeerFault::HandshakeVersion(0)),
        (b"\x08", PeerFault::HandshakeVersion(8)),
        (b"\xff", PeerFault::HandshakeVersion(255)),
    ] {
        assert_eq!(serve(input, 1), Err(fault.clone()));
        assert_eq!(serve(input, input.len()), Err(fault));
    }
}

/// Runs our client against our server, `piece` bytes at a time.
fn run_pair(kind: ClientHandshakeKind, piece: usize) -> bool {
    let mut client = ClientHandshake::new(1, kind);
    let mut server = ServerHandshake::new(2);
    let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
    let (mut client_done, mut server_done) = (false, false);
    for _ in 0..20_000 {
        let mut input = to_client.split_to(to_client.len().min(piece)).freeze();
        match client.handle_input(&mut input).expect("our own server") {
            HandshakeStep::NeedMore => assert!(input.is_empty()),
            HandshakeStep::Send(bytes) => to_server.extend_from_slice(&bytes),
            HandshakeStep::Done => client_done = true,
        }
        to_client = [&input[..], &to_client].concat().as_slice().into();
        let mut input = to_server.split_to(to_server.len().min(piece)).freeze();
        match server.handle_input(&mut input).expect("our own client") {
            HandshakeStep::NeedMore => assert!(input.is_empty()),
            HandshakeStep::Send(bytes) => to_client.extend_from_slice(&bytes),
            HandshakeStep::Done => server_done = true,
        }
        to_server = [&input[..], &to_server].concat().as_slice().into();
        if client_done && server_done {
            return to_client.is_empty() && to_server.is_empty();
        }
    }
    false
}

#[test]
fn our_client_and_our_server_agree() {
    for kind in [ClientHandshakeKind::Plain, ClientHandshakeKind::Digest] {
        for piece in [1, 1000, 4096] {
            assert!(run_pair(kind, piece), "{kind:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_plain_client_echoes_s1_and_takes_any_s2() {
    let mut client = ClientHandshake::new(1, ClientHandshakeKind::Plain);
    let Ok(HandshakeStep::Send(hello)) = client.handle_input(&mut Bytes::new()) else {
        panic!("C0 and C1 come first")
    };
    assert_eq!((hello.len(), hello[0], &hello[5..9]), (1 + BLOCK_BYTES, 3, &[0; 4][..]));
    let mut input: Bytes =
        [&[3], &[0xAA; BLOCK_BYTES][..], &[0xBB; BLOCK_BYTES], b"x"].concat().into();
    let echo = Bytes::from(vec![0xAA; BLOCK_BYTES]);
    assert_eq!(client.handle_input(&mut input), Ok(HandshakeStep::Send(echo)));
    assert_eq!(client.handle_input(&mut input), Ok(HandshakeStep::Done));
    assert_eq!(&input[..], b"x");
}

#[test]
fn a_digest_client_proves_itself_to_a_digest_server_and_echoes_to_a_plain_one() {
    let mut signed = random_block(9);
    digest::sign(&mut signed, Scheme::Zero, Side::Server);
    let (_, server_digest) = digest::find(&signed, Side::Server).expect("signed");
    for (s1, proves) in [(signed, true), ([1; BLOCK_BYTES], false)] {
        let mut client = ClientHandshake::new(1, ClientHandshakeKind::Digest);
        let Ok(HandshakeStep::Send(hello)) = client.handle_input(&mut Bytes::new()) else {
            panic!("C0 and C1 come first")
        };
        let c1: Block = hello[1..].try_into().expect("C1");
        assert!(digest::find(&c1, Side::Client).is_some());
        let mut input: Bytes = [&[3], &s1[..]].concat().into();
        let Ok(HandshakeStep::Send(c2)) = client.handle_input(&mut input) else { panic!("C2") };
        let mut expected: Block = c2[..].try_into().expect("C2");
        digest::sign_reply(&mut expected, Side::Client, &server_digest);
        assert_eq!(c2 == expected[..], proves);
        assert_eq!(c2 == s1[..], !proves);
    }
}
