//! A player's connection: asks for a stream, then judges what comes.
//!
//! Sans-IO: bytes and time in, bytes out. Until the server accepts, a [`ClientSession`] leads; what
//! comes is read by our own chunk decoder from the beginning, so that the session can be dropped
//! when it is done and a frame costs no more than its decoding and its checks.

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::chunk::{CSID_CONTROL, ChunkDecoder, ChunkLimits, encode_media_header};
use edgerelay_proto::command::Command;
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::handshake::BLOCK_BYTES;
use edgerelay_proto::message::{Message, MessageType};
use edgerelay_proto::session::{ClientConfig, ClientEvent, ClientOutput, ClientSession, MediaKind};
use edgerelay_proto::time::Instant;

use crate::check::{Checker, Expect, Seen};
use crate::measure::{Group, Measures};

/// S0, S1 and S2: what is not chunks.
const HANDSHAKE_BYTES: usize = 1 + 2 * BLOCK_BYTES;

/// Received bytes between two acknowledgements unless the server asks for another window, and at
/// most.
const ACK_INTERVAL_BYTES: u64 = 2_500_000;

/// User control events that a player answers or takes note of. RTMP 1.0 §7.1.7.
const EVENT_PING_REQUEST: u16 = 6;
const EVENT_PING_RESPONSE: u16 = 7;

/// Why a connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Fault(#[from] PeerFault),
    /// The server said no.
    #[error("refused: {0}")]
    Refused(String),
}

/// How far a player has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not accepted yet.
    Opening,
    /// `connect` was answered, and more is not wanted, or not answered yet.
    Connected,
    /// `play` was accepted.
    Playing,
    /// A keyframe came.
    Watching,
}

/// What a player asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Stream,
    Connect,
}

/// One player.
#[derive(Debug)]
pub struct Player {
    wants: Wants,
    group: Group,
    stage: Stage,
    /// Until the server accepts.
    session: Option<Box<ClientSession>>,
    decoder: ChunkDecoder,
    handshake_left: usize,
    checker: Checker,
    out: BytesMut,
    received: u64,
    acknowledged: u64,
    ack_interval: u64,
    /// When connecting began.
    began: Instant,
    /// When `play` was accepted.
    playing_since: Instant,
    /// Whether it is looked at soon enough to tell how late a frame is.
    prompt: bool,
    last_frame: Option<Instant>,
}

impl Player {
    /// A player that begins to connect. The handshake's random bytes are made from `seed`.
    #[must_use]
    pub fn new(
        config: ClientConfig,
        group: Group,
        expect: Expect,
        now: Instant,
        seed: u64,
    ) -> Self {
        let limits =
            ChunkLimits { message_bytes_max: config.message_bytes_max, ..ChunkLimits::default() };
        let mut player = Self {
            wants: Wants::Stream,
            group,
            stage: Stage::Opening,
            session: Some(Box::new(ClientSession::new(config, now, seed))),
            decoder: ChunkDecoder::new(limits),
            handshake_left: HANDSHAKE_BYTES,
            checker: Checker::new(expect),
            out: BytesMut::new(),
            received: 0,
            acknowledged: 0,
            ack_interval: ACK_INTERVAL_BYTES,
            began: now,
            playing_since: now,
            prompt: true,
            last_frame: None,
        };
        player.collect_output().unwrap_or_default();
        player
    }

    /// Leaves it at `connect`.
    pub const fn ask_for_nothing(&mut self) {
        self.wants = Wants::Connect;
    }

    /// Its frames are of no more use for latency: nobody looks when they come.
    pub const fn leave_latency(&mut self) {
        self.prompt = false;
    }

    /// Takes note of received bytes that nobody looked at. From then on
    /// [`handle_input`](Self::handle_input) has lost the thread.
    pub fn handle_discarded(&mut self, now: Instant, len: usize, measures: &mut Measures) {
        let tally = measures.tally_mut(self.group);
        tally.bytes += len as u64;
        tally.reads += 1;
        self.received += len as u64;
        self.last_frame = Some(now);
        self.acknowledge();
    }

