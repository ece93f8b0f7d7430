//! What is to happen to connections later. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use edgerelay_proto::time::Instant;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A publisher's next message.
    Message,
    /// A slow player's next read.
    Trickle,
    /// A churning player's end.
    Leave,
    /// A connection that is not accepted by now is given up.
    OpenDeadline,
    /// A lost connection's return: the token is a place in a list of jobs.
    Return,
}

/// Times in order, each for a connection's token.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Due)>>,
}

impl Timers {
    /// Adds one.
    pub(super) fn push(&mut self, at: Instant, token: u64, due: Due) {
        self.heap.push(Reverse((at, token, due)));
    }

    /// The time of the first.
    #[must_use]
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The first, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(u64, Due)> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, token, due))| (token, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_not_early() {
        let mut timers = Timers::default();
        let at = Instant::from_millis;
        timers.push(at(30), 1, Due::Leave);
        timers.push(at(10), 2, Due::Message);
        timers.push(at(20), 3, Due::Trickle);
        assert_eq!(timers.next_due(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(20)), Some((2, Due::Message)));
        assert_eq!(timers.pop(at(20)), Some((3, Due::Trickle)));
        assert_eq!(timers.pop(at(20)), None);
    }
}
