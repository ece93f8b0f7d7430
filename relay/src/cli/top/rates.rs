//! How fast bytes go, from what was counted at two looks.
//!
//! Reads no clock: a connection's age at each look is what lies between them, on the node's own clock
//! and at the moment when it was asked.

use std::collections::{BTreeMap, BTreeSet};

use super::super::answers::{Client, Clients};
use super::super::listing::Figures;

/// Two looks that are nearer than this are the same one, shown twice.
const APART_SECONDS_MIN: f64 = 0.05;

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) bits_in: f64,
    pub(super) bits_out: f64,
}

impl Rate {
    pub(super) fn add(&mut self, other: Self) {
        self.bits_in += other.bits_in;
        self.bits_out += other.bits_out;
    }
}

/// The connections at the last look, and how fast each goes.
#[derive(Debug, Default)]
pub(super) struct Rates {
    seen: BTreeMap<u64, Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    age_seconds: f64,
    bytes_in: u64,
    bytes_out: u64,
    source: String,
    rate: Rate,
}

impl Rates {
    /// Takes another look.
    pub(super) fn handle(&mut self, clients: &Clients) {
        let seen = clients.clients.iter().map(|it| (it.id, self.look(it))).collect();
        self.seen = seen;
    }

    fn look(&self, client: &Client) -> Seen {
        let Figures { bytes_in, bytes_out, source, .. } = Figures::of(client);
        let age_seconds = client.age_seconds;
        let mut seen = Seen { age_seconds, bytes_in, bytes_out, source, rate: Rate::default() };
        let Some(before) = self.seen.get(&client.id) else { return seen };
        let apart = age_seconds - before.age_seconds;
        if before.source != seen.source {
            // Another one counts, from another beginning.
            seen.rate = before.rate;
        } else if apart < APART_SECONDS_MIN {
            return before.clone();
        } else {
            let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 * 8.0 / apart;
            seen.rate = Rate {
                bits_in: rate(bytes_in, before.bytes_in),
                bits_out: rate(bytes_out, before.bytes_out),
            };
        }
        seen
    }

    /// How fast the connection goes. Zero until it was seen twice.
    pub(super) fn of(&self, id: u64) -> Rate {
        self.seen.get(&id).map(|seen| seen.rate).unwrap_or_default()
    }

    /// All connections together.
    pub(super) fn sum(&self) -> Rate {
        let mut sum = Rate::default();
        self.seen.values().for_each(|seen| sum.add(seen.rate));
        sum
    }

    /// Who counted.
    pub(super) fn sources(&self) -> BTreeSet<&str> {
        self.seen.values().map(|seen| seen.source.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::answers::Kernel;
    use super::*;

    fn look(age_seconds: f64, own: u64, kernel: Option<u64>) -> Clients {
        let kernel = kernel.map(|bytes_out| Kernel {
            source: "ebpf".to_owned(),
            bytes_in: bytes_out / 2,
            bytes_out,
            ..Kernel::default()
        });
        let client = Client { id: 7, age_seconds, bytes_out: own, kernel, ..Client::default() };
        Clients { clients: vec![client], ..Clients::default() }
    }

    fn rates(looks: &[Clients]) -> Rates {
        let mut rates = Rates::default();
        looks.iter().for_each(|look| rates.handle(look));
        rates
    }

    #[test]
    fn a_rate_is_what_the_kernel_counted_between_two_looks() {
        let rates = rates(&[look(1.0, 0, Some(1000)), look(3.0, 9999, Some(5000))]);
        assert_eq!(rates.of(7), Rate { bits_in: 8_000.0, bits_out: 16_000.0 });
        assert_eq!(rates.sum(), rates.of(7));
        assert_eq!(rates.sources(), BTreeSet::from(["ebpf"]));
    }

    #[test]
    fn without_the_kernel_it_is_what_the_relay_counted() {
        let rates = rates(&[look(1.0, 1000, None), look(2.0, 2000, None)]);
        assert_eq!(rates.of(7).bits_out, 8_000.0);
        assert_eq!(rates.sources(), BTreeSet::from(["relay"]));
    }

    #[test]
    fn the_same_look_shown_twice_is_no_standstill() {
        let looks = [look(1.0, 1000, None), look(2.0, 2000, None), look(2.0, 2000, None)];
        assert_eq!(rates(&looks).of(7).bits_out, 8_000.0);
    }

    #[test]
    fn another_counter_makes_no_leap() {
        let looks = [look(1.0, 1000, None), look(2.0, 2000, None), look(3.0, 3000, Some(90))];
        assert_eq!(rates(&looks).of(7).bits_out, 8_000.0);
    }

    #[test]
    fn a_connection_that_is_gone_or_new_has_no_rate() {
        let mut rates = rates(&[look(1.0, 1000, None), look(2.0, 2000, None)]);
        rates.handle(&Clients::default());
        assert_eq!((rates.of(7), rates.sum()), (Rate::default(), Rate::default()));
        rates.handle(&look(9.0, 1 << 30, None));
        assert_eq!(rates.of(7), Rate::default());
    }
}
