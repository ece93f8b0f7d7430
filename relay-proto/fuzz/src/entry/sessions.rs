//! Sessions: any bytes, any cut, answers at once or late, and time passing.

use core::time::Duration;

use bytes::Bytes;
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession, RtmpUrl, ServerEvent,
    ServerOutput, ServerSession, ServerSessionConfig,
};
use edgerelay_proto::time::Instant;

use super::reads;

/// What the first byte of an input switches on.
#[derive(Clone, Copy)]
struct Options(u8);

impl Options {
    /// The input stands behind a whole plain handshake, so that the fuzzer need not find one.
    const fn after_handshake(self) -> bool {
        self.0 & 1 == 0
    }

    /// Requests are answered when all input has come, not at once.
    const fn answers_late(self) -> bool {
        self.0 & 2 != 0
    }

    /// Requests to publish or play are refused.
    const fn refuses(self) -> bool {
        self.0 & 4 != 0
    }

    /// The client session plays, it does not publish.
    const fn plays(self) -> bool {
        self.0 & 8 != 0
    }

    /// Time between reads.
    const fn step(self) -> Duration {
        Duration::from_millis(100 * (self.0 >> 4) as u64)
    }
}

const BLOCK: [u8; 1536] = [0; 1536];

/// Options, the input as one read, the input cut.
fn input(data: &[u8]) -> Option<(Options, Vec<Bytes>, Vec<Bytes>)> {
    let (&options, rest) = data.split_first()?;
    let options = Options(options);
    let (whole, mut pieces) = reads(rest)?;
    let mut one = vec![whole];
    if options.after_handshake() {
        let handshake = Bytes::from([&[3], &BLOCK[..], &BLOCK[..]].concat());
        one.insert(0, handshake.clone());
        pieces.insert(0, handshake);
    }
    Some((options, one, pieces))
}

/// A server session asks and relays the same however its input is cut, as long as it keeps within
/// the bounds that count by read, and hands on no more payload than it was given.
pub fn server_session(data: &[u8]) {
    let Some((options, one, pieces)) = input(data) else { return };
    let (first, first_fault) = Server::run(options, &one);
    let (second, second_fault) = Server::run(options, &pieces);
    if first_fault.is_none() && second_fault.is_none() {
        assert_eq!(first.len(), second.len());
        for (first, second) in first.iter().zip(&second) {
            // Numbers may be NaN, which differs from itself.
            let same = first == second
                || matches!(first, ServerEvent::Play(_))
                    && format!("{first:?}") == format!("{second:?}");
            assert!(same, "{first:?} {second:?}");
        }
    }
}

struct Server {
    options: Options,
    session: ServerSession,
    events: Vec<ServerEvent>,
    unanswered: Vec<ServerEvent>,
}

impl Server {
    fn run(options: Options, reads: &[Bytes]) -> (Vec<ServerEvent>, Option<PeerFault>) {
        let session = ServerSession::new(ServerSessionConfig::default(), Instant::EPOCH, 1);
        let mut server = Self { options, session, events: Vec::new(), unanswered: Vec::new() };
        let received: usize = reads.iter().map(Bytes::len).sum();
        let fault = server.feed(reads).err();
        let relayed: usize = server.events.iter().map(media_len).sum();
        assert!(relayed <= received, "{relayed} bytes relayed of {received}");
        assert!(fault.is_some() || server.session.bytes_received() == received as u64);
        (server.events, fault)
    }

    fn feed(&mut self, reads: &[Bytes]) -> Result<(), PeerFault> {
        let mut now = Instant::EPOCH;
        for read in reads {
            self.session.handle_input(now, read.clone())?;
            self.drain()?;
            now += self.options.step();
            if self.session.poll_timeout().is_some_and(|at| at <= now) {
                self.session.handle_timeout(now)?;
                self.drain()?;
            }
        }
        let late = std::mem::take(&mut self.unanswered);
        self.options.0 &= !2;
        for event in late {
            self.answer(event)?;
            self.drain()?;
        }
        self.say_goodbye(now)
    }

