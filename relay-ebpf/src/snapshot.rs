//! Goes over all TCP sockets and brings what is known of the counted ones up to date. Reading the pin
//! of this program runs it; there is no output.
//!
//! It sees connections that are older than the programs, and such as the kernel makes no callbacks
//! for: one that only receives measures no round-trip times.

use core::ffi::{c_int, c_void};
use core::ptr::read_volatile;

use aya_ebpf::helpers::{bpf_get_socket_cookie, bpf_setsockopt, bpf_skc_to_tcp_sock};
use edgerelay_ebpf_common::{Connection, Observation, PortKey, Side, SocketOffsets, TcpState};

use crate::accounts::{self, Tracked};
use crate::socket_event::{callbacks, now_ns};

/// Where the fields are in the running kernel; the loader says so.
#[unsafe(no_mangle)]
static OFFSETS: SocketOffsets = SocketOffsets {
    local_port: 0,
    peer_port: 0,
    family: 0,
    state: 0,
    peer_address: 0,
    peer_address_v6: 0,
    bytes_received: 0,
    bytes_acked: 0,
    srtt_us: 0,
    total_retrans: 0,
    callbacks: 0,
};

const AF_INET: u16 = 2;
const SOL_TCP: c_int = 6;
/// Since Linux 6.13; before, the kernel refuses it.
const TCP_BPF_SOCK_OPS_CB_FLAGS: c_int = 1008;
const LISTEN: u8 = 10;

/// What the kernel hands to a program of this kind.
#[repr(C)]
pub struct IteratorContext {
    meta: *const c_void,
    socket: *mut c_void,
    uid: u32,
}

/// A field of the socket, whose offset is a constant to the verifier.
macro_rules! field {
    ($socket:expr, $name:ident, $kind:ty) => {{
        // SAFETY: a constant; volatile, because the loader changes it in the object.
        let offset = unsafe { read_volatile(&raw const OFFSETS.$name) } as usize;
        // SAFETY: the verifier has compared the place with the kernel's own type.
        unsafe { read_volatile($socket.cast::<u8>().add(offset).cast::<$kind>()) }
    }};
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
pub extern "C" fn snapshot(context: *const IteratorContext) -> c_int {
    // SAFETY: the kernel's context, which lives as long as the call.
    let common = unsafe { (*context).socket };
    if common.is_null() {
        return 0;
    }
    // SAFETY: takes any socket, and answers null for one that is not wholly there.
    let socket = unsafe { bpf_skc_to_tcp_sock(common) }.cast::<c_void>();
    if !socket.is_null() {
        on_socket(socket);
    }
    0
}

#[inline(always)]
fn on_socket(socket: *mut c_void) {
    let state = field!(socket, state, u8);
    if state == LISTEN || state == TcpState::Close as u8 {
        return;
    }
    let local_port = field!(socket, local_port, u16);
    let peer_port = u16::from_be(field!(socket, peer_port, u16));
    // Each value is there on every path. The compiler reads the inside of an Option again that is looked at
    // later, also where it is empty, and Linux 6.1 refuses a program that may read what it has not written.
    let (service, side) = match accounts::service(PortKey::new(Side::Accepted, local_port)) {
        Some(service) => (service, Side::Accepted),
        None => match accounts::service(PortKey::new(Side::Opened, peer_port)) {
            Some(service) => (service, Side::Opened),
            None => return,
        },
    };
    // SAFETY: a socket that the kernel gave us.
    let cookie = unsafe { bpf_get_socket_cookie(socket) };
    let now_ns = now_ns();
    if accounts::known(cookie).is_none() {
        let mut connection = match side {
            Side::Accepted => Connection::default(),
            Side::Opened => Connection::opened_by_us(),
        };
        connection.service = service;
        connection.opened_ns = now_ns;
        connection.state = u32::from(state);
        connection.peer_port = peer_port;
        connection.family = field!(socket, family, u16);
        connection.peer_address = if connection.family == AF_INET {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&field!(socket, peer_address, [u8; 4]));
            address
        } else {
            field!(socket, peer_address_v6, [u8; 16])
        };
        if accounts::track(cookie, &connection) == Tracked::No {
            return;
        }
    }
    let Some(connection) = accounts::known(cookie) else { return };
    let seen = Observation {
        bytes_received: field!(socket, bytes_received, u64),
        bytes_acked: field!(socket, bytes_acked, u64),
        rtt_us: field!(socket, srtt_us, u32) >> 3,
        retransmits: field!(socket, total_retrans, u32),
        all_acked: false,
    };
    let growth = connection.observe(&seen, now_ns);
    accounts::enter(connection.service, &growth);
    let asked = u32::from(field!(socket, callbacks, u8));
    if asked & callbacks() != callbacks() {
        let mut flags = asked | callbacks();
        // SAFETY: a socket that the kernel gave us and has locked, and four bytes of ours. Refused
        // by kernels that cannot: then the connection's end is as of the last snapshot.
        let _ = unsafe {
            bpf_setsockopt(socket, SOL_TCP, TCP_BPF_SOCK_OPS_CB_FLAGS, (&raw mut flags).cast(), 4)
        };
    }
}
