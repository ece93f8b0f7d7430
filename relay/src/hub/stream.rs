//! A stream on one shard: its publication, its log and its subscribers. Owns what is appended and
//! when the log is cut; what a subscriber gets next is decided in [`egress`](super::egress).

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use edgerelay_proto::chunk::MediaHeaders;
use edgerelay_proto::media::{AudioSummary, StreamMetadata, VideoSummary};
use edgerelay_proto::session::{MediaKind, MediaMessage};
use edgerelay_proto::time::Instant;

use super::frame::{Frame, FrameClass, Inspected, WireFrame};
use super::headers::HeaderSet;
use super::limits::{
    AUDIO_JOIN_DURATION, AUDIO_JOIN_FRAMES_MAX, KEYFRAME_GAP_MAX, StreamLimits, VIDEO_EXPECTED_MAX,
};
use super::log::FrameLog;
use super::meter::RateMeter;
use super::subscriber::{
    Position, Sent, SubscribeFrom, SubscriberKey, SubscriberOptions, SubscriberStats, Subscribers,
};
use super::timeline::Timeline;
use crate::id::StreamKey;
use crate::message::StreamSnapshot;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log; sending it can wait for more.
    Relayed,
    /// It is in the log, and a subscriber waits for just such a frame: send now.
    Urgent,
    /// Video that nobody can decode, before the publication's first keyframe. Not kept.
    Withheld,
    /// There is no publication. Not kept.
    Unpublished,
}

/// A publication: the time between a publisher's coming and its going or being replaced.
#[derive(Debug)]
pub(super) struct Epoch {
    /// Counts up; 0 is none yet.
    pub(super) number: u64,
    pub(super) publishing: bool,
    /// Sequence number of its first frame.
    pub(super) start: u64,
    /// Whether coded video has come.
    pub(super) has_video: bool,
    /// Until then video is expected, for the publication before had it.
    video_expected_until: Option<Instant>,
    /// The last keyframe's sequence number.
    keyframe: Option<u64>,
    /// When it came, or the first video if none has.
    keyframe_at: Option<Instant>,
}

impl Epoch {
    const fn new(number: u64, start: u64) -> Self {
        Self {
            number,
            publishing: false,
            start,
            has_video: false,
            video_expected_until: None,
            keyframe: None,
            keyframe_at: None,
        }
    }

    /// Whether a subscriber that takes video starts at keyframes alone.
    pub(super) fn starts_at_keyframes(&self, now: Instant) -> bool {
        self.has_video || self.video_expected_until.is_some_and(|until| now < until)
    }
}

#[derive(Debug, Default)]
struct Meters {
    bytes_in: RateMeter,
    bytes_out: RateMeter,
    audio: RateMeter,
    video: RateMeter,
    frames_in: u64,
    frames_withheld: u64,
    bytes_copied: u64,
}

/// What is known of the media, from sequence headers and metadata.
#[derive(Debug, Default)]
struct Summaries {
    video: Option<VideoSummary>,
    audio: Option<AudioSummary>,
    metadata: Option<StreamMetadata>,
}

/// One stream as one shard relays it.
///
/// The publisher's side: [`on_publish`](Self::on_publish), then [`append`](Self::append) for every
/// message, then [`on_unpublish`](Self::on_unpublish); or `on_publish` again when another publisher
/// takes over. No call of these looks at subscribers, so none delays the publisher.
///
/// A subscriber's side: [`subscribe`](Self::subscribe), then in turn
/// [`poll_segment`](Self::poll_segment) and, once what that gave is sent, [`on_sent`](Self::on_sent);
/// [`unsubscribe`](Self::unsubscribe) at the end.
///
/// [`handle_timeout`](Self::handle_timeout) and [`stalled`](Self::stalled) are for about once a
/// second.
#[derive(Debug)]
pub struct Stream {
    pub(super) limits: StreamLimits,
    pub(super) log: FrameLog,
    pub(super) subscribers: Subscribers,
    pub(super) epoch: Epoch,
    /// In force after the newest frame.
    pub(super) headers: Rc<HeaderSet>,
    wire_headers: MediaHeaders,
    timeline: Timeline,
    meters: Meters,
    summaries: Summaries,
    created: Instant,
    /// The first frame kept for a subscriber that is expected.
    pub(super) held: Option<u64>,
}

