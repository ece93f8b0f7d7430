//! Workers that somebody else runs: found by address, looked up again and again, and lost when they
//! cannot be connected to any more. Whether they get on is told by what they report of streams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::id::WorkerId;
use crate::placement::{Input, Loss};

/// How often names are looked up and workers connected to.
const LOOK: Duration = Duration::from_secs(5);
/// What a look-up or a connection may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Connections in a row that must fail for a worker to be lost: its streams tell sooner.
const FAILURES_MAX: u32 = 2;
/// Addresses of all names; more are passed over.
const WORKERS_MAX: usize = 1024;
/// Where a worker listens that is named without a port.
const PORT_DEFAULT: u16 = 1935;

/// The workers at given addresses.
#[derive(Debug)]
pub(super) struct AddressBackend {
    known: Arc<Mutex<Known>>,
    looking: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Known {
    by_number: BTreeMap<WorkerId, Place>,
    /// The number that was given last. Numbers are given anew as late as can be: a worker that left its
    /// name may carry streams for hours, and is known by its number all that time.
    last: u16,
}

#[derive(Debug)]
struct Place {
    address: SocketAddr,
    /// Whether the placement was told of it.
    up: bool,
    failures: u32,
    /// Whether its name still leads there.
    listed: bool,
}

impl Known {
    /// Takes in what names lead to now.
    fn on_addresses(&mut self, found: &BTreeSet<SocketAddr>) {
        for place in self.by_number.values_mut() {
            place.listed = found.contains(&place.address);
        }
        let known: BTreeSet<_> = self.by_number.values().map(|place| place.address).collect();
        for address in found.difference(&known) {
            let after = (self.last..=u16::MAX).skip(1);
            let mut numbers = after.chain(1..=self.last).map(WorkerId);
            let Some(number) = numbers.find(|number| !self.by_number.contains_key(number)) else {
                return;
            };
            self.last = number.0;
            let place = Place { address: *address, up: false, failures: 0, listed: true };
            self.by_number.insert(number, place);
        }
    }

    /// Takes in whether a worker can be connected to, and says what that means.
    fn on_answer(&mut self, worker: WorkerId, answers: bool) -> Option<Input> {
        let place = self.by_number.get_mut(&worker)?;
        if answers {
            place.failures = 0;
            let (listed, was_up) = (place.listed, place.up);
            place.up |= listed;
            return match (was_up, listed) {
                (false, true) => {
                    Some(Input::WorkerFound { worker, room: None, streams: Vec::new() })
                }
                // It goes once it is empty: what it carries stays there.
                (true, false) => Some(Input::Drain { worker }),
                _ => None,
            };
        }
        place.failures += 1;
        let (gone, was_up) = (!place.listed, place.up);
        if place.failures >= FAILURES_MAX {
            place.up = false;
            if gone {
                self.by_number.remove(&worker);
            }
            let detail = "it cannot be connected to".to_owned();
            return was_up.then_some(Input::WorkerLost { worker, loss: Loss::Silent, detail });
        }
        None
    }
}

impl AddressBackend {
    pub(super) fn new(names: Vec<String>, inputs: mpsc::Sender<Input>) -> Self {
        let known = Arc::<Mutex<Known>>::default();
        let mut looking = JoinSet::new();
        looking.spawn(look(names, Arc::clone(&known), inputs));
        Self { known, looking }
    }

    pub(super) fn address(&self, worker: WorkerId) -> Option<String> {
        Some(lock(&self.known).by_number.get(&worker)?.address.to_string())
    }

    /// A worker that was drained is empty: it is no business of ours any more.
    pub(super) fn let_go(&mut self, worker: WorkerId) -> Input {
        let mut known = lock(&self.known);
        if let Some(place) = known.by_number.get_mut(&worker) {
            place.up = false;
        }
        Input::WorkerLost { worker, loss: Loss::Exited, detail: "let go".to_owned() }
    }

