//! Counts of what players got and what was wrong with it. Must not decide what is wrong.

use serde::Serialize;

/// What a group of players got. All counts only grow, so that a window is a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Bytes received from sockets, handshakes and headers included.
    pub bytes: u64,
    /// Payload bytes of audio, video and data.
    pub payload_bytes: u64,
    /// Audio, video and data messages.
    pub messages: u64,
    /// Coded video frames.
    pub video_frames: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Coded audio frames.
    pub audio_frames: u64,
    /// Reads that brought something.
    pub reads: u64,
    /// Messages that never came, though later ones did.
    pub lost: u64,
    /// Times at least one was skipped.
    pub gaps: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages that came after a later one.
    pub reordered: u64,
    /// Messages whose checksum is wrong.
    pub corrupt: u64,
    /// Marked messages of another stream than the one before.
    pub foreign: u64,
    /// Coded frames without marks where marks were expected.
    pub unmarked: u64,
    /// Messages with a timestamp before that of the last one of their kind.
    pub timestamps_backwards: u64,
    /// Players that got their first frame.
    pub starts: u64,
    /// Of these, those whose first video frame was no keyframe.
    pub starts_without_keyframe: u64,
    /// Of these, those whose first frame came before its decoder configuration.
    pub starts_without_configuration: u64,
}

/// Applies an operation to each count of two tallies.
macro_rules! zip {
    ($left:expr, $right:expr, $operation:path) => {{
        let (left, right) = ($left, $right);
        Tally {
            bytes: $operation(left.bytes, right.bytes),
            payload_bytes: $operation(left.payload_bytes, right.payload_bytes),
            messages: $operation(left.messages, right.messages),
            video_frames: $operation(left.video_frames, right.video_frames),
            keyframes: $operation(left.keyframes, right.keyframes),
            audio_frames: $operation(left.audio_frames, right.audio_frames),
            reads: $operation(left.reads, right.reads),
            lost: $operation(left.lost, right.lost),
            gaps: $operation(left.gaps, right.gaps),
            duplicates: $operation(left.duplicates, right.duplicates),
            reordered: $operation(left.reordered, right.reordered),
            corrupt: $operation(left.corrupt, right.corrupt),
            foreign: $operation(left.foreign, right.foreign),
            unmarked: $operation(left.unmarked, right.unmarked),
            timestamps_backwards: $operation(left.timestamps_backwards, right.timestamps_backwards),
            starts: $operation(left.starts, right.starts),
            starts_without_keyframe: $operation(
                left.starts_without_keyframe,
                right.starts_without_keyframe,
            ),
            starts_without_configuration: $operation(
                left.starts_without_configuration,
                right.starts_without_configuration,
            ),
        }
    }};
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        zip!(self, other, u64::saturating_add)
    }

    /// What was added since `earlier`. A message thought lost that came late makes `lost` fall: that
    /// counts as zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        zip!(self, earlier, u64::saturating_sub)
    }

    /// Everything that should not have happened to a stream.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.lost
            + self.duplicates
            + self.reordered
            + self.corrupt
            + self.foreign
            + self.unmarked
            + self.timestamps_backwards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_difference_of_its_edges() {
        let begin = Tally { bytes: 10, lost: 2, ..Tally::default() };
        let end = Tally { bytes: 25, lost: 1, corrupt: 1, ..Tally::default() };
        assert_eq!(end.since(&begin), Tally { bytes: 15, corrupt: 1, ..Tally::default() });
        assert_eq!(begin.plus(&end).bytes, 35);
    }

    #[test]
    fn what_came_in_order_is_no_fault() {
        let fine = Tally { messages: 5, gaps: 0, starts_without_keyframe: 1, ..Tally::default() };
        assert_eq!(fine.faults(), 0);
        assert_eq!(Tally { lost: 1, corrupt: 2, ..fine }.faults(), 3);
    }
}
