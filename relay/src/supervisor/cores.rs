//! The cores that this process may run on.

/// Their numbers; empty when the kernel does not say.
pub(super) fn available() -> Vec<usize> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}
