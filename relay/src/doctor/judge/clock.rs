//! The clock: whether it is right, and what it costs to look at it.

use super::super::finding::{Check, Finding, Level};
use super::super::machine::{Clock, Machine};

/// Sources that are read without a system call or a device.
const CHEAP: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];

pub(super) fn clock(machine: &Machine) -> Vec<Finding> {
    const CHECK: Check = Check::Clock;
    let Clock { is_synchronised, source, sources } = &machine.clock;
    let mut found = Vec::new();
    if *is_synchronised == Some(false) {
        found.push(CHECK.finds(
            Level::Hint,
            "nothing keeps the time right: logs and metrics of two machines will not fit together",
            "timedatectl set-ntp true",
        ));
    }
    if let Some(source) = source.as_deref().filter(|it| !CHEAP.contains(it)) {
        let better = CHEAP.into_iter().find(|cheap| sources.iter().any(|it| it == cheap));
        let mend = match better {
            Some(better) => format!(
                "echo {better} > /sys/devices/system/clocksource/clocksource0/current_clocksource"
            ),
            None => "dmesg | grep -i clocksource   # why there is no better one".to_owned(),
        };
        let what = format!("the clock is read from {source}, which is slow, and it is read often");
        found.push(CHECK.finds(Level::Warning, what, mend));
    }
    if found.is_empty() && source.is_some() {
        let kept = if *is_synchronised == Some(true) { "synchronised, " } else { "" };
        let source = source.as_deref().unwrap_or_default();
        found.push(CHECK.ok(format!("{kept}read from {source}")));
    }
    found
}
