//! Keys and values of the maps, byte for byte, and the maps' names.
//!
//! Any change here takes a new [`LAYOUT_VERSION`]: a loader that finds pins of another version makes
//! new ones, and a relay of another version does not read them.

/// The version of everything in this file.
pub const LAYOUT_VERSION: u32 = 1;

/// The names of maps and programs, which are those of their pins, too.
pub mod maps {
    /// [`PortKey`](super::PortKey) to [`Service`](super::Service): which connections are counted.
    pub const PORTS: &str = "PORTS";
    /// Socket cookie to [`Connection`](super::Connection).
    pub const CONNECTIONS: &str = "CONNECTIONS";
    /// [`Service`](super::Service) to [`Totals`](super::Totals), per CPU.
    pub const TOTALS: &str = "TOTALS";
    /// Zero to [`Heartbeat`](super::Heartbeat).
    pub const HEARTBEAT: &str = "HEARTBEAT";
    /// The constants that say which callbacks a connection asks for.
    pub const CALLBACKS: &str = "CALLBACKS";
    /// The constants that say where the kernel keeps what the snapshot reads.
    pub const OFFSETS: &str = "OFFSETS";
    /// The program that is called when connections open, change and close.
    pub const ON_SOCKET_EVENT: &str = "on_socket_event";
    /// The program that goes over all sockets when its pin is read.
    pub const SNAPSHOT: &str = "snapshot";
}

/// What a counted connection is for, as far as its port tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Service {
    /// Accepted on an RTMP listener.
    Rtmp = 0,
    /// Accepted on an HTTP listener.
    Http = 1,
    /// Opened by somebody on this machine, to a port that we push to or pull from, or a worker's.
    Upstream = 2,
    /// Accepted by a worker that the node starts.
    Worker = 3,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 4] = [Self::Rtmp, Self::Http, Self::Upstream, Self::Worker];

    /// The name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Http => "http",
            Self::Upstream => "upstream",
            Self::Worker => "worker",
        }
    }
}

/// How many services there are.
pub const SERVICES_MAX: u32 = Service::ALL.len() as u32;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Side {
    /// The peer; the port is ours.
    Accepted = 0,
    /// We; the port is the peer's.
    Opened = 1,
}

/// Which connections are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PortKey {
    /// In host byte order.
    pub port: u16,
    /// A [`Side`].
    pub side: u16,
}

impl PortKey {
    /// Connections of `side` by `port`.
    #[must_use]
    pub const fn new(side: Side, port: u16) -> Self {
        Self { port, side: side as u16 }
    }
}

/// One connection, by its socket cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Connection {
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes that the peer acknowledged.
    pub bytes_out: u64,
    /// When it was first counted, on the monotonic clock.
    pub opened_ns: u64,
    /// When it was last looked at, on the monotonic clock.
    pub updated_ns: u64,
    /// When it was closed, on the monotonic clock. Zero: it is open.
    pub closed_ns: u64,
    /// Segments sent again.
    pub retransmits: u32,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: u32,
    /// A [`Service`].
    pub service: u32,
    /// Sequence numbers among the received bytes that carried no payload.
    pub overhead_in: u16,
    /// Sequence numbers among the acknowledged bytes that carried no payload.
    pub overhead_out: u16,
    /// The peer's address, IPv4 in the first four bytes, in network byte order.
    pub peer_address: [u8; 16],
    /// The peer's port, in host byte order.
    pub peer_port: u16,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// The [`TcpState`](crate::TcpState) last heard of.
    pub state: u32,
}

/// What was counted for one service on one CPU since the maps were made. All of it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Totals {
    /// Connections that were opened, or were open when counting began.
    pub opened: u64,
    /// Connections that were closed.
    pub closed: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes that peers acknowledged.
    pub bytes_out: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Connections that found no room in the map.
    pub untracked: u64,
}

/// What the loader says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Heartbeat {
    /// [`LAYOUT_VERSION`] of the loader.
    pub version: u32,
    /// Whether the snapshot is pinned.
    pub snapshot: u32,
    /// Which loader: the last one to write here owns the pins.
    pub loader: u64,
    /// When it was last alive, on the monotonic clock.
    pub alive_ns: u64,
}

/// Where the running kernel keeps what the snapshot reads, in bytes from the socket's beginning.
/// All zero: not known, and the snapshot does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketOffsets {
    /// `skc_num`: our port, in host byte order.
    pub local_port: u32,
    /// `skc_dport`: the peer's port, in network byte order.
    pub peer_port: u32,
    /// `skc_family`.
    pub family: u32,
    /// `skc_state`.
    pub state: u32,
    /// `skc_daddr`.
    pub peer_address: u32,
    /// `skc_v6_daddr`.
    pub peer_address_v6: u32,
    /// `bytes_received`.
    pub bytes_received: u32,
    /// `bytes_acked`.
    pub bytes_acked: u32,
    /// `srtt_us`.
    pub srtt_us: u32,
    /// `total_retrans`.
    pub total_retrans: u32,
    /// `bpf_sock_ops_cb_flags`.
    pub callbacks: u32,
}

const _: () = {
    assert!(size_of::<PortKey>() == 4 && align_of::<PortKey>() == 2);
    assert!(size_of::<Connection>() == 80 && align_of::<Connection>() == 8);
    assert!(size_of::<Totals>() == 48 && align_of::<Totals>() == 8);
    assert!(size_of::<Heartbeat>() == 24 && align_of::<Heartbeat>() == 8);
    assert!(size_of::<SocketOffsets>() == 44 && align_of::<SocketOffsets>() == 4);
    // Without padding: what is not a field must not reach a map.
    assert!(core::mem::offset_of!(Connection, peer_address) == 56);
    assert!(core::mem::offset_of!(Connection, state) == 76);
};