    /// The node ends.
    pub(super) async fn shut_down(&mut self) {
        self.looking.shutdown().await;
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(names: Vec<String>, known: Arc<Mutex<Known>>, inputs: mpsc::Sender<Input>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Some(found) = resolve(&names).await {
            lock(&known).on_addresses(&found);
        }
        let mut asked = JoinSet::new();
        for (worker, place) in &lock(&known).by_number {
            let (worker, address) = (*worker, place.address);
            asked.spawn(async move { (worker, answers(address).await) });
        }
        for (worker, answers) in asked.join_all().await {
            let news = lock(&known).on_answer(worker, answers);
            if let Some(news) = news
                && inputs.send(news).await.is_err()
            {
                return;
            }
        }
    }
}

/// Where all names lead. None where one of them cannot be looked up: those known before stay.
async fn resolve(names: &[String]) -> Option<BTreeSet<SocketAddr>> {
    let mut found = BTreeSet::new();
    for name in names {
        let target = with_port(name);
        match timeout(ANSWER_MAX, lookup_host(target.as_str())).await {
            Ok(Ok(addresses)) => found.extend(addresses),
            Ok(Err(error)) => {
                tracing::warn!(name, %error, "workers cannot be looked up");
                return None;
            }
            Err(_elapsed) => return None,
        }
    }
    Some(found.into_iter().take(WORKERS_MAX).collect())
}

fn with_port(name: &str) -> String {
    let has_port = name.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    if has_port { name.to_owned() } else { format!("{name}:{PORT_DEFAULT}") }
}

async fn answers(address: SocketAddr) -> bool {
    matches!(timeout(ANSWER_MAX, TcpStream::connect(address)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId(1);

    fn addresses(ports: &[u16]) -> BTreeSet<SocketAddr> {
        ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect()
    }

    #[test]
    fn a_worker_is_found_when_it_answers_and_lost_when_it_fails_twice() {
        let mut known = Known::default();
        known.on_addresses(&addresses(&[1, 2]));
        assert!(matches!(known.on_answer(ONE, true), Some(Input::WorkerFound { worker: ONE, .. })));
        assert_eq!(known.on_answer(ONE, true), None);
        assert_eq!(known.on_answer(ONE, false), None, "once is no loss");
        assert!(matches!(known.on_answer(ONE, false), Some(Input::WorkerLost { worker: ONE, .. })));
        assert_eq!(known.on_answer(ONE, false), None);
        assert!(matches!(known.on_answer(ONE, true), Some(Input::WorkerFound { worker: ONE, .. })));
    }

    #[test]
    fn an_address_that_is_listed_no_more_is_drained_and_its_number_is_nobody_elses_for_long() {
        let mut known = Known::default();
        known.on_addresses(&addresses(&[1]));
        known.on_answer(ONE, true);
        known.on_addresses(&addresses(&[2]));
        assert_eq!(known.on_answer(ONE, true), Some(Input::Drain { worker: ONE }));
        assert!(known.on_answer(WorkerId(2), true).is_some());
        known.on_answer(ONE, false);
        assert!(known.on_answer(ONE, false).is_some());
        known.on_addresses(&addresses(&[2, 3]));
        assert_eq!(known.by_number[&WorkerId(3)].address.port(), 3);
        assert!(!known.by_number.contains_key(&ONE), "what it carries may go on");
        known.last = u16::MAX;
        known.on_addresses(&addresses(&[2, 3, 4]));
        assert_eq!(known.by_number[&ONE].address.port(), 4, "there are no more");
    }

    #[test]
    fn a_name_without_a_port_means_the_usual_one() {
        for (name, target) in [
            ("workers.internal", "workers.internal:1935"),
            ("10.0.0.7:1940", "10.0.0.7:1940"),
            ("[2001:db8::1]", "[2001:db8::1]:1935"),
            ("[2001:db8::1]:1940", "[2001:db8::1]:1940"),
        ] {
            assert_eq!(with_port(name), target);
        }
    }
}
