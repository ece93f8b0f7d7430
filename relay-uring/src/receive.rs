//! What a connection reads into.
//!
//! Two sizes: small for players and idle connections, who send little, and
//! slabs for publishers, whose payload is then sliced and never copied.
//!
//! Two ways to read: when the socket says that there is something, which
//! holds no memory while it waits; or by an operation on the ring, many of
//! which cost one system call when they are submitted together.

use std::io::{self, ErrorKind};

use bytes::{Bytes, BytesMut};
use tokio_uring::net::TcpStream;

use crate::readable::ReadableStream;
use crate::socket::socket_ref;

/// A small buffer. An idle connection that is watched holds none.
pub const SMALL_BYTES: usize = 1024;

/// A small buffer with less room than this is renewed before a read.
const SMALL_READ_BYTES_MIN: usize = 256;

/// A slab: sixteen pages and more of payload per allocation.
pub const SLAB_BYTES: usize = 64 * 1024;

/// A slab with less room than this is renewed before a read, so that no
/// frame is cut into slivers at the slab's end.
pub const SLAB_READ_BYTES_MIN: usize = 4 * 1024;

/// The buffer of one connection. Begins small; nothing is allocated before
/// the first read.
#[derive(Debug)]
pub struct ReceiveBuffer {
    size: Size,
    // Empty (len 0) between reads: what was read is split off and frozen.
    room: BytesMut,
    // The last read left something in the socket.
    more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Slab,
}

impl ReceiveBuffer {
    /// A buffer for a connection not known to publish.
    pub fn small() -> Self {
        Self { size: Size::Small, room: BytesMut::new(), more: false }
    }

    /// Reads into slabs from the next read on: the connection publishes.
    pub fn become_slab(&mut self) {
        self.resize(Size::Slab);
    }

    /// Reads into small buffers from the next read on: it publishes no more.
    pub fn become_small(&mut self) {
        self.resize(Size::Small);
    }

    /// Waits for what the peer sends and reads it; empty at the end of the
    /// stream. A peer that sends faster than it is read takes turns with
    /// other tasks.
    ///
    /// The result is as that of [`read`](Self::read). Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    ///
    /// What the socket says, a reset by the peer above all.
    pub async fn read_when_ready(&mut self, stream: &ReadableStream) -> io::Result<Bytes> {
        if std::mem::take(&mut self.more) {
            tokio::task::yield_now().await;
        }
        loop {
            let mut ready = stream.ready().await?;
            self.make_room();
            let room = self.room.spare_capacity_mut();
            let room_bytes = room.len();
            let len = match socket_ref(stream.get()).recv_with_flags(room, libc::MSG_DONTWAIT) {
                Ok(len) => len,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        ready.clear_ready();
                        continue;
                    }
                    ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                },
            };
            self.more = len == room_bytes;
            if !self.more {
                // The socket is empty; what comes later is news again.
                ready.clear_ready();
            }
            // SAFETY: `recv` initialised the first `len` bytes of the spare
            // capacity, and `room` is empty before them.
            unsafe { self.room.set_len(len) };
            let input = self.room.split().freeze();
            if self.size == Size::Small {
                // Its connection may be idle from now on.
                self.room = BytesMut::new();
            }
            return Ok(input);
        }
    }

    /// Reads what the peer sent, by an operation on the ring; empty at the
    /// end of the stream.
    ///
    /// The result is a slice of the buffer, nothing is copied; the memory is
    /// used again once all slices of it are gone.
    ///
    /// Not cancel-safe: the read goes on in the kernel when the future is
    /// dropped. The memory is then the runtime's until the read completes,
    /// what it reads is lost, and the next call begins with a new buffer.
    /// End a pending read with [`TcpStream::shutdown`] instead.
    ///
    /// # Errors
    ///
    /// What the socket says, a reset by the peer above all.
    pub async fn read(&mut self, stream: &TcpStream) -> io::Result<Bytes> {
        self.make_room();
        let room = std::mem::take(&mut self.room);
        let room_bytes = room.capacity();
        let (outcome, room) = stream.read(room).await;
        self.room = room;
        let len = outcome?;
        self.more = len == room_bytes;
        Ok(self.room.split_to(len).freeze())
    }

    /// Whether the last read filled all the room it had, so that there is
    /// likely more to read.
    pub fn may_have_more(&self) -> bool {
        self.more
    }

    /// Bytes that the next read may fill without an allocation.
    pub fn room_bytes(&self) -> usize {
        self.room.capacity()
    }

    fn resize(&mut self, size: Size) {
        if self.size != size {
            self.size = size;
            self.room = BytesMut::new();
        }
    }

    fn make_room(&mut self) {
        let (bytes, bytes_min) = match self.size {
            Size::Small => (SMALL_BYTES, SMALL_READ_BYTES_MIN),
            Size::Slab => (SLAB_BYTES, SLAB_READ_BYTES_MIN),
        };
        if self.room.capacity() < bytes_min {
            // Takes the same memory again when nobody holds slices of it.
            self.room.reserve(bytes);
        }
    }
}
