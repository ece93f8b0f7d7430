//! What a send ring counts.

/// Counters of one ring since it was made, and two gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SendRingStats {
    /// `io_uring_enter` calls.
    pub enters: u64,
    /// Batches accepted by `send`.
    pub sends: u64,
    /// Times the kernel took only part of what it was given, so the rest was
    /// submitted again.
    pub short_sends: u64,
    /// Operations submitted as zero-copy.
    pub zc_sends: u64,
    /// Zero-copy operations of which the kernel says that it copied.
    pub zc_copied: u64,
    /// Zero-copy operations made again as copying ones for want of memory.
    pub enomem_fallbacks: u64,
    /// Sends that failed.
    pub failures: u64,
    /// Gauge: sockets known to the ring.
    pub sockets: usize,
    /// Gauge: operations that hold a batch: queued, in flight, or zero-copy
    /// and not yet given back.
    pub flights: usize,
}
