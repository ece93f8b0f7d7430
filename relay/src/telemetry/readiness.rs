//! Whether the node can serve: facts set by those who know them, read by the readiness probe.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The conditions for being ready. Shared; every method may be called from any thread.
#[derive(Debug)]
pub struct Readiness {
    shards_expected: usize,
    shards_up: AtomicUsize,
    listeners_bound: AtomicBool,
    draining: AtomicBool,
    ebpf_attached: AtomicBool,
}

impl Readiness {
    /// Nothing is up yet; ready once `shards_expected` shards are, and the listeners are bound.
    #[must_use]
    pub const fn new(shards_expected: usize) -> Self {
        Self {
            shards_expected,
            shards_up: AtomicUsize::new(0),
            listeners_bound: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            ebpf_attached: AtomicBool::new(false),
        }
    }

    /// Every listener is bound.
    pub fn on_listeners_bound(&self) {
        self.listeners_bound.store(true, Ordering::Release);
    }

    /// One more shard accepts connections.
    pub fn on_shard_up(&self) {
        self.shards_up.fetch_add(1, Ordering::AcqRel);
    }

    /// One shard less accepts connections.
    pub fn on_shard_down(&self) {
        let _ = self
            .shards_up
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |up| up.checked_sub(1));
    }

    /// The node takes no new clients any more.
    pub fn on_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether kernel accounting is in place. The node serves without it.
    pub fn set_ebpf_attached(&self, attached: bool) {
        self.ebpf_attached.store(attached, Ordering::Release);
    }

    /// How many shards there should be.
    #[must_use]
    pub const fn shards_expected(&self) -> usize {
        self.shards_expected
    }

    /// How many shards accept connections.
    #[must_use]
    pub fn shards_up(&self) -> usize {
        self.shards_up.load(Ordering::Acquire)
    }

    /// Whether every listener is bound.
    #[must_use]
    pub fn listeners_bound(&self) -> bool {
        self.listeners_bound.load(Ordering::Acquire)
    }

    /// Whether the node takes no new clients any more.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether kernel accounting is in place.
    #[must_use]
    pub fn ebpf_attached(&self) -> bool {
        self.ebpf_attached.load(Ordering::Acquire)
    }

    /// Whether the node should be sent clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.listeners_bound() && self.shards_up() >= self.shards_expected && !self.draining()
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn ready_takes_listeners_and_every_shard() {
        let readiness = Readiness::new(2);
        readiness.on_shard_up();
        readiness.on_listeners_bound();
        assert!(!readiness.is_ready());
        readiness.on_shard_up();
        assert!(readiness.is_ready());
        readiness.on_shard_down();
        assert!(!readiness.is_ready());
    }

    #[test]
    fn a_draining_node_is_not_ready() {
        let readiness = Readiness::new(0);
        readiness.on_listeners_bound();
        assert!(readiness.is_ready());
        readiness.on_drain();
        assert!(!readiness.is_ready());
    }

    #[test]
    fn more_shards_down_than_up_is_none_up() {
        let readiness = Readiness::new(1);
        readiness.on_shard_down();
        assert_eq!(readiness.shards_up(), 0);
    }
}
