//! What a send's completion means: pure, no ring and no socket.

use std::io;

/// How often a send is submitted again without progress and without having
/// waited for the socket, before it counts as failed.
const ATTEMPTS_MAX: u8 = 16;

/// How an operation was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Copying,
    ZeroCopy,
}

/// How far a send has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) sent: usize,
    pub(crate) total: usize,
    /// Submissions since the last byte of progress.
    pub(crate) attempts: u8,
}

/// What a completion means for its send.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Report this: all bytes are sent, or no more will be.
    Ended(io::Result<usize>),
    /// Do this.
    Unfinished(Next),
}

/// How an unfinished send goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next {
    /// Submit what is left.
    Continue(Progress),
    /// Wait until the socket takes bytes, then submit what is left.
    AwaitWritable,
    /// Submit what is left as a copying send.
    FallBack(FallBack),
}

/// Why a zero-copy send is made again as a copying one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FallBack {
    /// No memory may be locked, or the socket's option memory is used up:
    /// for now.
    NoMemory,
    /// The kernel or the socket's protocol cannot do it: for good.
    Unsupported,
}

/// Judges the result of a send (`>= 0`: bytes sent, else `-errno`).
pub(crate) fn judge(result: i32, mode: Mode, progress: Progress) -> Verdict {
    match usize::try_from(result) {
        Ok(bytes) => judge_bytes(bytes, progress),
        Err(_) => judge_errno(-result, mode, progress),
    }
}

fn judge_bytes(bytes: usize, progress: Progress) -> Verdict {
    let sent = progress.sent.saturating_add(bytes);
    if sent >= progress.total {
        Verdict::Ended(Ok(progress.total))
    } else if bytes == 0 {
        Verdict::Ended(Err(io::ErrorKind::WriteZero.into()))
    } else {
        Verdict::Unfinished(Next::Continue(Progress { sent, attempts: 0, ..progress }))
    }
}

fn judge_errno(errno: i32, mode: Mode, progress: Progress) -> Verdict {
    let next = match (errno, mode) {
        // The socket is non-blocking and full.
        (libc::EAGAIN, _) => Next::AwaitWritable,
        (libc::EINTR, _) if progress.attempts < ATTEMPTS_MAX => {
            Next::Continue(Progress { attempts: progress.attempts + 1, ..progress })
        }
        (libc::ENOMEM | libc::ENOBUFS, Mode::ZeroCopy) => Next::FallBack(FallBack::NoMemory),
        (libc::EINVAL | libc::EOPNOTSUPP, Mode::ZeroCopy) => Next::FallBack(FallBack::Unsupported),
        _ => return Verdict::Ended(Err(io::Error::from_raw_os_error(errno))),
    };
    Verdict::Unfinished(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Progress = Progress { sent: 50, total: 100, attempts: 0 };

    #[test]
    fn the_last_byte_ends_the_send() {
        assert!(matches!(judge(50, Mode::Copying, HALF), Verdict::Ended(Ok(100))));
        assert!(matches!(judge(50, Mode::ZeroCopy, HALF), Verdict::Ended(Ok(100))));
    }

    #[test]
    fn a_short_send_goes_on_where_it_stopped() {
        let Verdict::Unfinished(Next::Continue(next)) = judge(49, Mode::Copying, HALF) else {
            panic!("not continued");
        };
        assert_eq!((next.sent, next.total), (99, 100));
    }

    #[test]
    fn a_send_of_nothing_is_a_failure_not_a_loop() {
        assert!(matches!(
            judge(0, Mode::Copying, HALF),
            Verdict::Ended(Err(error)) if error.kind() == io::ErrorKind::WriteZero
        ));
    }

    #[test]
    fn interruptions_are_retried_so_often_and_no_more() {
        let mut progress = HALF;
        let mut retries = 0_u8;
        while let Verdict::Unfinished(Next::Continue(next)) =
            judge(-libc::EINTR, Mode::Copying, progress)
        {
            progress = next;
            retries += 1;
            assert!(retries < u8::MAX);
        }
        assert_eq!(retries, ATTEMPTS_MAX);
        // Progress starts the count again.
        let Verdict::Unfinished(Next::Continue(next)) = judge(1, Mode::Copying, progress) else {
            panic!("not continued");
        };
        assert_eq!(next.attempts, 0);
    }

    #[test]
    fn want_of_memory_falls_back_to_copying_once() {
        for errno in [libc::ENOMEM, libc::ENOBUFS] {
            assert!(matches!(
                judge(-errno, Mode::ZeroCopy, HALF),
                Verdict::Unfinished(Next::FallBack(FallBack::NoMemory))
            ));
            assert!(matches!(judge(-errno, Mode::Copying, HALF), Verdict::Ended(Err(_))));
        }
    }

    #[test]
    fn an_unsupported_zero_copy_send_is_made_copying() {
        for errno in [libc::EINVAL, libc::EOPNOTSUPP] {
            assert!(matches!(
                judge(-errno, Mode::ZeroCopy, HALF),
                Verdict::Unfinished(Next::FallBack(FallBack::Unsupported))
            ));
        }
        assert!(matches!(judge(-libc::EINVAL, Mode::Copying, HALF), Verdict::Ended(Err(_))));
    }

    #[test]
    fn a_full_socket_is_waited_for() {
        for mode in [Mode::Copying, Mode::ZeroCopy] {
            assert!(matches!(
                judge(-libc::EAGAIN, mode, HALF),
                Verdict::Unfinished(Next::AwaitWritable)
            ));
        }
    }

    #[test]
    fn a_reset_is_reported_as_it_is() {
        assert!(matches!(
            judge(-libc::ECONNRESET, Mode::ZeroCopy, HALF),
            Verdict::Ended(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset
        ));
    }
}
