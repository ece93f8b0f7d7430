//! A client made of raw bytes, and a log of what the server session answers.

use bytes::{Bytes, BytesMut};
use edgerelay_proto::amf0::{self, Value};
use edgerelay_proto::chunk::{ChunkDecoder, ChunkEncoder, ChunkLimits};
use edgerelay_proto::command::Command;
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::handshake::BLOCK_BYTES;
use edgerelay_proto::message::{Message, MessageType};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::{ServerEvent, ServerOutput, ServerSession, ServerSessionConfig};
use edgerelay_proto::time::Instant;

/// What the server did, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Message(Message),
    Event(ServerEvent),
}

/// How the application answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    AcceptAll,
    Never,
}

/// A client's bytes being written.
#[derive(Default)]
pub(crate) struct ClientBytes {
    encoder: ChunkEncoder,
    pub(crate) out: BytesMut,
}

impl ClientBytes {
    pub(crate) fn handshake(&mut self) -> &mut Self {
        self.out.extend_from_slice(&[3]);
        self.out.extend_from_slice(&[0; 2 * BLOCK_BYTES]);
        self
    }

    pub(crate) fn message(
        &mut self,
        csid: u32,
        message_type: MessageType,
        stream_id: u32,
        timestamp: u32,
        payload: impl Into<Bytes>,
    ) -> &mut Self {
        let payload = Payload::from(payload.into());
        let message = Message { message_type, stream_id, timestamp, payload };
        self.encoder.encode(csid, &message, &mut self.out);
        self
    }

    pub(crate) fn command(&mut self, stream_id: u32, command: &Command) -> &mut Self {
        self.message(3, MessageType::COMMAND_AMF0, stream_id, 0, command.encode())
    }

    pub(crate) fn call(
        &mut self,
        stream_id: u32,
        name: &str,
        id: f64,
        arguments: &[Value],
    ) -> &mut Self {
        self.command(stream_id, &Command::new(name, id, arguments.to_vec()))
    }

    pub(crate) fn connect(&mut self, properties: &[(&str, Value)]) -> &mut Self {
        let mut command = Command::new("connect", 1.0, Vec::new());
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        command.object = Value::Object(properties.collect());
        self.command(0, &command)
    }

    pub(crate) fn chunk_size(&mut self, size: u32) -> &mut Self {
        self.message(2, MessageType::SET_CHUNK_SIZE, 0, 0, size.to_be_bytes().to_vec());
        self.encoder.set_chunk_size(size);
        self
    }

    pub(crate) fn publisher(&mut self, name: &str) -> &mut Self {
        self.handshake().connect(&[("app", "live".into())]).call(0, "createStream", 2.0, &[]).call(
            1,
            "publish",
            3.0,
            &[name.into(), "live".into()],
        )
    }

    pub(crate) fn player(&mut self, name: &str) -> &mut Self {
        self.handshake().connect(&[("app", "live".into())]).call(0, "createStream", 2.0, &[]).call(
            1,
            "play",
            0.0,
            &[name.into()],
        )
    }
}

/// A server session, a raw client, and what came of it.
pub(crate) struct Server {
    pub(crate) session: ServerSession,
    pub(crate) client: ClientBytes,
    pub(crate) now: Instant,
    pub(crate) seen: Vec<Seen>,
    pub(crate) sends: Vec<Bytes>,
    answers: Answers,
    decoder: ChunkDecoder,
    handshake_left: usize,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(ServerSessionConfig::default(), Answers::AcceptAll)
    }

    pub(crate) fn with(config: ServerSessionConfig, answers: Answers) -> Self {
        Self {
            session: ServerSession::new(config, Instant::EPOCH, 7),
            client: ClientBytes::default(),
            now: Instant::EPOCH,
            seen: Vec::new(),
            sends: Vec::new(),
            answers,
            decoder: ChunkDecoder::new(ChunkLimits::default()),
            handshake_left: 1 + 2 * BLOCK_BYTES,
        }
    }

    /// Delivers what the client wrote, in one piece.
    pub(crate) fn deliver(&mut self) -> Result<(), PeerFault> {
        let input = self.client.out.split().freeze();
        self.input(input)
    }

    pub(crate) fn input(&mut self, input: Bytes) -> Result<(), PeerFault> {
        self.session.handle_input(self.now, input)?;
        self.drain()
    }

    pub(crate) fn drain(&mut self) -> Result<(), PeerFault> {
        while let Some(output) = self.session.poll_output() {
            match output {
                ServerOutput::Send(bytes) => self.on_sent(bytes),
                ServerOutput::Event(event) => {
                    self.seen.push(Seen::Event(event.clone()));
                    if self.answers == Answers::AcceptAll {
                        self.accept(&event)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, event: &ServerEvent) -> Result<(), PeerFault> {
        match event {
            ServerEvent::Connect(_) => self.session.accept_connect(),
            ServerEvent::Publish(request) => self.session.accept_publish(request.stream_id),
            ServerEvent::Play(request) => {
                self.session.accept_play(request.stream_id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_sent(&mut self, mut bytes: Bytes) {
        self.sends.push(bytes.clone());
        let handshake = bytes.split_to(self.handshake_left.min(bytes.len()));
        self.handshake_left -= handshake.len();
        self.decoder.handle_input(bytes);
        while let Some(message) = self.decoder.poll_message().unwrap() {
            self.seen.push(Seen::Message(message));
        }
    }

    /// What was seen since the last time.
    pub(crate) fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    pub(crate) fn events(&self) -> Vec<ServerEvent> {
        self.seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Event(event) => Some(event.clone()),
                Seen::Message(_) => None,
            })
            .collect()
    }

    pub(crate) fn messages(&self, message_type: MessageType) -> Vec<Message> {
        self.seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Message(message) if message.message_type == message_type => {
                    Some(message.clone())
                }
                _ => None,
            })
            .collect()
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        self.messages(MessageType::COMMAND_AMF0)
            .iter()
            .map(|message| Command::parse(&message.payload).unwrap())
            .collect()
    }

    /// The codes of all statuses, and `_result` and `_error` with their transaction ids, in order.
    pub(crate) fn replies(&self) -> Vec<String> {
        self.commands()
            .iter()
            .map(|command| {
                let code = command.argument(0).and_then(|info| info.get("code")?.as_str());
                match (command.name.as_str(), code) {
                    ("onStatus", Some(code)) => code.to_owned(),
                    (name @ ("_result" | "_error"), _) => {
                        format!("{name} {}", command.transaction_id)
                    }
                    (name, _) => name.to_owned(),
                }
            })
            .collect()
    }

    pub(crate) fn media(&self) -> Vec<(u32, Bytes)> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                ServerEvent::Media { message, .. } => {
                    Some((message.timestamp, message.payload.to_contiguous()))
                }
                _ => None,
            })
            .collect()
    }
}

pub(crate) fn amf(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    amf0::encode_all(values, &mut out);
    out.freeze()
}
