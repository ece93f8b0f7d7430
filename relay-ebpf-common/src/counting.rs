//! How a connection's bytes are counted: from what the kernel counts, less the sequence numbers of
//! SYN and FIN, and as growth since the last look.
//!
//! The same code runs in the kernel and in the tests, so it is without panics, and without loops.

use crate::layout::Connection;

/// A connection's state, as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TcpState {
    /// Both sides may send.
    Established = 1,
    /// We are done sending and wait for the acknowledgement of our FIN.
    FinWait1 = 4,
    /// Our FIN is acknowledged.
    FinWait2 = 5,
    /// Gone.
    Close = 7,
    /// The peer is done sending.
    CloseWait = 8,
    /// The peer is done sending and we wait for the acknowledgement of our FIN.
    LastAck = 9,
    /// Both are done sending, and our FIN is not acknowledged.
    Closing = 11,
}

/// What the kernel says of a connection at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observation {
    /// `bytes_received`, which counts the peer's FIN.
    pub bytes_received: u64,
    /// `bytes_acked`, which counts our SYN, if we opened the connection, and our FIN.
    pub bytes_acked: u64,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Segments sent again.
    pub retransmits: u32,
    /// Whether the peer is known to have acknowledged all that was sent.
    pub all_acked: bool,
}

/// What is new since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes acknowledged.
    pub bytes_out: u64,
    /// Segments sent again.
    pub retransmits: u32,
}

/// The peer's FIN, among the received sequence numbers.
const PEER_FIN: u16 = 1;
/// Our SYN, among the acknowledged sequence numbers: only where we opened the connection.
const OWN_SYN: u16 = 1;
/// Our FIN, among the acknowledged sequence numbers.
const OWN_FIN: u16 = 2;

impl Connection {
    /// One of which nothing is known but that we opened it.
    #[inline(always)]
    #[must_use]
    pub fn opened_by_us() -> Self {
        Self { overhead_out: OWN_SYN, ..Self::default() }
    }

    /// Takes an observation over and says what is new in it. One that is older than what is known,
    /// as a race between two programs may bring it, changes nothing.
    #[inline(always)]
    pub fn observe(&mut self, seen: &Observation, now_ns: u64) -> Growth {
        if seen.all_acked && fin_is_sent(self.state) {
            self.overhead_out |= OWN_FIN;
        }
        let bytes_in = less(seen.bytes_received, self.overhead_in);
        let bytes_out = less(seen.bytes_acked, self.overhead_out);
        let growth = Growth {
            bytes_in: bytes_in.saturating_sub(self.bytes_in),
            bytes_out: bytes_out.saturating_sub(self.bytes_out),
            retransmits: seen.retransmits.saturating_sub(self.retransmits),
        };
        self.bytes_in += growth.bytes_in;
        self.bytes_out += growth.bytes_out;
        self.retransmits += growth.retransmits;
        if seen.rtt_us != 0 {
            self.rtt_us = seen.rtt_us;
        }
        self.updated_ns = now_ns;
        growth
    }

    /// Notes a change of state and observes what the kernel counted then. True: the connection is
    /// closed by it.
    ///
    /// A peer's FIN that comes in FIN_WAIT2 is not told apart from the end of our waiting for it:
    /// then one byte too much is counted as received.
    #[inline(always)]
    pub fn on_state(
        &mut self,
        from: u32,
        to: u32,
        seen: &Observation,
        now_ns: u64,
    ) -> (Growth, bool) {
        self.state = from;
        if fin_is_received(to) {
            self.overhead_in = PEER_FIN;
        }
        let growth = self.observe(seen, now_ns);
        self.state = to;
        let closed = to == TcpState::Close as u32 && self.closed_ns == 0;
        if closed {
            self.closed_ns = now_ns;
        }
        (growth, closed)
    }
}

/// Whether the peer's FIN has come.
#[inline(always)]
fn fin_is_received(state: u32) -> bool {
    state == TcpState::CloseWait as u32
        || state == TcpState::LastAck as u32
        || state == TcpState::Closing as u32
}

/// Whether our FIN is sent, or about to be, and was not acknowledged when the state began.
#[inline(always)]
fn fin_is_sent(state: u32) -> bool {
    state == TcpState::FinWait1 as u32
        || state == TcpState::LastAck as u32
        || state == TcpState::Closing as u32
}

