//! What a subscriber gets next: joins, skips, preludes, and the cut into segments. Owns those
//! decisions over a [`Stream`]'s log; sends nothing.

use std::ops::Range;

use bytes::Bytes;
use edgerelay_proto::session::MediaKind;
use edgerelay_proto::time::Instant;

use super::frame::{Frame, FrameClass};
use super::headers::{Kinds, PreludeWire};
use super::stream::Stream;
use super::subscriber::{InFlight, Position, Sent, Subscriber, SubscriberFault, SubscriberKey};

/// What to send to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Nothing now.
    Idle,
    /// The frames of a range as [`Stream::shared_slices`] gives them: the same bytes for every
    /// subscriber that gets this range.
    Shared {
        /// Sequence numbers.
        range: Range<u64>,
    },
    /// Bytes for this subscriber alone.
    Private(Vec<Bytes>),
    /// Close it.
    Close(SubscriberFault),
}

/// How much one segment may hold.
#[derive(Clone, Copy)]
struct Room {
    iovecs_max: usize,
    bytes_max: usize,
}

/// A segment being filled.
#[derive(Default)]
struct Filling {
    slices: Vec<Bytes>,
    iovecs: usize,
    sent: Sent,
    audio_timestamp: Option<u32>,
    video_timestamp: Option<u32>,
}

impl Filling {
    /// Whether `frame` and `extra` slices before it still fit. The first always do.
    fn takes(&self, room: Room, frame: &Frame, extra: &[Bytes]) -> bool {
        let bytes = frame.wire.wire_len + extra.iter().map(Bytes::len).sum::<usize>();
        self.iovecs == 0
            || self.iovecs + extra.len() + frame.slices() <= room.iovecs_max
                && self.sent.bytes + bytes as u64 <= room.bytes_max as u64
    }

    fn count(&mut self, frame: &Frame) {
        self.iovecs += frame.slices();
        self.sent.frames += 1;
        self.sent.bytes += frame.wire.wire_len as u64;
        match frame.message.kind {
            MediaKind::Audio => self.audio_timestamp = Some(frame.timestamp),
            MediaKind::Video => self.video_timestamp = Some(frame.timestamp),
            MediaKind::Data => {}
        }
    }

    fn put(&mut self, extra: Vec<Bytes>) {
        self.iovecs += extra.len();
        self.sent.bytes += extra.iter().map(|slice| slice.len() as u64).sum::<u64>();
        self.slices.extend(extra);
    }
}

impl Stream {
    /// What to send to a subscriber now. What it gives counts as in flight until
    /// [`Stream::on_sent`]; until then the subscriber gets [`Segment::Idle`].
    ///
    /// A segment holds at most `iovecs_max` slices and `bytes_max` bytes, but always at least one
    /// frame (with its prelude), which has no more than
    /// [`FRAME_SLICES_MAX`](super::limits::FRAME_SLICES_MAX) slices.
    pub fn poll_segment(
        &mut self,
        now: Instant,
        key: SubscriberKey,
        iovecs_max: usize,
        bytes_max: usize,
    ) -> Segment {
        if self.is_stalled(now, key) {
            return Segment::Close(SubscriberFault::Stalled);
        }
        let room = Room { iovecs_max, bytes_max };
        // Each turn but the last passes over frames that the subscriber does not want.
        while let Some(cursor) = self.locate(now, key)
            && let (Some(subscriber), Some(frame)) =
                (self.subscribers.get(key), self.log.frame(cursor))
        {
            let knows_headers = subscriber.headers == Some(frame.headers.version());
            if subscriber.takes_frames_as_they_are() && (knows_headers || frame.headers.is_empty())
            {
                let (end, filling) = self.fill_shared(subscriber.epoch, cursor, room);
                self.hand_out(now, key, end, &filling);
                return Segment::Shared { range: cursor..end };
            }
            let slices = self.fill_private(now, key, cursor, room);
            if !slices.is_empty() {
                return Segment::Private(slices);
            }
        }
        Segment::Idle
    }

    /// Whether a subscriber took nothing for longer than `disconnect_after`, though there was
    /// something to take all that time.
    pub(super) fn is_stalled(&self, now: Instant, key: SubscriberKey) -> bool {
        let Some(subscriber) = self.subscribers.get(key) else { return false };
        let waits_since = match (subscriber.in_flight, subscriber.position()) {
            (Some(in_flight), _) => Some(in_flight.since),
            (None, Position::At(cursor)) if !subscriber.paused => {
                let oldest = self.log.frame(cursor.max(self.log.first()));
                oldest.map(|frame| frame.arrived.max(subscriber.last_progress))
            }
            (None, _) => None,
        };
        waits_since.is_some_and(|since| now.saturating_since(since) > self.limits.disconnect_after)
    }