impl Stream {
    /// A stream nobody publishes yet.
    #[must_use]
    pub fn new(limits: StreamLimits, now: Instant) -> Self {
        Self {
            limits,
            log: FrameLog::default(),
            subscribers: Subscribers::default(),
            epoch: Epoch::new(0, 0),
            headers: Rc::new(HeaderSet::new(0)),
            wire_headers: MediaHeaders::new(),
            timeline: Timeline::new(),
            meters: Meters::default(),
            summaries: Summaries::default(),
            created: now,
            held: None,
        }
    }

    /// A publication starts, in place of the one before if that still runs. Subscribers stay: they
    /// get what is left of the old one, then the new one's headers and first keyframe, with
    /// timestamps that go on from the old one's.
    pub fn on_publish(&mut self, now: Instant) {
        let had_video = self.epoch.has_video;
        self.end_epoch();
        self.epoch.publishing = true;
        self.epoch.video_expected_until = had_video.then(|| now + VIDEO_EXPECTED_MAX);
        self.timeline.on_publish();
        self.summaries = Summaries::default();
    }

    /// The publication ends. Subscribers stay, get what is left of it, and wait for the next.
    pub fn on_unpublish(&mut self, now: Instant) {
        if self.epoch.publishing {
            let had_video = self.epoch.has_video;
            self.end_epoch();
            self.epoch.has_video = had_video;
            self.handle_timeout(now);
        }
    }

    /// Other limits from now on. The chunk size stays: subscribers were told it.
    pub const fn set_limits(&mut self, limits: &StreamLimits) {
        let chunk_size = self.limits.chunk_size;
        self.limits = StreamLimits { chunk_size, ..*limits };
    }

    /// Whether a publication runs.
    #[must_use]
    pub const fn is_publishing(&self) -> bool {
        self.epoch.publishing
    }

    fn end_epoch(&mut self) {
        self.epoch = Epoch::new(self.epoch.number + 1, self.log.next());
        self.headers = Rc::new(HeaderSet::new(self.headers.version() + 1));
        self.log.forget_entries();
        self.held = self.held.map(|_| self.epoch.start);
    }

    /// A message of the publication. O(1) amortised, however many subscribers there are.
    pub fn append(&mut self, now: Instant, message: MediaMessage) -> Appended {
        if !self.epoch.publishing {
            return Appended::Unpublished;
        }
        let inspected = Inspected::read(&message);
        let class = inspected.class();
        self.count_in(now, &message);
        self.summarise(&inspected, &message);
        let Some(entry) = self.note_video(now, class) else {
            self.meters.frames_withheld += 1;
            return Appended::Withheld;
        };
        let headers_before = Rc::clone(&self.headers);
        if let FrameClass::Header(slot) = class
            && let Some(headers) = self.headers.with(slot, &message.payload)
        {
            self.headers = headers;
        }
        let timestamp = self.timeline.relay(message.kind, class.is_coded(), message.timestamp);
        let chunk_size = self.limits.chunk_size;
        let (wire, copied) =
            WireFrame::encode(&mut self.wire_headers, &message, timestamp, chunk_size);
        self.meters.bytes_copied += copied;
        let frame = Frame {
            timestamp,
            keyframe: class == FrameClass::Keyframe,
            sequence_header: matches!(class, FrameClass::Header(_))
                && message.kind != MediaKind::Data,
            wire,
            class,
            entry,
            arrived: now,
            epoch: self.epoch.number,
            offset: self.log.bytes_appended(),
            headers: headers_before,
            message,
        };
        self.log.append(frame, &self.limits);
        if entry {
            // Now nobody joins at the group of pictures before.
            self.forget_history(now);
        }
        if entry && self.subscribers.joining() > 0 { Appended::Urgent } else { Appended::Relayed }
    }

    /// Whether a subscriber may start at a frame of this class; `None` when it is withheld.
    fn note_video(&mut self, now: Instant, class: FrameClass) -> Option<bool> {
        match class {
            FrameClass::Keyframe => {
                self.epoch.has_video = true;
                self.epoch.keyframe = Some(self.log.next());
                self.epoch.keyframe_at = Some(now);
                Some(true)
            }
            FrameClass::Inter => {
                self.epoch.has_video = true;
                let waited_since = *self.epoch.keyframe_at.get_or_insert(now);
                let gives_up = now.saturating_since(waited_since) >= KEYFRAME_GAP_MAX;
                match self.epoch.keyframe {
                    Some(keyframe) => Some(gives_up && keyframe < self.log.first()),
                    None => gives_up.then_some(true),
                }
            }
            FrameClass::Header(_) | FrameClass::Audio | FrameClass::Other => Some(false),
        }
    }

