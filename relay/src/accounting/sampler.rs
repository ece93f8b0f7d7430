//! The thread that keeps the node's books: when somebody wants to know, and now and then, it has the
//! kernel programs look at all connections, and reads what they know of ours.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use edgerelay_ebpf_common::{Service, Totals};

use super::books::Books;
use super::pins::PinFolder;
use super::reader::{Reader, Unavailable};
use super::{monotonic_ns, object};
use crate::config::AccountingConfig;
use crate::telemetry::Readiness;
use crate::telemetry::account::{GroupTotals, KernelTotals, ServiceTotals};
use crate::telemetry::ledger::{Ledger, Wake};

/// How often while nobody asks: closed connections are entered, and lost programs noticed.
const PERIOD: Duration = Duration::from_secs(5);

/// Without the snapshot, a connection that was not heard of for so long only receives, and its socket
/// is asked.
const QUIET_MAX: Duration = Duration::from_millis(750);

/// The running thread.
#[derive(Debug)]
pub struct Accounting {
    thread: JoinHandle<()>,
    ledger: Arc<Ledger>,
}

impl Accounting {
    /// Stops it, and waits for that.
    pub fn shutdown(self) {
        self.ledger.stop();
        if self.thread.join().is_err() {
            tracing::error!("the accounting thread panicked");
        }
    }
}

/// Starts the thread.
///
/// # Errors
///
/// When it cannot be made.
pub fn start(
    config: &AccountingConfig,
    ledger: Arc<Ledger>,
    readiness: Arc<Readiness>,
) -> std::io::Result<Accounting> {
    if !object::is_compiled_in() {
        tracing::info!("kernel accounting is not compiled in: this program cannot load it");
    }
    let shared = Arc::clone(&ledger);
    let mut sampler = Sampler {
        pins: PinFolder::new(&config.pin_dir),
        ledger,
        readiness,
        books: Books::default(),
        reader: None,
        told: Told::Nothing,
    };
    let thread = thread::Builder::new().name("accounting".to_owned()).spawn(move || {
        sampler.ledger.attend();
        loop {
            sampler.sample(Instant::now());
            if sampler.ledger.wait(PERIOD) == Wake::Stop {
                break;
            }
        }
    })?;
    Ok(Accounting { thread, ledger: shared })
}

/// What the log said last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Attached,
    Degraded,
}

struct Sampler {
    pins: PinFolder,
    ledger: Arc<Ledger>,
    readiness: Arc<Readiness>,
    books: Books,
    reader: Option<Reader>,
    told: Told,
}

impl Sampler {
    fn sample(&mut self, now: Instant) {
        match self.refreshed() {
            Ok(reader) => {
                self.reader = Some(reader);
                self.on_attached();
            }
            Err(why) => self.on_degraded(&why),
        }
        self.books.admit(self.ledger.take_arrivals());
        let reader = self.reader.as_ref();
        let quiet_since = match reader {
            Some(reader) if !reader.has_snapshot() => {
                monotonic_ns().saturating_sub(QUIET_MAX.as_nanos() as u64)
            }
            _ => 0,
        };
        self.books.settle(now, |cookie| {
            let found = reader?.connection(cookie)?;
            (found.closed_ns != 0 || found.updated_ns >= quiet_since).then_some(found)
        });
        let mut totals = self.books.totals();
        totals.missed = self.ledger.missed();
        if let Some(reader) = reader {
            add_services(reader, &mut totals);
        }
        self.ledger.publish(totals);
    }

    /// The reader with fresh figures behind it: the one we have, or a new one on new pins.
    fn refreshed(&mut self) -> Result<Reader, Unavailable> {
        match self.reader.take() {
            Some(reader) if reader.refresh().is_ok() => Ok(reader),
            _ => Reader::open(&self.pins),
        }
    }

    fn on_attached(&mut self) {
        self.readiness.set_ebpf_attached(true);
        if self.told != Told::Attached {
            self.told = Told::Attached;
            let pins = self.pins.path().display();
            tracing::info!(%pins, "connections are counted by the kernel programs");
        }
    }

    fn on_degraded(&mut self, why: &Unavailable) {
        self.readiness.set_ebpf_attached(false);
        if self.told != Told::Degraded {
            self.told = Told::Degraded;
            tracing::warn!("sockets are asked instead of the kernel programs: {why}");
        }
    }
}

/// What is known by port alone.
fn add_services(reader: &Reader, totals: &mut KernelTotals) {
    let http = reader.totals(Service::Http);
    let sums = GroupTotals {
        opened: http.opened,
        closed: http.closed,
        bytes_in: http.bytes_in,
        bytes_out: http.bytes_out,
        retransmits: http.retransmits,
        rtt_seconds: None,
    };
    // Shards do not know them, so they are a role of their own.
    totals.groups.insert((Service::Http.label(), "".into()), sums);
    for service in Service::ALL {
        let Totals { opened, closed, untracked, .. } = reader.totals(service);
        totals.services.insert(service.label(), ServiceTotals { opened, closed });
        totals.untracked += untracked;
    }
}
