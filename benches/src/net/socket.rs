//! Making sockets: many connections from one machine, none of which blocks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that a listener keeps until they are accepted.
const BACKLOG: i32 = 4_096;

/// Source addresses to spread connections over: each has some 28 000 ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    first: Ipv4Addr,
    count: u32,
}

impl SourceRange {
    /// The address of the `index`-th connection.
    fn address(self, index: u64) -> Ipv4Addr {
        let offset = (index % u64::from(self.count)) as u32;
        Ipv4Addr::from(u32::from(self.first).wrapping_add(offset))
    }
}

impl std::str::FromStr for SourceRange {
    type Err = String;

    /// `127.0.0.2-127.0.0.9`, or one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let parse = |text: &str| {
            text.parse::<Ipv4Addr>().map_err(|_| format!("expected an IPv4 address, got {text:?}"))
        };
        let (first, last) = (parse(first)?, parse(last)?);
        match u32::from(last).checked_sub(u32::from(first)) {
            Some(steps @ 0..65_536) => Ok(Self { first, count: steps + 1 }),
            _ => Err("expected at most 65536 addresses in ascending order".to_owned()),
        }
    }
}

/// Begins to connect. When it is writable, [`outcome`] says whether that worked.
///
/// # Errors
/// Out of descriptors or ports, or refused at once.
pub fn connect(to: SocketAddr, from: Option<SourceRange>, index: u64) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let (Some(range), SocketAddr::V4(_)) = (from, to) {
        socket.bind(&SocketAddr::new(IpAddr::V4(range.address(index)), 0).into())?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// Why an attempt to connect, or a connection, failed.
///
/// # Errors
/// That.
pub fn outcome(socket: &OwnedFd) -> io::Result<()> {
    match rustix::net::sockopt::socket_error(socket)? {
        Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Listens.
///
/// # Errors
/// The address is taken, or not ours.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Raises the bound on open descriptors as far as it goes; returns it.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Without it fewer connections are possible, and those that fail are counted.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_over_a_range_of_addresses() {
        let range: SourceRange = "127.0.0.2-127.0.0.4".parse().unwrap();
        let addresses: Vec<String> = (0..4).map(|index| range.address(index).to_string()).collect();
        assert_eq!(addresses, ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.2"]);
        let one: SourceRange = "10.0.0.1".parse().unwrap();
        assert_eq!(one.address(7).to_string(), "10.0.0.1");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "127.0.0.4-127.0.0.2", "::1", "0.0.0.0-255.255.255.255"] {
            assert!(text.parse::<SourceRange>().is_err(), "{text:?}");
        }
    }
}
