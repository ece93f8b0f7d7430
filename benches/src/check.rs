//! Judges what one player gets: is anything missing, twice, out of order or damaged?
//!
//! Pure. Must not keep a payload.

use edgerelay_proto::media::{inspect_audio, inspect_video};
use edgerelay_proto::payload::Payload;
use edgerelay_proto::session::MediaKind;
use edgerelay_proto::time::Instant;

use crate::mark::{Checksums, Mark, Reading, read};
use crate::tally::Tally;

/// Messages before the newest that are remembered, to tell a late one from a duplicate.
const REMEMBERED: u64 = u128::BITS as u64;

/// What a player knows of the streams it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Every frame is marked.
    Marked(Checksums),
    /// They are somebody else's streams: only timestamps and starts can be judged.
    Foreign,
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Metadata or a decoder configuration.
    Header,
    /// A coded frame.
    Frame {
        /// Whether decoding can begin with it.
        keyframe: bool,
        /// When it was sent, if its marks say so.
        stamp: Option<Instant>,
    },
}

/// Follows one stream from the moment a player joins it.
#[derive(Clone, Debug)]
pub struct Checker {
    expect: Expect,
    /// Set with the first frame.
    following: Option<Following>,
    last_video: Option<u32>,
    last_audio: Option<u32>,
    video_configured: bool,
    audio_configured: bool,
    started: bool,
    has_keyframe: bool,
}

#[derive(Clone, Copy, Debug)]
struct Following {
    stream: u32,
    newest: u64,
    /// Bit `n` stands for `newest - n`.
    seen: u128,
}

impl Checker {
    /// For a player that has just joined.
    #[must_use]
    pub const fn new(expect: Expect) -> Self {
        Self {
            expect,
            following: None,
            last_video: None,
            last_audio: None,
            video_configured: false,
            audio_configured: false,
            started: false,
            has_keyframe: false,
        }
    }

    /// Looks at a message.
    pub fn take(
        &mut self,
        kind: MediaKind,
        timestamp: u32,
        payload: &Payload,
        tally: &mut Tally,
    ) -> Seen {
        tally.messages += 1;
        tally.payload_bytes += payload.len() as u64;
        let keyframe = match kind {
            MediaKind::Data => return Seen::Header,
            MediaKind::Video => {
                let info = inspect_video(payload);
                if info.is_sequence_header() {
                    self.video_configured = true;
                    return Seen::Header;
                }
                tally.video_frames += 1;
                info.is_keyframe()
            }
            MediaKind::Audio => {
                if inspect_audio(payload).is_sequence_header() {
                    self.audio_configured = true;
                    return Seen::Header;
                }
                tally.audio_frames += 1;
                false
            }
        };
        tally.keyframes += u64::from(keyframe);
        self.check_timestamp(kind, timestamp, tally);
        self.check_start(kind, keyframe, tally);
        let stamp = self.check_marks(payload, tally).map(|mark| mark.stamp);
        Seen::Frame { keyframe, stamp }
    }

    /// Audio and video each by itself: encoders interleave them roughly.
    fn check_timestamp(&mut self, kind: MediaKind, timestamp: u32, tally: &mut Tally) {
        // RTMP 1.0 §5.3.1.2.1: time is a circle, half of it lies ahead.
        const AHEAD_MAX: u32 = u32::MAX / 2;

        let last = match kind {
            MediaKind::Audio => &mut self.last_audio,
            MediaKind::Video | MediaKind::Data => &mut self.last_video,
        };
        if last.is_some_and(|last| timestamp.wrapping_sub(last) > AHEAD_MAX) {
            tally.timestamps_backwards += 1;
        }
        *last = Some(timestamp);
    }

    fn check_start(&mut self, kind: MediaKind, keyframe: bool, tally: &mut Tally) {
        if !self.started {
            self.started = true;
            tally.starts += 1;
            let configured = match kind {
                MediaKind::Audio => self.audio_configured,
                _ => self.video_configured,
            };
            tally.starts_without_configuration += u64::from(!configured);
        }
        if kind == MediaKind::Video && !self.has_keyframe {
            self.has_keyframe = true;
            tally.starts_without_keyframe += u64::from(!keyframe);
        }
    }

