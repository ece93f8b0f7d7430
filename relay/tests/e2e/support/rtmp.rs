//! An RTMP client made of the protocol crate's own session and a tokio socket: for tests that need
//! to say exactly what a peer does, and for many peers at once.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use edgerelay_proto::amf0::Value;
use edgerelay_proto::chunk::{
    CSID_AUDIO, CSID_COMMAND, CSID_DATA, CSID_VIDEO, ChunkEncoder, encode_media,
};
use edgerelay_proto::command::Command;
use edgerelay_proto::message::{Message, MessageType};
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession, MediaKind, MediaMessage,
    RtmpUrl,
};
use edgerelay_proto::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const CHUNK_SIZE: u32 = 65_536;
const READ_BYTES: usize = 64 * 1024;
/// How long the server may take to close its side after we have closed ours.
const CLOSE_LIMIT: Duration = Duration::from_secs(20);

/// Runs `future` on a runtime of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A client.
pub(crate) struct Peer {
    stream: TcpStream,
    session: ClientSession,
    started: tokio::time::Instant,
    events: VecDeque<ClientEvent>,
    input: BytesMut,
    stream_id: u32,
}

impl Peer {
    /// Connects and asks to publish; waits for the answer.
    pub(crate) async fn publish(url: &str) -> io::Result<Self> {
        Self::ready(url, ClientMode::Publish).await
    }

    /// Connects and asks to play; waits for the answer.
    pub(crate) async fn play(url: &str) -> io::Result<Self> {
        Self::ready(url, ClientMode::Play).await
    }

    async fn ready(url: &str, mode: ClientMode) -> io::Result<Self> {
        Self::connect(url, mode).await?.until_ready().await
    }

    async fn until_ready(mut self) -> io::Result<Self> {
        match self.next_event().await? {
            ClientEvent::Ready { .. } => Ok(self),
            other => Err(io::Error::other(format!("{other:?} instead of ready"))),
        }
    }

    /// Connects and asks; does not wait for an answer.
    pub(crate) async fn connect(url: &str, mode: ClientMode) -> io::Result<Self> {
        let url = RtmpUrl::parse(url).map_err(io::Error::other)?;
        let stream = TcpStream::connect((url.host(), url.port())).await?;
        Self::on_stream(stream, url, mode).await
    }

    /// Plays with little room in its socket, so that the relay notices soon when it does not read.
    pub(crate) async fn play_with_little_room(url: &str) -> io::Result<Self> {
        let url = RtmpUrl::parse(url).map_err(io::Error::other)?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(16 * 1024)?;
        let address = format!("{}:{}", url.host(), url.port());
        let stream = socket.connect(address.parse().map_err(io::Error::other)?).await?;
        Self::on_stream(stream, url, ClientMode::Play).await?.until_ready().await
    }

    async fn on_stream(stream: TcpStream, url: RtmpUrl, mode: ClientMode) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let mut config = ClientConfig::new(url, mode);
        config.chunk_size = CHUNK_SIZE;
        // A player of a stream that is yet to come is answered when it comes.
        config.command_timeout = Duration::from_secs(60);
        let session = ClientSession::new(config, Instant::EPOCH, 7);
        let started = tokio::time::Instant::now();
        let input = BytesMut::new();
        let mut peer =
            Self { stream, session, started, events: VecDeque::new(), input, stream_id: 0 };
        peer.flush().await?;
        Ok(peer)
    }

    fn now(&self) -> Instant {
        Instant::EPOCH + self.started.elapsed()
    }

    async fn flush(&mut self) -> io::Result<()> {
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(bytes) => self.stream.write_all(&bytes).await?,
                ClientOutput::Event(event) => {
                    if let ClientEvent::Ready { stream_id } = event {
                        self.stream_id = stream_id;
                    }
                    self.events.push_back(event);
                }
            }
        }
        Ok(())
    }

    /// The next thing the server does. A server that closes is `UnexpectedEof`.
    pub(crate) async fn next_event(&mut self) -> io::Result<ClientEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.input.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let input: Bytes = self.input.split().freeze();
            self.session.handle_input(self.now(), input).map_err(io::Error::other)?;
            self.flush().await?;
        }
    }

    /// As [`Self::next_event`], within `limit`.
    pub(crate) async fn next_event_within(&mut self, limit: Duration) -> io::Result<ClientEvent> {
        timeout(limit, self.next_event()).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }

    /// Reads until the server closes or resets the connection; whether it did within `limit`.
    pub(crate) async fn is_closed_within(&mut self, limit: Duration) -> bool {
        let reading = async { while self.next_event().await.is_ok() {} };
        timeout(limit, reading).await.is_ok()
    }

    /// Sends a media message.
    pub(crate) async fn send(&mut self, message: &MediaMessage) -> io::Result<()> {
        self.stream.write_all(&self.encode(message)).await
    }

    /// Sends a media message up to its middle.
    pub(crate) async fn send_half(&mut self, message: &MediaMessage) -> io::Result<()> {
        let bytes = self.encode(message);
        self.stream.write_all(&bytes[..bytes.len() / 2]).await
    }

    fn encode(&self, message: &MediaMessage) -> BytesMut {
        let csid = match message.kind {
            MediaKind::Audio => CSID_AUDIO,
            MediaKind::Video => CSID_VIDEO,
            MediaKind::Data => CSID_DATA,
        };
        let wire = encode_media(
            csid,
            message.kind.message_type(),
            self.stream_id,
            message.timestamp,
            &message.payload,
            CHUNK_SIZE,
        );
        let mut bytes = BytesMut::with_capacity(wire.wire_len);
        bytes.extend_from_slice(&wire.header);
        wire.body.iter().for_each(|slice| bytes.extend_from_slice(slice));
        bytes
    }

    /// Sends a command on its message stream, and asks for no answer.
    pub(crate) async fn command(&mut self, name: &str, arguments: Vec<Value>) -> io::Result<()> {
        let message = Message {
            message_type: MessageType::COMMAND_AMF0,
            stream_id: self.stream_id,
            timestamp: 0,
            payload: Command::new(name, 0.0, arguments).encode().into(),
        };
        let mut encoder = ChunkEncoder::new();
        encoder.set_chunk_size(CHUNK_SIZE);
        let mut bytes = BytesMut::new();
        encoder.encode(CSID_COMMAND, &message, &mut bytes);
        self.stream.write_all(&bytes).await
    }

    /// Resets the connection.
    pub(crate) fn reset(self) -> io::Result<()> {
        // With nothing to linger for, closing is a reset.
        self.stream.set_zero_linger()
    }

    /// Says goodbye and closes, once the server has read all of it: closing a socket with unread
    /// acknowledgements in it would reset the connection.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        self.session.close();
        self.flush().await?;
        self.stream.shutdown().await?;
        let reading =
            async { while matches!(self.stream.read_buf(&mut self.input).await, Ok(1..)) {} };
        timeout(CLOSE_LIMIT, reading).await.map_err(|_| ErrorKind::TimedOut.into())
    }
}
