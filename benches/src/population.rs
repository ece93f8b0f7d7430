//! How many connections there are, and what became of the others.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::measure::Group;

/// Distinct reasons that are kept.
const REASONS_MAX: usize = 32;

/// Connections of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Population {
    /// Attempts to connect.
    pub attempts: u64,
    /// There now: publishing, watching; for idle players, connected.
    pub present: u64,
    /// Attempts that failed before the server accepted.
    pub failed: u64,
    /// Connections that the far side ended, or that broke, after it had accepted.
    pub ended: u64,
    /// Connections that we ended.
    pub left: u64,
}

/// All connections.
#[derive(Clone, Debug, Default)]
pub struct Populations {
    /// Publishers.
    pub publishers: Population,
    players: [Population; Group::ALL.len()],
    /// Why attempts failed and connections ended, and how often.
    pub reasons: BTreeMap<String, u64>,
}

impl Populations {
    /// The players of a group.
    #[must_use]
    pub const fn players(&self, group: Group) -> &Population {
        &self.players[group as usize]
    }

    /// The connections of a kind, to count.
    pub const fn of_mut(&mut self, group: Option<Group>) -> &mut Population {
        match group {
            Some(group) => &mut self.players[group as usize],
            None => &mut self.publishers,
        }
    }

    /// Counts a reason.
    pub fn on_reason(&mut self, reason: String) {
        if let Some(count) = self.reasons.get_mut(&reason) {
            *count += 1;
        } else if self.reasons.len() < REASONS_MAX {
            self.reasons.insert(reason, 1);
        }
    }
}
