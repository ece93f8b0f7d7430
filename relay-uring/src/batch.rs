//! A batch of bytes that many sockets are sent.
//!
//! Owns the slices and the array of pointers to them that the kernel reads.

use std::fmt;

use bytes::Bytes;

/// The most slices one `SENDMSG` takes (the kernel's `UIO_MAXIOV`). A batch
/// with more is sent whole, but needs one more operation per socket for
/// every so many slices: callers should stay below.
pub const IOVECS_MAX: usize = 1024;

/// Bytes to send, built once and shared (`Rc`) by all sockets that are sent
/// the same.
pub struct SendBatch {
    iovecs: Vec<libc::iovec>,
    len_bytes: usize,
    // Keeps alive what `iovecs` points to; a `Bytes` never moves its bytes.
    _slices: Vec<Bytes>,
}

impl SendBatch {
    /// Takes the slices in order; empty ones are left out.
    pub fn new(slices: impl IntoIterator<Item = Bytes>) -> Self {
        let slices: Vec<Bytes> = slices.into_iter().filter(|slice| !slice.is_empty()).collect();
        let iovecs = slices
            .iter()
            .map(|slice| libc::iovec {
                // `sendmsg` reads only; the C type knows no const.
                iov_base: slice.as_ptr().cast_mut().cast(),
                iov_len: slice.len(),
            })
            .collect();
        Self { iovecs, len_bytes: slices.iter().map(Bytes::len).sum(), _slices: slices }
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
    fn one_operation_takes_no_more_than_the_kernel_allows() {
        let batch = SendBatch::new((0..3000).map(|_| Bytes::from_static(b"xy")));
        assert_eq!(lengths(&batch.rest(0)).len(), IOVECS_MAX);
        assert_eq!(lengths(&batch.rest(1)).len(), IOVECS_MAX);
        assert_eq!(lengths(&batch.rest(2 * IOVECS_MAX)).len(), IOVECS_MAX);
        assert_eq!(lengths(&batch.rest(4 * IOVECS_MAX)).len(), 3000 - 2048);
    }
}
