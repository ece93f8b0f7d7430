//! Binds every listener before anything starts, one per shard and address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections waiting to be accepted, per listener.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address} for {what}: {error}{}", hint(.error))]
pub(super) struct BindError {
    what: &'static str,
    address: SocketAddr,
    error: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program has this port, `ss -ltnp` shows which",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; no interface has this address",
        _ => "",
    }
}

/// Who else may listen on the same address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    /// The other shards of this process.
    Shards,
}

/// One listener for each address.
pub(super) fn bind_http(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    addresses.iter().map(|address| listen("HTTP", *address, Sharing::Alone)).collect()
}

/// For each shard its own listener for each address; the kernel spreads connections over them.
pub(super) fn bind_rtmp(
    addresses: &[SocketAddr],
    shards: usize,
) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut per_shard: Vec<Vec<TcpListener>> = (0..shards).map(|_| Vec::new()).collect();
    for address in addresses {
        // With SO_REUSEPORT alone, a second process of ours would take half the connections
        // instead of failing: so the address is bound alone first.
        let probe = listen("RTMP", *address, Sharing::Alone)?;
        let failed = |error| BindError { what: "RTMP", address: *address, error };
        let bound = probe.local_addr().map_err(failed)?;
        drop(probe);
        for own in &mut per_shard {
            own.push(listen("RTMP", bound, Sharing::Shards)?);
        }
    }
    Ok(per_shard)
}

fn listen(
    what: &'static str,
    address: SocketAddr,
    sharing: Sharing,
) -> Result<TcpListener, BindError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if sharing == Sharing::Shards {
            socket.set_reuse_port(true)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|error| BindError { what, address, error })
}