    fn drain(&mut self) -> Result<(), PeerFault> {
        while let Some(output) = self.session.poll_output() {
            match output {
                ServerOutput::Send(bytes) => assert!(!bytes.is_empty()),
                ServerOutput::Event(event) => {
                    self.events.push(event.clone());
                    if self.options.answers_late() {
                        self.unanswered.push(event);
                    } else {
                        self.answer(event)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, event: ServerEvent) -> Result<(), PeerFault> {
        match event {
            ServerEvent::Connect(_) => self.session.accept_connect()?,
            ServerEvent::Publish(request) if self.options.refuses() => {
                self.session.refuse_publish(request.stream_id, "NetStream.Publish.BadName", "no");
            }
            ServerEvent::Publish(request) => self.session.accept_publish(request.stream_id)?,
            ServerEvent::Play(request) if self.options.refuses() => {
                self.session.refuse_play(request.stream_id, "NetStream.Play.StreamNotFound", "no");
            }
            ServerEvent::Play(request) => {
                self.session.accept_play(request.stream_id);
                self.session.play_unpublish_notify(request.stream_id);
                self.session.play_publish_notify(request.stream_id);
            }
            _ => {}
        }
        Ok(())
    }

    /// What comes at the end of a connection, in whatever phase it is.
    fn say_goodbye(&mut self, now: Instant) -> Result<(), PeerFault> {
        self.session.request_reconnect(Some("rtmp://h/app"), "drain");
        self.session.ping(now);
        self.session.stream_eof(1);
        self.drain()?;
        for _ in 0..4 {
            let Some(at) = self.session.poll_timeout() else { return Ok(()) };
            // The client is silent, so this ends in a fault; what came before it counts.
            if self.session.handle_timeout(at.max(now)).is_err() {
                return Ok(());
            }
            self.drain()?;
        }
        Ok(())
    }
}

fn media_len(event: &ServerEvent) -> usize {
    match event {
        ServerEvent::Media { message, .. } => message.payload.len(),
        _ => 0,
    }
}

/// A client session reports the same however its input is cut, and hands on no more payload than it
/// was given.
pub fn client_session(data: &[u8]) {
    let Some((options, one, pieces)) = input(data) else { return };
    let (first, first_fault) = run_client(options, &one);
    let (second, second_fault) = run_client(options, &pieces);
    if first_fault.is_none() && second_fault.is_none() {
        assert_eq!(first, second);
    }
}

fn run_client(options: Options, reads: &[Bytes]) -> (Vec<ClientEvent>, Option<PeerFault>) {
    let Ok(url) = RtmpUrl::parse("rtmp://h/app/name?key=secret") else { return Default::default() };
    let mode = if options.plays() { ClientMode::Play } else { ClientMode::Publish };
    let mut session = ClientSession::new(ClientConfig::new(url, mode), Instant::EPOCH, 1);
    let mut events = Vec::new();
    let fault = feed_client(&mut session, options, reads, &mut events).err();
    let received: usize = reads.iter().map(Bytes::len).sum();
    let relayed: usize = events
        .iter()
        .map(|event| match event {
            ClientEvent::Media(message) => message.payload.len(),
            _ => 0,
        })
        .sum();
    assert!(relayed <= received, "{relayed} bytes relayed of {received}");
    for event in &events {
        assert!(!format!("{event:?}").contains("secret") || told(reads, b"secret"), "{event:?}");
    }
    (events, fault)
}

/// Whether the server itself said `word`; else it could only come from our URL.
fn told(reads: &[Bytes], word: &[u8]) -> bool {
    reads.concat().windows(word.len()).any(|window| window == word)
}

fn feed_client(
    session: &mut ClientSession,
    options: Options,
    reads: &[Bytes],
    events: &mut Vec<ClientEvent>,
) -> Result<(), PeerFault> {
    let mut now = Instant::EPOCH;
    drain_client(session, events);
    for read in reads {
        session.handle_input(now, read.clone())?;
        drain_client(session, events);
        now += options.step();
        if session.poll_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now)?;
            drain_client(session, events);
        }
    }
    session.close();
    drain_client(session, events);
    Ok(())
}

fn drain_client(session: &mut ClientSession, events: &mut Vec<ClientEvent>) {
    while let Some(output) = session.poll_output() {
        match output {
            ClientOutput::Send(bytes) => assert!(!bytes.is_empty()),
            ClientOutput::Event(event) => events.push(event),
        }
    }
}
