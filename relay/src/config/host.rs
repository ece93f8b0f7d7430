//! What this host is called and which addresses are its own, so that a push to itself is
//! recognised.
//!
//! Reads what the kernel shows of this process under `/proc`, as a service may see nothing else there;
//! what cannot be read is taken as empty.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host's name, empty where the kernel does not tell.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The addresses of this host's interfaces.
#[must_use]
pub fn local_addresses() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/self/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    let mut addresses: Vec<IpAddr> =
        parse_fib_trie(&v4).map(IpAddr::V4).chain(parse_if_inet6(&v6).map(IpAddr::V6)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// A leaf names an address; the line behind it says `/32 host LOCAL` where it is our own.
fn parse_fib_trie(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    text.lines().filter_map(move |line| {
        if let Some(address) = line.trim_start().strip_prefix("|-- ") {
            leaf = address.parse().ok();
            return None;
        }
        if line.trim_start().starts_with("/32 host LOCAL") { leaf.take() } else { None }
    })
}

/// Each line opens with an address as 32 hexadecimal digits.
fn parse_if_inet6(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| {
        let digits = line.split_whitespace().next().filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from_bits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_local_leaves_are_our_own() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    |-- 127.0.0.0\n        /8 host LOCAL\n\
                    |-- 192.0.2.2\n        /32 host LOCAL\n\
                    |-- 192.0.2.255\n        /32 link BROADCAST\n";
        let found: Vec<_> = parse_fib_trie(text).collect();
        assert_eq!(found, [Ipv4Addr::new(192, 0, 2, 2)]);
    }

    #[test]
    fn inet6_lines_open_with_the_address() {
        let text = "fd000000000000000000000000000002 04 40 00 82     eth0\nshort 04\n";
        let found: Vec<_> = parse_if_inet6(text).collect();
        assert_eq!(found, ["fd00::2".parse::<Ipv6Addr>().unwrap()]);
    }
}
