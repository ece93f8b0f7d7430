//! What a connection is for: the label that connections are counted and listed by.

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientRole {
    /// Not yet known: handshaking or between commands.
    Idle,
    /// An encoder publishing to us.
    Publisher,
    /// A player.
    Player,
    /// Our own connection to an upstream.
    Push,
    /// Our own connection to an origin.
    Pull,
    /// Our own connection to a worker.
    Worker,
}

impl ClientRole {
    /// How many roles there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every role, in the order the metrics list them.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Publisher, Self::Player, Self::Push, Self::Pull, Self::Worker];

    /// The name in metrics and in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Publisher => "publish",
            Self::Player => "play",
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Worker => "worker",
        }
    }

    /// Whether the connection is one that we opened ourselves, so not somebody's client.
    #[must_use]
    pub const fn is_relay_leg(self) -> bool {
        matches!(self, Self::Push | Self::Pull | Self::Worker)
    }

    /// The position in [`ClientRole::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::ClientRole;

    #[test]
    fn each_role_stands_at_its_own_index() {
        for (position, role) in ClientRole::ALL.into_iter().enumerate() {
            assert_eq!(role.index(), position);
        }
    }
}
