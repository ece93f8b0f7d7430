//! Sockets that are looked at now and then, not whenever something comes: a thousand players cost less
//! so. Must not hold those whose latency counts.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use edgerelay_proto::time::Instant;

use crate::net::poller::{Interest, Poller, Ready};

/// Sockets that one turn of the loop takes, so that the others are not kept waiting.
const TAKEN_PER_TURN_MAX: usize = 32;

/// The sockets, and when they are looked at next.
#[derive(Debug)]
pub(super) struct Gathering {
    poller: Poller,
    interval: Duration,
    members: usize,
    /// Members that this look has still to come to.
    left: usize,
    next_look: Instant,
}

impl Gathering {
    /// Looks every `interval`; nobody is a member where that is zero.
    pub(super) fn new(interval: Duration, now: Instant) -> io::Result<Self> {
        let poller = Poller::new(TAKEN_PER_TURN_MAX)?;
        Ok(Self { poller, interval, members: 0, left: 0, next_look: now })
    }

    pub(super) const fn is_on(&self) -> bool {
        !self.interval.is_zero()
    }

    pub(super) const fn poller(&self) -> &Poller {
        &self.poller
    }

    pub(super) fn add(
        &mut self,
        socket: impl AsFd,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        self.poller.add(socket, token, interest)?;
        self.members += 1;
        Ok(())
    }

    /// A member's socket is closed.
    pub(super) const fn forget_one(&mut self) {
        self.members = self.members.saturating_sub(1);
    }

    /// When to [`take`](Self::take) next.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        (self.members > 0).then_some(if self.left > 0 { now } else { self.next_look })
    }

    /// Calls `each` for some members that have something, if it is time for a look.
    pub(super) fn take(&mut self, now: Instant, each: impl FnMut(Ready)) -> io::Result<()> {
        if self.left == 0 {
            if self.members == 0 || now < self.next_look {
                return Ok(());
            }
            // More than once each is no use: what comes meanwhile waits for the next look.
            self.left = self.members;
            self.next_look = now + self.interval;
        }
        let taken = self.poller.wait(Duration::ZERO, each)?;
        self.left = if taken < TAKEN_PER_TURN_MAX { 0 } else { self.left.saturating_sub(taken) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn members_are_looked_at_once_an_interval_and_a_few_at_a_time() {
        let at = Instant::from_millis;
        let mut gathering = Gathering::new(Duration::from_millis(20), at(0)).unwrap();
        assert_eq!(gathering.next_due(at(0)), None, "nobody is a member");
        let pairs: Vec<_> = (0..40).map(|_| UnixStream::pair().unwrap()).collect();
        for (token, (near, far)) in pairs.iter().enumerate() {
            gathering.add(near, token as u64, Interest::READ).unwrap();
            (&mut &*far).write_all(b"x").unwrap();
        }
        let mut seen = Vec::new();
        let mut take = |gathering: &mut Gathering, millis| {
            let before = seen.len();
            gathering.take(at(millis), |ready| seen.push(ready.token)).unwrap();
            seen.len() - before
        };
        assert_eq!(take(&mut gathering, 100), TAKEN_PER_TURN_MAX);
        assert_eq!(gathering.next_due(at(101)), Some(at(101)), "some are left");
        // Nobody read: all are ready still, but each has had its turn.
        assert_eq!(take(&mut gathering, 101), TAKEN_PER_TURN_MAX);
        assert_eq!(take(&mut gathering, 102), 0);
        assert_eq!(gathering.next_due(at(102)), Some(at(120)));
        assert_eq!(take(&mut gathering, 120), TAKEN_PER_TURN_MAX);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 40);
    }
}
