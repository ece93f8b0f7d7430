//! A publisher's connection: asks for a stream name, then sends its source's messages when they are
//! due.
//!
//! Sans-IO: bytes and time in, bytes out.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::chunk::ChunkEncoder;
use edgerelay_proto::message::Message;
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientOutput, ClientSession, MediaMessage,
};
use edgerelay_proto::time::Instant;

use crate::measure::Measures;
use crate::player::Ending;
use crate::source::{Source, chunk_stream};

/// How far a publisher has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    /// Accepted: the source's time zero is this instant.
    Sending {
        stream_id: u32,
        zero: Instant,
    },
}

/// One publisher.
#[derive(Debug)]
pub struct Publisher {
    session: ClientSession,
    encoder: ChunkEncoder,
    stage: Stage,
    source: Source,
    /// In one piece: a copy costs less than a send of many slices.
    out: BytesMut,
}

impl Publisher {
    /// A publisher that begins to connect. The handshake's random bytes are made from `seed`.
    #[must_use]
    pub fn new(config: ClientConfig, source: Source, now: Instant, seed: u64) -> Self {
        let mut encoder = ChunkEncoder::new();
        encoder.set_chunk_size(config.chunk_size);
        let mut publisher = Self {
            encoder,
            session: ClientSession::new(config, now, seed),
            stage: Stage::Opening,
            source,
            out: BytesMut::new(),
        };
        publisher.collect_output().unwrap_or_default();
        publisher
    }

    /// Takes received bytes; says whether the server has just accepted. Then call
    /// [`begin`](Self::begin).
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn handle_input(&mut self, now: Instant, input: Bytes) -> Result<Option<u32>, Ending> {
        self.session.handle_input(now, input)?;
        self.collect_output()
    }

