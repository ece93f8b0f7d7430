//! Finds out whether io_uring can be used, and sets a ring up.
//!
//! Called once per ring, before anything listens; it submits nothing.

use std::fs;
use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::error::RingUnavailable;

const SYSCTL_PATH: &str = "/proc/sys/kernel/io_uring_disabled";

/// Completion entries per submission entry. A send has up to two completions
/// (a zero-copy one), and sockets stay in flight over many submissions; what
/// does not fit is kept by the kernel and fetched with an extra system call.
const COMPLETIONS_PER_SUBMISSION: u32 = 4;

/// What the running kernel's io_uring offers beyond the required minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Support {
    /// `SENDMSG_ZC` is there (Linux 6.1).
    pub zero_copy: bool,
    /// Completions wait for the thread to enter the kernel rather than
    /// interrupt it (Linux 6.0).
    pub cooperative: bool,
}

/// Checks that io_uring may be used and has every operation the relay needs.
///
/// # Errors
///
/// Says which sysctl, filter, limit or missing operation stands in the way.
pub fn probe() -> Result<Support, RingUnavailable> {
    // The setup has the last word, not the sysctl: a privileged process runs
    // well with the value 1.
    open_ring(8).map(|(_, support)| support)
}

/// Sets up a ring of `entries` submissions with the best flags the kernel has.
pub(crate) fn open_ring(entries: u32) -> Result<(IoUring, Support), RingUnavailable> {
    let (ring, cooperative) = match build(entries, Cooperation::Asked) {
        Ok(ring) => (ring, true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let ring = build(entries, Cooperation::Without);
            (ring.map_err(|error| explain(error, sysctl()))?, false)
        }
        Err(error) => return Err(explain(error, sysctl())),
    };
    require_features(&ring)?;
    let zero_copy = probe_operations(&ring)?;
    Ok((ring, Support { zero_copy, cooperative }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cooperation {
    Asked,
    Without,
}

fn build(entries: u32, cooperation: Cooperation) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .dontfork()
        .setup_clamp()
        .setup_cqsize(entries.saturating_mul(COMPLETIONS_PER_SUBMISSION));
    if cooperation == Cooperation::Asked {
        builder.setup_coop_taskrun().setup_taskrun_flag().setup_single_issuer().setup_submit_all();
    }
    builder.build(entries)
}

fn require_features(ring: &IoUring) -> Result<(), RingUnavailable> {
    let params = ring.params();
    let required = [
        (params.is_feature_nodrop(), "IORING_FEAT_NODROP"),
        (params.is_feature_submit_stable(), "IORING_FEAT_SUBMIT_STABLE"),
        (params.is_feature_fast_poll(), "IORING_FEAT_FAST_POLL"),
        (params.is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
    ];
    for (present, missing) in required {
        if !present {
            return Err(RingUnavailable::TooOld { missing });
        }
    }
    Ok(())
}

/// Checks the operations used here and by the runtime; says whether
/// zero-copy sends are among those the kernel has.
fn probe_operations(ring: &IoUring) -> Result<bool, RingUnavailable> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(RingUnavailable::Other)?;
    let required = [
        (opcode::SendMsg::CODE, "IORING_OP_SENDMSG"),
        (opcode::AsyncCancel::CODE, "IORING_OP_ASYNC_CANCEL"),
        (opcode::PollAdd::CODE, "IORING_OP_POLL_ADD"),
        (opcode::Accept::CODE, "IORING_OP_ACCEPT"),
        (opcode::Connect::CODE, "IORING_OP_CONNECT"),
        (opcode::Read::CODE, "IORING_OP_READ"),
        (opcode::Write::CODE, "IORING_OP_WRITE"),
    ];
    for (code, missing) in required {
        if !probe.is_supported(code) {
            return Err(RingUnavailable::TooOld { missing });
        }
    }
    Ok(probe.is_supported(opcode::SendMsgZc::CODE))
}

/// The value of the sysctl; none on kernels without it (before 6.6).
fn sysctl() -> Option<u32> {
    fs::read_to_string(SYSCTL_PATH).ok()?.trim().parse().ok()
}

fn explain(error: io::Error, sysctl: Option<u32>) -> RingUnavailable {
    match (error.raw_os_error(), sysctl) {
        (Some(libc::EPERM), Some(value)) if value > 0 => {
            RingUnavailable::DisabledBySysctl { value }
        }
        (Some(libc::EPERM | libc::EACCES), _) => RingUnavailable::Denied,
        (Some(libc::ENOSYS), _) => RingUnavailable::NotInKernel,
        (Some(libc::ENOMEM), _) => RingUnavailable::LockedMemory,
        _ => RingUnavailable::Other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn a_ring_is_set_up_with_and_without_the_newer_flags() {
        for cooperation in [Cooperation::Asked, Cooperation::Without] {
            let ring = build(4, cooperation).unwrap();
            assert!(ring.params().sq_entries() >= 4);
            assert!(ring.params().cq_entries() >= 16);
            require_features(&ring).unwrap();
            probe_operations(&ring).unwrap();
        }
    }

    #[test]
    fn eperm_names_the_sysctl_only_when_it_is_set() {
        let disabled = explain(os(libc::EPERM), Some(2));
        assert!(matches!(disabled, RingUnavailable::DisabledBySysctl { value: 2 }));
        assert!(disabled.to_string().contains("kernel.io_uring_disabled"));
        assert!(matches!(explain(os(libc::EPERM), Some(0)), RingUnavailable::Denied));
        assert!(matches!(explain(os(libc::EPERM), None), RingUnavailable::Denied));
    }

    #[test]
    fn each_cause_has_its_own_advice() {
        assert!(matches!(explain(os(libc::ENOSYS), None), RingUnavailable::NotInKernel));
        let memory = explain(os(libc::ENOMEM), Some(0));
        assert!(memory.to_string().contains("LimitMEMLOCK"));
        assert!(matches!(explain(os(libc::EMFILE), Some(0)), RingUnavailable::Other(_)));
    }
}
