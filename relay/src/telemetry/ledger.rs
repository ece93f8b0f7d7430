//! Where shards hand their connections' accounts over, and where the sums are put and asked for.
//!
//! One thread takes accounts over and sums them up: when it is asked to, and now and then. Whoever shows
//! figures asks first, so that they are fresh when somebody looks and cost nothing when nobody does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::account::{Account, KernelTotals};

/// Accounts waiting to be taken over. One for each connection opened since the last time; more are
/// missing from the sums, and counted.
const ARRIVALS_MAX: usize = 65_536;

/// How long whoever asks for fresh figures waits for them. It takes some milliseconds.
const FRESHEN_MAX: Duration = Duration::from_millis(500);

/// Shared by shards, the accounting thread and the control plane.
#[derive(Debug)]
pub struct Ledger {
    /// Nobody takes accounts over otherwise.
    enabled: bool,
    arrivals: Mutex<Vec<Arc<Account>>>,
    missed: AtomicU64,
    totals: watch::Sender<Arc<KernelTotals>>,
    desk: Mutex<Desk>,
    bell: Condvar,
}

/// What the accounting thread is asked for.
#[derive(Debug, Default)]
struct Desk {
    attended: bool,
    asked: bool,
    stopped: bool,
}

/// Why the accounting thread wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// It is time, or somebody asked.
    Sample,
    /// It is to end.
    Stop,
}

impl Ledger {
    /// One that takes accounts.
    #[must_use]
    pub fn new() -> Self {
        Self::with(true)
    }

    /// One that takes none, so that nobody asks the kernel.
    #[must_use]
    pub fn disabled() -> Self {
        Self::with(false)
    }

    fn with(enabled: bool) -> Self {
        Self {
            enabled,
            arrivals: Mutex::default(),
            missed: AtomicU64::new(0),
            totals: watch::Sender::new(Arc::default()),
            desk: Mutex::default(),
            bell: Condvar::new(),
        }
    }

    /// Whether connections are to be accounted for.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Takes a new connection's account.
    pub fn admit(&self, account: &Arc<Account>) {
        if !self.enabled {
            return;
        }
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() < ARRIVALS_MAX {
            arrivals.push(Arc::clone(account));
        } else {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The accounts that came since the last call.
    #[must_use]
    pub fn take_arrivals(&self) -> Vec<Arc<Account>> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Accounts that found no place.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Puts new sums in place of the old. Whoever asked for fresh figures has them now.
    pub fn publish(&self, totals: KernelTotals) {
        self.totals.send_replace(Arc::new(totals));
    }

    /// The sums.
    #[must_use]
    pub fn totals(&self) -> Arc<KernelTotals> {
        Arc::clone(&self.totals.borrow())
    }

    /// Asks for fresh figures and waits for them, not for long.
    pub async fn freshen(&self) {
        let mut totals = self.totals.subscribe();
        {
            let mut desk = self.desk();
            if !desk.attended || desk.stopped {
                return;
            }
            desk.asked = true;
        }
        self.bell.notify_one();
        // Late or gone: then what is there is shown.
        let _late = timeout(FRESHEN_MAX, totals.changed()).await;
    }

    /// The accounting thread begins to wait for work.
    pub fn attend(&self) {
        self.desk().attended = true;
    }

    /// Waits until somebody asks, for `period` at most.
    #[must_use]
    pub fn wait(&self, period: Duration) -> Wake {
        let idle = |desk: &mut Desk| !desk.asked && !desk.stopped;
        let waited = self.bell.wait_timeout_while(self.desk(), period, idle);
        let (mut desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
        desk.asked = false;
        if desk.stopped { Wake::Stop } else { Wake::Sample }
    }

    /// Has the accounting thread end.
    pub fn stop(&self) {
        self.desk().stopped = true;
        self.bell.notify_all();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::disabled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_arrivals_is_bounded_and_counted() {
        let ledger = Ledger::new();
        let account = Arc::new(Account::new(1));
        for _ in 0..ARRIVALS_MAX + 3 {
            ledger.admit(&account);
        }
        assert_eq!(ledger.take_arrivals().len(), ARRIVALS_MAX);
        assert_eq!(ledger.missed(), 3);
        assert!(ledger.take_arrivals().is_empty());
    }

    #[test]
    fn a_disabled_ledger_keeps_nothing() {
        let ledger = Ledger::disabled();
        ledger.admit(&Arc::new(Account::new(1)));
        assert!(ledger.take_arrivals().is_empty());
    }

    #[tokio::test]
    async fn whoever_asks_gets_what_was_summed_up_after_that() {
        let ledger = Arc::new(Ledger::new());
        ledger.attend();
        let working = Arc::clone(&ledger);
        let worker = std::thread::spawn(move || {
            let mut untracked = 0;
            while working.wait(Duration::from_secs(60)) == Wake::Sample {
                untracked += 1;
                working.publish(KernelTotals { untracked, ..KernelTotals::default() });
            }
            untracked
        });
        for round in 1..=3 {
            ledger.freshen().await;
            assert_eq!(ledger.totals().untracked, round);
        }
        ledger.stop();
        assert_eq!(worker.join().unwrap(), 3);
        // Nobody is there any more, and nobody waits.
        ledger.freshen().await;
    }

    #[tokio::test]
    async fn fresh_figures_that_do_not_come_are_not_waited_for_long() {
        let ledger = Ledger::new();
        ledger.attend();
        let begun = tokio::time::Instant::now();
        ledger.freshen().await;
        assert!(begun.elapsed() >= FRESHEN_MAX, "{:?}", begun.elapsed());
    }
}
