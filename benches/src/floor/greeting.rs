//! The talk before the stream: handshake, `connect`, `play`. Sans-IO.

use bytes::{BufMut as _, Bytes, BytesMut};
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::session::{ServerEvent, ServerOutput, ServerSession, ServerSessionConfig};
use edgerelay_proto::time::Instant;

/// A player that has not been let in yet.
#[derive(Debug)]
pub(super) struct Greeting {
    session: ServerSession,
    over: bool,
}

impl Greeting {
    pub(super) fn new(now: Instant, seed: u64) -> Self {
        let session = ServerSession::new(ServerSessionConfig::default(), now, seed);
        Self { session, over: false }
    }

    /// Takes received bytes; returns the answer.
    ///
    /// # Errors
    /// The player broke the protocol, or wants to publish.
    pub(super) fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<Bytes, PeerFault> {
        let mut answer = BytesMut::new();
        self.session.handle_input(now, Bytes::copy_from_slice(input))?;
        while let Some(output) = self.session.poll_output() {
            match output {
                ServerOutput::Send(bytes) => answer.put_slice(&bytes),
                ServerOutput::Event(ServerEvent::Connect(_)) => self.session.accept_connect()?,
                ServerOutput::Event(ServerEvent::Play(request)) => {
                    self.session.accept_play(request.stream_id);
                    self.over = true;
                }
                ServerOutput::Event(ServerEvent::Publish(request)) => {
                    let code = "NetStream.Publish.BadName";
                    let why = "Nobody publishes here.";
                    self.session.refuse_publish(request.stream_id, code, why);
                }
                ServerOutput::Event(_) => {}
            }
        }
        Ok(answer.freeze())
    }

    /// Whether it plays.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }
}
