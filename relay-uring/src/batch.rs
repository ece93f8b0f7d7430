//! A batch of bytes that many sockets are sent.
//!
//! Owns the slices and the array of pointers to them that the kernel reads,
//! and the memory of both from one batch to the next.

use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

/// The most slices one `SENDMSG` takes (the kernel's `UIO_MAXIOV`). A batch
/// with more is sent whole, but needs one more operation per socket for
/// every so many slices: callers should stay below.
pub const IOVECS_MAX: usize = 1024;

/// Bytes to send, built once and shared (`Rc`) by all sockets that are sent
/// the same.
#[derive(Default)]
pub struct SendBatch {
    iovecs: Vec<libc::iovec>,
    len_bytes: usize,
    // Keeps alive what `iovecs` points to; a `Bytes` never moves its bytes.
    slices: Vec<Bytes>,
}

impl SendBatch {
    /// Takes the slices in order; empty ones are left out.
    pub fn new(slices: impl IntoIterator<Item = Bytes>) -> Self {
        // A list of slices that is handed in becomes the batch's own.
        let slices = slices.into_iter().filter(|slice| !slice.is_empty()).collect();
        let mut batch = Self { slices, ..Self::default() };
        batch.point();
        batch
    }

    /// Holds these slices instead of what it held.
    fn fill(&mut self, slices: impl IntoIterator<Item = Bytes>) {
        self.clear();
        self.slices.extend(slices.into_iter().filter(|slice| !slice.is_empty()));
        self.point();
    }

    /// Points at the slices.
    fn point(&mut self) {
        self.len_bytes = self.slices.iter().map(Bytes::len).sum();
        self.iovecs.extend(self.slices.iter().map(|slice| libc::iovec {
            // `sendmsg` reads only; the C type knows no const.
            iov_base: slice.as_ptr().cast_mut().cast(),
            iov_len: slice.len(),
        }));
    }

    /// Lets go of the slices, and keeps the memory of the lists.
    fn clear(&mut self) {
        self.iovecs.clear();
        self.slices.clear();
        self.len_bytes = 0;
    }

    /// Bytes in all slices together.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Slices in the batch.
    pub fn iovec_count(&self) -> usize {
        self.iovecs.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// What is left to send after the first `sent` bytes, in at most
    /// [`IOVECS_MAX`] parts.
    pub(crate) fn rest(&self, sent: usize) -> Rest<'_> {
        let mut skip = sent;
        for (index, iovec) in self.iovecs.iter().enumerate() {
            if skip == 0 {
                return Rest::Shared(capped(&self.iovecs[index..]));
            }
            if skip < iovec.iov_len {
                let mut tail = capped(&self.iovecs[index..]).to_vec();
                if let Some(first) = tail.first_mut() {
                    first.iov_base = first.iov_base.cast::<u8>().wrapping_add(skip).cast();
                    first.iov_len -= skip;
                }
                return Rest::Own(tail);
            }
            skip -= iovec.iov_len;
        }
        Rest::Shared(&[])
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("len_bytes", &self.len_bytes)
            .field("iovecs", &self.iovecs.len())
            .finish()
    }
}

/// Batches that a pool keeps: those of one turn.
const POOLED_BATCHES_MAX: usize = 8;

/// Slices of the longest batch that a pool keeps, 12 KiB of lists. Longer
/// ones are for subscribers that are behind, not for a steady state.
const POOLED_SLICES_MAX: usize = 256;

/// Makes batches in the memory of earlier ones, so that a steady state
/// allocates nothing.
///
/// Give a batch back with [`put_back`](Self::put_back) when no further socket
/// is to be sent it; those it is in flight to may still hold it. Call
/// [`release`](Self::release) now and then, for a batch that is in flight
/// when it is given back keeps its slices until then.
#[derive(Debug, Default)]
pub struct BatchPool {
    // Those that nobody else holds are free.
    batches: Vec<Rc<SendBatch>>,
}

impl BatchPool {
    /// A batch of the slices in order; empty ones are left out.
    pub fn batch(&mut self, slices: impl IntoIterator<Item = Bytes>) -> Rc<SendBatch> {
        let free = self.batches.iter_mut().position(|batch| Rc::get_mut(batch).is_some());
        let mut batch = free.map(|at| self.batches.swap_remove(at)).unwrap_or_default();
        if let Some(free) = Rc::get_mut(&mut batch) {
            free.fill(slices);
        }
        batch
    }

    /// Takes a batch back.
    pub fn put_back(&mut self, batch: Rc<SendBatch>) {
        if self.batches.len() < POOLED_BATCHES_MAX && batch.slices.capacity() <= POOLED_SLICES_MAX {
            self.batches.push(batch);
        }
    }