/// Counted sequence numbers less those marked in `overhead`.
#[inline(always)]
fn less(counted: u64, overhead: u16) -> u64 {
    counted.saturating_sub(u64::from(overhead & 1) + u64::from(overhead >> 1 & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTABLISHED: u32 = TcpState::Established as u32;
    const FIN_WAIT1: u32 = TcpState::FinWait1 as u32;
    const FIN_WAIT2: u32 = TcpState::FinWait2 as u32;
    const CLOSE: u32 = TcpState::Close as u32;
    const CLOSE_WAIT: u32 = TcpState::CloseWait as u32;
    const LAST_ACK: u32 = TcpState::LastAck as u32;
    const CLOSING: u32 = TcpState::Closing as u32;

    fn seen(bytes_received: u64, bytes_acked: u64) -> Observation {
        Observation { bytes_received, bytes_acked, rtt_us: 50, retransmits: 0, all_acked: true }
    }

    fn unacked(bytes_received: u64, bytes_acked: u64) -> Observation {
        Observation { all_acked: false, ..seen(bytes_received, bytes_acked) }
    }

    fn counted(connection: &Connection) -> (u64, u64) {
        (connection.bytes_in, connection.bytes_out)
    }

    /// Goes through `steps` of from, to and observation; only the last one closes.
    fn lives(connection: &mut Connection, steps: &[(u32, u32, Observation)]) {
        for (index, (from, to, seen)) in steps.iter().enumerate() {
            let now_ns = index as u64 + 1;
            let (_, closed) = connection.on_state(*from, *to, seen, now_ns);
            assert_eq!(closed, index + 1 == steps.len(), "step {index}");
        }
        assert_eq!(connection.closed_ns, steps.len() as u64);
    }

    #[test]
    fn growth_is_what_the_last_look_did_not_know() {
        let mut connection = Connection::default();
        let first = connection.observe(&seen(100, 10), 1);
        assert_eq!(first, Growth { bytes_in: 100, bytes_out: 10, retransmits: 0 });
        let again = connection.observe(&seen(100, 10), 2);
        assert_eq!(again, Growth::default());
        let more = connection.observe(&Observation { retransmits: 3, ..seen(150, 10) }, 3);
        assert_eq!(more, Growth { bytes_in: 50, bytes_out: 0, retransmits: 3 });
        assert_eq!(counted(&connection), (150, 10));
        assert_eq!(connection.updated_ns, 3);
    }

    #[test]
    fn an_older_look_takes_nothing_back() {
        let mut connection = Connection::default();
        connection.observe(&seen(100, 10), 1);
        assert_eq!(connection.observe(&seen(90, 9), 2), Growth::default());
        assert_eq!(counted(&connection), (100, 10));
    }

    #[test]
    fn neither_fin_is_payload_when_the_peer_closes_first() {
        let mut connection = Connection::default();
        let steps = [
            (ESTABLISHED, CLOSE_WAIT, seen(101, 10)),
            (CLOSE_WAIT, LAST_ACK, seen(101, 10)),
            (LAST_ACK, CLOSE, seen(101, 11)),
        ];
        lives(&mut connection, &steps);
        assert_eq!(counted(&connection), (100, 10));
    }

    #[test]
    fn our_fin_is_not_payload_when_we_close_first() {
        let mut connection = Connection::default();
        let steps = [
            (ESTABLISHED, FIN_WAIT1, unacked(100, 8)),
            (FIN_WAIT1, FIN_WAIT2, seen(100, 11)),
            (FIN_WAIT2, CLOSE, seen(100, 11)),
        ];
        lives(&mut connection, &steps);
        assert_eq!(counted(&connection), (100, 10));
    }

    #[test]
    fn a_look_between_the_fin_and_the_change_of_state_counts_no_fin() {
        let mut connection = Connection::default();
        connection.on_state(ESTABLISHED, FIN_WAIT1, &unacked(100, 8), 1);
        connection.observe(&seen(100, 11), 2);
        assert_eq!(counted(&connection), (100, 10));
    }

    #[test]
    fn both_close_at_once() {
        let mut connection = Connection::default();
        let steps = [
            (ESTABLISHED, FIN_WAIT1, unacked(100, 10)),
            (FIN_WAIT1, CLOSING, unacked(101, 10)),
            (CLOSING, CLOSE, seen(101, 11)),
        ];
        lives(&mut connection, &steps);
        assert_eq!(counted(&connection), (100, 10));
    }

    #[test]
    fn a_reset_counts_what_was_acknowledged_and_our_syn_is_none_of_it() {
        let mut connection = Connection::opened_by_us();
        lives(&mut connection, &[(ESTABLISHED, CLOSE, unacked(7, 9))]);
        assert_eq!(counted(&connection), (7, 8));
        let (_, closed) = connection.on_state(CLOSE, CLOSE, &unacked(7, 9), 9);
        assert!(!closed, "it closes once");
    }
}
