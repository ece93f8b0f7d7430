//! Subscribers of one stream: where each stands in the log, what it takes, what is on its way to
//! it. Owns the table; the decisions are the stream's.

use edgerelay_proto::session::MediaKind;
use edgerelay_proto::time::Instant;
use slab::Slab;

use super::frame::MESSAGE_STREAM_ID;
use super::headers::Kinds;

/// Names a subscriber of one stream. Never valid again once unsubscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberKey {
    slot: usize,
    serial: u64,
}

/// Where a new subscriber starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscribeFrom {
    /// The last keyframe if the stream's GOP cache is on, else the next.
    #[default]
    Configured,
    /// The last keyframe.
    LastKeyframe,
    /// The next keyframe.
    NextKeyframe,
    /// The first keyframe held for it, see [`Stream::hold`](super::stream::Stream::hold); the last
    /// one without a hold.
    Held,
}

/// What a subscriber asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberOptions {
    /// The message stream id it plays on.
    pub message_stream_id: u32,
    /// Where it starts.
    pub start: SubscribeFrom,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self { message_stream_id: MESSAGE_STREAM_ID, start: SubscribeFrom::default() }
    }
}

/// Why a subscriber is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriberFault {
    /// It took nothing for longer than `disconnect_after`.
    #[error("the subscriber took nothing for too long")]
    Stalled,
}

impl SubscriberFault {
    /// The label in metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stalled => "subscriber_stalled",
        }
    }
}

/// What a subscriber got and missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberStats {
    /// Frames whose send is complete.
    pub frames_sent: u64,
    /// Wire bytes whose send is complete.
    pub bytes_sent: u64,
    /// Times it was too slow and went on at a later keyframe.
    pub skips: u64,
    /// Frames it did not get for that.
    pub frames_dropped: u64,
    /// Timestamp of the last audio handed out.
    pub audio_timestamp: Option<u32>,
    /// Timestamp of the last video handed out.
    pub video_timestamp: Option<u32>,
}

impl SubscriberStats {
    /// Last audio minus last video timestamp; zero while there is only one of them.
    #[must_use]
    pub fn audio_video_offset_ms(&self) -> i64 {
        match (self.audio_timestamp, self.video_timestamp) {
            (Some(audio), Some(video)) => i64::from(audio.wrapping_sub(video).cast_signed()),
            _ => 0,
        }
    }

    pub(super) const fn note_timestamp(&mut self, kind: MediaKind, timestamp: u32) {
        match kind {
            MediaKind::Audio => self.audio_timestamp = Some(timestamp),
            MediaKind::Video => self.video_timestamp = Some(timestamp),
            MediaKind::Data => {}
        }
    }
}

/// A send that completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames in it.
    pub frames: u64,
    /// Wire bytes in it.
    pub bytes: u64,
}

/// Where a subscriber stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Waiting for a place to start at, no earlier than `from`. `skipped_from` is where it fell
    /// behind, if that is why.
    Joining { from: u64, skipped_from: Option<u64> },
    /// The next frame it gets.
    At(u64),
}

/// A segment handed out whose send is not complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) since: Instant,
    pub(super) sent: Sent,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    serial: u64,
    pub(super) message_stream_id: u32,
    position: Position,
    /// The publication of the frame at its position.
    pub(super) epoch: u64,
    /// Version of the header set it has.
    pub(super) headers: Option<u64>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) last_progress: Instant,
    pub(super) paused: bool,
    pub(super) kinds: Kinds,
    /// Video was off: the next it gets is a keyframe, behind the video headers.
    pub(super) video_due: bool,
    /// Audio was off: the next it gets comes behind the audio headers.
    pub(super) audio_due: bool,
    pub(super) stats: SubscriberStats,
}

impl Subscriber {
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// Whether the wire bytes of the frames, and nothing else, are what it is to get.
    pub(super) const fn takes_frames_as_they_are(&self) -> bool {
        self.message_stream_id == MESSAGE_STREAM_ID
            && self.kinds.audio
            && self.kinds.video
            && !self.video_due
            && !self.audio_due
    }
}

/// The subscribers, and how many of them wait for a place to start.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    slots: Slab<Subscriber>,
    serials: u64,
    joining: usize,
}

impl Subscribers {
    pub(super) fn insert(
        &mut self,
        now: Instant,
        options: SubscriberOptions,
        from: u64,
    ) -> SubscriberKey {
        self.serials += 1;
        self.joining += 1;
        let slot = self.slots.insert(Subscriber {
            serial: self.serials,
            message_stream_id: options.message_stream_id,
            position: Position::Joining { from, skipped_from: None },
            epoch: 0,
            headers: None,
            in_flight: None,
            last_progress: now,
            paused: false,
            kinds: Kinds { audio: true, video: true, data: true },
            video_due: false,
            audio_due: false,
            stats: SubscriberStats::default(),
        });
        SubscriberKey { slot, serial: self.serials }
    }

    pub(super) fn remove(&mut self, key: SubscriberKey) -> Option<SubscriberStats> {
        self.get(key)?;
        let gone = self.slots.try_remove(key.slot)?;
        self.joining -= usize::from(is_joining(gone.position));
        Some(gone.stats)
    }

    pub(super) fn get(&self, key: SubscriberKey) -> Option<&Subscriber> {
        self.slots.get(key.slot).filter(|subscriber| subscriber.serial == key.serial)
    }

    pub(super) fn get_mut(&mut self, key: SubscriberKey) -> Option<&mut Subscriber> {
        self.slots.get_mut(key.slot).filter(|subscriber| subscriber.serial == key.serial)
    }

    pub(super) fn set_position(&mut self, key: SubscriberKey, position: Position) {
        let Some(subscriber) = self.get_mut(key) else { return };
        let before = std::mem::replace(&mut subscriber.position, position);
        self.joining -= usize::from(is_joining(before));
        self.joining += usize::from(is_joining(position));
    }

    /// How many wait for a place to start.
    pub(super) const fn joining(&self) -> usize {
        self.joining
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriberKey, &Subscriber)> {
        self.slots.iter().map(|(slot, subscriber)| {
            (SubscriberKey { slot, serial: subscriber.serial }, subscriber)
        })
    }
}

const fn is_joining(position: Position) -> bool {
    matches!(position, Position::Joining { .. })
}