    /// The source's next message is due at `at`, the rest as far behind it as the source says.
    pub fn begin(&mut self, stream_id: u32, at: Instant) {
        let passed = self.source.next_at();
        let zero = Instant::from_micros(
            at.as_micros().saturating_sub(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)),
        );
        self.stage = Stage::Sending { stream_id, zero };
        for mut message in self.source.opening() {
            message.timestamp = passed.as_millis() as u32;
            self.push(stream_id, message);
        }
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        match self.stage {
            Stage::Opening => None,
            Stage::Sending { zero, .. } => Some(zero + self.source.next_at()),
        }
    }

    /// Queues what is due. Call [`poll_send`](Self::poll_send) then.
    pub fn handle_timeout(&mut self, now: Instant, measures: &mut Measures) {
        let Stage::Sending { stream_id, zero } = self.stage else { return };
        loop {
            let due = zero + self.source.next_at();
            if due > now {
                return;
            }
            let message = self.source.take(now);
            let wire_len = self.push(stream_id, message);
            measures.sent.messages += 1;
            measures.sent.bytes += wire_len as u64;
            measures.lateness.record(now.saturating_since(due));
        }
    }

    /// The next bytes to send.
    pub fn poll_send(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// Says goodbye. The source goes on where it was with the next connection.
    pub fn close(&mut self) {
        self.session.close();
        self.collect_output().unwrap_or_default();
    }

    /// The source, for the next connection: it leaves out what was due meanwhile, and begins with a
    /// keyframe.
    #[must_use]
    pub fn into_source(mut self, now: Instant) -> Source {
        const SKIPPED_MAX: usize = 1 << 20;

        let passed = match self.stage {
            Stage::Opening => Duration::ZERO,
            Stage::Sending { zero, .. } => now.saturating_since(zero),
        };
        for _ in 0..SKIPPED_MAX {
            if self.source.next_at() >= passed && self.source.is_at_keyframe() {
                break;
            }
            self.source.skip();
        }
        self.source
    }

    /// Queues a message; says how many bytes that are on the wire.
    fn push(&mut self, stream_id: u32, message: MediaMessage) -> usize {
        let MediaMessage { kind, timestamp, payload } = message;
        let message = Message { message_type: kind.message_type(), stream_id, timestamp, payload };
        let before = self.out.len();
        self.encoder.encode(chunk_stream(kind), &message, &mut self.out);
        self.out.len() - before
    }

    fn collect_output(&mut self) -> Result<Option<u32>, Ending> {
        let mut ready = None;
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(bytes) => self.out.put_slice(&bytes),
                ClientOutput::Event(ClientEvent::Ready { stream_id }) => ready = Some(stream_id),
                ClientOutput::Event(ClientEvent::Rejected { code, .. }) => {
                    return Err(Ending::Refused(code));
                }
                ClientOutput::Event(_) => {}
            }
        }
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use edgerelay_proto::session::{
        ClientMode, RtmpUrl, ServerEvent, ServerOutput, ServerSession, ServerSessionConfig,
    };

    use super::*;
    use crate::check::{Checker, Expect};
    use crate::mark::Checksums;
    use crate::pattern::Pattern;
    use crate::synthetic::Templates;
    use crate::tally::Tally;

    /// A server that checks what it gets, over one connection after another.
    struct Server {
        checker: Checker,
        tally: Tally,
        timestamps: Vec<u32>,
    }

    impl Server {
        fn new() -> Self {
            let checker = Checker::new(Expect::Marked(Checksums::Verified));
            Self { checker, tally: Tally::default(), timestamps: Vec::new() }
        }

        /// Connects a publisher of `source` at `at` and runs it for `time`, looking at the clock
        /// every `step`.
        fn take(
            &mut self,
            source: Source,
            at: Instant,
            time: Duration,
            step: Duration,
        ) -> (Source, Measures) {
            let url = RtmpUrl::parse("rtmp://127.0.0.1/live/cam").unwrap();
            let mut config = ClientConfig::new(url, ClientMode::Publish);
            config.chunk_size = 4_096;
            let mut publisher = Publisher::new(config, source, at, 1);
            let mut session = ServerSession::new(ServerSessionConfig::default(), at, 2);
            let mut measures = Measures::default();
            let mut now = at;
            while now < at + time {
                publisher.handle_timeout(now, &mut measures);
                while let Some(bytes) = publisher.poll_send() {
                    session.handle_input(now, bytes).unwrap();
                    self.hear(&mut session, &mut publisher, now);
                }
                now += step;
            }
            (publisher.into_source(now), measures)
        }

        fn hear(&mut self, session: &mut ServerSession, publisher: &mut Publisher, now: Instant) {
            while let Some(output) = session.poll_output() {
                match output {
                    ServerOutput::Send(bytes) => {
                        if let Some(stream_id) = publisher.handle_input(now, bytes).unwrap() {
                            publisher.begin(stream_id, now);
                        }
                    }
                    ServerOutput::Event(ServerEvent::Connect(_)) => {
                        session.accept_connect().unwrap();
                    }
                    ServerOutput::Event(ServerEvent::Publish(publish)) => {
                        session.accept_publish(publish.stream_id).unwrap();
                    }
                    ServerOutput::Event(ServerEvent::Media { message, .. }) => {
                        let MediaMessage { kind, timestamp, payload } = message;
                        self.timestamps.push(timestamp);
                        self.checker.take(kind, timestamp, &payload, &mut self.tally);
                    }
                    ServerOutput::Event(event) => panic!("{event:?}"),
                }
            }
        }
    }

    fn source() -> Source {
        Source::synthetic(Rc::new(Templates::new(Pattern::default())), 0)
    }

    #[test]
    fn messages_go_out_when_they_are_due() {
        let mut server = Server::new();
        let step = Duration::from_millis(1);
        let (_, measures) =
            server.take(source(), Instant::from_millis(500), Duration::from_secs(2), step);
        assert_eq!(server.tally.faults(), 0, "{:?}", server.tally);
        // The connection took the first two steps.
        assert!((150..=154).contains(&measures.sent.messages), "{:?}", measures.sent);
        let lateness = measures.lateness.summary().unwrap();
        assert!(lateness.max_us <= 1_000, "{lateness:?}");
    }

    #[test]
    fn who_looks_at_the_clock_too_rarely_is_late() {
        let mut server = Server::new();
        let step = Duration::from_millis(100);
        let (_, measures) =
            server.take(source(), Instant::from_millis(500), Duration::from_secs(2), step);
        assert_eq!(server.tally.faults(), 0);
        let lateness = measures.lateness.summary().unwrap();
        assert!((40_000..60_000).contains(&lateness.mean_us), "{lateness:?}");
    }

    #[test]
    fn a_publisher_that_comes_back_goes_on_in_time_with_a_keyframe_and_nothing_missing() {
        let mut server = Server::new();
        let step = Duration::from_millis(1);
        let second = Duration::from_secs(1);
        let (source, _) = server.take(source(), Instant::from_millis(500), second, step);
        let before = *server.timestamps.last().unwrap();
        server.take(source, Instant::from_millis(4_500), second, step);
        assert_eq!(server.tally.faults(), 0, "{:?}", server.tally);
        assert_eq!(server.tally.keyframes, 2);
        let first = server.timestamps.iter().position(|timestamp| *timestamp > before + 100);
        assert_eq!(first.map(|place| server.timestamps[place]), Some(2_000), "the next keyframe");
    }
}
