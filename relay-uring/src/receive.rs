//! What a connection reads into.
//!
//! Two sizes: small for players and idle connections, who send little, and
//! slabs for publishers, whose payload is then sliced and never copied.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio_uring::net::TcpStream;

/// A small buffer: all that an idle player costs.
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Slab,
}

impl ReceiveBuffer {
    /// A buffer for a connection not known to publish.
    pub fn small() -> Self {
        Self { size: Size::Small, room: BytesMut::new() }
    }

    /// Reads into slabs from the next read on: the connection publishes.
    pub fn become_slab(&mut self) {
        self.resize(Size::Slab);
    }

    /// Reads into small buffers from the next read on: it publishes no more.
    pub fn become_small(&mut self) {
        self.resize(Size::Small);
    }

    /// Reads what the peer sent; empty at the end of the stream.
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
        let (outcome, room) = stream.read(room).await;
        self.room = room;
        let len = outcome?;
        Ok(self.room.split_to(len).freeze())
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
