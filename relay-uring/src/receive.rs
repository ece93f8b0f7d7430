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
use crate::slab_pool::{SLAB_BYTES_MAX, SLAB_BYTES_MIN, SlabPool};
use crate::socket::socket_ref;

/// A small buffer. An idle connection that is watched holds none.
pub const SMALL_BYTES: usize = 1024;

/// A small buffer with less room than this is renewed before a read.
const SMALL_READ_BYTES_MIN: usize = 256;

/// Reads that a slab is to hold: with fewer, many frames would lie in two.
const SLAB_READS_MIN: usize = 4;

/// A slab with less room than this, and with room for less than two reads as
/// they have been, is renewed before a read, so that few frames are cut in
/// slivers at the slab's end. At most [`SLAB_READ_BYTES_ENOUGH`].
const SLAB_READ_BYTES_MIN: usize = 1024;

/// See [`SLAB_READ_BYTES_MIN`].
const SLAB_READ_BYTES_ENOUGH: usize = 4 * 1024;

/// The buffer of one connection. Begins small; nothing is allocated before
/// the first read.
#[derive(Debug)]
pub struct ReceiveBuffer {
    pool: SlabPool,
    size: Size,
    // Empty (len 0) between reads: what was read is split off and frozen.
    // None where no memory is held.
    room: Option<BytesMut>,
    // The last read left something in the socket.
    more: bool,
    // Of the reads into slabs, the late ones counting more.
    mean_read_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    /// Of so many bytes.
    Slab(usize),
}

impl ReceiveBuffer {
    /// A buffer for a connection not known to publish, which takes its slabs
    /// from `pool` when it does.
    pub fn small(pool: SlabPool) -> Self {
        Self { pool, size: Size::Small, room: None, more: false, mean_read_bytes: 0 }
    }

    /// Reads into slabs from the next read on: the connection publishes.
    pub fn become_slab(&mut self) {
        if self.size == Size::Small {
            self.room = None;
            self.size = Size::Slab(SLAB_BYTES_MIN);
        }
    }

    /// Reads into small buffers from the next read on: it publishes no more.
    pub fn become_small(&mut self) {
        self.give_back();
        self.size = Size::Small;
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
            let room = self.make_room();
            let spare = room.spare_capacity_mut();
            let room_bytes = spare.len();
            let len = match socket_ref(stream.get()).recv_with_flags(spare, libc::MSG_DONTWAIT) {
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
            // SAFETY: `recv` initialised the first `len` bytes of the spare
            // capacity, and `room` is empty before them.
            unsafe { room.set_len(len) };
            let input = room.split().freeze();
            self.note_read(len, room_bytes);
            if !self.more {
                // The socket is empty; what comes later is news again.
                ready.clear_ready();
            }
            if self.size == Size::Small {
                // Its connection may be idle from now on.
                self.room = None;
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
        let room = std::mem::take(self.make_room());
        self.room = None;
        let room_bytes = room.capacity();
        let (outcome, mut room) = stream.read(room).await;
        let input = outcome.map(|len| room.split_to(len).freeze());
        self.room = Some(room);
        let input = input?;
        self.note_read(input.len(), room_bytes);
        Ok(input)
    }

    /// Whether the last read filled all the room it had, so that there is
    /// likely more to read.
    pub fn may_have_more(&self) -> bool {
        self.more
    }

    /// Bytes that the next read may fill without an allocation.
    pub fn room_bytes(&self) -> usize {
        self.room.as_ref().map_or(0, BytesMut::capacity)
    }

    fn note_read(&mut self, len: usize, room_bytes: usize) {
        self.more = len == room_bytes;
        if self.size != Size::Small {
            let mean = if self.mean_read_bytes == 0 { len } else { self.mean_read_bytes };
            self.mean_read_bytes = (7 * mean + len) / 8;
        }
    }

    fn make_room(&mut self) -> &mut BytesMut {
        match self.size {
            Size::Small => {
                let room = self.room.get_or_insert_default();
                if room.capacity() < SMALL_READ_BYTES_MIN {
                    // Takes the same memory again when nobody holds slices of it.
                    room.reserve(SMALL_BYTES);
                }
                room
            }
            Size::Slab(_) => {
                let read_bytes = 2 * self.mean_read_bytes;
                if self.room_bytes() < read_bytes.clamp(SLAB_READ_BYTES_MIN, SLAB_READ_BYTES_ENOUGH)
                {
                    self.give_back();
                    let are_long = self.mean_read_bytes > SLAB_BYTES_MIN / SLAB_READS_MIN;
                    let bytes = if are_long { SLAB_BYTES_MAX } else { SLAB_BYTES_MIN };
                    self.size = Size::Slab(bytes);
                    self.room = Some(self.pool.take(bytes));
                }
                self.room.get_or_insert_default()
            }
        }
    }

    fn give_back(&mut self) {
        if let (Some(room), Size::Slab(bytes)) = (self.room.take(), self.size) {
            self.pool.put_back(room, bytes);
        }
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        self.give_back();
    }
}
