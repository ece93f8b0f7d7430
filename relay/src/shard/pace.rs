//! When a shard reads and sends: at once while it has time to spare; in steps of the merge window
//! when it has not, so that each publisher is read, and each subscriber sent to, once a step.
//!
//! Owns the window and the clock of the steps. What is read and sent is decided elsewhere.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use edgerelay_proto::time::Instant;
use tokio::sync::Notify;

use super::Shard;
use super::bounds::{REAP_SHARE, STEP_GRACE_SHARE};
use super::state::{Slot, State};

/// The steps of one shard.
#[derive(Debug)]
pub(super) struct Pace {
    window: Cell<Duration>,
    stepped: Cell<Instant>,
    /// Frames that its readers bring until then belong to the last step.
    fresh_until: Cell<Instant>,
    part: Cell<Part>,
    /// Somebody waits for the next step.
    wanted: Notify,
    /// Readers that wait for it.
    readers: Notify,
}

/// What is being looked at, as part of what a step finds of one publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It came by itself.
    None,
    /// There is more.
    Early,
    /// It is the end, or as much as is waited for.
    Last,
}

/// How the reads of one publisher lie in the steps.
#[derive(Debug)]
pub(super) struct StepReads {
    step: Instant,
    /// Between the last two steps, and since.
    bytes_before: usize,
    bytes: usize,
    /// Publishers that bring more in a window are read on without a pause.
    unread_max: usize,
    /// It was not read until that step.
    waited: bool,
}

impl StepReads {
    /// Before the first read of a publisher whose socket may have to hold `unread_max` bytes.
    pub(super) const fn new(unread_max: usize) -> Self {
        Self { step: Instant::EPOCH, bytes_before: 0, bytes: 0, unread_max, waited: false }
    }

    /// Says whether it waited for a step before the next read.
    pub(super) const fn on_waited(&mut self, waited: bool) {
        self.waited = waited;
    }

    /// So many bytes were read, the last step being `step`; there may be more to read.
    pub(super) fn on_read(&mut self, step: Instant, bytes: usize, has_more: bool) -> Part {
        if self.step != step {
            self.step = step;
            self.bytes_before = std::mem::take(&mut self.bytes);
        }
        self.bytes += bytes;
        match (self.waited, has_more && self.may_wait()) {
            (false, _) => Part::None,
            (true, true) => Part::Early,
            (true, false) => Part::Last,
        }
    }

    /// Whether it brings little enough to be read only at the next step.
    pub(super) const fn may_wait(&self) -> bool {
        self.bytes < self.unread_max && self.bytes_before < self.unread_max
    }
}

/// What is to be done with frames that just came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    AtOnce,
    WithNextStep,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            window: Cell::new(Duration::ZERO),
            stepped: Cell::new(Instant::EPOCH),
            fresh_until: Cell::new(Instant::EPOCH),
            part: Cell::new(Part::None),
            wanted: Notify::new(),
            readers: Notify::new(),
        }
    }

    /// How long frames wait at most; nothing when they do not wait.
    pub(super) const fn window(&self) -> Duration {
        self.window.get()
    }

    fn set_window(&self, window: Duration) {
        self.window.set(window);
        if window.is_zero() {
            self.readers.notify_waiters();
        }
    }

    fn next_step(&self) -> Instant {
        self.stepped.get() + self.window.get()
    }

    fn step(&self, now: Instant) {
        self.stepped.set(now);
        self.fresh_until.set(now + self.window.get() / STEP_GRACE_SHARE);
        self.readers.notify_waiters();
    }

    /// Whether what is read in the last step still goes at once.
    fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until.get()
    }

    /// Frames that come after a quiet time go at once, and those behind them wait.
    fn on_frames(&self, now: Instant) -> Going {
        if self.window.get().is_zero() {
            return Going::AtOnce;
        }
        match self.part.get() {
            Part::Last if self.is_fresh(now) => return Going::AtOnce,
            // With the rest, unless somebody else's turn comes first; with the next step, should the rest
            // never come.
            Part::Early => return Going::WithNextStep,
            Part::Last | Part::None => {}
        }
        if now >= self.next_step() {
            // Not a step: readers that wait have theirs coming, made by the task that they told.
            self.stepped.set(now);
            Going::AtOnce
        } else {
            Going::WithNextStep
        }
    }
}

/// Makes the steps that are wanted.
pub(super) async fn run(shard: Rc<Shard>) {
    let pace = &shard.pace;
    loop {
        pace.wanted.notified().await;
        tokio::time::sleep(pace.next_step().saturating_since(shard.now())).await;
        pace.step(shard.now());
        shard.turn();
    }
}

impl Shard {
    /// How long frames may wait from now on.
    pub(super) fn set_merge_window(&self, window: Duration) {
        self.pace.set_window(window);
        let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        self.counters.merge_window_micros.set(micros);
    }

    /// Whether publishers are read step by step.
    pub(super) const fn gathers(&self) -> bool {
        !self.pace.window().is_zero()
    }

    /// When the last step was.
    pub(super) const fn last_step(&self) -> Instant {
        self.pace.stepped.get()
    }