    fn check_marks(&mut self, payload: &Payload, tally: &mut Tally) -> Option<Mark> {
        let Expect::Marked(checksums) = self.expect else { return None };
        match read(payload, checksums) {
            Reading::Whole(mark) => {
                self.follow(&mark, tally);
                Some(mark)
            }
            Reading::Corrupt => {
                tally.corrupt += 1;
                None
            }
            Reading::Unmarked => {
                tally.unmarked += 1;
                None
            }
        }
    }

    fn follow(&mut self, mark: &Mark, tally: &mut Tally) {
        let begun = Following { stream: mark.stream, newest: mark.sequence, seen: 1 };
        let Some(following) = &mut self.following else {
            // What comes before the first keyframe is not followed: some relays send audio alone
            // until then.
            if self.has_keyframe {
                self.following = Some(begun);
            }
            return;
        };
        if mark.stream != following.stream {
            tally.foreign += 1;
            *following = begun;
            return;
        }
        match mark.sequence.checked_sub(following.newest) {
            None => following.on_old(mark.sequence, tally),
            Some(0) => tally.duplicates += 1,
            Some(step) => {
                following.newest = mark.sequence;
                following.seen = u32::try_from(step)
                    .ok()
                    .and_then(|step| following.seen.checked_shl(step))
                    .unwrap_or(0)
                    | 1;
                if step > 1 {
                    tally.gaps += 1;
                    tally.lost += step - 1;
                }
            }
        }
    }
}

