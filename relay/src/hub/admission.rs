//! How many connections there may be, in all and from one address. Owns the counts; it accepts and
//! closes nothing.
//!
//! One value serves the whole process (behind a lock of the owner's, taken once per connection) or
//! one shard.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// The node has as many connections as it may.
    #[error("the node is at its limit of connections")]
    NodeFull,
    /// The address has as many connections as it may.
    #[error("the address is at its limit of connections")]
    AddressFull,
}

impl AdmissionRefusal {
    /// The label in metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NodeFull => "connections_max",
            Self::AddressFull => "connections_per_ip_max",
        }
    }
}

/// Counts of open connections, against their limits.
#[derive(Debug)]
pub struct Admission {
    connections_max: usize,
    connections_per_ip_max: usize,
    open: usize,
    // No larger than `connections_max`: an address leaves with its last connection.
    per_address: HashMap<IpAddr, usize>,
}

impl Admission {
    /// At most `connections_max` in all and `connections_per_ip_max` per address; zero for the
    /// latter means no limit of its own.
    #[must_use]
    pub fn new(connections_max: usize, connections_per_ip_max: usize) -> Self {
        Self { connections_max, connections_per_ip_max, open: 0, per_address: HashMap::new() }
    }

    /// Other limits from now on. Whoever is in stays.
    pub const fn set_limits(&mut self, connections_max: usize, connections_per_ip_max: usize) {
        self.connections_max = connections_max;
        self.connections_per_ip_max = connections_per_ip_max;
    }

    /// A connection from `address` arrives: counts it, or says why not. Every `Ok` is to be paid
    /// back with one [`Admission::release`].
    pub fn admit(&mut self, address: IpAddr) -> Result<(), AdmissionRefusal> {
        if self.open >= self.connections_max {
            return Err(AdmissionRefusal::NodeFull);
        }
        // Counted without a limit, too: there may be one later.
        let of_address = self.per_address.entry(subject(address)).or_default();
        if self.connections_per_ip_max > 0 && *of_address >= self.connections_per_ip_max {
            return Err(AdmissionRefusal::AddressFull);
        }
        *of_address += 1;
        self.open += 1;
        Ok(())
    }

    /// An admitted connection from `address` is gone.
    pub fn release(&mut self, address: IpAddr) {
        self.open = self.open.saturating_sub(1);
        let subject = subject(address);
        if let Some(of_address) = self.per_address.get_mut(&subject) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                self.per_address.remove(&subject);
            }
        }
    }

    /// Connections admitted and not released.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }
}

/// What an address counts as: itself for IPv4 (mapped or not), its /64 for IPv6, which is what one
/// subscriber line gets.
fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_node_limit_holds_over_all_addresses() {
        let mut admission = Admission::new(2, 0);
        assert_eq!(admission.admit(address("192.0.2.1")), Ok(()));
        assert_eq!(admission.admit(address("192.0.2.2")), Ok(()));
        assert_eq!(admission.admit(address("192.0.2.3")), Err(AdmissionRefusal::NodeFull));
        admission.release(address("192.0.2.1"));
        assert_eq!(admission.admit(address("192.0.2.3")), Ok(()));
    }

    #[test]
    fn an_address_counts_once_however_it_is_written() {
        let mut admission = Admission::new(10, 1);
        assert_eq!(admission.admit(address("192.0.2.1")), Ok(()));
        let mapped = address("::ffff:192.0.2.1");
        assert_eq!(admission.admit(mapped), Err(AdmissionRefusal::AddressFull));
        assert_eq!(admission.admit(address("2001:db8::1")), Ok(()));
        let neighbour = address("2001:db8::2");
        assert_eq!(admission.admit(neighbour), Err(AdmissionRefusal::AddressFull));
        assert_eq!(admission.admit(address("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn a_limit_that_comes_later_counts_who_is_in_already() {
        let mut admission = Admission::new(10, 0);
        for _ in 0..3 {
            assert_eq!(admission.admit(address("192.0.2.1")), Ok(()));
        }
        admission.set_limits(10, 2);
        assert_eq!(admission.admit(address("192.0.2.1")), Err(AdmissionRefusal::AddressFull));
        assert_eq!(admission.admit(address("192.0.2.2")), Ok(()));
        admission.release(address("192.0.2.1"));
        admission.release(address("192.0.2.1"));
        assert_eq!(admission.admit(address("192.0.2.1")), Ok(()));
        admission.set_limits(3, 0);
        assert_eq!(admission.admit(address("192.0.2.3")), Err(AdmissionRefusal::NodeFull));
    }

    proptest! {
        #[test]
        fn counts_agree_with_a_list_of_connections(
            steps in prop::collection::vec((any::<bool>(), 0_u8..4), 0..200),
        ) {
            let mut admission = Admission::new(6, 3);
            let mut open: Vec<u8> = Vec::new();
            for (arrives, host) in steps {
                let from = IpAddr::from([192, 0, 2, host]);
                if arrives {
                    let expected = if open.len() >= 6 {
                        Err(AdmissionRefusal::NodeFull)
                    } else if open.iter().filter(|other| **other == host).count() >= 3 {
                        Err(AdmissionRefusal::AddressFull)
                    } else {
                        open.push(host);
                        Ok(())
                    };
                    prop_assert_eq!(admission.admit(from), expected);
                } else if let Some(at) = open.iter().position(|other| *other == host) {
                    open.swap_remove(at);
                    admission.release(from);
                }
                prop_assert_eq!(admission.open(), open.len());
                prop_assert!(admission.per_address.len() <= open.len());
            }
        }
    }
}
