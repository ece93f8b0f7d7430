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

/// When sockets that are opened beside given ones take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// At once.
    AtOnce,
    /// When [`open`] says so. Connections that come to them before nobody accepted would be lost with a
    /// process that does not get that far.
    Later,
}

/// Has a socket take connections. Nothing happens to one that does already.
pub(super) fn open(listener: &TcpListener) -> io::Result<()> {
    socket2::SockRef::from(listener).listen(BACKLOG)
}

/// Listening sockets that this process was given, each to be used where its address is configured.
#[derive(Debug, Default)]
pub(super) struct Given(Vec<TcpListener>);

impl Given {
    pub(super) fn new(sockets: Vec<TcpListener>) -> Self {
        Self(sockets)
    }

    /// All of an address.
    fn take(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        let (of_address, others) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|it| it.local_addr().is_ok_and(|local| local == address));
        self.0 = others;
        of_address
    }

    /// The addresses of those that nothing was configured for. They are closed.
    pub(super) fn left_over(self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|it| it.local_addr().ok()).collect()
    }
}

/// One listener for each address.
pub(super) fn bind_http(
    addresses: &[SocketAddr],
    given: &mut Given,
) -> Result<Vec<TcpListener>, BindError> {
    let bind = |address: &SocketAddr| match given.take(*address).pop() {
        Some(listener) => Ok(listener),
        None => listen("HTTP", *address, Sharing::Alone, Opening::AtOnce),
    };
    addresses.iter().map(bind).collect()
}

/// For each shard its own listener for each address; the kernel spreads connections over them. Where
/// sockets were given, each of them has a shard that accepts from it.
pub(super) fn bind_rtmp(
    addresses: &[SocketAddr],
    shards: usize,
    given: &mut Given,
    opening: Opening,
) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut per_shard: Vec<Vec<TcpListener>> = (0..shards).map(|_| Vec::new()).collect();
    for address in addresses {
        let failed = |error| BindError { what: "RTMP", address: *address, error };
        let mut sockets = given.take(*address);
        let bound = match sockets.first() {
            Some(_) => *address,
            // With SO_REUSEPORT alone, a second process of ours would take half the connections
            // instead of failing: so the address is bound alone first.
            None => {
                let probe = listen("RTMP", *address, Sharing::Alone, Opening::AtOnce)?;
                probe.local_addr().map_err(failed)?
            }
        };
        // One that lets no other beside it is shared.
        let alone = match sockets.first() {
            Some(first) => !socket2::SockRef::from(first).reuse_port().map_err(failed)?,
            None => false,
        };
        let own = sockets.len();
        for index in own..shards {
            let shared = sockets.get(index % own.max(1)).filter(|_| alone);
            let socket = match shared {
                Some(shared) => shared.try_clone().map_err(failed)?,
                None => listen("RTMP", bound, Sharing::Shards, opening)?,
            };
            sockets.push(socket);
        }
        for (index, socket) in sockets.into_iter().enumerate() {
            if let Some(shard) = per_shard.get_mut(index % shards.max(1)) {
                shard.push(socket);
            }
        }
    }
    Ok(per_shard)
}

fn listen(
    what: &'static str,
    address: SocketAddr,
    sharing: Sharing,
    opening: Opening,
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
        if opening == Opening::AtOnce {
            socket.listen(BACKLOG)?;
        }
        Ok(socket.into())
    };
    bind().map_err(|error| BindError { what, address, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn sockets(count: usize, sharing: Sharing) -> (SocketAddr, Vec<TcpListener>) {
        let first = listen("RTMP", LOOPBACK, sharing, Opening::AtOnce).unwrap();
        let address = first.local_addr().unwrap();
        let others = (1..count).map(|_| listen("RTMP", address, sharing, Opening::AtOnce).unwrap());
        (address, std::iter::once(first).chain(others).collect())
    }

    fn accepted(listener: &TcpListener) -> bool {
        listener.set_nonblocking(true).unwrap();
        listener.accept().is_ok()
    }

    /// What waits in the queues of three sockets is accepted by however many shards there are.
    #[test]
    fn no_given_socket_is_left_without_a_shard() {
        for shards in [1, 2, 3, 5] {
            let (address, listeners) = sockets(3, Sharing::Shards);
            let waiting: Vec<_> =
                (0..30).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            let mut given = Given::new(listeners);
            let per_shard = bind_rtmp(&[address], shards, &mut given, Opening::AtOnce).unwrap();
            assert_eq!(per_shard.len(), shards);
            assert!(per_shard.iter().all(|own| !own.is_empty()), "each shard has its own");
            assert!(given.left_over().is_empty());
            let of_all = per_shard.iter().flatten();
            let count: usize = of_all.map(|it| (0..40).filter(|_| accepted(it)).count()).sum();
            assert_eq!(count, waiting.len(), "{shards} shards");
        }
    }

    #[test]
    fn a_given_socket_that_lets_none_beside_it_is_shared() {
        let (address, listeners) = sockets(1, Sharing::Alone);
        let per_shard =
            bind_rtmp(&[address], 3, &mut Given::new(listeners), Opening::AtOnce).unwrap();
        for own in &per_shard {
            let _waiting = std::net::TcpStream::connect(address).unwrap();
            let [listener] = &own[..] else { panic!("{own:?}") };
            assert!(accepted(listener), "whichever shard looks");
        }
    }

    #[test]
    fn what_is_opened_later_takes_no_connection_before() {
        let (address, listeners) = sockets(1, Sharing::Shards);
        let copy = listeners[0].try_clone().unwrap();
        let mut given = Given::new(listeners);
        let per_shard = bind_rtmp(&[address], 3, &mut given, Opening::Later).unwrap();
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let _waiting: Vec<_> = (0..20).map(|_| connect()).collect();
        assert_eq!((0..40).filter(|_| accepted(&copy)).count(), 20, "all at the given one");
        per_shard.iter().flatten().for_each(|listener| open(listener).unwrap());
        let _waiting: Vec<_> = (0..60).map(|_| connect()).collect();
        for own in &per_shard {
            assert!(accepted(&own[0]), "each has its share");
        }
    }

    #[test]
    fn what_is_not_configured_any_more_is_left_over() {
        let (address, listeners) = sockets(1, Sharing::Alone);
        let (gone, others) = sockets(2, Sharing::Shards);
        let mut given = Given::new(listeners.into_iter().chain(others).collect());
        let http = bind_http(&[address, LOOPBACK], &mut given).unwrap();
        assert_eq!(http[0].local_addr().unwrap(), address);
        assert_ne!(http[1].local_addr().unwrap(), address);
        assert_eq!(given.left_over(), [gone, gone]);
    }
}