    /// A subscriber goes on after a pause, having stopped at `cursor`.
    pub(super) fn resume(&mut self, now: Instant, key: SubscriberKey, cursor: u64) {
        let Some(subscriber) = self.subscribers.get(key) else { return };
        let position = if subscriber.epoch == self.epoch.number {
            self.catch_up(now, subscriber, cursor, None).unwrap_or(Position::At(cursor))
        } else {
            Position::Joining { from: self.epoch.start, skipped_from: None }
        };
        self.subscribers.set_position(key, position);
    }

    /// The frame a subscriber gets next, after joining or skipping as it must. It may not be there
    /// yet.
    fn locate(&mut self, now: Instant, key: SubscriberKey) -> Option<u64> {
        let subscriber = self.subscribers.get(key)?;
        if subscriber.paused || subscriber.in_flight.is_some() {
            return None;
        }
        let Position::At(cursor) = subscriber.position() else { return self.join(now, key) };
        let is_behind = cursor < self.log.first() || self.lags(now, cursor);
        let moved = if subscriber.epoch == self.epoch.number {
            is_behind.then(|| self.catch_up(now, subscriber, cursor, Some(cursor))).flatten()
        } else {
            let rest = self.log.frame(cursor).filter(|frame| frame.epoch == subscriber.epoch);
            let goes_on = !is_behind && rest.is_some();
            let skipped_from = is_behind.then_some(cursor);
            (!goes_on).then_some(Position::Joining { from: self.epoch.start, skipped_from })
        };
        let Some(position) = moved else { return Some(cursor) };
        if let Some(subscriber) = self.subscribers.get_mut(key)
            && is_behind
        {
            subscriber.stats.skips += 1;
            if let Position::At(target) = position {
                subscriber.stats.frames_dropped += target - cursor;
            }
        }
        self.subscribers.set_position(key, position);
        match position {
            Position::At(target) => Some(target),
            Position::Joining { .. } => self.join(now, key),
        }
    }

    /// Finds a waiting subscriber its place, if there is one.
    fn join(&mut self, now: Instant, key: SubscriberKey) -> Option<u64> {
        let subscriber = self.subscribers.get(key)?;
        let Position::Joining { from, skipped_from } = subscriber.position() else { return None };
        if !self.epoch.publishing {
            return None;
        }
        let from = from.max(self.epoch.start);
        let target = if subscriber.kinds.video && self.epoch.starts_at_keyframes(now) {
            self.log.newest_entry(from)?
        } else {
            // Not before there is a frame: it may be video after all.
            Some(self.recent(from)).filter(|target| self.log.frame(*target).is_some())?
        };
        self.start_at(key, target);
        let subscriber = self.subscribers.get_mut(key)?;
        subscriber.stats.frames_dropped += target - skipped_from.unwrap_or(target);
        Some(target)
    }

    /// A waiting subscriber starts at a frame of the present publication.
    pub(super) fn start_at(&mut self, key: SubscriberKey, target: u64) {
        self.subscribers.set_position(key, Position::At(target));
        if let Some(subscriber) = self.subscribers.get_mut(key) {
            subscriber.epoch = self.epoch.number;
        }
    }

    pub(super) fn lags(&self, now: Instant, cursor: u64) -> bool {
        self.log.frame(cursor).is_some_and(|frame| self.lags_behind(now, frame))
    }

    pub(super) fn lags_behind(&self, now: Instant, frame: &Frame) -> bool {
        self.log.bytes_appended() - frame.offset > self.limits.lag_bytes_max as u64
            || now.saturating_since(frame.arrived) > self.limits.lag_duration_max
    }

    /// The place closest to live that a subscriber at `cursor` can go on at, unless it is there.
    fn catch_up(
        &self,
        now: Instant,
        subscriber: &Subscriber,
        cursor: u64,
        skipped_from: Option<u64>,
    ) -> Option<Position> {
        if subscriber.kinds.video && self.epoch.starts_at_keyframes(now) {
            let fell_off = cursor < self.log.first();
            let from = self.log.first().max(self.epoch.start);
            self.log
                .newest_entry(cursor + 1)
                .map(Position::At)
                .or_else(|| fell_off.then_some(Position::Joining { from, skipped_from }))
        } else {
            let target = self.recent(cursor);
            (target > cursor).then_some(Position::At(target))
        }
    }

    fn fill_shared(&self, epoch: u64, cursor: u64, room: Room) -> (u64, Filling) {
        let mut filling = Filling::default();
        let mut end = cursor;
        for frame in self.log.range(cursor..self.log.next()) {
            if frame.epoch != epoch || !filling.takes(room, frame, &[]) {
                break;
            }
            filling.count(frame);
            end += 1;
        }
        (end, filling)
    }