    /// Why it is there.
    #[must_use]
    pub const fn group(&self) -> Group {
        self.group
    }

    /// How far it has come.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// When the last frame came.
    #[must_use]
    pub const fn last_frame(&self) -> Option<Instant> {
        self.last_frame
    }

    /// Takes received bytes. They are not kept beyond the call, except those of a message whose rest
    /// is still to come.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn handle_input(
        &mut self,
        now: Instant,
        mut input: Bytes,
        measures: &mut Measures,
    ) -> Result<(), Ending> {
        let tally = measures.tally_mut(self.group);
        tally.bytes += input.len() as u64;
        tally.reads += 1;
        self.received += input.len() as u64;
        if let Some(session) = &mut self.session {
            session.handle_input(now, input.clone())?;
            if self.collect_output()? {
                self.session = None;
                self.playing_since = now;
                self.stage = Stage::Playing;
                self.acknowledged = self.received;
            }
        }
        let skipped = self.handshake_left.min(input.len());
        self.handshake_left -= skipped;
        let _ = input.split_to(skipped);
        self.decoder.handle_input(input);
        while let Some(message) = self.decoder.poll_message()? {
            self.on_message(now, &message, measures)?;
        }
        self.acknowledge();
        Ok(())
    }

    /// The next bytes to send.
    pub fn poll_send(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// The session acknowledges as long as there is one.
    fn acknowledge(&mut self) {
        if self.session.is_none() && self.received - self.acknowledged >= self.ack_interval {
            self.acknowledged = self.received;
            // The low 32 bits are what is meant.
            let received = self.received as u32;
            self.send_control(MessageType::ACKNOWLEDGEMENT, &received.to_be_bytes());
        }
    }

    /// Takes what the session has to say; says whether the server accepted.
    fn collect_output(&mut self) -> Result<bool, Ending> {
        let Some(session) = &mut self.session else { return Ok(false) };
        let mut ready = false;
        while let Some(output) = session.poll_output() {
            match output {
                // What comes behind `connect` asks for a stream.
                ClientOutput::Send(_)
                    if self.wants == Wants::Connect && self.handshake_left == 0 => {}
                ClientOutput::Send(bytes) => self.out.put_slice(&bytes),
                ClientOutput::Event(ClientEvent::Ready { .. }) => ready = true,
                ClientOutput::Event(ClientEvent::Rejected { code, .. }) => {
                    return Err(Ending::Refused(code));
                }
                // Media is read by our own decoder.
                ClientOutput::Event(_) => {}
            }
        }
        Ok(ready)
    }

    fn on_message(
        &mut self,
        now: Instant,
        message: &Message,
        measures: &mut Measures,
    ) -> Result<(), Ending> {
        let kind = match message.message_type {
            MessageType::AUDIO => MediaKind::Audio,
            MessageType::VIDEO => MediaKind::Video,
            MessageType::DATA_AMF0 | MessageType::DATA_AMF3 => MediaKind::Data,
            _ => return self.on_control(now, message, measures),
        };
        let tally = measures.tally_mut(self.group);
        let seen = self.checker.take(kind, message.timestamp, &message.payload, tally);
        if let Seen::Frame { keyframe, stamp } = seen {
            self.on_frame(now, keyframe, stamp, measures);
        }
        Ok(())
    }

    fn on_frame(
        &mut self,
        now: Instant,
        keyframe: bool,
        stamp: Option<Instant>,
        measures: &mut Measures,
    ) {
        self.last_frame = Some(now);
        if keyframe && self.stage == Stage::Playing {
            self.stage = Stage::Watching;
            measures.on_joined(self.group, now.saturating_since(self.began));
        }
        // What was sent before the player asked comes out of the relay's cache.
        if let Some(stamp) = stamp
            && stamp >= self.playing_since
            && self.group.is_owed_all()
            && self.prompt
        {
            measures.latency.record(now.saturating_since(stamp));
        }
    }

    fn on_control(
        &mut self,
        now: Instant,
        message: &Message,
        measures: &mut Measures,
    ) -> Result<(), Ending> {
        match message.message_type {
            MessageType::COMMAND_AMF0 | MessageType::COMMAND_AMF3 => {
                let command = Command::parse(&message.payload)?;
                if self.stage == Stage::Opening && command.name == "_result" {
                    self.stage = Stage::Connected;
                    measures.connect.record(now.saturating_since(self.began));
                }
            }
            // The session deals with these as long as there is one.
            _ if self.session.is_some() => {}
            MessageType::WINDOW_ACK_SIZE => {
                if let (window, 4) = message.payload.prefix::<4>() {
                    let window = u64::from(u32::from_be_bytes(window));
                    self.ack_interval = window.clamp(1, ACK_INTERVAL_BYTES);
                }
            }
            MessageType::USER_CONTROL => {
                let (event, filled) = message.payload.prefix::<6>();
                let [k0, k1, time @ ..] = event;
                if filled == event.len() && u16::from_be_bytes([k0, k1]) == EVENT_PING_REQUEST {
                    let [t0, t1, t2, t3] = time;
                    let [r0, r1] = EVENT_PING_RESPONSE.to_be_bytes();
                    self.send_control(MessageType::USER_CONTROL, &[r0, r1, t0, t1, t2, t3]);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Control messages are shorter than the smallest chunk.
    fn send_control(&mut self, message_type: MessageType, body: &[u8]) {
        self.out.put_slice(&encode_media_header(CSID_CONTROL, message_type, 0, 0, body.len()));
        self.out.put_slice(body);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use edgerelay_proto::chunk::encode_media;
    use edgerelay_proto::session::{
        ClientMode, MediaMessage, RtmpUrl, ServerEvent, ServerOutput, ServerSession,
        ServerSessionConfig,
    };

    use super::*;
    use crate::mark::Checksums;
    use crate::pattern::Pattern;
    use crate::source::{Source, chunk_stream};
    use crate::synthetic::Templates;
    use crate::tally::Tally;

    /// A player and the server it talks to, whose bytes come in pieces of `cut`.
    struct Pair {
        player: Player,
        server: ServerSession,
        measures: Measures,
        now: Instant,
        cut: usize,
        refuses: bool,
    }

    impl Pair {
        fn new(cut: usize) -> Self {
            let now = Instant::from_millis(1_000);
            let url = RtmpUrl::parse("rtmp://127.0.0.1/live/cam").unwrap();
            let config = ClientConfig::new(url, ClientMode::Play);
            let expect = Expect::Marked(Checksums::Verified);
            Self {
                player: Player::new(config, Group::Steady, expect, now, 1),
                server: ServerSession::new(ServerSessionConfig::default(), now, 2),
                measures: Measures::default(),
                now,
                cut,
                refuses: false,
            }
        }

        /// Bytes to and fro until nobody has anything to say.
        fn talk(&mut self) -> Result<(), Ending> {
            while let Some(bytes) = self.player.poll_send() {
                self.server.handle_input(self.now, bytes).unwrap();
                while let Some(output) = self.server.poll_output() {
                    match output {
                        ServerOutput::Send(bytes) => self.give(&bytes)?,
                        ServerOutput::Event(ServerEvent::Connect(_)) => {
                            self.server.accept_connect().unwrap();
                        }
                        ServerOutput::Event(ServerEvent::Play(play)) if self.refuses => {
                            self.server.refuse_play(play.stream_id, "NetStream.Play.Failed", "No.");
                        }
                        ServerOutput::Event(ServerEvent::Play(play)) => {
                            self.server.accept_play(play.stream_id);
                        }
                        ServerOutput::Event(_) => {}
                    }
                }
            }
            Ok(())
        }

        fn give(&mut self, bytes: &[u8]) -> Result<(), Ending> {
            for piece in bytes.chunks(self.cut) {
                let piece = Bytes::copy_from_slice(piece);
                self.player.handle_input(self.now, piece, &mut self.measures)?;
            }
            Ok(())
        }

        fn give_message(&mut self, message: &MediaMessage) {
            let kind = message.kind;
            let wire = encode_media(
                chunk_stream(kind),
                kind.message_type(),
                1,
                message.timestamp,
                &message.payload,
                ServerSessionConfig::default().chunk_size,
            );
            let slices = wire.body.iter().flat_map(|slice| slice.to_vec());
            let bytes: Vec<u8> = wire.header.iter().copied().chain(slices).collect();
            self.give(&bytes).unwrap();
        }

        /// Gives so many messages of a stream that began `ago`, each when it is due.
        fn give_stream(&mut self, count: usize, ago: Duration) {
            let templates = Rc::new(Templates::new(Pattern::default()));
            let mut source = Source::synthetic(templates, 0);
            for message in source.opening() {
                self.give_message(&message);
            }
            let zero = self.now.as_micros() - ago.as_micros() as u64;
            for _ in 0..count {
                let due = Instant::from_micros(zero) + source.next_at();
                self.now = self.now.max(due);
                let message = source.take(due);
                self.give_message(&message);
            }
        }
    }

    #[test]
    fn a_player_sees_the_same_however_its_input_is_cut() {
        let mut seen = Vec::new();
        for cut in [1, 2, 7, 1_000, 70_000] {
            let mut pair = Pair::new(cut);
            pair.talk().unwrap();
            assert_eq!(pair.player.stage(), Stage::Playing, "cut to {cut}");
            pair.give_stream(40, Duration::ZERO);
            assert_eq!(pair.player.stage(), Stage::Watching, "cut to {cut}");
            let tally = pair.measures.tally(Group::Steady);
            assert_eq!(tally.faults(), 0, "cut to {cut}: {tally:?}");
            seen.push(Tally { reads: 0, ..*tally });
        }
        assert!(seen.iter().all(|tally| *tally == seen[0]), "{seen:?}");
        assert_eq!(seen[0].video_frames + seen[0].audio_frames, 40);
    }

    #[test]
    fn what_was_sent_before_play_is_no_latency() {
        let mut pair = Pair::new(70_000);
        pair.talk().unwrap();
        pair.give_stream(200, Duration::from_secs(1));
        let latency = pair.measures.latency.summary().unwrap();
        assert!((100..150).contains(&latency.count), "{latency:?}");
        assert!(latency.max_us <= 1, "{latency:?}");
    }

    #[test]
    fn the_times_of_a_player_begin_with_its_connection() {
        let mut pair = Pair::new(70_000);
        pair.now += Duration::from_millis(30);
        pair.talk().unwrap();
        pair.now += Duration::from_millis(20);
        pair.give_stream(1, Duration::ZERO);
        let max = |times: &crate::measure::Times| times.summary().unwrap().max_us;
        assert!(max(&pair.measures.connect).abs_diff(30_000) < 100);
        assert!(max(&pair.measures.join).abs_diff(50_000) < 100);
    }

    #[test]
    fn a_refusal_says_why() {
        let mut pair = Pair::new(70_000);
        pair.refuses = true;
        let ending = pair.talk().unwrap_err();
        assert_eq!(ending, Ending::Refused("NetStream.Play.Failed".to_owned()));
    }

    #[test]
    fn a_watching_player_answers_pings_and_acknowledges() {
        let mut pair = Pair::new(70_000);
        pair.talk().unwrap();
        pair.give_stream(1, Duration::ZERO);
        pair.server.ping(pair.now);
        while let Some(output) = pair.server.poll_output() {
            let ServerOutput::Send(bytes) = output else { panic!("{output:?}") };
            pair.give(&bytes).unwrap();
        }
        pair.talk().unwrap();
        let timeout = ServerSessionConfig::default().ping_timeout;
        pair.server.handle_timeout(pair.now + timeout).unwrap();
        assert_eq!(pair.player.poll_send(), None);
        let enough = ACK_INTERVAL_BYTES as usize;
        pair.player.handle_discarded(pair.now, enough, &mut pair.measures);
        let ack = pair.player.poll_send().expect("an acknowledgement");
        assert!(ack.len() < 32);
    }

    #[test]
    fn who_asks_for_nothing_stays_at_connect() {
        let mut pair = Pair::new(70_000);
        pair.player.ask_for_nothing();
        pair.talk().unwrap();
        assert_eq!(pair.player.stage(), Stage::Connected);
    }
}
