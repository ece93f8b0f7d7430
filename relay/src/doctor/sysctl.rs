//! What the kernel's network should be set to, and why.
//!
//! The file of the package sets those of them that hurt nobody; a test compares it with this list.

use super::finding::Level;

/// Where the package has its settings.
pub(super) const FILE: &str = "/usr/lib/sysctl.d/30-edgerelay.conf";

/// A setting that is looked at.
pub(super) struct Sysctl {
    pub(super) name: &'static str,
    pub(super) wanted: Wanted,
    /// How bad it is otherwise.
    pub(super) level: Level,
    /// What happens then.
    pub(super) otherwise: &'static str,
}

/// What a setting should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// In the package's file, and at least this.
    AtLeast(u64),
    /// In the package's file, and exactly this.
    Exactly(u64),
    /// Not in the file: the last of three values, at least this.
    LastAtLeast(u64),
}

impl Wanted {
    /// Whether `value` is as it should be. One that cannot be read is.
    pub(super) fn holds(self, value: &str) -> bool {
        let mut numbers = value.split_whitespace().map(str::parse::<u64>);
        match self {
            Self::AtLeast(least) => numbers.next().is_none_or(|it| it.is_ok_and(|it| it >= least)),
            Self::Exactly(only) => numbers.next().is_none_or(|it| it == Ok(only)),
            Self::LastAtLeast(least) => {
                numbers.next_back().is_none_or(|it| it.is_ok_and(|it| it >= least))
            }
        }
    }

    /// What to set it to, where it is `value`.
    pub(super) fn value(self, value: &str) -> String {
        match self {
            Self::AtLeast(number) | Self::Exactly(number) => number.to_string(),
            Self::LastAtLeast(number) => {
                let mut words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
                words.pop();
                words.push(number.to_string());
                words.join(" ")
            }
        }
    }
}

/// What three values of the kernel's network bound: what one connection may hold. 50 Mbit/s over 300 ms
/// are 1.9 MB under way; of a receiver's buffer half is offered, and of a sender's about half is data.
const BUFFER_BYTES: u64 = 4 << 20;

/// All that is looked at.
pub(super) const WANTED: [Sysctl; 6] = [
    Sysctl {
        name: "net.core.somaxconn",
        wanted: Wanted::AtLeast(4096),
        level: Level::Warning,
        otherwise: "connections are lost when many come at once",
    },
    Sysctl {
        name: "net.ipv4.tcp_max_syn_backlog",
        wanted: Wanted::AtLeast(4096),
        level: Level::Hint,
        otherwise: "handshakes go by SYN cookies when many come at once",
    },
    Sysctl {
        name: "net.ipv4.tcp_slow_start_after_idle",
        wanted: Wanted::Exactly(0),
        level: Level::Hint,
        otherwise: "streams start slowly again after each pause",
    },
    Sysctl {
        name: "net.ipv4.tcp_mtu_probing",
        wanted: Wanted::AtLeast(1),
        level: Level::Hint,
        otherwise: "connections hang where a tunnel swallows large packets",
    },
    Sysctl {
        name: "net.ipv4.tcp_rmem",
        wanted: Wanted::LastAtLeast(BUFFER_BYTES),
        level: Level::Hint,
        otherwise: "fast publishers from far away are held back",
    },
    Sysctl {
        name: "net.ipv4.tcp_wmem",
        wanted: Wanted::LastAtLeast(BUFFER_BYTES),
        level: Level::Hint,
        otherwise: "fast players far away are held back",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_sets_what_is_wanted_and_nothing_else() {
        let file = include_str!("../../../packaging/sysctl.d/30-edgerelay.conf");
        let set: Vec<_> = file
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_once(" = ").expect("NAME = VALUE"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let wanted: Vec<_> = WANTED
            .iter()
            .filter(|it| !matches!(it.wanted, Wanted::LastAtLeast(_)))
            .map(|it| (it.name.to_owned(), it.wanted.value("")))
            .collect();
        assert_eq!(set, wanted);
    }

    #[test]
    fn each_value_in_the_package_has_its_reason_above_it() {
        let file = include_str!("../../../packaging/sysctl.d/30-edgerelay.conf");
        let mut before = "";
        for line in file.lines() {
            assert!(line.starts_with('#') || line.is_empty() || before.starts_with('#'), "{line}");
            before = line;
        }
    }

    #[test]
    fn bounds_are_met_from_either_side() {
        let table = [
            (Wanted::AtLeast(4096), "4096", true),
            (Wanted::AtLeast(4096), "4095", false),
            (Wanted::AtLeast(1), "2", true),
            (Wanted::AtLeast(1), "many", false),
            (Wanted::Exactly(0), "0", true),
            (Wanted::Exactly(0), "1", false),
            (Wanted::LastAtLeast(100), "4 8 100", true),
            (Wanted::LastAtLeast(100), "4096 4096 99", false),
            (Wanted::AtLeast(1), "", true),
        ];
        for (wanted, value, holds) in table {
            assert_eq!(wanted.holds(value), holds, "{wanted:?} {value}");
        }
        assert_eq!(Wanted::LastAtLeast(100).value("4\t8\t9"), "4 8 100");
    }
}
