//! Frames kept for a subscriber that is expected and not there yet: a worker that still starts. Owns
//! which; how a subscriber goes on from there is [`egress`](super::egress)'s.

use edgerelay_proto::time::Instant;

use super::stream::Stream;

impl Stream {
    /// Keeps frames for a subscriber that is expected, from the last keyframe on or, in a publication
    /// that begins, from its first: for
    /// [`SubscribeFrom::Held`](super::subscriber::SubscribeFrom::Held). What lags is not kept for it.
    pub fn hold(&mut self) {
        let start = self.epoch.start;
        let from = if self.epoch.has_video {
            self.log.newest_entry(start).unwrap_or(self.log.next())
        } else {
            self.recent(start)
        };
        self.held = Some(from);
    }

    /// Nobody is expected any more.
    pub fn release_hold(&mut self) {
        self.held = None;
    }

    /// Where the subscriber that is expected would start now.
    pub(super) fn held_start(&self, now: Instant) -> Option<u64> {
        let held = self.held.filter(|_| self.epoch.publishing)?.max(self.log.first());
        if self.epoch.starts_at_keyframes(now) {
            self.log.first_entry(held, |entry| !self.lags(now, entry))
        } else {
            let lagging = self.log.range(held..self.log.next());
            let lagging = lagging.take_while(|frame| self.lags_behind(now, frame)).count();
            Some(held + lagging as u64).filter(|start| self.log.frame(*start).is_some())
        }
    }
}
