//! The ring that sends batches to many sockets with one system call.
//!
//! It owns sockets and batches from submission to the last completion. It
//! must never free what the kernel may still read, not even when dropped.

mod completing;
#[cfg(test)]
mod faked;
mod winding_down;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use io_uring::{IoUring, opcode};
use slab::Slab;
use tokio_uring::net::TcpStream;

use crate::availability::{Support, open_ring};
use crate::batch::SendBatch;
use crate::error::{RingUnavailable, SendError};
use crate::flight::{CANCEL_USER_DATA, Flight, FlightId, Flights, Phase, UsageReport};
use crate::stats::SendRingStats;
use crate::verdict::{Mode, Progress};
use crate::waiter::RingWaiter;
use crate::zero_copy::ZeroCopy;

/// How often one submission is tried again after an interruption or a full
/// completion queue.
const SUBMIT_ATTEMPTS_MAX: usize = 16;

/// Names a socket in a ring. A key of a removed socket names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketKey {
    index: usize,
    generation: u32,
}

impl SocketKey {
    /// A small number that no other socket in the ring has now; it is used
    /// again after this one is removed.
    pub const fn index(self) -> usize {
        self.index
    }
}

/// The end of one send.
#[derive(Debug)]
pub struct Completion {
    /// The socket.
    pub key: SocketKey,
    /// The batch's length, all of it sent; or why not. After an error the
    /// socket takes no more sends: remove it.
    pub outcome: io::Result<usize>,
}

/// Sends batches.
///
/// Call order: [`add_socket`](Self::add_socket) once per connection; then
/// [`send`](Self::send) for any number of idle sockets and
/// [`submit`](Self::submit) once; after [`RingWaiter::ready`],
/// [`completions`](Self::completions) hands out one [`Completion`] per send.
///
/// A socket has one send in flight; a stalled one delays no other. A send is
/// reported when the kernel has taken all its bytes. A zero-copy batch is
/// held longer, until the kernel says that it reads it no more; the socket
/// may send again meanwhile, and be closed.
///
/// Dropping the ring cancels what is in flight and waits for the kernel to
/// let go, for half a second at most; what it holds on to is leaked, not freed.
pub struct SendRing {
    ring: IoUring,
    support: Support,
    sockets: Slab<SocketSlot>,
    socket_generation: u32,
    flights: Flights,
    queued: VecDeque<Queued>,
    // Taken out of the completion queue, not yet looked at.
    reaped: VecDeque<RawCompletion>,
    usage_report: UsageReport,
    zero_copy_pause: u32,
    stats: SendRingStats,
}

struct SocketSlot {
    generation: u32,
    stream: Rc<TcpStream>,
    zero_copy: ZeroCopy,
    state: SocketState,
}

#[derive(Clone, Copy)]
enum SocketState {
    Idle,
    Sending(FlightId),
    Failed,
}

enum Queued {
    Flight(FlightId),
    Cancel(FlightId),
}

struct RawCompletion {
    user_data: u64,
    result: i32,
    flags: u32,
}

impl SendRing {
    /// Sets up a ring that submits up to `entries` sends per system call
    /// (rounded up to a power of two; more are split). Belongs to the thread
    /// that calls this.
    ///
    /// # Errors
    ///
    /// Says why io_uring cannot be used.
    pub fn new(entries: u32) -> Result<Self, RingUnavailable> {
        let (ring, support) = open_ring(entries)?;
        Ok(Self {
            ring,
            support,
            sockets: Slab::new(),
            socket_generation: 0,
            flights: Flights::default(),
            queued: VecDeque::new(),
            reaped: VecDeque::new(),
            usage_report: UsageReport::Asked,
            zero_copy_pause: 0,
            stats: SendRingStats::default(),
        })
    }

    /// What the kernel offers this ring.
    pub fn support(&self) -> Support {
        self.support
    }

    /// A handle that waits for completions; call it within the runtime.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated or registered.
    pub fn waiter(&self) -> io::Result<RingWaiter> {
        // SAFETY: the ring is open as long as `self`.
        unsafe { RingWaiter::new(self.ring.as_raw_fd()) }
    }

    /// Takes a socket in.
    pub fn add_socket(&mut self, stream: Rc<TcpStream>, zero_copy: ZeroCopy) -> SocketKey {
        self.socket_generation = self.socket_generation.wrapping_add(1);
        let generation = self.socket_generation;
        let index = self.sockets.insert(SocketSlot {
            generation,
            stream,
            zero_copy,
            state: SocketState::Idle,
        });
        SocketKey { index, generation }
    }

