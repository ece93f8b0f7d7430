//! What a session gives out, server or client: bytes and events in the order in which they happened.
//! Owns that order and the bound on events; must not know what they mean.

use core::fmt;
use std::collections::VecDeque;

use bytes::Bytes;

use super::link::Link;
use crate::fault::PeerFault;
use crate::limits::SESSION_EVENTS_MAX;

/// What a session gives out.
#[derive(Clone, PartialEq)]
pub enum SessionOutput<E> {
    /// Bytes for the peer, in one send where they are one piece.
    Send(Bytes),
    /// Something to act on.
    Event(E),
}

/// Bytes as their length: commands in them hold stream keys.
impl<E: fmt::Debug> fmt::Debug for SessionOutput<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => formatter.debug_tuple("Send").field(&bytes.len()).finish(),
            Self::Event(event) => formatter.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// Outputs that wait to be polled. The link's bytes come behind them.
#[derive(Debug)]
pub(super) struct Outputs<E> {
    queue: VecDeque<SessionOutput<E>>,
    /// Events since the last input, for their bound.
    events: usize,
}

impl<E> Outputs<E> {
    pub(super) const fn new() -> Self {
        Self { queue: VecDeque::new(), events: 0 }
    }

    /// Input comes, or held input goes on: the bound is on what one such brings.
    pub(super) const fn on_input(&mut self) {
        self.events = 0;
    }

    /// Queues an event behind all bytes queued before it.
    pub(super) fn push_event(&mut self, link: &mut Link, event: E) -> Result<(), PeerFault> {
        self.events += 1;
        if self.events > SESSION_EVENTS_MAX {
            return Err(PeerFault::TooMany("messages"));
        }
        self.queue.extend(link.take_output().map(SessionOutput::Send));
        self.queue.push_back(SessionOutput::Event(event));
        Ok(())
    }

    pub(super) fn drop_events(&mut self) {
        self.queue.retain(|output| matches!(output, SessionOutput::Send(_)));
    }

    pub(super) fn poll(&mut self, link: &mut Link) -> Option<SessionOutput<E>> {
        self.queue.pop_front().or_else(|| link.take_output().map(SessionOutput::Send))
    }
}
