//! A connection that somebody publishes to us on: the far side of a push. Takes what comes, and judges
//! it as a player does.
//!
//! Sans-IO: bytes and time in, bytes out.

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::session::{ServerEvent, ServerOutput, ServerSession, ServerSessionConfig};
use edgerelay_proto::time::Instant;

use crate::check::{Checker, Expect, Seen};
use crate::measure::{Group, Measures};
use crate::player::Stage;

/// What publications count as.
pub const GROUP: Group = Group::Steady;

/// One publication.
#[derive(Debug)]
pub struct Receiver {
    session: ServerSession,
    stage: Stage,
    checker: Checker,
    out: BytesMut,
    /// When it was accepted from the listener.
    began: Instant,
    /// When `publish` was accepted.
    publishing_since: Instant,
    last_frame: Option<Instant>,
}

impl Receiver {
    /// A connection just accepted. The handshake's random bytes are made from `seed`.
    #[must_use]
    pub fn new(expect: Expect, now: Instant, seed: u64) -> Self {
        Self {
            session: ServerSession::new(ServerSessionConfig::default(), now, seed),
            stage: Stage::Opening,
            checker: Checker::new(expect),
            out: BytesMut::new(),
            began: now,
            publishing_since: now,
            last_frame: None,
        }
    }

    /// How far it has come: [`Stage::Watching`] is a publication whose first keyframe came.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// When the last frame came.
    #[must_use]
    pub const fn last_frame(&self) -> Option<Instant> {
        self.last_frame
    }

    /// Takes received bytes.
    ///
    /// # Errors
    /// The client broke the protocol.
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: Bytes,
        measures: &mut Measures,
    ) -> Result<(), PeerFault> {
        let tally = measures.tally_mut(GROUP);
        tally.bytes += input.len() as u64;
        tally.reads += 1;
        self.session.handle_input(now, input)?;
        while let Some(output) = self.session.poll_output() {
            match output {
                ServerOutput::Send(bytes) => self.out.put_slice(&bytes),
                ServerOutput::Event(event) => self.on_event(now, event, measures)?,
            }
        }
        Ok(())
    }

    /// The next bytes to send.
    pub fn poll_send(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    fn on_event(
        &mut self,
        now: Instant,
        event: ServerEvent,
        measures: &mut Measures,
    ) -> Result<(), PeerFault> {
        match event {
            ServerEvent::Connect(_) => {
                self.session.accept_connect()?;
                self.stage = Stage::Connected;
                measures.connect.record(now.saturating_since(self.began));
            }
            ServerEvent::Publish(request) => {
                self.session.accept_publish(request.stream_id)?;
                self.stage = Stage::Playing;
                self.publishing_since = now;
            }
            ServerEvent::Play(request) => {
                let code = "NetStream.Play.StreamNotFound";
                self.session.refuse_play(request.stream_id, code, "This is a sink.");
            }
            ServerEvent::Media { message, .. } => {
                let tally = measures.tally_mut(GROUP);
                let seen =
                    self.checker.take(message.kind, message.timestamp, &message.payload, tally);
                if let Seen::Frame { keyframe, stamp } = seen {
                    self.on_frame(now, keyframe, stamp, measures);
                }
            }
            ServerEvent::Unpublish { .. } => self.stage = Stage::Connected,
            ServerEvent::Pause { .. }
            | ServerEvent::ReceiveAudio { .. }
            | ServerEvent::ReceiveVideo { .. }
            | ServerEvent::StopPlay { .. } => {}
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
            measures.on_joined(GROUP, now.saturating_since(self.began));
        }
        // What was sent before comes out of the relay's cache.
        if let Some(stamp) = stamp.filter(|stamp| *stamp >= self.publishing_since) {
            measures.latency.record(now.saturating_since(stamp));
        }
    }
}