    fn count_in(&mut self, now: Instant, message: &MediaMessage) {
        let bytes = message.payload.len() as u64;
        self.meters.frames_in += 1;
        self.meters.bytes_in.add(now, bytes);
        match message.kind {
            MediaKind::Audio => self.meters.audio.add(now, bytes),
            MediaKind::Video => self.meters.video.add(now, bytes),
            MediaKind::Data => {}
        }
    }

    fn summarise(&mut self, inspected: &Inspected, message: &MediaMessage) {
        let Summaries { video, audio, metadata } = &mut self.summaries;
        // Of several tracks the main one speaks, unless it says nothing.
        match inspected {
            Inspected::Video(info)
                if info.is_sequence_header() && info.track.is_main() || video.is_none() =>
            {
                *video = Some(VideoSummary::read(info, &message.payload));
            }
            Inspected::Audio(info)
                if info.is_sequence_header() && info.track.is_main() || audio.is_none() =>
            {
                *audio = Some(AudioSummary::read(info, &message.payload));
            }
            Inspected::Data { metadata: true } => {
                *metadata = StreamMetadata::read(&message.payload);
            }
            Inspected::Video(_) | Inspected::Audio(_) | Inspected::Data { .. } => {}
        }
    }

    /// Metadata, sequence headers and the current group of pictures, as received: what another
    /// shard needs to start. Without video, its recent frames instead.
    #[must_use]
    pub fn backlog(&self) -> Vec<MediaMessage> {
        if !self.epoch.publishing {
            return Vec::new();
        }
        let start = if self.epoch.has_video {
            self.log.newest_entry(self.epoch.start).unwrap_or(self.log.next())
        } else {
            self.recent(self.epoch.start)
        };
        let first = self.log.frame(start);
        let headers = first.map_or(&self.headers, |first| &first.headers);
        let timestamp = first.map_or(0, |first| first.message.timestamp);
        let frames = self.log.range(start..self.log.next()).map(|frame| frame.message.clone());
        headers.messages(timestamp).chain(frames).collect()
    }

    /// Where a subscriber without video starts, at or after `from`.
    pub(super) fn recent(&self, from: u64) -> u64 {
        self.log.recent(from, AUDIO_JOIN_DURATION, AUDIO_JOIN_FRAMES_MAX)
    }

    /// A new subscriber.
    pub fn subscribe(&mut self, now: Instant, options: SubscriberOptions) -> SubscriberKey {
        let from_last = match options.start {
            SubscribeFrom::Configured => self.limits.gop_cache,
            SubscribeFrom::LastKeyframe => true,
            SubscribeFrom::NextKeyframe => false,
            SubscribeFrom::Held => true,
        };
        let from = if from_last { self.epoch.start } else { self.log.next() };
        let key = self.subscribers.insert(now, options, from);
        if options.start == SubscribeFrom::Held
            && let Some(start) = self.held_start(now)
        {
            self.start_at(key, start);
        }
        key
    }

    /// The subscriber is gone, whatever is in flight to it. What it got, if it was there.
    pub fn unsubscribe(&mut self, key: SubscriberKey) -> Option<SubscriberStats> {
        self.subscribers.remove(key)
    }

    /// A paused subscriber gets nothing. When it goes on, it goes on live: at the newest keyframe
    /// since, or where it stopped if there is none and the frames are still there.
    pub fn set_paused(&mut self, now: Instant, key: SubscriberKey, paused: bool) {
        let Some(subscriber) = self.subscribers.get_mut(key) else { return };
        if std::mem::replace(&mut subscriber.paused, paused) && !paused {
            subscriber.last_progress = now;
            if let Position::At(cursor) = subscriber.position() {
                self.resume(now, key, cursor);
            }
        }
    }

    /// Whether the subscriber gets audio.
    pub fn set_receive_audio(&mut self, key: SubscriberKey, receive: bool) {
        let Some(subscriber) = self.subscribers.get_mut(key) else { return };
        subscriber.audio_due |= receive && !subscriber.kinds.audio;
        subscriber.kinds.audio = receive;
    }

    /// Whether the subscriber gets video. It comes back at a keyframe.
    pub fn set_receive_video(&mut self, key: SubscriberKey, receive: bool) {
        let Some(subscriber) = self.subscribers.get_mut(key) else { return };
        subscriber.video_due |= receive && !subscriber.kinds.video;
        subscriber.kinds.video = receive;
    }

