//! How long fewer workers have been enough, by what was seen and not by what a clock claims.

use std::time::Duration;

/// A time in which fewer workers were enough at every look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cooldown {
    lull: Option<Lull>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Lull {
    lasted: Duration,
    /// The most workers that were wanted within it.
    most: usize,
}

impl Cooldown {
    /// As many as there are were needed, or it is not known.
    pub(super) fn interrupt(&mut self) {
        self.lull = None;
    }

    /// `wanted` would be enough now, and `elapsed` has passed since the look before. Returns what
    /// was enough all the time and for how long.
    pub(super) fn extend(&mut self, wanted: usize, elapsed: Duration) -> (usize, Duration) {
        let lull = match self.lull.take() {
            // What was before this look is not known to have been quiet.
            None => Lull { lasted: Duration::ZERO, most: wanted },
            Some(lull) => {
                Lull { lasted: lull.lasted.saturating_add(elapsed), most: lull.most.max(wanted) }
            }
        };
        let facts = (lull.most, lull.lasted);
        self.lull = Some(lull);
        facts
    }
}
