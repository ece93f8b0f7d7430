//! What a publisher sends: a synthetic stream, or a file over and over.
//!
//! Pure. Must not know when now is; it says at what time of its own each message is due.

use std::rc::Rc;
use std::time::Duration;

use edgerelay_proto::session::{MediaKind, MediaMessage};
use edgerelay_proto::time::Instant;

use crate::flv::{FlvFile, Replay};
use crate::mark::Mark;
use crate::pattern::Schedule;
use crate::synthetic::Templates;

/// The messages of one stream, in order.
#[derive(Clone, Debug)]
pub enum Source {
    /// Made up, and marked.
    Synthetic(Synthetic),
    /// A file's, with timestamps that go on when it begins anew.
    File(Replay),
}

/// A synthetic stream.
#[derive(Clone, Debug)]
pub struct Synthetic {
    templates: Rc<Templates>,
    schedule: Schedule,
    stream: u32,
    sequence: u64,
}

impl Source {
    /// A synthetic stream, marked as `stream`.
    #[must_use]
    pub fn synthetic(templates: Rc<Templates>, stream: u32) -> Self {
        let schedule = Schedule::new(*templates.pattern());
        Self::Synthetic(Synthetic { templates, schedule, stream, sequence: 0 })
    }

    /// A file.
    #[must_use]
    pub fn file(file: Rc<FlvFile>) -> Self {
        Self::File(Replay::new(file))
    }

    /// What every connection begins with.
    #[must_use]
    pub fn opening(&self) -> Vec<MediaMessage> {
        match self {
            Self::Synthetic(synthetic) => synthetic.templates.opening(),
            Self::File(replay) => replay.opening(),
        }
    }

    /// When the next message is due, from the stream's beginning.
    #[must_use]
    pub fn next_at(&self) -> Duration {
        match self {
            Self::Synthetic(synthetic) => synthetic.schedule.peek().at,
            Self::File(replay) => replay.next_at(),
        }
    }

    /// Whether a connection can begin with the next message.
    #[must_use]
    pub fn is_at_keyframe(&self) -> bool {
        match self {
            Self::Synthetic(synthetic) => {
                synthetic.schedule.peek().part == crate::pattern::Part::Keyframe
            }
            Self::File(replay) => replay.is_at_keyframe(),
        }
    }

    /// Leaves the next message out, as if it had never been: its number goes to the one behind it.
    pub fn skip(&mut self) {
        match self {
            Self::Synthetic(synthetic) => synthetic.schedule.advance(),
            Self::File(replay) => {
                let _ = replay.take();
            }
        }
    }

    /// The next message, sent `now`.
    pub fn take(&mut self, now: Instant) -> MediaMessage {
        match self {
            Self::Synthetic(synthetic) => synthetic.take(now),
            Self::File(replay) => replay.take(),
        }
    }
}

impl Synthetic {
    fn take(&mut self, now: Instant) -> MediaMessage {
        let slot = self.schedule.peek();
        self.schedule.advance();
        let mark = Mark { stream: self.stream, sequence: self.sequence, stamp: now };
        self.sequence += 1;
        let (kind, payload) = self.templates.payload(slot.part, &mark);
        MediaMessage { kind, timestamp: slot.timestamp(), payload }
    }
}

/// The chunk stream that messages of a kind are sent on.
#[must_use]
pub const fn chunk_stream(kind: MediaKind) -> u32 {
    match kind {
        MediaKind::Audio => edgerelay_proto::chunk::CSID_AUDIO,
        MediaKind::Video => edgerelay_proto::chunk::CSID_VIDEO,
        MediaKind::Data => edgerelay_proto::chunk::CSID_DATA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::{Checksums, Reading, read};
    use crate::pattern::Pattern;

    #[test]
    fn messages_are_numbered_stamped_and_in_time() {
        let templates = Rc::new(Templates::new(Pattern::default()));
        let mut source = Source::synthetic(templates, 9);
        assert!(source.is_at_keyframe());
        for sequence in 0..200 {
            let at = source.next_at();
            let now = Instant::from_millis(1_000) + at;
            let message = source.take(now);
            assert_eq!(u128::from(message.timestamp), at.as_millis());
            let mark = Mark { stream: 9, sequence, stamp: now };
            assert_eq!(read(&message.payload, Checksums::Verified), Reading::Whole(mark));
        }
    }
}
