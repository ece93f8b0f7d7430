//! The maps, and how growth of a connection is entered into them.

use core::arch::asm;

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use edgerelay_ebpf_common::{Connection, Growth, Heartbeat, PortKey, SERVICES_MAX, Totals};

/// Ports at most.
const PORTS_MAX: u32 = 8192;
/// Connections at most, open ones and those closed within seconds; the loader may say otherwise.
const CONNECTIONS_MAX: u32 = 65_536;
/// The kernel's word for an entry that is there already.
const EEXIST: i32 = -17;

#[map]
static PORTS: HashMap<PortKey, u32> = HashMap::pinned(PORTS_MAX, 0);

/// Entries are made when connections open, so that memory is taken for those that are there.
#[map]
static CONNECTIONS: HashMap<u64, Connection> = HashMap::pinned(CONNECTIONS_MAX, BPF_F_NO_PREALLOC);

#[map]
static TOTALS: PerCpuArray<Totals> = PerCpuArray::pinned(SERVICES_MAX, 0);

/// Written and read by user space; here so that it is made and pinned with the others.
#[map]
static HEARTBEAT: Array<Heartbeat> = Array::pinned(1, 0);

/// What connections by this port are for, if they are counted.
#[inline(always)]
pub(crate) fn service(key: PortKey) -> Option<u32> {
    // SAFETY: four bytes, which the loader writes before any program is attached.
    unsafe { PORTS.get(&key) }.copied()
}

/// Whether a connection is there after the attempt to make it known.
#[derive(PartialEq, Eq)]
pub(crate) enum Tracked {
    Yes,
    No,
}

/// Makes a connection known, unless it is.
#[inline(always)]
pub(crate) fn track(cookie: u64, connection: &Connection) -> Tracked {
    match CONNECTIONS.insert(&cookie, connection, u64::from(BPF_NOEXIST)) {
        Ok(()) => {
            add_to(connection.service, |totals| unsafe { &raw mut (*totals).opened }, 1);
            Tracked::Yes
        }
        Err(EEXIST) => Tracked::Yes,
        Err(_) => {
            add_to(connection.service, |totals| unsafe { &raw mut (*totals).untracked }, 1);
            Tracked::No
        }
    }
}

/// A connection that is known.
#[inline(always)]
pub(crate) fn known<'a>(cookie: u64) -> Option<&'a mut Connection> {
    let connection = CONNECTIONS.get_ptr_mut(&cookie)?;
    // SAFETY: the kernel keeps the entry until the program has ended, and calls no other program
    // for the same socket meanwhile: both kinds of call are made with the socket locked. User space
    // removes entries and never writes them.
    Some(unsafe { &mut *connection })
}

/// Enters what is new of a connection of `service`.
#[inline(always)]
pub(crate) fn enter(service: u32, growth: &Growth) {
    if growth.bytes_in != 0 {
        add_to(service, |totals| unsafe { &raw mut (*totals).bytes_in }, growth.bytes_in);
    }
    if growth.bytes_out != 0 {
        add_to(service, |totals| unsafe { &raw mut (*totals).bytes_out }, growth.bytes_out);
    }
    if growth.retransmits != 0 {
        let retransmits = u64::from(growth.retransmits);
        add_to(service, |totals| unsafe { &raw mut (*totals).retransmits }, retransmits);
    }
}

/// Enters the end of a connection of `service`.
#[inline(always)]
pub(crate) fn enter_closed(service: u32) {
    add_to(service, |totals| unsafe { &raw mut (*totals).closed }, 1);
}

/// Adds in one instruction: a program in a system call can be interrupted on its processor by one
/// for another socket.
#[inline(always)]
fn add_to(service: u32, field: impl FnOnce(*mut Totals) -> *mut u64, count: u64) {
    let Some(totals) = TOTALS.get_ptr_mut(service) else { return };
    let place = field(totals);
    // SAFETY: `place` is an aligned field of a value that lives as long as the map.
    unsafe {
        asm!("lock *(u64 *)({place} + 0) += {count}", place = in(reg) place, count = in(reg) count);
    }
}
