//! Readiness of many sockets, level-triggered.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// That there is something to read, or the end.
    pub readable: bool,
    /// That there is room to write.
    pub writable: bool,
}

impl Interest {
    /// To read.
    pub const READ: Self = Self { readable: true, writable: false };
    /// To read and to write.
    pub const BOTH: Self = Self { readable: true, writable: true };
    /// Only to hear that the connection is gone.
    pub const NONE: Self = Self { readable: false, writable: false };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.readable);
        flags.set(EventFlags::OUT, self.writable);
        flags
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The token it was registered with.
    pub token: u64,
    /// There is something to read, or the end.
    pub readable: bool,
    /// There is room to write, or an attempt to connect ended.
    pub writable: bool,
    /// Both directions are over.
    pub hung_up: bool,
}

/// An epoll instance.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// Makes one that takes up to `events_max` events with one call.
    ///
    /// # Errors
    /// The kernel has none to give.
    pub fn new(events_max: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(events_max) })
    }

    /// Watches a socket. Closing it ends that.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), interest.flags())?)
    }

    /// Watches it for something else.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn modify(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), interest.flags())?)
    }

    /// Watches it no longer.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits until something happens, or `timeout` has passed, and calls `each` with what did; says
    /// how much that was.
    ///
    /// # Errors
    /// Not for signals: they end the wait.
    pub fn wait(&mut self, timeout: Duration, mut each: impl FnMut(Ready)) -> io::Result<usize> {
        let timeout = Timespec::try_from(timeout).unwrap_or_default();
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let (flags, data) = (event.flags, event.data);
            let hung_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            each(Ready {
                token: data.u64(),
                readable: flags.contains(EventFlags::IN) || hung_up,
                writable: flags.contains(EventFlags::OUT) || hung_up,
                hung_up,
            });
        }
        Ok(self.events.len())
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}
