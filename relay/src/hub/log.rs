//! The stream log: frames in order, numbered, within bounds. Owns storage and eviction; knows no
//! subscriber.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::frame::Frame;
use super::limits::StreamLimits;

/// Frames there is room for at least, once there are any.
const FRAMES_ROOM_MIN: usize = 32;
/// What part of it the peak falls by at each trim: half in eleven seconds, so that the frames of a
/// group of pictures find their room again.
const FRAMES_PEAK_SHARE: usize = 16;

/// Frames with consecutive sequence numbers, newest last.
///
/// Appending is O(1) amortised: a frame is pushed once and popped once.
#[derive(Debug, Default)]
pub(super) struct FrameLog {
    frames: VecDeque<Frame>,
    first: u64,
    // The most frames there were lately.
    frames_peak: usize,
    bytes: usize,
    bytes_appended: u64,
    // Sequence numbers where a subscriber may start, all within the log.
    entries: VecDeque<u64>,
}

impl FrameLog {
    /// The oldest frame's sequence number; [`FrameLog::next`] when there is none.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number the next frame will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Wire bytes held.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Wire bytes ever appended: the next frame's `offset`.
    pub(super) const fn bytes_appended(&self) -> u64 {
        self.bytes_appended
    }

    pub(super) fn frame(&self, sequence: u64) -> Option<&Frame> {
        let at = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.frames.get(at)
    }

    /// The frames of `range` that are still held.
    pub(super) fn range(&self, range: Range<u64>) -> impl DoubleEndedIterator<Item = &Frame> {
        let at = |sequence: u64| {
            let at = sequence.saturating_sub(self.first);
            usize::try_from(at).unwrap_or(usize::MAX).min(self.frames.len())
        };
        let (start, end) = (at(range.start), at(range.end));
        self.frames.range(start.min(end)..end)
    }

    /// The newest place to start at, at or after `from`.
    pub(super) fn newest_entry(&self, from: u64) -> Option<u64> {
        self.entries.back().copied().filter(|entry| *entry >= from)
    }

    /// The oldest place to start at, at or after `from`, that `accept` takes.
    pub(super) fn first_entry(&self, from: u64, accept: impl Fn(u64) -> bool) -> Option<u64> {
        self.entries.iter().copied().find(|entry| *entry >= from && accept(*entry))
    }

    /// Where to start without video: the oldest frame, at or after `from`, that came within
    /// `duration` before the newest and is among the newest `frames_max`.
    pub(super) fn recent(&self, from: u64, duration: Duration, frames_max: usize) -> u64 {
        let Some(newest) = self.frames.back() else { return self.next().max(from) };
        let recent = self
            .range(from..self.next())
            .rev()
            .take(frames_max)
            .take_while(|frame| newest.arrived.saturating_since(frame.arrived) <= duration)
            .count();
        from.max(self.next() - recent as u64)
    }

    /// Appends a frame and evicts what is over the bounds.
    pub(super) fn append(&mut self, frame: Frame, limits: &StreamLimits) {
        let now = frame.arrived;
        if frame.entry {
            self.entries.push_back(self.next());
        }
        self.bytes += frame.wire.wire_len;
        self.bytes_appended += frame.wire.wire_len as u64;
        if self.frames.len() == self.frames.capacity() {
            // Not doubled: the room that a stream does not use is most of what it costs beyond its
            // payload.
            self.frames.reserve_exact((self.frames.len() / 4).max(FRAMES_ROOM_MIN));
        }
        self.frames.push_back(frame);
        self.frames_peak = self.frames_peak.max(self.frames.len());
        self.evict(now, limits);
    }

    /// Drops frames over the bounds, oldest first. Those of the current group of pictures do not
    /// fall to age. The newest frame always stays, however large.
    pub(super) fn evict(&mut self, now: Instant, limits: &StreamLimits) {
        while self.frames.len() > 1
            && (self.bytes > limits.log_bytes_max || self.frames.len() > limits.log_frames_max)
        {
            self.pop();
        }
        let current = self.entries.back().copied().unwrap_or(u64::MAX);
        while self.frames.len() > 1
            && self.first < current
            && self
                .frames
                .front()
                .is_some_and(|frame| now.saturating_since(frame.arrived) > limits.log_duration_max)
        {
            self.pop();
        }
    }

    /// Drops the frames before `sequence`.
    pub(super) fn evict_before(&mut self, sequence: u64) {
        while self.first < sequence && self.pop() {}
    }

    /// Gives back the room that frames have not needed lately. For about once a second.
    pub(super) fn trim(&mut self) {
        self.frames_peak -= self.frames_peak / FRAMES_PEAK_SHARE;
        self.frames_peak = self.frames_peak.max(self.frames.len()).max(FRAMES_ROOM_MIN);
        if self.frames.capacity() > 2 * self.frames_peak {
            self.frames.shrink_to(self.frames_peak);
        }
    }

    /// The publication is over: nobody starts at its frames any more.
    pub(super) fn forget_entries(&mut self) {
        self.entries.clear();
    }

    fn pop(&mut self) -> bool {
        let Some(frame) = self.frames.pop_front() else { return false };
        self.bytes -= frame.wire.wire_len;
        self.first += 1;
        while self.entries.front().is_some_and(|entry| *entry < self.first) {
            self.entries.pop_front();
        }
        true
    }
}
