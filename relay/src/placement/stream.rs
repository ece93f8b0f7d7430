//! One stream as the placement sees it.

use edgerelay_proto::time::Instant;

use super::input::Failure;
use super::output::Attempt;
use super::retry::Retries;
use super::state::StreamState;
use crate::config::Resources;
use crate::id::WorkerId;

#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) state: StreamState,
    pub(super) since: Instant,
    pub(super) published_at: Instant,
    /// Its turn: streams are placed in the order in which they were published.
    pub(super) ticket: u64,
    pub(super) need: Resources,
    /// The worker that has a place for it.
    pub(super) worker: Option<WorkerId>,
    /// The attempt under way.
    pub(super) attempt: Option<Attempt>,
    pub(super) retries: Retries,
    /// Attempts made in all.
    pub(super) attempts: u32,
    pub(super) last_failure: Option<(Failure, String)>,
    /// The worker that the last attempt failed on: another one is tried first.
    pub(super) avoid: Option<WorkerId>,
    /// No attempt before then.
    pub(super) retry_at: Option<Instant>,
    /// When it was first fed after it last got on: from here a stall is counted. While it drains,
    /// since it last got on.
    pub(super) stall_from: Option<Instant>,
    /// When it was last said that it was fed.
    pub(super) fed_at: Option<Instant>,
    /// When the attempt under way began or last got on.
    pub(super) progress_at: Option<Instant>,
    /// Whether the upstream does not take it, as the worker says since then.
    pub(super) hindered: bool,
    pub(super) clock: PhaseClock,
}

/// When the parts of its way began that are not over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PhaseClock {
    /// Its publication, until the first byte is upstream.
    pub(super) published: Option<Instant>,
    /// A ready worker got it, until the first byte is there.
    pub(super) begun: Option<Instant>,
    /// The first byte was at the worker, until one is upstream.
    pub(super) received: Option<Instant>,
    /// An attempt failed, until a byte is upstream again.
    pub(super) failed: Option<Instant>,
}

impl Stream {
    pub(super) fn new(now: Instant, ticket: u64, need: Resources) -> Self {
        Self {
            state: StreamState::Pending,
            since: now,
            published_at: now,
            ticket,
            need,
            worker: None,
            attempt: None,
            retries: Retries::new(),
            attempts: 0,
            last_failure: None,
            avoid: None,
            retry_at: None,
            stall_from: None,
            fed_at: None,
            progress_at: None,
            hindered: false,
            clock: PhaseClock { published: Some(now), ..PhaseClock::default() },
        }
    }

    /// Whether it waits for a worker and may have one now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, StreamState::Pending | StreamState::Recovering)
            && self.retry_at.is_none_or(|at| at <= now)
    }

    /// What failed before counts no more.
    pub(super) fn restart(&mut self) {
        self.retries = Retries::new();
        self.attempts = 0;
        self.avoid = None;
        self.retry_at = None;
        self.stall_from = None;
        self.clock = PhaseClock::default();
    }
}
