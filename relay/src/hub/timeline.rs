//! Timestamps across publications. Owns the offset from a publisher's clock to the subscribers';
//! knows nothing of frames.

use edgerelay_proto::session::MediaKind;

use super::limits::REORDER_MILLIS_MAX;

/// Maps a publisher's timestamps to the relayed ones.
///
/// The first publication passes unchanged. A later one is moved as a whole, so that its first frame
/// is one millisecond after the last of the one before. Within a publication all steps stay as they
/// are: wraps, and small steps back between audio and video. Only at its start is a frame that
/// would lie before the publication's beginning held at it.
///
/// All arithmetic is modulo 2³², and "before" means less than half of that away.
#[derive(Debug)]
pub(super) struct Timeline {
    // `None` until the first coded frame of a publication after the first.
    offset: Option<u32>,
    // Relayed timestamps may not lie before it; dropped once the publication has moved on.
    floor: Option<u32>,
    audio: Option<u32>,
    video: Option<u32>,
}

impl Timeline {
    pub(super) const fn new() -> Self {
        Self { offset: Some(0), floor: None, audio: None, video: None }
    }

    /// A publication starts.
    pub(super) fn on_publish(&mut self) {
        self.floor = self.newest().map(|newest| newest.wrapping_add(1)).or(self.floor);
        self.offset = if self.floor.is_some() { None } else { Some(0) };
        self.audio = None;
        self.video = None;
    }

    /// The relayed timestamp of a message. Only coded audio and video (`coded`) sets the
    /// publication's offset: sequence headers and metadata often say zero in mid-stream.
    pub(super) fn relay(&mut self, kind: MediaKind, coded: bool, timestamp: u32) -> u32 {
        let relayed = match (self.offset, self.floor) {
            (Some(offset), _) => timestamp.wrapping_add(offset),
            (None, Some(floor)) if coded => {
                self.offset = Some(floor.wrapping_sub(timestamp));
                floor
            }
            (None, floor) => floor.unwrap_or(timestamp),
        };
        let relayed = self.hold_at_floor(coded, relayed);
        match kind {
            MediaKind::Audio if coded => advance(&mut self.audio, relayed),
            MediaKind::Video if coded => advance(&mut self.video, relayed),
            _ => {}
        }
        relayed
    }

    /// The newest relayed timestamp of this publication's audio.
    pub(super) const fn audio(&self) -> Option<u32> {
        self.audio
    }

    /// The newest relayed timestamp of this publication's video.
    pub(super) const fn video(&self) -> Option<u32> {
        self.video
    }

    /// The newest relayed timestamp of this publication.
    pub(super) fn newest(&self) -> Option<u32> {
        match (self.audio, self.video) {
            (Some(audio), Some(video)) if step(audio, video) > 0 => Some(video),
            (Some(audio), _) => Some(audio),
            (None, video) => video,
        }
    }

    fn hold_at_floor(&mut self, coded: bool, relayed: u32) -> u32 {
        let Some(floor) = self.floor else { return relayed };
        let ahead = step(floor, relayed);
        if ahead < 0 {
            return floor;
        }
        if coded && ahead.unsigned_abs() > REORDER_MILLIS_MAX {
            self.floor = None;
        }
        relayed
    }
}

/// From `from` to `to` on the circle of timestamps: negative is back.
pub(super) const fn step(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// Moves `mark` to `timestamp`, unless that is a small step back.
fn advance(mark: &mut Option<u32>, timestamp: u32) {
    let reordered = mark.is_some_and(|mark| {
        let step = step(mark, timestamp);
        step < 0 && step.unsigned_abs() <= REORDER_MILLIS_MAX
    });
    if !reordered {
        *mark = Some(timestamp);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_publication_passes_unchanged() {
        let mut timeline = Timeline::new();
        timeline.on_publish();
        for timestamp in [5_000, 4_960, 0x00FF_FFFF, 0x0100_0000, u32::MAX, 0, 40] {
            assert_eq!(timeline.relay(MediaKind::Video, true, timestamp), timestamp);
        }
    }

    #[test]
    fn a_later_publication_follows_on_whatever_its_clock_says() {
        let mut timeline = Timeline::new();
        timeline.relay(MediaKind::Video, true, 9_000);
        timeline.relay(MediaKind::Audio, true, 8_990);
        timeline.on_publish();
        assert_eq!(timeline.relay(MediaKind::Data, false, 0), 9_001);
        assert_eq!(timeline.relay(MediaKind::Video, false, 0), 9_001);
        assert_eq!(timeline.relay(MediaKind::Video, true, 3_600_000), 9_001);
        assert_eq!(timeline.relay(MediaKind::Audio, true, 3_599_990), 9_001);
        assert_eq!(timeline.relay(MediaKind::Video, true, 3_600_040), 9_041);
    }

    #[test]
    fn a_publication_without_frames_does_not_lose_the_floor() {
        let mut timeline = Timeline::new();
        timeline.relay(MediaKind::Video, true, 9_000);
        timeline.on_publish();
        timeline.relay(MediaKind::Data, false, 77);
        timeline.on_publish();
        assert_eq!(timeline.relay(MediaKind::Audio, true, 0), 9_001);
    }

    #[test]
    fn fifty_days_pass_through_every_wrap_unchanged() {
        let mut timeline = Timeline::new();
        timeline.relay(MediaKind::Video, true, 1_000);
        timeline.on_publish();
        let mut raw = 0_u32;
        let mut last = timeline.relay(MediaKind::Video, true, raw);
        // 50 days in steps of an hour and a bit.
        for _ in 0..1_200 {
            raw = raw.wrapping_add(3_600_007);
            let relayed = timeline.relay(MediaKind::Video, true, raw);
            assert_eq!(step(last, relayed), 3_600_007);
            last = relayed;
        }
    }

    proptest! {
        #[test]
        fn no_publication_goes_back_behind_the_one_before(
            publications in prop::collection::vec(
                (any::<u32>(), prop::collection::vec((any::<bool>(), -200_i32..5_000), 1..40)),
                1..6,
            ),
        ) {
            let mut timeline = Timeline::new();
            let mut newest: Option<u32> = None;
            for (start, steps) in publications {
                timeline.on_publish();
                let floor = newest;
                let mut raw = start;
                for (video, step_millis) in steps {
                    raw = raw.wrapping_add_signed(step_millis);
                    let kind = if video { MediaKind::Video } else { MediaKind::Audio };
                    let relayed = timeline.relay(kind, true, raw);
                    if let Some(floor) = floor {
                        prop_assert!(step(floor, relayed) > 0, "{relayed} after {floor}");
                    }
                    if newest.is_none_or(|newest| step(newest, relayed) > 0) {
                        newest = Some(relayed);
                    }
                }
            }
        }
    }
}
