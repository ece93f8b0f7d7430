//! Operations that hold a batch, from `send` to the last completion.
//!
//! Owns what the kernel may read meanwhile: the batch, the message header
//! and the pointers of a tail, each at an address that does not change.

use std::mem;
use std::os::fd::AsRawFd;
use std::ptr;
use std::rc::Rc;

use io_uring::{opcode, squeue, types};
use slab::Slab;
use tokio_uring::net::TcpStream;

use crate::batch::{Rest, SendBatch};
use crate::ring::SocketKey;
use crate::verdict::{Mode, Progress};

/// The user data of cancellations, whose completions say nothing.
pub(crate) const CANCEL_USER_DATA: u64 = u64::MAX;

/// `IORING_SEND_ZC_REPORT_USAGE`: have the notification say whether the
/// kernel copied after all.
const SEND_ZC_REPORT_USAGE: u16 = 1 << 3;

const SEND_FLAGS: libc::c_int = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;

/// Names a flight in a completion: index below, generation above, so that a
/// completion of a flight that is gone names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlightId {
    index: u32,
    generation: u32,
}

impl FlightId {
    pub(crate) fn user_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_user_data(user_data: u64) -> Self {
        let [index, generation] = [user_data, user_data >> 32].map(|half| half as u32);
        Self { index, generation }
    }
}

/// Where a flight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the next submission as a send.
    Queued,
    /// Waits for the next submission as a poll for writability.
    QueuedPoll,
    /// The kernel has the send.
    Sending,
    /// The kernel has the poll.
    Polling,
    /// Sent without a copy; the kernel still reads the batch.
    Held,
}

/// One operation.
pub(crate) struct Flight {
    generation: u32,
    /// The socket to report to; none when it was removed, or when the report
    /// has been made.
    pub(crate) owner: Option<SocketKey>,
    pub(crate) phase: Phase,
    pub(crate) mode: Mode,
    pub(crate) progress: Progress,
    pub(crate) batch: Rc<SendBatch>,
    /// None once the kernel needs no descriptor any more.
    pub(crate) stream: Option<Rc<TcpStream>>,
    message: libc::msghdr,
    tail: Vec<libc::iovec>,
}

impl Flight {
    pub(crate) fn new(
        owner: Option<SocketKey>,
        stream: Rc<TcpStream>,
        batch: Rc<SendBatch>,
        mode: Mode,
        progress: Progress,
    ) -> Self {
        Self {
            generation: 0,
            owner,
            phase: Phase::Queued,
            mode,
            progress,
            batch,
            stream: Some(stream),
            // SAFETY: all zeroes is an empty message header.
            message: unsafe { mem::zeroed() },
            tail: Vec::new(),
        }
    }

    /// The submission for what is left; none in the phases that submit
    /// nothing. The flight must stay where it is until the kernel has
    /// consumed it (`IORING_FEAT_SUBMIT_STABLE`), its batch until the last
    /// completion.
    pub(crate) fn submission(
        &mut self,
        id: FlightId,
        report: UsageReport,
    ) -> Option<squeue::Entry> {
        let fd = types::Fd(self.stream.as_ref()?.as_raw_fd());
        let entry = match self.phase {
            Phase::Queued => {
                self.aim();
                self.phase = Phase::Sending;
                let message = ptr::from_ref(&self.message);
                match self.mode {
                    Mode::Copying => {
                        opcode::SendMsg::new(fd, message).flags(SEND_FLAGS as u32).build()
                    }
                    Mode::ZeroCopy => opcode::SendMsgZc::new(fd, message)
                        .ioprio(match report {
                            UsageReport::Asked => SEND_ZC_REPORT_USAGE,
                            UsageReport::Without => 0,
                        })
                        .flags(SEND_FLAGS as u32)
                        .build(),
                }
            }
            Phase::QueuedPoll => {
                self.phase = Phase::Polling;
                opcode::PollAdd::new(fd, libc::POLLOUT as u32).build()
            }
            Phase::Sending | Phase::Polling | Phase::Held => return None,
        };
        Some(entry.user_data(id.user_data()))
    }

