//! Who listens where: a look by binding, and the kernel's tables for whose it is.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;

use procfs_core::net::{TcpNetEntries, TcpState};
use procfs_core::{ExplicitSystemInfo, FromReadSI as _};
use socket2::{Domain, Protocol, Socket, Type};

use super::Files;
use crate::doctor::machine::{Holder, Trial};

/// The tables hold addresses in this machine's order of bytes. The rest does not matter to them.
const ORDER: ExplicitSystemInfo = ExplicitSystemInfo {
    boot_time_secs: 0,
    ticks_per_second: 100,
    page_size: 4096,
    is_little_endian: cfg!(target_endian = "little"),
};

/// Binds to `address` as the relay does, listens to nothing, and lets go again.
pub(super) fn try_bind(address: SocketAddr) -> Trial {
    let bind = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())
    };
    match bind() {
        Ok(()) => Trial::Free,
        Err(error) => match error.kind() {
            io::ErrorKind::AddrInUse => Trial::Held,
            io::ErrorKind::PermissionDenied => Trial::NotPermitted,
            io::ErrorKind::AddrNotAvailable => Trial::NotHere,
            _ => Trial::Failed(error.to_string()),
        },
    }
}

/// The processes that listen where `addresses` are wanted. Those of other users only root is told.
pub(super) fn holders(
    files: &Files<'_>,
    addresses: &[SocketAddr],
) -> HashMap<SocketAddr, Vec<Holder>> {
    let tables = ["proc/net/tcp", "proc/net/tcp6"].into_iter();
    let entries =
        tables.filter_map(|table| TcpNetEntries::from_file(files.path(table), &ORDER).ok());
    let listeners = entries.flat_map(|table| table.0).filter(|it| it.state == TcpState::Listen);
    let mut found: HashMap<SocketAddr, Vec<Holder>> = HashMap::new();
    let mut wanted: HashMap<u64, Vec<SocketAddr>> = HashMap::new();
    for listener in listeners {
        let meant = addresses.iter().filter(|address| overlap(**address, listener.local_address));
        wanted.entry(listener.inode).or_default().extend(meant);
    }
    wanted.retain(|_, addresses| !addresses.is_empty());
    if wanted.is_empty() {
        return found;
    }
    let processes = files.names("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    for pid in processes {
        for address in sockets_of(files, pid).filter_map(|inode| wanted.get(&inode)).flatten() {
            let name = files.text(&format!("proc/{pid}/comm")).unwrap_or_default();
            let holder = Holder { pid, name };
            let holders = found.entry(*address).or_default();
            if !holders.contains(&holder) {
                holders.push(holder);
            }
        }
    }
    found
}

/// Whether two addresses are in each other's way. A socket of IPv6 on every address may take IPv4, too.
fn overlap(wanted: SocketAddr, held: SocketAddr) -> bool {
    wanted.port() == held.port()
        && match (wanted.ip(), held.ip()) {
            (wanted, held) if wanted.is_ipv4() == held.is_ipv4() => {
                wanted == held || wanted.is_unspecified() || held.is_unspecified()
            }
            (_, held) => held.is_ipv6() && held.is_unspecified(),
        }
}

/// The sockets that a process has open, by their numbers.
fn sockets_of(files: &Files<'_>, pid: u32) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(files.path(&format!("proc/{pid}/fd"))).into_iter().flatten();
    entries.filter_map(|entry| {
        let target = fs::read_link(entry.ok()?.path()).ok()?;
        let number = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        number.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_each_others_way_on_one_port() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.2:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.0.0.1:80", "[::]:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "[::1]:80", false),
        ];
        for (wanted, held, expected) in table {
            let (wanted, held) = (wanted.parse().unwrap(), held.parse().unwrap());
            assert_eq!(overlap(wanted, held), expected, "{wanted} {held}");
        }
    }

    #[test]
    fn a_held_port_is_held_and_by_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(try_bind(address), Trial::Held);
        let files = Files { root: std::path::Path::new("/") };
        let found = holders(&files, &[address]);
        assert_eq!(found[&address].len(), 1, "{found:?}");
        assert_eq!(found[&address][0].pid, std::process::id());
        drop(listener);
        assert_eq!(try_bind(address), Trial::Free);
        assert!(holders(&files, &[address]).is_empty());
    }

    #[test]
    fn an_address_of_nobody_here_is_not_here() {
        assert_eq!(try_bind("192.0.2.1:1935".parse().unwrap()), Trial::NotHere);
    }
}
