//! One connection of the engine: a socket, what is to be sent on it, and whose it is.

use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use edgerelay_proto::time::Instant;

use super::arrivals::Job;
use crate::measure::{Group, Measures};
use crate::net::outbox::Outbox;
use crate::net::poller::{Interest, Poller};
use crate::player::{Ending, Player, Stage};
use crate::publisher::Publisher;

/// Bytes that may wait for a socket. A server that reads so much slower than real time is done for.
const OUTBOX_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Whose connection it is.
#[derive(Debug)]
pub(super) enum Role {
    Publisher(Box<Publisher>),
    Player(Box<Player>),
}

/// What input changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// A publisher may send, on this message stream.
    MayPublish(u32),
    /// A player has come further.
    Advanced {
        from: Stage,
        to: Stage,
    },
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) token: u64,
    pub(super) job: Job,
    pub(super) role: Role,
    /// The socket is not connected yet.
    pub(super) connecting: bool,
    /// It counts as present.
    pub(super) present: bool,
    /// Reads are made by the clock, not when there is something to read.
    pub(super) withdrawn: bool,
    /// Nobody looks at what comes.
    pub(super) discards: bool,
    /// It is looked at with many others.
    pub(super) gathered: bool,
    outbox: Outbox,
    interest: Interest,
}

impl Connection {
    /// A connection whose socket is connecting; it is to be watched with [`Interest::BOTH`].
    pub(super) fn new(socket: OwnedFd, token: u64, job: Job, role: Role) -> Self {
        let mut connection = Self {
            socket,
            token,
            job,
            role,
            connecting: true,
            present: false,
            withdrawn: false,
            discards: false,
            gathered: false,
            outbox: Outbox::default(),
            interest: Interest::BOTH,
        };
        connection.collect();
        connection
    }

    pub(super) const fn group(&self) -> Option<Group> {
        match self.job {
            Job::Publish { .. } => None,
            Job::Play { group, .. } => Some(group),
        }
    }

    /// What it is watched for.
    pub(super) const fn interest(&self) -> Interest {
        self.interest
    }

    /// What comes is seen late from now on: that says nothing about the server.
    pub(super) fn become_gathered(&mut self) {
        self.gathered = true;
        if let Role::Player(player) = &mut self.role {
            player.leave_latency();
        }
    }

    pub(super) const fn outbox_bytes(&self) -> usize {
        self.outbox.len()
    }

    /// Whether the server has accepted what was asked.
    pub(super) fn is_open(&self) -> bool {
        match &self.role {
            Role::Publisher(publisher) => publisher.next_due().is_some(),
            Role::Player(player) => match player.group() {
                Group::Idle => player.stage() >= Stage::Connected,
                _ => player.stage() >= Stage::Playing,
            },
        }
    }

    pub(super) fn handle_input(
        &mut self,
        now: Instant,
        input: Bytes,
        measures: &mut Measures,
    ) -> Result<News, Ending> {
        let news = match &mut self.role {
            Role::Publisher(publisher) => {
                publisher.handle_input(now, input)?.map_or(News::Nothing, News::MayPublish)
            }
            Role::Player(player) => {
                let from = player.stage();
                player.handle_input(now, input, measures)?;
                let to = player.stage();
                if from == to { News::Nothing } else { News::Advanced { from, to } }
            }
        };
        self.collect();
        Ok(news)
    }

    pub(super) fn handle_discarded(&mut self, now: Instant, len: usize, measures: &mut Measures) {
        if let Role::Player(player) = &mut self.role {
            player.handle_discarded(now, len, measures);
        }
        self.collect();
    }

    /// Takes what the role has to send.
    pub(super) fn collect(&mut self) {
        match &mut self.role {
            Role::Publisher(publisher) => {
                while let Some(bytes) = publisher.poll_send() {
                    self.outbox.push(bytes);
                }
            }
            Role::Player(player) => {
                if let Some(bytes) = player.poll_send() {
                    self.outbox.push(bytes);
                }
            }
        }
    }

    /// Sends what waits, and watches for room if some of it has to go on waiting.
    pub(super) fn flush(&mut self, poller: &Poller) -> io::Result<()> {
        if self.connecting {
            return Ok(());
        }
        self.outbox.flush(&self.socket)?;
        if self.outbox.len() > OUTBOX_BYTES_MAX {
            return Err(io::Error::other("the server does not read what is published"));
        }
        self.watch(poller)
    }

    /// Watches for what is of interest now.
    pub(super) fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let interest = Interest { readable: !self.withdrawn, writable: !self.outbox.is_empty() };
        if interest != self.interest {
            poller.modify(&self.socket, self.token, interest)?;
            self.interest = interest;
        }
        Ok(())
    }
}
