//! Whether something keeps the machine's clock right, as the kernel tells it.

use std::io;
use std::mem::MaybeUninit;

/// Whether the clock is synchronised: something like an NTP client has set it lately.
///
/// # Errors
///
/// What `adjtimex(2)` says; a seccomp filter may refuse it.
pub fn clock_is_synchronised() -> io::Result<bool> {
    let mut clock = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: `clock` has room for what the kernel writes, and as all of it is zero, so are `modes`:
    // nothing is set.
    let state = unsafe { libc::adjtimex(clock.as_mut_ptr()) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: integers only, all of them initialised: by the kernel, or with zero.
    let clock = unsafe { clock.assume_init() };
    Ok(state != libc::TIME_ERROR && clock.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybody_may_ask() {
        let first = clock_is_synchronised().expect("an answer");
        assert_eq!(clock_is_synchronised().expect("again"), first);
    }
}
