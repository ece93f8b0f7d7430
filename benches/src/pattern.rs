//! The shape of a synthetic stream: how large its messages are and when each is due.
//!
//! Pure arithmetic on a stream's own time, which begins at zero. Must not know payloads or clocks.

use std::time::Duration;

/// How many times larger a keyframe is than another video frame.
const KEYFRAME_FACTOR: f64 = 5.0;

/// Samples in one AAC frame, and per second: 46.875 messages a second.
const AAC_FRAME_SAMPLES: f64 = 1_024.0;
const AAC_SAMPLE_RATE: f64 = 48_000.0;

/// The smallest payload that has room for the marks.
pub const PAYLOAD_BYTES_MIN: usize = 64;

const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// What one message of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A video frame to begin with.
    Keyframe,
    /// Any other video frame.
    InterFrame,
    /// An audio frame.
    Audio,
}

/// The rates of a synthetic stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pattern {
    /// Bits per second of video.
    pub video_bits: f64,
    /// Video frames per second.
    pub fps: f64,
    /// From keyframe to keyframe.
    pub gop: Duration,
    /// Bits per second of audio; zero for none.
    pub audio_bits: f64,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            video_bits: 2_500_000.0,
            fps: 30.0,
            gop: Duration::from_secs(2),
            audio_bits: 128_000.0,
        }
    }
}

impl Pattern {
    /// Video frames from keyframe to keyframe, at least one.
    #[must_use]
    pub fn frames_per_gop(&self) -> u64 {
        ((self.gop.as_secs_f64() * self.fps).round() as u64).max(1)
    }

    /// From video frame to video frame.
    #[must_use]
    pub fn frame_interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.fps)
    }

    /// The payload of a message of this part, bytes.
    #[must_use]
    pub fn payload_bytes(&self, part: Part) -> usize {
        let frames = self.frames_per_gop() as f64;
        let gop_bytes = self.video_bits / 8.0 * frames / self.fps;
        let inter = gop_bytes / (frames - 1.0 + KEYFRAME_FACTOR);
        let bytes = match part {
            Part::Keyframe => inter * KEYFRAME_FACTOR,
            Part::InterFrame => inter,
            Part::Audio => self.audio_bits / 8.0 * AAC_FRAME_SAMPLES / AAC_SAMPLE_RATE,
        };
        (bytes.round() as usize).max(PAYLOAD_BYTES_MIN)
    }

    /// Messages per second.
    #[must_use]
    pub fn messages_per_second(&self) -> f64 {
        self.fps + if self.audio_bits > 0.0 { AAC_SAMPLE_RATE / AAC_FRAME_SAMPLES } else { 0.0 }
    }

    /// Payload bits per second, with what rounding and [`PAYLOAD_BYTES_MIN`] add.
    #[must_use]
    pub fn bits_per_second(&self) -> f64 {
        let frames = self.frames_per_gop() as f64;
        let gop_bytes = self.payload_bytes(Part::Keyframe) as f64
            + self.payload_bytes(Part::InterFrame) as f64 * (frames - 1.0);
        let video = gop_bytes * 8.0 * self.fps / frames;
        let audio_rate = self.messages_per_second() - self.fps;
        video + self.payload_bytes(Part::Audio) as f64 * 8.0 * audio_rate
    }

    /// When stream `index` of `count` begins after the first: keyframes are spread evenly over a
    /// group of pictures, and no two streams share the instant of their frames.
    #[must_use]
    pub fn phase(&self, index: usize, count: usize) -> Duration {
        /// Steps by the golden ratio never come near to where they were.
        const GOLDEN: f64 = 0.618_033_988_749_894_8;

        let share = index as f64 / count.max(1) as f64;
        let whole_frames = (share * self.frames_per_gop() as f64).floor();
        let within_frame = (index as f64 * GOLDEN).fract();
        Duration::from_secs_f64((whole_frames + within_frame) / self.fps)
    }
}

/// A message to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it is.
    pub part: Part,
    /// When, from the stream's beginning.
    pub at: Duration,
}

impl Slot {
    /// What its RTMP timestamp says, modulo 2³².
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        self.at.as_millis() as u32
    }
}

