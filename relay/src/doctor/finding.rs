//! What is said of a machine. No judgement of its own.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It would be better otherwise, and works.
    Hint,
    /// Under load, or sooner or later, something will be missing.
    Warning,
    /// The relay does not start, or cannot do its work.
    Error,
}

impl Level {
    /// As it is written.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The configuration itself.
    Configuration,
    /// The kernel's version.
    Kernel,
    /// Whether rings can be had, and all operations on them.
    IoUring,
    /// The kernel's description of its types, for its accounting.
    Btf,
    /// The unified hierarchy, for the same.
    Cgroup2,
    /// How many descriptors the relay may have.
    Nofile,
    /// How much memory it may lock.
    Memlock,
    /// How the kernel paces what is sent.
    Congestion,
    /// Other settings of the kernel's network.
    Sysctl,
    /// Which cores a network card interrupts.
    Interrupts,
    /// Whether the time is right, and cheap to ask for.
    Clock,
    /// Who has the ports that the relay is to listen on.
    Listen,
    /// Where the relay writes.
    Storage,
}

impl Check {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::Configuration,
        Self::Kernel,
        Self::IoUring,
        Self::Btf,
        Self::Cgroup2,
        Self::Nofile,
        Self::Memlock,
        Self::Congestion,
        Self::Sysctl,
        Self::Interrupts,
        Self::Clock,
        Self::Listen,
        Self::Storage,
    ];

    /// As it is written.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Kernel => "kernel",
            Self::IoUring => "io_uring",
            Self::Btf => "btf",
            Self::Cgroup2 => "cgroup2",
            Self::Nofile => "nofile",
            Self::Memlock => "memlock",
            Self::Congestion => "congestion",
            Self::Sysctl => "sysctl",
            Self::Interrupts => "interrupts",
            Self::Clock => "clock",
            Self::Listen => "listen",
            Self::Storage => "storage",
        }
    }

    pub(super) fn ok(self, what: impl Into<String>) -> Finding {
        Finding { check: self, level: Level::Ok, what: what.into(), mend: None }
    }

    pub(super) fn finds(
        self,
        level: Level,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Finding {
        Finding { check: self, level, what: what.into(), mend: Some(mend.into()) }
    }
}

/// One thing that is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub level: Level,
    /// What is so.
    pub what: String,
    /// The command that mends it. None where all is well.
    pub mend: Option<String>,
}

/// All that is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst level found.
    pub worst: Level,
    /// The process of the node that runs on the configured ports, if one does: its limits were looked at.
    pub node: Option<u32>,
    /// What was found, in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>, node: Option<u32>) -> Self {
        findings.sort_by_key(|finding| finding.check);
        let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        Self { worst, node, findings }
    }

    /// How many findings are of this level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_lists_every_check_and_no_other() {
        let book = include_str!("../../../docs/doctor.md");
        let rows = book.lines().filter_map(|line| line.strip_prefix("| `"));
        let listed: Vec<&str> = rows.filter_map(|row| Some(row.split_once('`')?.0)).collect();
        assert_eq!(listed, Check::ALL.map(Check::label));
    }

    #[test]
    fn the_api_writes_what_people_read() {
        for check in Check::ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.label());
        }
        for level in [Level::Ok, Level::Hint, Level::Warning, Level::Error] {
            assert_eq!(serde_json::to_value(level).unwrap(), level.label());
        }
    }

    #[test]
    fn a_report_is_in_order_and_as_bad_as_its_worst_finding() {
        let findings = vec![
            Check::Storage.finds(Level::Warning, "full", "empty it"),
            Check::Kernel.ok("Linux"),
            Check::Clock.finds(Level::Hint, "late", "wait"),
        ];
        let report = Report::new(findings, None);
        let order: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
        assert_eq!(order, [Check::Kernel, Check::Clock, Check::Storage]);
        assert_eq!(report.worst, Level::Warning);
        assert_eq!(report.count(Level::Hint), 1);
        assert_eq!(Report::new(Vec::new(), None).worst, Level::Ok);
    }
}
