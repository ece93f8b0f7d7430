//! The sums by role and application: which growth goes to which, and when a connection's last figure
//! is in.
//!
//! Asks nobody; what the kernel knows of a connection is handed in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edgerelay_ebpf_common::Connection;

use crate::telemetry::account::{
    Account, Group, GroupTotals, KernelFigures, KernelSource, KernelTotals,
};

/// How long a connection that is closed on our side may take to end in the kernel, which still
/// delivers what was sent. Then what is known is the last figure.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(15);

/// Every connection of the node, and the sums over them and all that went before.
#[derive(Debug, Default)]
pub(super) struct Books {
    entries: Vec<Entry>,
    sums: BTreeMap<Group, GroupTotals>,
}

#[derive(Debug)]
struct Entry {
    account: Arc<Account>,
    /// What its growth goes to.
    group: Option<Group>,
    /// What of it is in the sums.
    counted: KernelFigures,
    closed_since: Option<Instant>,
}

impl Books {
    /// Takes new connections in.
    pub(super) fn admit(&mut self, arrivals: Vec<Arc<Account>>) {
        self.entries.extend(arrivals.into_iter().map(|account| Entry {
            account,
            group: None,
            counted: KernelFigures::default(),
            closed_since: None,
        }));
    }

    /// Brings everything up to date with what `known` says of a socket, by its cookie.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        mut known: impl FnMut(u64) -> Option<Connection>,
    ) {
        let sums = &mut self.sums;
        self.entries.retain_mut(|entry| {
            // Before the figures: once it is closed, those of its socket are final.
            let closed = entry.account.is_closed();
            let connection = known(entry.account.cookie());
            match &connection {
                Some(connection) => entry.account.record(&figures(connection)),
                None => entry.account.uncover(),
            }
            entry.enter(sums);
            if !closed {
                return true;
            }
            let since = *entry.closed_since.get_or_insert(now);
            let pending = connection.is_some_and(|connection| connection.closed_ns == 0);
            let stays = pending && now.saturating_duration_since(since) < CLOSING_TIME_MAX;
            if !stays && let Some(sum) = entry.group.as_ref().and_then(|it| sums.get_mut(it)) {
                sum.closed += 1;
            }
            stays
        });
    }

    /// The sums as they are shown.
    pub(super) fn totals(&self) -> KernelTotals {
        let mut round_trips: BTreeMap<&Group, (f64, f64)> = BTreeMap::new();
        for entry in &self.entries {
            let rtt_us = entry.account.figures().rtt_us;
            if let Some(group) = &entry.group
                && rtt_us > 0
                && entry.closed_since.is_none()
            {
                let (sum, count) = round_trips.entry(group).or_default();
                *sum += f64::from(rtt_us) / 1e6;
                *count += 1.0;
            }
        }
        let groups = self.sums.iter().map(|(group, sum)| {
            let rtt_seconds = round_trips.get(group).map(|(sum, count)| sum / count);
            ((group.role.label(), Arc::clone(&group.app)), GroupTotals { rtt_seconds, ..*sum })
        });
        KernelTotals { groups: groups.collect(), ..KernelTotals::default() }
    }
}

impl Entry {
    /// Adds what is new to the sums of what the connection is for now.
    fn enter(&mut self, sums: &mut BTreeMap<Group, GroupTotals>) {
        let group = self.account.group();
        if self.group.as_ref() != Some(&group) {
            if let Some(left) = self.group.take().and_then(|left| sums.get_mut(&left)) {
                left.closed += 1;
            }
            sums.entry(group.clone()).or_default().opened += 1;
            self.group = Some(group.clone());
        }
        let seen = self.account.figures();
        let sum = sums.entry(group).or_default();
        sum.bytes_in += seen.bytes_in.saturating_sub(self.counted.bytes_in);
        sum.bytes_out += seen.bytes_out.saturating_sub(self.counted.bytes_out);
        sum.retransmits += u64::from(seen.retransmits.saturating_sub(self.counted.retransmits));
        self.counted = seen;
    }
}

fn figures(connection: &Connection) -> KernelFigures {
    KernelFigures {
        source: KernelSource::Ebpf,
        bytes_in: connection.bytes_in,
        bytes_out: connection.bytes_out,
        rtt_us: connection.rtt_us,
        retransmits: connection.retransmits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::ClientRole;

    fn account(role: ClientRole) -> Arc<Account> {
        let account = Account::new(1);
        account.set_role(role, &"live".into());
        Arc::new(account)
    }

    fn connection(bytes_in: u64, closed_ns: u64) -> Connection {
        Connection { bytes_in, closed_ns, rtt_us: 500, ..Connection::default() }
    }

    fn of(books: &Books, role: &'static str, app: &str) -> GroupTotals {
        books.totals().groups.get(&(role, app.into())).copied().unwrap_or_default()
    }

    #[test]
    fn a_connection_is_summed_up_under_what_it_is_and_was() {
        let (mut books, now) = (Books::default(), Instant::now());
        let account = Arc::new(Account::new(1));
        books.admit(vec![Arc::clone(&account)]);
        books.settle(now, |_| Some(connection(10, 0)));
        account.set_role(ClientRole::Publisher, &"live".into());
        books.settle(now, |_| Some(connection(110, 0)));
        let idle = of(&books, "idle", "");
        assert_eq!((idle.opened, idle.closed, idle.bytes_in), (1, 1, 10));
        let publishers = of(&books, "publish", "live");
        assert_eq!((publishers.opened, publishers.closed, publishers.bytes_in), (1, 0, 100));
        assert_eq!(publishers.rtt_seconds, Some(0.0005));
    }

    #[test]
    fn a_closed_connection_is_waited_for_until_the_kernel_is_done_with_it() {
        let (mut books, now) = (Books::default(), Instant::now());
        let account = account(ClientRole::Player);
        books.admit(vec![Arc::clone(&account)]);
        account.on_closed();
        books.settle(now, |_| Some(connection(10, 0)));
        assert_eq!(of(&books, "play", "live").closed, 0);
        books.settle(now, |_| Some(connection(30, 99)));
        let players = of(&books, "play", "live");
        assert_eq!((players.opened, players.closed, players.bytes_in), (1, 1, 30));
        assert!(books.entries.is_empty());
    }

    #[test]
    fn the_wait_for_a_closed_connection_is_bounded() {
        let (mut books, now) = (Books::default(), Instant::now());
        let account = account(ClientRole::Player);
        books.admit(vec![Arc::clone(&account)]);
        account.on_closed();
        books.settle(now, |_| Some(connection(10, 0)));
        books.settle(now + CLOSING_TIME_MAX, |_| Some(connection(10, 0)));
        assert_eq!(of(&books, "play", "live").closed, 1);
        assert!(books.entries.is_empty());
    }

    #[test]
    fn without_the_programs_the_sockets_own_word_counts() {
        let (mut books, now) = (Books::default(), Instant::now());
        let account = account(ClientRole::Push);
        books.admit(vec![Arc::clone(&account)]);
        books.settle(now, |_| Some(connection(10, 0)));
        assert!(account.is_covered());
        books.settle(now, |_| None);
        assert!(!account.is_covered(), "the shard is to ask from now on");
        let source = KernelSource::TcpInfo;
        account.record(&KernelFigures { source, bytes_in: 25, ..KernelFigures::default() });
        account.on_closed();
        books.settle(now, |_| None);
        let pushes = of(&books, "push", "live");
        assert_eq!((pushes.opened, pushes.closed, pushes.bytes_in), (1, 1, 25));
    }
}