    /// Fills a segment with what the subscriber wants of the frames at `cursor` and on, and moves
    /// it behind them. No slices: it wants none of them.
    fn fill_private(
        &mut self,
        now: Instant,
        key: SubscriberKey,
        cursor: u64,
        room: Room,
    ) -> Vec<Bytes> {
        let Some(subscriber) = self.subscribers.get(key) else { return Vec::new() };
        let mut taste = Taste {
            stream_id: subscriber.message_stream_id,
            kinds: subscriber.kinds,
            prelude_due: self
                .log
                .frame(cursor)
                .is_some_and(|frame| subscriber.headers != Some(frame.headers.version())),
            video_due: subscriber.video_due,
            audio_due: subscriber.audio_due,
            chunk_size: self.limits.chunk_size,
        };
        let epoch = subscriber.epoch;
        let mut filling = Filling::default();
        let mut end = cursor;
        for frame in self.log.range(cursor..self.log.next()) {
            let before = taste;
            if frame.epoch != epoch {
                break;
            }
            if let Some(extra) = taste.prepare(frame) {
                if !filling.takes(room, frame, &extra) {
                    taste = before;
                    break;
                }
                filling.put(extra);
                filling.slices.push(frame.header_for(taste.stream_id));
                filling.slices.extend(frame.body().iter().cloned());
                filling.count(frame);
            }
            end += 1;
        }
        if let Some(subscriber) = self.subscribers.get_mut(key) {
            subscriber.video_due = taste.video_due;
            subscriber.audio_due = taste.audio_due;
        }
        self.hand_out(now, key, end, &filling);
        filling.slices
    }

    /// Moves a subscriber behind a segment, which is in flight from now on if it holds anything.
    fn hand_out(&mut self, now: Instant, key: SubscriberKey, end: u64, filling: &Filling) {
        let headers = self.log.frame(end).map_or(&self.headers, |frame| &frame.headers);
        // The headers of another publication are not part of the segment.
        let same_epoch = |epoch: u64| match self.log.frame(end) {
            Some(frame) => frame.epoch == epoch,
            None => self.epoch.number == epoch,
        };
        let version = headers.version();
        let Some(epoch) = self.subscribers.get(key).map(|subscriber| subscriber.epoch) else {
            return;
        };
        let reached = same_epoch(epoch).then_some(version);
        self.subscribers.set_position(key, Position::At(end));
        let Some(subscriber) = self.subscribers.get_mut(key) else { return };
        if filling.iovecs == 0 {
            // Nothing of it was wanted, so a prelude that was due still is.
            subscriber.last_progress = now;
            return;
        }
        subscriber.headers = reached;
        subscriber.in_flight = Some(InFlight { since: now, sent: filling.sent });
        if let Some(timestamp) = filling.audio_timestamp {
            subscriber.stats.note_timestamp(MediaKind::Audio, timestamp);
        }
        if let Some(timestamp) = filling.video_timestamp {
            subscriber.stats.note_timestamp(MediaKind::Video, timestamp);
        }
    }
}

/// What a private segment's subscriber wants, and what it still lacks.
#[derive(Clone, Copy)]
struct Taste {
    stream_id: u32,
    kinds: Kinds,
    /// The next frame comes behind all headers in force.
    prelude_due: bool,
    video_due: bool,
    audio_due: bool,
    chunk_size: u32,
}

impl Taste {
    /// The slices to send before a frame; `None` if the frame is not sent.
    fn prepare(&mut self, frame: &Frame) -> Option<Vec<Bytes>> {
        if !self.kinds.contains(frame.message.kind) {
            return None;
        }
        let coded_video = matches!(frame.class, FrameClass::Keyframe | FrameClass::Inter);
        if self.video_due && coded_video && !frame.entry {
            return None;
        }
        let mut extra = Vec::new();
        let prelude = std::mem::take(&mut self.prelude_due);
        if prelude {
            self.put_headers(frame, self.kinds, &mut extra);
        }
        if self.video_due && frame.entry {
            self.video_due = false;
            if !prelude {
                self.put_headers(frame, Kinds::VIDEO, &mut extra);
            }
        }
        if self.audio_due && frame.class == FrameClass::Audio {
            self.audio_due = false;
            if !prelude {
                self.put_headers(frame, Kinds::AUDIO, &mut extra);
            }
        }
        Some(extra)
    }

    fn put_headers(&self, frame: &Frame, kinds: Kinds, extra: &mut Vec<Bytes>) {
        let wire = PreludeWire {
            stream_id: self.stream_id,
            timestamp: frame.timestamp,
            chunk_size: self.chunk_size,
        };
        frame.headers.put_prelude(kinds, wire, extra);
    }
}