/// Walks through a stream, audio and video in the order of their time.
#[derive(Clone, Debug)]
pub struct Schedule {
    pattern: Pattern,
    frames_per_gop: u64,
    video: u64,
    audio: u64,
}

impl Schedule {
    /// At the beginning, which is a keyframe.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        Self { frames_per_gop: pattern.frames_per_gop(), pattern, video: 0, audio: 0 }
    }

    /// The next message.
    #[must_use]
    pub fn peek(&self) -> Slot {
        let video_at = micros(self.video as f64 / self.pattern.fps);
        let audio_at = micros(self.audio as f64 * AAC_FRAME_SAMPLES / AAC_SAMPLE_RATE);
        if self.pattern.audio_bits > 0.0 && audio_at < video_at {
            return Slot { part: Part::Audio, at: audio_at };
        }
        let key = self.video.is_multiple_of(self.frames_per_gop);
        Slot { part: if key { Part::Keyframe } else { Part::InterFrame }, at: video_at }
    }

    /// Goes on to the one behind it.
    pub fn advance(&mut self) {
        match self.peek().part {
            Part::Audio => self.audio += 1,
            Part::Keyframe | Part::InterFrame => self.video += 1,
        }
    }
}

fn micros(seconds: f64) -> Duration {
    Duration::from_micros((seconds * MICROS_PER_SECOND).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(count: usize, pattern: Pattern) -> Vec<Slot> {
        let mut schedule = Schedule::new(pattern);
        (0..count)
            .map(|_| {
                let slot = schedule.peek();
                schedule.advance();
                slot
            })
            .collect()
    }

    #[test]
    fn ten_seconds_hold_the_rates_asked_for() {
        let pattern = Pattern::default();
        let slots: Vec<_> =
            first(2_000, pattern).into_iter().take_while(|slot| slot.at.as_secs() < 10).collect();
        let of = |part| slots.iter().filter(|slot| slot.part == part).count();
        assert_eq!((of(Part::Keyframe), of(Part::InterFrame)), (5, 295));
        assert_eq!(of(Part::Audio), 469);
        let bytes: usize = slots.iter().map(|slot| pattern.payload_bytes(slot.part)).sum();
        let bits = bytes as f64 * 8.0 / 10.0;
        assert!((bits - 2_628_000.0).abs() < 2_628.0, "{bits} bits per second");
        assert!((bits - pattern.bits_per_second()).abs() < 300.0);
    }

    #[test]
    fn keyframes_are_five_times_the_size_of_others() {
        let pattern = Pattern::default();
        let ratio = pattern.payload_bytes(Part::Keyframe) as f64
            / pattern.payload_bytes(Part::InterFrame) as f64;
        assert!((ratio - 5.0).abs() < 0.01);
    }

    #[test]
    fn time_never_goes_back_and_begins_with_a_keyframe() {
        let slots = first(5_000, Pattern { fps: 29.97, ..Pattern::default() });
        assert_eq!(slots[0], Slot { part: Part::Keyframe, at: Duration::ZERO });
        assert!(slots.is_sorted_by_key(|slot| slot.at));
    }

    #[test]
    fn a_stream_may_have_no_audio() {
        let slots = first(100, Pattern { audio_bits: 0.0, ..Pattern::default() });
        assert!(slots.iter().all(|slot| slot.part != Part::Audio));
    }

    #[test]
    fn two_hundred_streams_share_no_instant_and_spread_their_keyframes() {
        let pattern = Pattern::default();
        let interval = pattern.frame_interval().as_secs_f64();
        let mut within: Vec<f64> =
            (0..200).map(|n| pattern.phase(n, 200).as_secs_f64() % interval).collect();
        within.sort_by(f64::total_cmp);
        let even = interval / 200.0;
        assert!(within.windows(2).all(|pair| pair[1] - pair[0] > even / 4.0));
        // No quarter of a group of pictures has many more keyframes than its share.
        let mut quarters = [0; 4];
        for n in 0..200 {
            quarters[(pattern.phase(n, 200).as_secs_f64() * 2.0) as usize % 4] += 1;
        }
        assert!(quarters.iter().all(|count| (40..=60).contains(count)), "{quarters:?}");
    }
}
