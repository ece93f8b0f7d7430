//! The memory that publishers are read into, used again when nobody holds
//! slices of it any more.
//!
//! A shard's connections share one pool: what one stream's group of pictures
//! lets go of at its keyframe, the next stream is read into.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;

/// A slab for a publisher whose reads are short.
pub const SLAB_BYTES_MIN: usize = 16 * 1024;

/// A slab for one whose reads are long: few frames lie in two.
pub const SLAB_BYTES_MAX: usize = 64 * 1024;

/// Slabs of each size that are kept to be used again, whether free or not:
/// half a gigabyte of the larger. What a shard uses beyond that is freed
/// and allocated anew.
const SPENT_SLABS_MAX: usize = 8 * 1024;

/// Slabs that are looked at to find a free one.
const LOOKS_MAX: usize = 4;

/// Slabs that one trim looks at and may free.
const TRIM_SLABS_MAX: usize = 64;

/// A pool is trimmed when its free slabs would last for so many trims.
const TRIMS_AHEAD: usize = 8;

/// Slabs of the two sizes. Clones share one pool.
#[derive(Clone, Debug, Default)]
pub struct SlabPool {
    sizes: Rc<RefCell<[Spent; 2]>>,
}

// Slabs of one size that were read full. Their bytes may still be in use.
#[derive(Debug, Default)]
struct Spent {
    slabs: VecDeque<BytesMut>,
    takes: usize,
}

impl SlabPool {
    /// A pool with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Frees slabs that have not been needed. For about once a second.
    pub fn trim(&self) {
        let mut sizes = self.sizes.borrow_mut();
        for (spent, bytes) in sizes.iter_mut().zip([SLAB_BYTES_MIN, SLAB_BYTES_MAX]) {
            spent.trim(bytes);
        }
    }

    /// An empty slab with room for `bytes`, one of the two sizes.
    pub(crate) fn take(&self, bytes: usize) -> BytesMut {
        self.of_size(bytes).take(bytes)
    }

    /// Takes a slab of `bytes` back. Slices of it may still be in use.
    pub(crate) fn put_back(&self, slab: BytesMut, bytes: usize) {
        let mut spent = self.of_size(bytes);
        if spent.slabs.len() < SPENT_SLABS_MAX {
            spent.slabs.push_back(slab);
        }
    }

    fn of_size(&self, bytes: usize) -> RefMut<'_, Spent> {
        let long = usize::from(bytes == SLAB_BYTES_MAX);
        RefMut::map(self.sizes.borrow_mut(), |sizes| &mut sizes[long])
    }
}

impl Spent {
    fn take(&mut self, bytes: usize) -> BytesMut {
        self.takes += 1;
        for _ in 0..LOOKS_MAX.min(self.slabs.len()) {
            let Some(mut slab) = self.slabs.pop_front() else { break };
            if slab.try_reclaim(bytes) {
                return slab;
            }
            self.slabs.push_back(slab);
        }
        BytesMut::with_capacity(bytes)
    }

    fn trim(&mut self, bytes: usize) {
        let takes = std::mem::take(&mut self.takes);
        let looks = TRIM_SLABS_MAX.min(self.slabs.len());
        let mut looked_at: Vec<_> = self.slabs.drain(..looks).collect();
        let free = looked_at.iter_mut().filter_map(|slab| slab.try_reclaim(bytes).then_some(()));
        let free_of_all = free.count() * (self.slabs.len() + looks) / looks.max(1);
        if free_of_all > takes * TRIMS_AHEAD {
            looked_at.retain_mut(|slab| !slab.try_reclaim(bytes));
        }
        self.slabs.extend(looked_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(pool: &SlabPool) -> (BytesMut, bytes::Bytes) {
        let mut slab = pool.take(SLAB_BYTES_MIN);
        slab.resize(100, 7);
        let held = slab.split().freeze();
        (slab, held)
    }

    fn kept(pool: &SlabPool) -> usize {
        pool.of_size(SLAB_BYTES_MIN).slabs.len()
    }

    #[test]
    fn a_slab_is_used_again_once_no_slice_of_it_is_left() {
        let pool = SlabPool::new();
        let (slab, held) = used(&pool);
        let place = held.as_ptr();
        pool.put_back(slab, SLAB_BYTES_MIN);
        let other = pool.take(SLAB_BYTES_MIN);
        assert_ne!(other.as_ptr(), place, "it is in use");
        assert_eq!(*held, [7; 100]);
        drop(held);
        assert_ne!(pool.take(SLAB_BYTES_MAX).as_ptr(), place, "of another size");
        let again = pool.take(SLAB_BYTES_MIN);
        assert_eq!((again.as_ptr(), again.capacity()), (place, SLAB_BYTES_MIN));
    }

    #[test]
    fn one_in_use_does_not_hide_those_behind_it() {
        let pool = SlabPool::new();
        let (pinned, _held) = used(&pool);
        pool.put_back(pinned, SLAB_BYTES_MIN);
        let (free, gone) = used(&pool);
        let place = gone.as_ptr();
        drop(gone);
        pool.put_back(free, SLAB_BYTES_MIN);
        for _ in 0..10 {
            let slab = pool.take(SLAB_BYTES_MIN);
            assert_eq!(slab.as_ptr(), place);
            pool.put_back(slab, SLAB_BYTES_MIN);
        }
        assert_eq!(kept(&pool), 2);
    }

    #[test]
    fn what_is_not_needed_is_freed_and_what_is_used_or_turned_over_stays() {
        let pool = SlabPool::new();
        let (in_use, held): (Vec<_>, Vec<_>) = (0..10).map(|_| used(&pool)).unzip();
        let (free, gone): (Vec<_>, Vec<_>) = (0..300).map(|_| used(&pool)).unzip();
        drop(gone);
        free.into_iter().chain(in_use).for_each(|slab| pool.put_back(slab, SLAB_BYTES_MIN));
        for _ in 0..8 {
            for _ in 0..40 {
                let slab = pool.take(SLAB_BYTES_MIN);
                pool.put_back(slab, SLAB_BYTES_MIN);
            }
            pool.trim();
        }
        assert_eq!(kept(&pool), 310, "the free ones are used again within seconds");
        (0..8).for_each(|_| pool.trim());
        assert_eq!(kept(&pool), 10);
        assert!(held.iter().all(|slice| **slice == [7; 100]));
    }
}
