//! A server that takes one player and sends it a stream in which something is wrong.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use edgerelay_benches::net::clock;
use edgerelay_benches::source::{Source, chunk_stream};
use edgerelay_benches::synthetic::Templates;
use edgerelay_proto::chunk::encode_media;
use edgerelay_proto::session::{
    MediaMessage, ServerEvent, ServerOutput, ServerSession, ServerSessionConfig,
};
use edgerelay_proto::time::Instant;

use crate::{ANY_PORT, PATIENCE, PATTERN};

/// The message that something is done to; well behind the beginning of the measured window.
const PLACE: u64 = 60;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    /// The message is left out.
    Gap,
    /// It is sent twice.
    Twice,
    /// It comes behind the one after it.
    Late,
    /// One bit of it is another.
    Flipped,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(wrong: Wrong) -> Self {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            serve(socket, wrong);
        });
        Self { address, serving }
    }

    /// Waits until the player is gone.
    pub(crate) fn finish(self) {
        self.serving.join().unwrap();
    }
}

fn serve(mut socket: TcpStream, wrong: Wrong) {
    let stream_id = greet(&mut socket);
    let mut source = Source::synthetic(Rc::new(Templates::new(PATTERN)), 0);
    for message in source.opening() {
        socket.write_all(&wire(stream_id, &message)).unwrap();
    }
    let zero = clock::now();
    let mut held = None;
    for sequence in 0_u64.. {
        let due = zero + source.next_at();
        if hangs_up_before(&mut socket, due) {
            return;
        }
        let mut bytes = wire(stream_id, &source.take(clock::now()));
        let hit = sequence == PLACE;
        match wrong {
            Wrong::Gap if hit => continue,
            Wrong::Late if hit => {
                held = Some(bytes);
                continue;
            }
            Wrong::Twice if hit => bytes.extend_from_within(..),
            Wrong::Flipped if hit => *bytes.last_mut().unwrap() ^= 4,
            _ => {}
        }
        bytes.extend(held.take().into_iter().flatten());
        if socket.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// Waits until `due`, or until the player is gone.
fn hangs_up_before(socket: &mut TcpStream, due: Instant) -> bool {
    let mut buffer = [0; 4_096];
    loop {
        let wait = due.saturating_since(clock::now());
        if wait.is_zero() {
            return false;
        }
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
}

fn greet(socket: &mut TcpStream) -> u32 {
    let config = ServerSessionConfig::default();
    let mut session = ServerSession::new(config, clock::now(), clock::seed());
    let mut buffer = [0; 4_096];
    let mut playing = None;
    while playing.is_none() {
        let len = socket.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "the player says more");
        session.handle_input(clock::now(), Bytes::copy_from_slice(&buffer[..len])).unwrap();
        while let Some(output) = session.poll_output() {
            match output {
                ServerOutput::Send(bytes) => socket.write_all(&bytes).unwrap(),
                ServerOutput::Event(ServerEvent::Connect(_)) => session.accept_connect().unwrap(),
                ServerOutput::Event(ServerEvent::Play(request)) => {
                    session.accept_play(request.stream_id);
                    playing = Some(request.stream_id);
                }
                ServerOutput::Event(_) => {}
            }
        }
    }
    playing.unwrap()
}

fn wire(stream_id: u32, message: &MediaMessage) -> Vec<u8> {
    let chunk_size = ServerSessionConfig::default().chunk_size;
    let wire = encode_media(
        chunk_stream(message.kind),
        message.kind.message_type(),
        stream_id,
        message.timestamp,
        &message.payload,
        chunk_size,
    );
    let mut bytes = wire.header.to_vec();
    wire.body.iter().for_each(|slice| bytes.extend_from_slice(slice));
    bytes
}
