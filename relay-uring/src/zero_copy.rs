//! When a send is made without the kernel copying the bytes.

use std::net::IpAddr;

/// From how many bytes on a zero-copy send is worth its second completion.
pub const ZERO_COPY_AUTO_BYTES_MIN: usize = 16 * 1024;

/// A socket's choice between copying and zero-copy sends.
///
/// A kernel without `SENDMSG_ZC`, and one that is out of lockable memory,
/// makes copying sends whatever the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroCopy {
    /// Every send copies.
    #[default]
    Off,
    /// Every send is zero-copy.
    On,
    /// Sends of so many bytes or more are.
    FromBytes(usize),
}

impl ZeroCopy {
    /// The choice that pays for a connection between these addresses: none
    /// within the machine, where the kernel makes the copy anyway.
    pub fn auto(local: IpAddr, peer: IpAddr) -> Self {
        let (local, peer) = (local.to_canonical(), peer.to_canonical());
        if peer.is_loopback() || peer == local {
            Self::Off
        } else {
            Self::FromBytes(ZERO_COPY_AUTO_BYTES_MIN)
        }
    }

    pub(crate) fn wants(self, len_bytes: usize) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::FromBytes(bytes_min) => len_bytes >= bytes_min,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_copies_within_the_machine_and_for_small_sends() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (local, peer) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
            ("10.0.0.7", "10.0.0.7"),
            ("::ffff:10.0.0.7", "10.0.0.7"),
        ] {
            assert_eq!(ZeroCopy::auto(ip(local), ip(peer)), ZeroCopy::Off, "{peer}");
        }
        let remote = ZeroCopy::auto(ip("10.0.0.7"), ip("192.0.2.1"));
        assert!(remote.wants(ZERO_COPY_AUTO_BYTES_MIN));
        assert!(!remote.wants(ZERO_COPY_AUTO_BYTES_MIN - 1));
    }
}