    /// The send of the segment handed out last is complete. What it held.
    pub fn on_sent(&mut self, now: Instant, key: SubscriberKey) -> Sent {
        let Some(subscriber) = self.subscribers.get_mut(key) else { return Sent::default() };
        let Some(in_flight) = subscriber.in_flight.take() else { return Sent::default() };
        subscriber.last_progress = now;
        subscriber.stats.frames_sent += in_flight.sent.frames;
        subscriber.stats.bytes_sent += in_flight.sent.bytes;
        self.meters.bytes_out.add(now, in_flight.sent.bytes);
        in_flight.sent
    }

    /// The subscribers to close: those that took nothing for longer than `disconnect_after`.
    pub fn stalled(&self, now: Instant) -> impl Iterator<Item = SubscriberKey> {
        self.subscribers.iter().map(|(key, _)| key).filter(move |key| self.is_stalled(now, *key))
    }

    /// Every subscriber that nothing is in flight to.
    pub fn idle_subscribers(&self) -> impl Iterator<Item = SubscriberKey> {
        let idle = self
            .subscribers
            .iter()
            .filter(|(_, subscriber)| subscriber.in_flight.is_none() && !subscriber.paused);
        idle.map(|(key, _)| key)
    }

    /// Whether a subscriber waits for a frame to start at.
    #[must_use]
    pub const fn is_keyframe_awaited(&self) -> bool {
        self.subscribers.joining() > 0
    }

    /// Whether the log has nothing for the subscriber that it has not got.
    #[must_use]
    pub fn is_at_end(&self, key: SubscriberKey) -> bool {
        self.subscribers.get(key).is_some_and(|subscriber| {
            matches!(subscriber.position(), Position::At(cursor) if cursor == self.log.next())
        })
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers_len(&self) -> usize {
        self.subscribers.len()
    }

    /// What a subscriber got and missed.
    #[must_use]
    pub fn subscriber(&self, key: SubscriberKey) -> Option<&SubscriberStats> {
        self.subscribers.get(key).map(|subscriber| &subscriber.stats)
    }

    /// The wire slices of a shared segment. Ask before anything else is appended: frames that have
    /// left the log are not among them.
    pub fn shared_slices(&self, range: &Range<u64>) -> impl Iterator<Item = &Bytes> {
        self.log
            .range(range.clone())
            .flat_map(|frame| std::iter::once(&frame.wire.header).chain(frame.body()))
    }

    /// The frames of a range that are still held.
    pub fn frames(&self, range: Range<u64>) -> impl Iterator<Item = &Frame> {
        self.log.range(range)
    }

    /// The sequence numbers held.
    #[must_use]
    pub fn log_range(&self) -> Range<u64> {
        self.log.first()..self.log.next()
    }

    /// Wire bytes held.
    #[must_use]
    pub const fn log_bytes(&self) -> usize {
        self.log.bytes()
    }

    /// Payload bytes copied because a frame had too many slices for one send.
    #[must_use]
    pub const fn bytes_copied(&self) -> u64 {
        self.meters.bytes_copied
    }

    /// Video frames not kept because they came before their publication's first keyframe.
    #[must_use]
    pub const fn frames_withheld(&self) -> u64 {
        self.meters.frames_withheld
    }

    /// The newest relayed timestamps of the publication's audio and video.
    #[must_use]
    pub const fn timestamps(&self) -> (Option<u32>, Option<u32>) {
        (self.timeline.audio(), self.timeline.video())
    }

    /// Describes the stream.
    #[must_use]
    pub fn snapshot(&self, now: Instant, stream: &StreamKey, home: bool) -> StreamSnapshot {
        let Summaries { video, audio, metadata } = &self.summaries;
        let (mut video, mut audio) = (video.clone(), audio.clone());
        if let Some(metadata) = metadata {
            video.iter_mut().for_each(|video| video.fill_from(metadata));
            audio.iter_mut().for_each(|audio| audio.fill_from(metadata));
        }
        StreamSnapshot {
            stream: stream.clone(),
            home,
            publishing: self.epoch.publishing,
            age: now.saturating_since(self.created),
            bytes_in: if home { self.meters.bytes_in.total() } else { 0 },
            bytes_out: self.meters.bytes_out.total(),
            bits_per_second_in: if home { self.meters.bytes_in.bits_per_second(now) } else { 0 },
            bits_per_second_out: self.meters.bytes_out.bits_per_second(now),
            audio_bits_per_second: self.meters.audio.bits_per_second(now),
            video_bits_per_second: self.meters.video.bits_per_second(now),
            frames_in: self.meters.frames_in,
            log_bytes: self.log.bytes() as u64,
            log_frames: self.log.len() as u64,
            video,
            audio,
        }
    }
}
