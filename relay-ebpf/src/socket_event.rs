//! Called by the kernel when a TCP connection in the cgroup opens, measures its round-trip time,
//! changes its state or closes.

use core::arch::asm;
use core::mem::offset_of;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_RTT_CB,
    BPF_SOCK_OPS_STATE_CB, bpf_sock_ops,
};
use aya_ebpf::helpers::{bpf_get_socket_cookie, bpf_ktime_get_ns};
use aya_ebpf::macros::sock_ops;
use aya_ebpf::programs::SockOpsContext;
use edgerelay_ebpf_common::{Connection, Observation, PortKey, Side, TcpState};

use crate::accounts::{self, Tracked};

/// The callbacks that a counted connection asks for; the loader says which.
#[unsafe(no_mangle)]
pub(crate) static CALLBACKS: u32 = 0;

/// `AF_INET`.
const AF_INET: u32 = 2;

/// A field of the context. The verifier wants the pointer that the kernel gave, and the offset in the
/// instruction, which the compiler does not promise.
macro_rules! field {
    ($event:expr, $size:literal, $name:ident) => {
        field!($event, $size, $name, 0)
    };
    ($event:expr, $size:literal, $name:ident, $within:literal) => {{
        let value: u64;
        // SAFETY: reads within the kernel's context, which lives as long as the call.
        unsafe {
            asm!(
                concat!("{value} = *(", $size, " *)({ops} + {at})"),
                value = out(reg) value,
                ops = in(reg) $event.ops,
                at = const offset_of!(bpf_sock_ops, $name) + $within,
                options(readonly, nostack),
            );
        }
        value
    }};
}

#[inline(always)]
pub(crate) fn callbacks() -> u32 {
    // SAFETY: a constant; volatile, because the loader changes it in the object.
    unsafe { core::ptr::read_volatile(&raw const CALLBACKS) }
}

#[sock_ops]
pub fn on_socket_event(event: SockOpsContext) -> u32 {
    match event.op() {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => on_established(&event, Side::Accepted),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => on_established(&event, Side::Opened),
        BPF_SOCK_OPS_STATE_CB => on_state(&event),
        BPF_SOCK_OPS_RTT_CB => on_round_trip(&event),
        _ => {}
    }
    0
}

#[inline(always)]
fn on_established(event: &SockOpsContext, side: Side) {
    let peer_port = u32::from_be(event.remote_port()) as u16;
    let port = match side {
        Side::Accepted => event.local_port() as u16,
        Side::Opened => peer_port,
    };
    let Some(service) = accounts::service(PortKey::new(side, port)) else { return };
    let mut connection = match side {
        Side::Accepted => Connection::default(),
        Side::Opened => Connection::opened_by_us(),
    };
    let now_ns = now_ns();
    connection.service = service;
    connection.opened_ns = now_ns;
    connection.updated_ns = now_ns;
    connection.state = TcpState::Established as u32;
    connection.peer_port = peer_port;
    connection.family = event.family() as u16;
    connection.peer_address = peer_address(event);
    if accounts::track(cookie(event), &connection) == Tracked::Yes {
        // Without the callbacks the snapshot still sees it.
        let _ = event.set_cb_flags((event.cb_flags() | callbacks()) as i32);
    }
}

#[inline(always)]
fn on_state(event: &SockOpsContext) {
    let Some(connection) = accounts::known(cookie(event)) else { return };
    let (from, to) = (event.arg(0), event.arg(1));
    let (growth, closed) = connection.on_state(from, to, &observation(event), now_ns());
    accounts::enter(connection.service, &growth);
    if closed {
        accounts::enter_closed(connection.service);
    }
}

#[inline(always)]
fn on_round_trip(event: &SockOpsContext) {
    let Some(connection) = accounts::known(cookie(event)) else { return };
    let growth = connection.observe(&observation(event), now_ns());
    accounts::enter(connection.service, &growth);
}

#[inline(always)]
fn observation(event: &SockOpsContext) -> Observation {
    Observation {
        bytes_received: field!(event, "u64", bytes_received),
        bytes_acked: field!(event, "u64", bytes_acked),
        rtt_us: field!(event, "u32", srtt_us) as u32 >> 3,
        retransmits: field!(event, "u32", total_retrans) as u32,
        all_acked: field!(event, "u32", snd_una) == field!(event, "u32", snd_nxt),
    }
}

#[inline(always)]
fn peer_address(event: &SockOpsContext) -> [u8; 16] {
    let words = if event.family() == AF_INET {
        [event.remote_ip4(), 0, 0, 0]
    } else {
        [
            field!(event, "u32", remote_ip6, 0) as u32,
            field!(event, "u32", remote_ip6, 4) as u32,
            field!(event, "u32", remote_ip6, 8) as u32,
            field!(event, "u32", remote_ip6, 12) as u32,
        ]
    };
    // SAFETY: sixteen bytes either way.
    unsafe { core::mem::transmute(words) }
}

#[inline(always)]
fn cookie(event: &SockOpsContext) -> u64 {
    // SAFETY: the context of this call.
    unsafe { bpf_get_socket_cookie(event.as_ptr()) }
}

#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: takes nothing.
    unsafe { bpf_ktime_get_ns() }
}
