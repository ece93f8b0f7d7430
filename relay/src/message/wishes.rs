//! What the control plane asks of the work on streams, and what it is told.

use tokio::sync::oneshot;

use crate::id::{StreamKey, WorkerId};

/// Requests that may wait.
pub const WORK_REQUESTS_MAX: usize = 8;

/// What an operator wants. Whoever asks is told whether it was begun.
#[derive(Debug)]
pub struct WorkRequest {
    /// What it is.
    pub wish: Wish,
    /// Whom to tell.
    pub tell: oneshot::Sender<Result<(), WishRefused>>,
}

/// What an operator can want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No new streams for a worker, and its end once it has none.
    DrainWorker(WorkerId),
    /// More tries for a stream that has failed.
    RetryStream(StreamKey),
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishRefused {
    /// What it is about is not there.
    Unknown(&'static str),
    /// It is there, but not so that this could be done.
    NotNow(&'static str),
}
