//! The end of a ring: nothing is freed that the kernel may still read.

use std::time::{Duration, Instant};

use io_uring::types;

use super::{Queued, SendRing};
use crate::flight::Phase;

/// How long dropping a ring waits for the kernel to give batches back; what
/// it still holds then is leaked.
const DROP_WAIT_MAX: Duration = Duration::from_millis(500);

impl SendRing {
    /// Cancels everything and waits for the kernel to let go.
    fn wind_down(&mut self) {
        self.sockets.clear();
        self.cancel_all();
        let deadline = Instant::now() + DROP_WAIT_MAX;
        loop {
            let submitted = self.submit().and_then(|()| self.reap());
            while let Some(raw) = self.reaped.pop_front() {
                self.on_completion(&raw);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.flights.len() == 0 || left.is_zero() || submitted.is_err() {
                return;
            }
            let timeout = types::Timespec::from(left);
            let args = types::SubmitArgs::new().timespec(&timeout);
            // An error is the timeout, or an interruption: the loop decides.
            let _ = self.ring.submitter().submit_with_args(1, &args);
        }
    }

    fn cancel_all(&mut self) {
        for id in self.flights.ids() {
            let Some(flight) = self.flights.find(id) else {
                continue;
            };
            flight.owner = None;
            match flight.phase {
                Phase::Queued | Phase::QueuedPoll => self.flights.remove(id),
                Phase::Sending | Phase::Polling => self.queued.push_back(Queued::Cancel(id)),
                Phase::Held => {}
            }
        }
    }
}

impl Drop for SendRing {
    fn drop(&mut self) {
        self.wind_down();
        // Empty, unless the kernel would not let go in time.
        self.flights.leak();
    }
}