    /// Lets go of the slices of all batches that are sent.
    pub fn release(&mut self) {
        self.batches.iter_mut().filter_map(Rc::get_mut).for_each(SendBatch::clear);
    }
}

/// The unsent part of a batch.
#[derive(Debug)]
pub(crate) enum Rest<'a> {
    /// Begins with a whole slice: the batch's own array serves.
    Shared(&'a [libc::iovec]),
    /// Begins inside a slice: needs an array of its own.
    Own(Vec<libc::iovec>),
}

impl Rest<'_> {
    #[cfg(test)]
    fn iovecs(&self) -> &[libc::iovec] {
        match self {
            Self::Shared(iovecs) => iovecs,
            Self::Own(iovecs) => iovecs,
        }
    }
}

fn capped(iovecs: &[libc::iovec]) -> &[libc::iovec] {
    &iovecs[..iovecs.len().min(IOVECS_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(rest: &Rest<'_>) -> Vec<usize> {
        rest.iovecs().iter().map(|iovec| iovec.iov_len).collect()
    }

    #[test]
    fn empty_slices_are_left_out() {
        let batch = SendBatch::new([Bytes::new(), Bytes::from_static(b"ab"), Bytes::new()]);
        assert_eq!((batch.iovec_count(), batch.len_bytes()), (1, 2));
        assert!(SendBatch::new([Bytes::new()]).is_empty());
    }

    #[test]
    fn the_rest_begins_at_the_first_unsent_byte() {
        let text = Bytes::from_static(b"abcdefghi");
        let batch = SendBatch::new([text.slice(0..3), text.slice(3..5), text.slice(5..9)]);
        for sent in 0..=9 {
            let rest = batch.rest(sent);
            assert_eq!(lengths(&rest).iter().sum::<usize>(), 9 - sent, "{sent}");
            let on_boundary = [0, 3, 5, 9].contains(&sent);
            assert_eq!(matches!(rest, Rest::Shared(_)), on_boundary, "{sent}");
            if let Some(first) = rest.iovecs().first() {
                assert_eq!(first.iov_base.addr(), text.as_ptr().addr() + sent);
            }
        }
    }

    #[test]
    fn a_pool_uses_a_batch_again_once_nobody_else_holds_it() {
        let mut pool = BatchPool::default();
        let first = pool.batch([Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        let place = Rc::as_ptr(&first);
        let in_flight = Rc::clone(&first);
        pool.put_back(first);
        let second = pool.batch([Bytes::from_static(b"d")]);
        assert_ne!(Rc::as_ptr(&second), place, "the first is in flight");
        assert_eq!(in_flight.len_bytes(), 3);
        drop(in_flight);
        let third = pool.batch([Bytes::from_static(b"efghi")]);
        assert_eq!(Rc::as_ptr(&third), place);
        assert_eq!((third.iovec_count(), third.len_bytes()), (1, 5));
    }

    #[test]
    fn a_pool_lets_go_of_what_is_sent() {
        let mut pool = BatchPool::default();
        let slab = Bytes::from(vec![0; 100]);
        let batch = pool.batch([slab.slice(0..50)]);
        let in_flight = Rc::clone(&batch);
        pool.put_back(batch);
        pool.release();
        assert!(!slab.is_unique(), "the kernel may read it");
        drop(in_flight);
        pool.release();
        assert!(slab.is_unique());
    }

    #[test]
    fn a_pool_keeps_few_and_short_batches() {
        let mut pool = BatchPool::default();
        let slice = Bytes::from_static(b"xy");
        pool.put_back(Rc::new(SendBatch::new(vec![slice.clone(); POOLED_SLICES_MAX + 1])));
        assert!(pool.batches.is_empty());
        for _ in 0..=POOLED_BATCHES_MAX {
            pool.put_back(Rc::new(SendBatch::new([slice.clone()])));
        }
        assert_eq!(pool.batches.len(), POOLED_BATCHES_MAX);
    }

    #[test]
    fn one_operation_takes_no_more_than_the_kernel_allows() {
        let batch = SendBatch::new((0..3000).map(|_| Bytes::from_static(b"xy")));
        assert_eq!(lengths(&batch.rest(0)).len(), IOVECS_MAX);
        assert_eq!(lengths(&batch.rest(1)).len(), IOVECS_MAX);
        assert_eq!(lengths(&batch.rest(2 * IOVECS_MAX)).len(), IOVECS_MAX);
        assert_eq!(lengths(&batch.rest(4 * IOVECS_MAX)).len(), 3000 - 2048);
    }
}
