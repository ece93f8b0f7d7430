//! The kernel: its version, its rings, and what accounting needs of it.

use edgerelay_uring::RingUnavailable;
use procfs_core::KernelVersion;

use super::super::finding::{Check, Finding, Level};
use super::super::machine::Machine;

/// The oldest kernel that the relay runs on.
const OLDEST: (u8, u8) = (5, 11);
/// The oldest that sends without a copy.
pub(super) const ZERO_COPY: (u8, u8) = (6, 1);

const NEWER: &str = "apt full-upgrade && reboot";

/// The release as two numbers.
pub(super) fn numbers(machine: &Machine) -> Option<(u8, u8)> {
    let version = KernelVersion::from_str(machine.release.as_deref()?).ok()?;
    Some((version.major, version.minor))
}

pub(super) fn version(machine: &Machine) -> Finding {
    let release = machine.release.as_deref().unwrap_or("of an unknown release");
    match numbers(machine) {
        None => Check::Kernel.finds(
            Level::Hint,
            format!("Linux {release}: whether it is 5.11 or newer cannot be told"),
            "uname -r",
        ),
        Some(version) if version < OLDEST => Check::Kernel.finds(
            Level::Error,
            format!("Linux {release} is too old: 5.11 is the oldest that the relay runs on"),
            NEWER,
        ),
        Some(version) if version < ZERO_COPY => Check::Kernel.finds(
            Level::Hint,
            format!("Linux {release} copies what is sent: from 6.1 on it need not"),
            NEWER,
        ),
        Some(_) => Check::Kernel.ok(format!("Linux {release}")),
    }
}

pub(super) fn io_uring(machine: &Machine) -> Finding {
    const CHECK: Check = Check::IoUring;
    const ALLOW: &str = "echo kernel.io_uring_disabled=0 > /etc/sysctl.d/40-io-uring.conf && \
                         sysctl -p /etc/sysctl.d/40-io-uring.conf";
    match &machine.ring {
        // Root's rings are not the relay's.
        Ok(_) if machine.is_root && machine.ring_sysctl == Some(1) => CHECK.finds(
            Level::Warning,
            "kernel.io_uring_disabled = 1: root may use it, and others if they are in the group \
             kernel.io_uring_group",
            "sysctl -w kernel.io_uring_group=$(getent group edgerelay | cut -d: -f3)",
        ),
        Ok(ring) if ring.has_zero_copy => {
            CHECK.ok("all operations are there, sends without a copy among them")
        }
        Ok(_) => CHECK.ok("all operations are there, but for sends without a copy"),
        Err(error) => {
            let mend = match error {
                RingUnavailable::DisabledBySysctl { .. } => ALLOW,
                RingUnavailable::Denied | RingUnavailable::NotInKernel if machine.is_filtered => {
                    "grep Seccomp /proc/self/status   # a filter is in force: give the container a \
                     profile that allows io_uring_setup, io_uring_enter and io_uring_register \
                     (--security-opt seccomp=FILE)"
                }
                RingUnavailable::Denied => {
                    "dmesg | grep -i denied   # which security module refuses io_uring"
                }
                RingUnavailable::NotInKernel => {
                    "grep IO_URING /boot/config-$(uname -r)   # it must be built with it"
                }
                RingUnavailable::LockedMemory => {
                    "systemctl edit edgerelay   # [Service] LimitMEMLOCK=infinity"
                }
                RingUnavailable::TooOld { .. } => NEWER,
                _ => "edgerelay run   # says more",
            };
            CHECK.finds(Level::Error, error.to_string(), mend)
        }
    }
}

pub(super) fn btf(machine: &Machine) -> Finding {
    if machine.has_btf {
        return Check::Btf.ok("the kernel describes its types");
    }
    Check::Btf.finds(
        Level::Warning,
        "/sys/kernel/btf/vmlinux is not there: connections are not counted by the kernel",
        "grep BTF /boot/config-$(uname -r)   # Debian's kernels have CONFIG_DEBUG_INFO_BTF=y; or set \
         accounting.enabled = false",
    )
}

pub(super) fn cgroup2(machine: &Machine) -> Finding {
    if machine.has_cgroup2 {
        return Check::Cgroup2.ok("the unified hierarchy is mounted");
    }
    Check::Cgroup2.finds(
        Level::Warning,
        "no cgroup2 is mounted: there is nothing to attach the kernel's accounting to",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    )
}