    /// Frames came: they go out at once or with the next step.
    pub(super) fn on_frames(&self, now: Instant) {
        match self.pace.on_frames(now) {
            Going::AtOnce => self.urgent.notify_one(),
            Going::WithNextStep => self.pace.wanted.notify_one(),
        }
    }

    /// Waits until the publisher is to be read again: until the next step, unless there is no merge
    /// window or a subscriber waits for the stream's next keyframe. Whether it waited.
    pub(super) async fn until_read(&self, slot: Slot) -> bool {
        if self.pace.window().is_zero() || self.state.borrow_mut().is_keyframe_awaited(slot) {
            return false;
        }
        let step = self.pace.readers.notified();
        self.pace.wanted.notify_one();
        step.await;
        true
    }

    /// Waits for more completions to come, unless there is no merge window.
    pub(super) async fn gather_completions(&self) {
        let window = self.pace.window();
        if !window.is_zero() {
            tokio::time::sleep(window / REAP_SHARE).await;
        }
    }

    /// Says what the input is that is looked at next.
    pub(super) fn set_part(&self, part: Part) {
        self.pace.part.set(part);
    }

    /// The last part is read of what a step found of a publisher: the early ones go out, whatever it held.
    pub(super) fn on_step_read(&self) {
        if self.pace.is_fresh(self.now()) {
            self.urgent.notify_one();
        }
    }
}

impl State {
    fn is_keyframe_awaited(&mut self, slot: Slot) -> bool {
        let stream = self.connection(slot).and_then(|connection| connection.role.stream());
        stream
            .and_then(|stream| self.streams.get(stream))
            .is_some_and(|entry| entry.stream.is_keyframe_awaited())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn pace(window_ms: u64) -> Pace {
        let pace = Pace::new();
        pace.set_window(Duration::from_millis(window_ms));
        pace.stepped.set(at(1000));
        pace
    }

    #[test]
    fn without_a_window_nothing_waits() {
        let pace = pace(0);
        assert_eq!(pace.on_frames(at(1000)), Going::AtOnce);
        assert_eq!(pace.on_frames(at(1001)), Going::AtOnce);
    }

    #[test]
    fn frames_wait_for_the_next_step() {
        let pace = pace(40);
        assert_eq!(pace.on_frames(at(1001)), Going::WithNextStep);
        assert_eq!(pace.on_frames(at(1039)), Going::WithNextStep);
        assert_eq!(pace.next_step(), at(1040));
    }

    #[test]
    fn frames_read_in_a_step_do_not_wait_for_another() {
        let pace = pace(40);
        pace.step(at(1040));
        pace.part.set(Part::Last);
        assert_eq!(pace.on_frames(at(1045)), Going::AtOnce);
        assert_eq!(pace.on_frames(at(1060)), Going::WithNextStep);
        pace.part.set(Part::None);
        assert_eq!(pace.on_frames(at(1045)), Going::WithNextStep, "these came by themselves");
    }

    #[test]
    fn parts_of_what_a_step_finds_go_with_the_last_of_them() {
        let pace = pace(40);
        pace.step(at(1040));
        pace.part.set(Part::Early);
        assert_eq!(pace.on_frames(at(1041)), Going::WithNextStep);
        assert_eq!(pace.on_frames(at(9000)), Going::WithNextStep, "however long it takes");
        pace.part.set(Part::Last);
        assert_eq!(pace.on_frames(at(1042)), Going::AtOnce);
        pace.set_window(Duration::ZERO);
        pace.part.set(Part::Early);
        assert_eq!(pace.on_frames(at(1043)), Going::AtOnce, "nothing waits any more");
    }

    #[test]
    fn reads_that_leave_something_are_parts_of_a_step() {
        let mut reads = StepReads::new(100);
        assert_eq!(reads.on_read(at(1), 60, true), Part::None, "it did not wait");
        assert!(reads.may_wait());
        reads.on_waited(true);
        assert_eq!(reads.on_read(at(2), 60, true), Part::Early);
        assert_eq!(reads.on_read(at(2), 30, false), Part::Last);
        assert!(reads.may_wait());
        reads.on_waited(true);
        assert_eq!(reads.on_read(at(3), 60, true), Part::Early);
        assert_eq!(reads.on_read(at(3), 60, true), Part::Last, "however much more there is");
        assert!(!reads.may_wait(), "it is read on");
        reads.on_waited(false);
        assert_eq!(reads.on_read(at(4), 60, false), Part::None);
        assert!(!reads.may_wait(), "it brought too much in the window before");
        assert_eq!(reads.on_read(at(5), 60, false), Part::None);
        assert!(reads.may_wait(), "it has calmed down");
    }

    #[test]
    fn frames_after_a_quiet_time_go_at_once_and_open_a_window() {
        let pace = pace(40);
        assert_eq!(pace.on_frames(at(9000)), Going::AtOnce);
        assert_eq!(pace.on_frames(at(9001)), Going::WithNextStep);
        assert_eq!(pace.next_step(), at(9040));
    }
}
