//! What a connection has still to send.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use bytes::{Buf as _, Bytes};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

/// Slices that one system call takes.
const SLICES_MAX: usize = 64;

/// Bytes in order, kept until the socket has taken them.
#[derive(Debug, Default)]
pub struct Outbox {
    slices: VecDeque<Bytes>,
    len: usize,
}

impl Outbox {
    /// Adds to the end.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.slices.push_back(bytes);
        }
    }

    /// Bytes waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sends as much as the socket takes now.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self, socket: impl AsFd) -> io::Result<()> {
        while !self.is_empty() {
            let sent = match (self.slices.front(), self.slices.len()) {
                // The usual case, and the cheaper call.
                (Some(only), 1) => send(&socket, only, SendFlags::NOSIGNAL),
                _ => self.send_slices(&socket),
            };
            match sent {
                Ok(sent) => self.drop_front(sent),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn send_slices(&self, socket: impl AsFd) -> rustix::io::Result<usize> {
        let mut views = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (view, slice) in views.iter_mut().zip(&self.slices) {
            *view = IoSlice::new(slice);
            count += 1;
        }
        let mut control = SendAncillaryBuffer::default();
        let views = views.get(..count).unwrap_or_default();
        sendmsg(socket, views, &mut control, SendFlags::NOSIGNAL)
    }

    fn drop_front(&mut self, mut sent: usize) {
        self.len -= sent;
        while sent > 0 {
            let Some(first) = self.slices.front_mut() else { return };
            if sent < first.len() {
                first.advance(sent);
                return;
            }
            sent -= first.len();
            self.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_the_socket_does_not_take_waits_and_goes_in_order() {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for number in 0..200_u32 {
            let bytes = vec![number as u8; 10_007];
            expected.extend_from_slice(&bytes);
            outbox.push(bytes.into());
        }
        outbox.flush(&near).unwrap();
        assert!(!outbox.is_empty(), "a socket takes less than 2 MB");
        let mut received = vec![0; expected.len()];
        let mut filled = 0;
        while filled < received.len() {
            filled += far.read(&mut received[filled..]).unwrap();
            outbox.flush(&near).unwrap();
        }
        assert!(outbox.is_empty());
        assert!(received == expected);
    }
}
