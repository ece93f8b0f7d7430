//! What completions lead to: a report, another submission, or nothing.
//!
//! The ring's own state changes here; what a result means is judged by
//! `verdict`.

use std::io;
use std::rc::Rc;

use io_uring::cqueue;

use super::{Completion, Queued, RawCompletion, SendRing, SocketKey, SocketState, find};
use crate::flight::{CANCEL_USER_DATA, Flight, FlightId, Phase, UsageReport};
use crate::verdict::{FallBack, Mode, Next, Verdict, judge};
use crate::zero_copy::ZeroCopy;

/// How often completions are taken again after the rest of partial sends was
/// submitted.
const ROUNDS_MAX: usize = 4;

/// After a zero-copy send found no memory, so many sends copy before the
/// next one tries.
const ZERO_COPY_PAUSE_SENDS: u32 = 256;

/// The bit of a notification that says the kernel copied
/// (`IORING_NOTIF_USAGE_ZC_COPIED`).
const NOTIF_USAGE_ZC_COPIED: i32 = i32::MIN;

/// What one completion leads to.
pub(super) enum Step {
    Nothing,
    Queued,
    Deliver(Completion),
}

impl SendRing {
    /// Hands out the sends that ended since the last call, in order, and says
    /// how many. Submits what the kernel took only part of.
    ///
    /// `deliver` runs while the ring is borrowed: it cannot call the ring, so
    /// it notes the completion down or acts on other things.
    ///
    /// # Errors
    ///
    /// As for [`submit`](Self::submit); no completion is lost.
    pub fn completions(&mut self, mut deliver: impl FnMut(Completion)) -> io::Result<usize> {
        let mut delivered = 0;
        // The rest of a partial send often ends, or fails, as it is submitted.
        for _ in 0..ROUNDS_MAX {
            let reaped = self.reap();
            let mut again = false;
            while let Some(raw) = self.reaped.pop_front() {
                match self.on_completion(&raw) {
                    Step::Nothing => {}
                    Step::Queued => again = true,
                    Step::Deliver(completion) => {
                        delivered += 1;
                        deliver(completion);
                    }
                }
            }
            reaped?;
            if !again {
                break;
            }
            self.submit()?;
        }
        Ok(delivered)
    }

    /// Takes everything out of the completion queue, and from the kernel's
    /// own list when the queue has overflowed or work waits for an enter.
    pub(super) fn reap(&mut self) -> io::Result<()> {
        loop {
            self.reaped.extend(self.ring.completion().map(|entry| RawCompletion {
                user_data: entry.user_data(),
                result: entry.result(),
                flags: entry.flags(),
            }));
            let submissions = self.ring.submission();
            if !submissions.cq_overflow() && !submissions.taskrun() {
                return Ok(());
            }
            drop(submissions);
            self.stats.enters += 1;
            // With one of these flags up, this enters with GETEVENTS.
            match self.ring.submit() {
                Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    pub(super) fn on_completion(&mut self, raw: &RawCompletion) -> Step {
        if raw.user_data == CANCEL_USER_DATA {
            return Step::Nothing;
        }
        let id = FlightId::from_user_data(raw.user_data);
        let Some(flight) = self.flights.find(id) else {
            return Step::Nothing;
        };
        if cqueue::notif(raw.flags) {
            self.stats.zc_copied += u64::from(raw.result & NOTIF_USAGE_ZC_COPIED != 0);
            self.flights.remove(id);
            return Step::Nothing;
        }
        let verdict = match flight.phase {
            // Writable, or broken: the send will say.
            Phase::Polling if raw.result >= 0 => {
                Verdict::Unfinished(Next::Continue(flight.progress))
            }
            _ => judge(raw.result, flight.mode, flight.progress),
        };
        match (flight.owner, verdict) {
            (None, _) => {
                self.release(id, raw.flags);
                Step::Nothing
            }
            (Some(key), Verdict::Ended(outcome)) => {
                self.release(id, raw.flags);
                self.report(key, outcome)
            }
            (Some(key), Verdict::Unfinished(next)) => {
                let id = self.successor(id, raw.flags);
                self.go_on(key, id, next)
            }
        }
    }

    /// The kernel is done with the flight, but for a notification that may
    /// follow: until then it reads the batch, and needs no descriptor.
    fn release(&mut self, id: FlightId, flags: u32) {
        if !cqueue::more(flags) {
            self.flights.remove(id);
        } else if let Some(flight) = self.flights.find(id) {
            flight.phase = Phase::Held;
            flight.owner = None;
            flight.stream = None;
        }
    }

    /// The flight that sends the rest: the same one, or a new one when a
    /// notification for the old one follows.
    fn successor(&mut self, id: FlightId, flags: u32) -> FlightId {
        if !cqueue::more(flags) {
            return id;
        }
        let Some(next) = self.flights.find(id).and_then(|flight| {
            let stream = Rc::clone(flight.stream.as_ref()?);
            let batch = Rc::clone(&flight.batch);
            Some(Flight::new(flight.owner, stream, batch, flight.mode, flight.progress))
        }) else {
            return id;
        };
        self.release(id, flags);
        self.flights.insert(next)
    }

    fn go_on(&mut self, key: SocketKey, id: FlightId, next: Next) -> Step {
        let Some(flight) = self.flights.find(id) else {
            return Step::Nothing;
        };
        flight.phase = Phase::Queued;
        match next {
            Next::AwaitWritable => flight.phase = Phase::QueuedPoll,
            Next::Continue(progress) => {
                let short = progress.sent > flight.progress.sent;
                self.stats.short_sends += u64::from(short);
                flight.progress = progress;
            }
            Next::FallBack(why) => {
                flight.mode = Mode::Copying;
                self.fall_back(key, why);
            }
        }
        if let Some(slot) = find(&mut self.sockets, key) {
            slot.state = SocketState::Sending(id);
        }
        self.queued.push_back(Queued::Flight(id));
        Step::Queued
    }

    fn report(&mut self, key: SocketKey, outcome: io::Result<usize>) -> Step {
        if outcome.is_err() {
            self.stats.failures += 1;
        }
        let Some(slot) = find(&mut self.sockets, key) else {
            return Step::Nothing;
        };
        slot.state = match outcome {
            Ok(_) => SocketState::Idle,
            Err(_) => SocketState::Failed,
        };
        Step::Deliver(Completion { key, outcome })
    }

    fn fall_back(&mut self, key: SocketKey, why: FallBack) {
        match why {
            FallBack::NoMemory => {
                self.stats.enomem_fallbacks += 1;
                self.zero_copy_pause = ZERO_COPY_PAUSE_SENDS;
            }
            // Linux 6.1 has the operation, but not the report.
            FallBack::Unsupported if self.usage_report == UsageReport::Asked => {
                self.usage_report = UsageReport::Without;
            }
            FallBack::Unsupported => {
                if let Some(slot) = find(&mut self.sockets, key) {
                    slot.zero_copy = ZeroCopy::Off;
                }
            }
        }
    }
}
