//! How far back a stream's log goes. Owns which frames nobody needs any more.

use edgerelay_proto::time::Instant;

use super::stream::Stream;
use super::subscriber::Position;

impl Stream {
    /// Drops what is too old, and what nobody needs.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.log.evict(now, &self.limits);
        self.forget_history(now);
        self.log.trim();
    }

    /// Drops the frames that neither a subscriber in the log nor a join needs: history is kept for
    /// the slow alone.
    pub(super) fn forget_history(&mut self, now: Instant) {
        let needed = self.subscribers.iter().filter(|(_, subscriber)| !subscriber.paused);
        let slowest = needed
            .filter_map(|(_, subscriber)| match subscriber.position() {
                Position::At(cursor) => Some(cursor),
                Position::Joining { .. } => None,
            })
            .min();
        let join = if !self.epoch.publishing {
            self.log.next()
        } else if self.epoch.has_video {
            self.log.newest_entry(self.epoch.start).unwrap_or(self.log.next())
        } else {
            self.recent(self.epoch.start)
        };
        let held = self.held.map_or(u64::MAX, |_| self.held_start(now).unwrap_or(u64::MAX));
        self.log.evict_before(join.min(slowest.unwrap_or(u64::MAX)).min(held));
    }
}