    /// Queues a batch; nothing happens before [`submit`](Self::submit).
    ///
    /// # Errors
    ///
    /// When the socket has a send in flight or is closed, or for an empty
    /// batch. The batch is then not sent and no completion follows.
    pub fn send(&mut self, key: SocketKey, batch: Rc<SendBatch>) -> Result<(), SendError> {
        let slot = find(&mut self.sockets, key).ok_or(SendError::Closed)?;
        match slot.state {
            SocketState::Idle => {}
            SocketState::Sending(_) => return Err(SendError::Busy),
            SocketState::Failed => return Err(SendError::Closed),
        }
        let total = batch.len_bytes();
        if total == 0 {
            return Err(SendError::Empty);
        }
        let mode = match () {
            () if !slot.zero_copy.wants(total) || !self.support.zero_copy => Mode::Copying,
            () if self.zero_copy_pause > 0 => {
                self.zero_copy_pause -= 1;
                Mode::Copying
            }
            () => Mode::ZeroCopy,
        };
        let progress = Progress { sent: 0, total, attempts: 0 };
        let stream = Rc::clone(&slot.stream);
        let id = self.flights.insert(Flight::new(Some(key), stream, batch, mode, progress));
        slot.state = SocketState::Sending(id);
        self.queued.push_back(Queued::Flight(id));
        self.stats.sends += 1;
        Ok(())
    }

    /// Submits everything queued, with one system call for as many sends as
    /// the ring has entries; with none when nothing is queued.
    ///
    /// # Errors
    ///
    /// When the kernel takes nothing for now (out of memory). What is queued
    /// stays so, and goes with the next call.
    pub fn submit(&mut self) -> io::Result<()> {
        let mut attempts_left = SUBMIT_ATTEMPTS_MAX;
        while self.fill_submissions() {
            self.stats.enters += 1;
            match self.ring.submit() {
                Ok(consumed) if consumed > 0 => continue,
                Ok(_) if attempts_left > 0 => {}
                Ok(_) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) if attempts_left > 0 => {}
                    // The completion queue is full: make room.
                    Some(libc::EBUSY) if attempts_left > 0 => self.reap()?,
                    _ => return Err(error),
                },
            }
            attempts_left -= 1;
        }
        Ok(())
    }

    /// Forgets a socket. A send in flight is cancelled, and no completion is
    /// delivered for it; its batch and the socket are held until the kernel
    /// lets go of them. The peer may have got a part of that batch. Harmless
    /// with a stale key.
    ///
    /// The peer sees the end of the stream when the last `Rc` is gone; call
    /// [`TcpStream::shutdown`] first to have it at once.
    pub fn remove_socket(&mut self, key: SocketKey) {
        if find(&mut self.sockets, key).is_none() {
            return;
        }
        let slot = self.sockets.remove(key.index);
        let SocketState::Sending(id) = slot.state else {
            return;
        };
        let Some(flight) = self.flights.find(id) else {
            return;
        };
        flight.owner = None;
        match flight.phase {
            Phase::Queued | Phase::QueuedPoll => self.flights.remove(id),
            Phase::Sending | Phase::Polling => {
                self.queued.push_back(Queued::Cancel(id));
                // On an error it stays queued for the next submission.
                let _ = self.submit();
            }
            Phase::Held => {}
        }
    }

    /// The counters so far.
    pub fn stats(&self) -> SendRingStats {
        SendRingStats { sockets: self.sockets.len(), flights: self.flights.len(), ..self.stats }
    }

    /// Moves what is queued into the submission queue, as far as it has room;
    /// says whether there is anything to enter the kernel for.
    fn fill_submissions(&mut self) -> bool {
        let mut submissions = self.ring.submission();
        while !submissions.is_full() {
            let Some(queued) = self.queued.pop_front() else {
                break;
            };
            let entry = match queued {
                Queued::Cancel(id) => {
                    opcode::AsyncCancel::new(id.user_data()).build().user_data(CANCEL_USER_DATA)
                }
                Queued::Flight(id) => {
                    // Gone when its socket was removed meanwhile.
                    let Some(flight) = self.flights.find(id) else {
                        continue;
                    };
                    let zero_copy = flight.phase == Phase::Queued && flight.mode == Mode::ZeroCopy;
                    let Some(entry) = flight.submission(id, self.usage_report) else {
                        continue;
                    };
                    self.stats.zc_sends += u64::from(zero_copy);
                    entry
                }
            };
            // SAFETY: the entry points into a boxed flight, its batch and an
            // open socket, all owned by `self.flights` until the flight's
            // last completion, even when `self` is dropped.
            let pushed = unsafe { submissions.push(&entry) };
            assert!(pushed.is_ok(), "the queue was not full");
        }
        !submissions.is_empty()
    }
}

impl fmt::Debug for SendRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendRing")
            .field("support", &self.support)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn find(sockets: &mut Slab<SocketSlot>, key: SocketKey) -> Option<&mut SocketSlot> {
    let slot = sockets.get_mut(key.index)?;
    (slot.generation == key.generation).then_some(slot)
}