    /// Points the message header at the unsent part of the batch.
    fn aim(&mut self) {
        let iovecs = match self.batch.rest(self.progress.sent) {
            Rest::Shared(iovecs) => iovecs,
            Rest::Own(tail) => {
                self.tail = tail;
                &self.tail
            }
        };
        // `sendmsg` reads only; the C type knows no const.
        self.message.msg_iov = iovecs.as_ptr().cast_mut();
        self.message.msg_iovlen = iovecs.len();
    }
}

/// Whether zero-copy sends ask for the report of copies (Linux 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageReport {
    Asked,
    Without,
}

/// Boxes of ended flights that are kept for the next ones: as many as one
/// submission of a large ring takes, some 700 KiB.
const SPARES_MAX: usize = 4096;

/// All flights of a ring. Boxed: growing the table moves none of them. A box
/// is used again, so that a send allocates nothing in a steady state.
#[derive(Default)]
pub(crate) struct Flights {
    slab: Slab<Box<Option<Flight>>>,
    #[expect(
        clippy::vec_box,
        reason = "a box goes from one list to the other and stays where it is"
    )]
    spares: Vec<Box<Option<Flight>>>,
    generation: u32,
}

impl Flights {
    pub(crate) fn insert(&mut self, mut flight: Flight) -> FlightId {
        self.generation = self.generation.wrapping_add(1);
        flight.generation = self.generation;
        let mut place = self.spares.pop().unwrap_or_default();
        *place = Some(flight);
        let index = self.slab.insert(place);
        FlightId {
            // A flight takes over 100 bytes: no memory holds 2^32 of them.
            index: index as u32,
            generation: self.generation,
        }
    }

    pub(crate) fn find(&mut self, id: FlightId) -> Option<&mut Flight> {
        let place = self.slab.get_mut(id.index as usize)?;
        let flight = Option::as_mut(place)?;
        (flight.generation == id.generation).then_some(flight)
    }

    pub(crate) fn remove(&mut self, id: FlightId) {
        if self.find(id).is_none() {
            return;
        }
        let mut place = self.slab.remove(id.index as usize);
        if self.spares.len() < SPARES_MAX {
            // Lets go of the batch and the socket at once.
            *place = None;
            self.spares.push(place);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn ids(&self) -> Vec<FlightId> {
        self.slab
            .iter()
            .filter_map(|(index, place)| {
                let generation = Option::as_ref(place)?.generation;
                Some(FlightId { index: index as u32, generation })
            })
            .collect()
    }

    /// Gives up the memory of every flight without freeing it.
    pub(crate) fn leak(&mut self) {
        for mut place in self.slab.drain() {
            if let Some(flight) = Option::as_mut(&mut place) {
                // The kernel holds the open file itself; the descriptor may go.
                flight.stream = None;
            }
            mem::forget(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_ended_flight_lets_go_of_what_it_held() {
        let batch = Rc::new(SendBatch::new([Bytes::from_static(b"x")]));
        let stream = tokio_uring::start(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            Rc::new(TcpStream::from_std(peer))
        });
        let progress = Progress { sent: 0, total: 1, attempts: 0 };
        let mut flights = Flights::default();
        let mut fly = || {
            let stream = Rc::clone(&stream);
            let flight = Flight::new(None, stream, Rc::clone(&batch), Mode::Copying, progress);
            let id = flights.insert(flight);
            let place = ptr::from_ref(flights.find(id).unwrap()).addr();
            flights.remove(id);
            assert!(flights.find(id).is_none());
            (id, place)
        };
        let (first, second) = (fly(), fly());
        assert_ne!(first.0, second.0, "an id names one flight");
        assert_eq!(first.1, second.1, "its box is used again");
        assert_eq!((Rc::strong_count(&batch), Rc::strong_count(&stream)), (1, 1));
    }

    #[test]
    fn an_id_survives_the_way_through_the_kernel() {
        let id = FlightId { index: 7, generation: u32::MAX - 1 };
        assert_eq!(FlightId::from_user_data(id.user_data()), id);
        assert_ne!(id.user_data(), CANCEL_USER_DATA);
    }
}
