//! One receive buffer for all connections of the thread.
//!
//! What was read is lent out as `Bytes`. Given back, the buffer is read into again, so that in the
//! usual case every read of every connection goes to the same memory, which stays in the cache. If
//! somebody kept a part (a message whose rest is still to come), the buffer waits in a pool until
//! that is over.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// Bytes read at a time, if there are as many.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Buffers kept that somebody has a part of. One that leaves the pool is freed with its last part.
const WAITING_MAX: usize = 1_024;

/// Buffers looked at before a new one is made.
const LOOKED_AT_MAX: usize = 4;

/// What a read came to.
#[derive(Debug)]
pub enum Received {
    /// Bytes; [give them back](ReceiveSlab::give_back).
    Bytes(Bytes),
    /// Nothing for now.
    Nothing,
    /// The peer will send no more.
    End,
}

/// The buffer.
#[derive(Debug, Default)]
pub struct ReceiveSlab {
    free: Option<BytesMut>,
    /// All of the buffer that was lent out last.
    lent: Option<Bytes>,
    /// Buffers that parts were kept of, in the order of their reads.
    waiting: VecDeque<Bytes>,
}

impl ReceiveSlab {
    /// Reads what is there, at most `bytes_max`.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn read(&mut self, socket: impl AsFd, bytes_max: usize) -> io::Result<Received> {
        let mut slab = self.take_free();
        let room = slab.len().min(bytes_max);
        match recv(socket, &mut slab[..room], RecvFlags::empty()) {
            Ok((_, len)) if len > 0 => {
                let lent = slab.freeze();
                let bytes = lent.slice(..len);
                self.lent = Some(lent);
                Ok(Received::Bytes(bytes))
            }
            outcome => {
                self.free = Some(slab);
                match outcome {
                    Ok(_) => Ok(Received::End),
                    Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Has the kernel throw away what is there, at most so much, and says how much it was; none for
    /// nothing.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn discard(&mut self, socket: impl AsFd) -> io::Result<Option<usize>> {
        let mut slab = self.take_free();
        // TCP takes the length from the buffer and leaves it alone otherwise.
        let outcome = recv(socket, &mut slab[..], RecvFlags::TRUNC);
        self.free = Some(slab);
        match outcome {
            Ok((_, len)) => Ok(Some(len)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the bytes of the last read back.
    pub fn give_back(&mut self, bytes: Bytes) {
        drop(bytes);
        match self.lent.take().map(Bytes::try_into_mut) {
            Some(Ok(slab)) => self.free = Some(slab),
            Some(Err(kept)) => {
                if self.waiting.len() >= WAITING_MAX {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(kept);
            }
            None => {}
        }
    }

    fn take_free(&mut self) -> BytesMut {
        if let Some(slab) = self.free.take() {
            return slab;
        }
        for _ in 0..LOOKED_AT_MAX {
            match self.waiting.pop_front().map(Bytes::try_into_mut) {
                Some(Ok(slab)) => return slab,
                Some(Err(kept)) => self.waiting.push_back(kept),
                None => break,
            }
        }
        BytesMut::zeroed(READ_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn read(slab: &mut ReceiveSlab, near: &UnixStream) -> Bytes {
        match slab.read(near, READ_BYTES_MAX).unwrap() {
            Received::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_given_back_is_used_again_and_what_is_kept_stays() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut slab = ReceiveSlab::default();
        far.write_all(b"first").unwrap();
        let first = read(&mut slab, &near);
        let place = first.as_ptr();
        slab.give_back(first);
        far.write_all(b"second").unwrap();
        let second = read(&mut slab, &near);
        assert_eq!(second.as_ptr(), place);
        let kept = second.slice(2..4);
        slab.give_back(second);
        far.write_all(b"third").unwrap();
        let third = read(&mut slab, &near);
        assert_ne!(third.as_ptr(), place);
        assert_eq!(&kept[..], b"co");
        drop(kept);
        far.write_all(b"fourth").unwrap();
        let fourth = read(&mut slab, &near);
        assert_eq!(fourth.as_ptr(), place, "nobody has a part of it any more");
        drop(far);
        assert!(matches!(slab.read(&near, 1).unwrap(), Received::End));
    }

    #[test]
    fn what_is_discarded_is_counted_and_gone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        let mut slab = ReceiveSlab::default();
        far.write_all(&[7; 1_000]).unwrap();
        let mut gone = 0;
        while gone < 1_000 {
            gone += slab.discard(&near).unwrap().expect("it blocks until there is something");
        }
        assert_eq!(gone, 1_000);
        far.write_all(b"behind").unwrap();
        match slab.read(&near, READ_BYTES_MAX).unwrap() {
            Received::Bytes(bytes) => assert_eq!(&bytes[..], b"behind"),
            other => panic!("{other:?}"),
        }
        drop(far);
        assert_eq!(slab.discard(&near).unwrap(), Some(0));
    }

    #[test]
    fn giving_back_does_not_wear_the_slab_out() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut slab = ReceiveSlab::default();
        let mut place = None;
        for _ in 0..1_000 {
            far.write_all(&[7; 4_096]).unwrap();
            let bytes = read(&mut slab, &near);
            assert_eq!(*place.get_or_insert(bytes.as_ptr()), bytes.as_ptr());
            slab.give_back(bytes);
        }
    }
}
