//! The kernel programs: one that is called when a connection opens, changes or closes, and one that
//! looks at all of them when it is asked to.
//!
//! They count and decide nothing. What is counted, and how, stands in `edgerelay-ebpf-common`. Both
//! may be loaded twice on the same maps, as happens when a loader is replaced: nothing is counted
//! twice.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod accounts;
mod snapshot;
mod socket_event;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers of the kernel are for programs under this licence or a compatible one; the text of
/// this project is under another that permits it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
