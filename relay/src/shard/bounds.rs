//! Every bound of a shard that is not the operator's to set, in one place.

use std::time::Duration;

/// Entries of each of the two rings; more than one tick submits on a busy shard.
pub(super) const RING_ENTRIES: u32 = 4096;

/// Messages waiting in a shard's mailbox.
pub const MAILBOX_MESSAGES_MAX: usize = 4096;

/// Places in the mailbox that media leaves free, so that news of streams always gets through.
pub(super) const MAILBOX_RESERVED: usize = 1024;

/// Frames of one stream gathered for another shard before they are handed over.
pub(super) const HANDOVER_FRAMES_MAX: usize = 256;

/// Slices in one send: the kernel's `UIO_MAXIOV`.
pub(super) const SEND_IOVECS_MAX: usize = 1024;

/// Bytes in one send.
pub(super) const SEND_BYTES_MAX: usize = 1 << 20;

/// Replies waiting for a peer that does not read them.
pub(super) const CONTROL_BYTES_MAX: usize = 256 << 10;

/// Batches kept for subscribers at the same place of one stream, during one turn.
pub(super) const SHARED_BATCHES_MAX: usize = 8;

/// From the last reply on a connection that is being closed until it is cut.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Looking up and connecting to an upstream.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest and the longest pause between two attempts at an upstream.
pub(super) const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// See [`BACKOFF_MIN`].
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A connection to an upstream that lasted so long starts the backoff anew.
pub(super) const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(10);

/// How often deadlines are looked at.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How often streams are looked at for stalled subscribers and old frames.
pub(super) const SWEEP: Duration = Duration::from_secs(1);

/// A pull without a subscriber ends after this.
pub(super) const PULL_IDLE: Duration = Duration::from_secs(5);

/// Accepting pauses for so long when the process has no descriptor left.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Clients' own words kept for display.
pub(super) const IDENTITY_BYTES_MAX: usize = 256;

/// How often the shard's load is measured, and the merge window with it.
pub(super) const LOAD_PERIOD: Duration = Duration::from_millis(250);

/// The part of a merge window in which what a step's readers bring goes out at once.
pub(super) const STEP_GRACE_SHARE: u32 = 4;

/// Of the merge window: how long completions gather before they are looked at. A shard that merges has
/// little to do with them before its next step, and each look costs a wake-up.
pub(super) const REAP_SHARE: u32 = 64;

/// A publisher that brings more than this in a merge window is read on without a pause in the next one, or
/// more than half of what its socket takes in unread: so none is held up that keeps its rate.
pub(super) const STEP_READ_BYTES_MAX: usize = 1 << 20;
