//! Free ports, none handed out twice in a test run.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes ports for outgoing connections, so that none of
/// those lands on a port between our look and the server's bind.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback address that nothing listens on.
pub(crate) fn free_address() -> SocketAddr {
    let seed = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below COUNT");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        // A stride that shares no factor with COUNT keeps two runs at once apart.
        let offset = (u32::from(seed) * 7 + u32::from(step)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).expect("below COUNT");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port");
}

/// A loopback address such that nothing listens on it, nor on the `count` ports behind it.
pub(crate) fn free_ports(count: u16) -> SocketAddr {
    for _ in 0..COUNT {
        let first = free_address();
        let rest = (0..count).map(|_| free_address());
        let follows = |(step, address): (u16, SocketAddr)| address.port() == first.port() + step;
        if (1..).zip(rest).all(follows) {
            return first;
        }
    }
    panic!("no {count} free ports in a row");
}
