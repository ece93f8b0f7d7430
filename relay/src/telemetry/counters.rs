//! What each shard counts: plain numbers in its own cache lines, read by whoever asks.
//!
//! A counter is written by its shard's thread alone. So a write is a relaxed load and a relaxed
//! store, without the bus lock of a read-modify-write; a second writer would lose counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{ClientRole, CloseReason};

/// A number that only grows, written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning thread may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets the total, where another component keeps the count. Only the owning thread may.
    pub fn set_total(&self, total: u64) {
        self.0.store(total, Ordering::Relaxed);
    }

    /// The total; any thread may ask.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, written by one thread.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds `n`. Only the owning thread may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_add(n), Ordering::Relaxed);
    }

    /// Takes `n` away, down to zero. Only the owning thread may.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_sub(n), Ordering::Relaxed);
    }

    /// Sets the value. Only the owning thread may.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value; any thread may ask.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything one shard counts.
///
/// Aligned to two cache lines, because the adjacent-line prefetcher pulls lines in pairs: a shard's
/// counters never share a pair with another shard's.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardCounters {
    /// Bytes read from sockets.
    pub bytes_in: Counter,
    /// Bytes written to sockets.
    pub bytes_out: Counter,
    /// Media payload bytes received from publishers and origins.
    pub payload_bytes_in: Counter,
    /// Media bytes sent to players and upstreams, chunk headers included.
    pub payload_bytes_out: Counter,
    /// Media payload bytes that had to be copied because the peer's chunks were tiny.
    pub payload_bytes_copied: Counter,
    /// Media messages received.
    pub frames_in: Counter,
    /// Media messages sent, once for each subscriber.
    pub frames_out: Counter,
    /// Times a subscriber fell behind and was moved to the newest keyframe.
    pub subscriber_skips: Counter,
    /// Media messages that subscribers missed through skips.
    pub subscriber_frames_dropped: Counter,
    /// Connections accepted.
    pub connections_accepted: Counter,
    /// Connections turned away at once because a limit was reached.
    pub connections_rejected: Counter,
    /// Accept calls that failed.
    pub accept_failures: Counter,
    /// Publications begun.
    pub publishes: Counter,
    /// Plays begun.
    pub plays: Counter,
    /// Publish requests refused.
    pub publish_refused: Counter,
    /// Play requests refused.
    pub play_refused: Counter,
    /// Publishers whose name a newer one took.
    pub publisher_replaced: Counter,
    /// Attempts to connect a push.
    pub push_attempts: Counter,
    /// Pushes that reached the publishing state.
    pub push_connected: Counter,
    /// Push attempts and pushes that failed.
    pub push_failures: Counter,
    /// Name look-ups made for pushes.
    pub push_resolutions: Counter,
    /// Attempts to connect a pull.
    pub pull_attempts: Counter,
    /// Pulls that reached the playing state.
    pub pull_connected: Counter,
    /// Pull attempts and pulls that failed.
    pub pull_failures: Counter,
    /// Batches dropped because another shard's mailbox was full.
    pub mailbox_full: Counter,
    /// System calls that submitted sends.
    pub ring_enters: Counter,
    /// Sends given to the send ring.
    pub ring_sends: Counter,
    /// Sends that the kernel finished only in part, resubmitted.
    pub ring_short_sends: Counter,
    /// Sends made without copying.
    pub ring_zero_copy_sends: Counter,
    /// Zero-copy sends for which the kernel copied after all.
    pub ring_zero_copy_copied: Counter,
    /// Zero-copy sends made again as copying ones, because locked memory ran out.
    pub ring_zero_copy_enomem: Counter,
    /// How long frames are gathered before they are sent, in microseconds.
    pub merge_window_micros: Gauge,
    /// How much of its time the shard works, in thousandths.
    pub busy_permille: Gauge,
    /// Bytes held in stream logs.
    pub log_bytes: Gauge,
    /// Streams with a publication whose home is this shard.
    pub streams_active: Gauge,
    /// Streams with a publisher or a subscriber on this shard.
    pub streams: Gauge,
    /// Ticks of the shard's clock: they stop when it hangs.
    pub heartbeats: Counter,
    connections_open: [Gauge; ClientRole::COUNT],
    /// Written at the end of a connection, read at a scrape: rare enough for a lock.
    closed: Mutex<BTreeMap<&'static str, u64>>,
}

impl ShardCounters {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection of `role` is open now. Only the owning thread may say so.
    pub fn on_opened(&self, role: ClientRole) {
        if let Some(gauge) = self.connections_open.get(role.index()) {
            gauge.add(1);
        }
    }

    /// An open connection turned out to be for something else. Only the owning thread may say so.
    pub fn on_role_changed(&self, from: ClientRole, to: ClientRole) {
        self.leave(from);
        self.on_opened(to);
    }

    /// A connection of `role` is gone. Only the owning thread may say so.
    pub fn on_closed(&self, role: ClientRole, reason: CloseReason) {
        self.leave(role);
        self.closed(reason);
    }

    /// Counts a close of something that was never counted open, such as one turned away at once.
    pub fn closed(&self, reason: CloseReason) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = closed.entry(reason.label()).or_default();
        *count = count.saturating_add(1);
    }

    /// How many connections of `role` are open.
    #[must_use]
    pub fn connections_open(&self, role: ClientRole) -> u64 {
        self.connections_open.get(role.index()).map_or(0, Gauge::value)
    }

    /// How many connections were closed, by the label of the reason.
    #[must_use]
    pub fn closed_by_reason(&self) -> BTreeMap<&'static str, u64> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn leave(&self, role: ClientRole) {
        if let Some(gauge) = self.connections_open.get(role.index()) {
            gauge.sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shards_never_share_a_pair_of_cache_lines() {
        assert_eq!(align_of::<ShardCounters>(), 128);
        assert_eq!(size_of::<ShardCounters>() % 128, 0);
    }

    #[test]
    fn a_connection_is_counted_under_its_present_role_alone() {
        let counters = ShardCounters::new();
        counters.on_opened(ClientRole::Idle);
        counters.on_role_changed(ClientRole::Idle, ClientRole::Player);
        assert_eq!(counters.connections_open(ClientRole::Idle), 0);
        assert_eq!(counters.connections_open(ClientRole::Player), 1);
        counters.on_closed(ClientRole::Player, CloseReason::PeerClosed);
        assert_eq!(counters.connections_open(ClientRole::Player), 0);
        assert_eq!(counters.closed_by_reason().get("peer_closed"), Some(&1));
    }

    #[test]
    fn a_gauge_stops_at_zero_where_a_counter_wraps() {
        let gauge = Gauge::default();
        gauge.add(1);
        gauge.sub(2);
        assert_eq!(gauge.value(), 0);
        let counter = Counter::default();
        counter.set_total(u64::MAX);
        counter.add(2);
        assert_eq!(counter.total(), 1);
    }

    #[test]
    fn a_fault_is_closed_under_its_own_name() {
        let counters = ShardCounters::new();
        counters.closed(CloseReason::PeerFault("chunk_size_zero"));
        counters.closed(CloseReason::PeerFault("chunk_size_zero"));
        assert_eq!(counters.closed_by_reason().get("chunk_size_zero"), Some(&2));
    }
}
