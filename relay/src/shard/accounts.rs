//! Connections' accounts: opened with the connection, told what it is for, and brought up to date from
//! the socket where the kernel programs do not do that.

use std::sync::Arc;

use edgerelay_ebpf_common::{Connection as Counted, Observation, TcpState};
use edgerelay_uring::{TcpInfo, socket_ref, tcp_info};
use tokio_uring::net::TcpStream;

use super::Shard;
use super::connection::{Connection, Session};
use super::state::{Slot, State};
use crate::telemetry::account::{Account, KernelFigures, KernelSource};

impl Shard {
    /// A new connection's account, known to the ledger.
    pub(super) fn open_account(&self, socket: &TcpStream) -> Arc<Account> {
        let ledger = &self.commons.ledger;
        // Only kernels before 4.6 refuse; no socket is called zero, so it is never found.
        let cookie = match ledger.is_enabled() {
            true => rustix::net::sockopt::socket_cookie(&*socket_ref(socket)).unwrap_or(0),
            false => 0,
        };
        let account = Arc::new(Account::new(cookie));
        ledger.admit(&account);
        account
    }

    /// The connection is removed and its socket about to be closed: its last figures.
    pub(super) fn close_account(&self, connection: &Connection) {
        self.ask_socket(connection);
        connection.account.on_closed();
    }

    /// Asks the kernel about a socket, unless the kernel programs keep its account.
    pub(super) fn ask_socket(&self, connection: &Connection) {
        if !self.commons.ledger.is_enabled() || connection.account.is_covered() {
            return;
        }
        if let Ok(info) = tcp_info(&connection.socket) {
            let opened_by_us = matches!(connection.session, Session::Client(_));
            connection.account.record(&figures(&info, opened_by_us));
        }
    }
}

impl State {
    /// Tells a connection's account what it is for now.
    pub(super) fn note_role(&mut self, slot: Slot) {
        let Some(connection) = self.connections.get(slot.index) else { return };
        if let Some(entry) = connection.role.stream().and_then(|it| self.streams.get(it)) {
            connection.account.set_role(connection.role.client_role(), &entry.key.app);
        }
    }

    /// Asks every socket that nobody else asks about and that has news: bytes moved since it was asked
    /// last, or some were not acknowledged then. A peer that rests costs no system call.
    pub(super) fn ask_sockets(&mut self, shard: &Shard) {
        for (_, connection) in &mut self.connections {
            let moved = connection.bytes_in + connection.bytes_out;
            if connection.settled_at == Some(moved) {
                continue;
            }
            shard.ask_socket(connection);
            let is_settled = connection.account.figures().bytes_out >= connection.bytes_out;
            connection.settled_at = is_settled.then_some(moved);
        }
    }
}

/// By the rules that the kernel programs count by.
fn figures(info: &TcpInfo, opened_by_us: bool) -> KernelFigures {
    let mut counted = if opened_by_us { Counted::opened_by_us() } else { Counted::default() };
    let state = u32::from(info.state);
    // Nothing but the acknowledgement of our FIN leads there.
    let fin_is_acked = state == TcpState::FinWait2 as u32;
    let before = if fin_is_acked { TcpState::FinWait1 } else { TcpState::Established };
    let seen = Observation {
        bytes_received: info.bytes_received,
        bytes_acked: info.bytes_acked,
        rtt_us: info.rtt_us,
        retransmits: info.retransmits,
        all_acked: fin_is_acked,
    };
    counted.on_state(before as u32, state, &seen, 0);
    KernelFigures {
        source: KernelSource::TcpInfo,
        bytes_in: counted.bytes_in,
        bytes_out: counted.bytes_out,
        rtt_us: counted.rtt_us,
        retransmits: counted.retransmits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_counted_without_syn_and_fin() {
        let info = |state: TcpState| TcpInfo {
            state: state as u8,
            bytes_received: 101,
            bytes_acked: 11,
            ..TcpInfo::default()
        };
        let open = figures(&info(TcpState::Established), true);
        assert_eq!((open.bytes_in, open.bytes_out), (101, 10));
        let ending = figures(&info(TcpState::CloseWait), false);
        assert_eq!((ending.bytes_in, ending.bytes_out), (100, 11));
        let both_ending = figures(&info(TcpState::LastAck), false);
        assert_eq!((both_ending.bytes_in, both_ending.bytes_out), (100, 11));
        let left = figures(&info(TcpState::FinWait2), false);
        assert_eq!((left.bytes_in, left.bytes_out), (101, 10));
    }
}