impl Following {
    /// A message before the newest: late, or there already.
    fn on_old(&mut self, sequence: u64, tally: &mut Tally) {
        let age = self.newest - sequence;
        let bit = 1_u128.checked_shl(u32::try_from(age).unwrap_or(u32::MAX)).unwrap_or(0);
        if age < REMEMBERED && self.seen & bit == 0 {
            self.seen |= bit;
            tally.reordered += 1;
            tally.lost = tally.lost.saturating_sub(1);
        } else {
            tally.duplicates += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pattern::{Pattern, Schedule};
    use crate::synthetic::Templates;

    struct Bench {
        checker: Checker,
        tally: Tally,
        stream: Vec<(MediaKind, u32, Payload)>,
    }

    impl Bench {
        /// A player that got what comes before the first frame.
        fn new() -> Self {
            let templates = Templates::new(Pattern::default());
            let mut bench = Self {
                checker: Checker::new(Expect::Marked(Checksums::Verified)),
                tally: Tally::default(),
                stream: stream(&templates, 1),
            };
            for message in templates.opening() {
                let seen = bench.checker.take(
                    message.kind,
                    message.timestamp,
                    &message.payload,
                    &mut bench.tally,
                );
                assert_eq!(seen, Seen::Header);
            }
            bench
        }

        fn give(&mut self, places: impl IntoIterator<Item = usize>) {
            for place in places {
                let (kind, timestamp, payload) = &self.stream[place];
                self.checker.take(*kind, *timestamp, payload, &mut self.tally);
            }
        }
    }

    fn stream(templates: &Templates, stream: u32) -> Vec<(MediaKind, u32, Payload)> {
        let mut schedule = Schedule::new(*templates.pattern());
        (0..600)
            .map(|sequence| {
                let slot = schedule.peek();
                schedule.advance();
                let mark = Mark { stream, sequence, stamp: Instant::EPOCH + slot.at };
                let (kind, payload) = templates.payload(slot.part, &mark);
                (kind, slot.timestamp(), payload)
            })
            .collect()
    }

    #[test]
    fn an_unbroken_run_has_no_faults() {
        let mut bench = Bench::new();
        bench.give(0..600);
        assert_eq!(bench.tally.faults(), 0);
        assert_eq!((bench.tally.starts, bench.tally.messages), (1, 603));
        assert_eq!(bench.tally.starts_without_keyframe, 0);
        assert_eq!(bench.tally.starts_without_configuration, 0);
    }

    #[test]
    fn what_is_left_out_is_lost() {
        let mut bench = Bench::new();
        bench.give((0..100).chain(103..200).chain(201..300));
        assert_eq!((bench.tally.lost, bench.tally.gaps), (4, 2));
        assert_eq!(bench.tally.faults(), 4);
    }

    #[test]
    fn what_comes_late_is_reordered_and_not_lost() {
        let mut bench = Bench::new();
        bench.give((0..100).chain([101, 100]).chain(102..200));
        assert_eq!((bench.tally.lost, bench.tally.reordered), (0, 1));
    }

    #[test]
    fn time_may_step_back_between_audio_and_video_but_not_within_one() {
        let mut bench = Bench::new();
        bench.checker = Checker::new(Expect::Foreign);
        let of = |bench: &Bench, kind, from| {
            (from..600).find(|place| bench.stream[*place].0 == kind).expect("both kinds")
        };
        let audio = of(&bench, MediaKind::Audio, 100);
        let video = of(&bench, MediaKind::Video, audio + 1);
        bench.give([video, audio]);
        assert_eq!(bench.tally.timestamps_backwards, 0);
        let earlier = of(&bench, MediaKind::Video, 50);
        bench.give([earlier]);
        assert_eq!(bench.tally.timestamps_backwards, 1);
    }

    #[test]
    fn what_comes_twice_is_a_duplicate_at_any_age() {
        let mut bench = Bench::new();
        bench.give((0..100).chain([99, 98, 50]).chain(100..400).chain([100]));
        assert_eq!((bench.tally.duplicates, bench.tally.reordered), (4, 0));
    }

    #[test]
    fn a_changed_byte_is_corruption() {
        let mut bench = Bench::new();
        bench.give(0..10);
        let mut bytes = bench.stream[10].2.to_contiguous().to_vec();
        *bytes.last_mut().unwrap() ^= 0x10;
        bench.stream[10].2 = Bytes::from(bytes).into();
        bench.give(10..20);
        assert_eq!((bench.tally.corrupt, bench.tally.lost), (1, 1));
    }

    #[test]
    fn another_streams_message_is_foreign() {
        let mut bench = Bench::new();
        bench.give(0..10);
        bench.stream = stream(&Templates::new(Pattern::default()), 2);
        bench.give(10..20);
        assert_eq!((bench.tally.foreign, bench.tally.lost), (1, 0));
    }

    #[test]
    fn a_start_without_keyframe_or_configuration_is_seen() {
        let mut bench = Bench::new();
        bench.checker = Checker::new(Expect::Marked(Checksums::Verified));
        bench.give(5..20);
        assert_eq!(bench.tally.starts_without_keyframe, 1);
        assert_eq!(bench.tally.starts_without_configuration, 1);
    }

    #[test]
    fn audio_alone_before_the_first_keyframe_is_no_loss() {
        let mut bench = Bench::new();
        let audio: Vec<usize> =
            (0..60).filter(|place| bench.stream[*place].0 == MediaKind::Audio).collect();
        let key = (60..600)
            .find(|place| inspect_video(&bench.stream[*place].2).is_keyframe())
            .expect("a second group of pictures");
        bench.give(audio.into_iter().chain(key..key + 50));
        assert_eq!(bench.tally.faults(), 0);
    }

    #[test]
    fn foreign_streams_are_only_followed_in_time() {
        let mut bench = Bench::new();
        bench.checker = Checker::new(Expect::Foreign);
        bench.give((0..10).chain(20..30));
        assert_eq!(bench.tally.faults(), 0);
    }

    #[test]
    fn a_frame_tells_when_it_was_sent() {
        let mut bench = Bench::new();
        let (kind, timestamp, payload) = bench.stream[0].clone();
        let seen = bench.checker.take(kind, timestamp, &payload, &mut bench.tally);
        assert_eq!(seen, Seen::Frame { keyframe: true, stamp: Some(Instant::EPOCH) });
    }
}
