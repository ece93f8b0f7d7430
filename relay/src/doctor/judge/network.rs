//! The kernel's network: congestion control, its settings, and which cores serve the cards.

use std::collections::BTreeSet;

use super::super::finding::{Check, Finding, Level};
use super::super::machine::{Card, Machine};
use super::super::sysctl::{self, Sysctl, Wanted};
use crate::config::Config;

/// Those that keep their rate when a path loses a little.
const STEADY: [&str; 3] = ["bbr", "bbr2", "bbr3"];
/// What kernels choose by themselves.
const USUAL: &str = "cubic";

const CHOOSE: &str = "printf 'net.core.default_qdisc=fq\\nnet.ipv4.tcp_congestion_control=bbr\\n' > \
                      /etc/sysctl.d/40-bbr.conf && sysctl -p /etc/sysctl.d/40-bbr.conf";

pub(super) fn congestion(machine: &Machine) -> Option<Finding> {
    const CHECK: Check = Check::Congestion;
    let congestion = machine.congestion.as_ref()?;
    let chosen = &*congestion.chosen;
    if STEADY.contains(&chosen) {
        return Some(CHECK.ok(chosen));
    }
    let is_there = congestion.available.iter().any(|it| STEADY.contains(&&**it));
    let mend = match is_there {
        true => CHOOSE.to_owned(),
        false => format!("modprobe tcp_bbr && {CHOOSE}"),
    };
    Some(if chosen == USUAL {
        let what = "cubic: over long or lossy paths bbr keeps its rate where cubic falls back; for all \
                    services of this machine";
        CHECK.finds(Level::Hint, what, mend)
    } else {
        let what = format!("{chosen}: falls back at every loss, and comes back slowly");
        CHECK.finds(Level::Warning, what, mend)
    })
}

pub(super) fn sysctls(machine: &Machine) -> Vec<Finding> {
    const CHECK: Check = Check::Sysctl;
    let found: Vec<_> = sysctl::WANTED
        .iter()
        .filter_map(|wanted| {
            let value = machine.sysctls.get(wanted.name)?;
            (!wanted.wanted.holds(value)).then(|| deviation(machine, wanted, value))
        })
        .collect();
    if found.is_empty() && !machine.sysctls.is_empty() {
        return vec![CHECK.ok("as the relay wants them")];
    }
    found
}

fn deviation(machine: &Machine, wanted: &Sysctl, value: &str) -> Finding {
    let Sysctl { name, wanted, level, otherwise } = wanted;
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let better = wanted.value(&value);
    let what = format!("{name} = {value}, {better} would be right: {otherwise}");
    let is_packed = !matches!(wanted, Wanted::LastAtLeast(_));
    let mend = match machine.has_service && is_packed {
        true => format!("sysctl -p {}", sysctl::FILE),
        false => format!("sysctl -w {name}=\"{better}\""),
    };
    Check::Sysctl.finds(*level, what, mend)
}

/// Cards that interrupt one core while shards run on others.
pub(super) fn interrupts(machine: &Machine, config: &Config) -> Vec<Finding> {
    const CHECK: Check = Check::Interrupts;
    let shards = match config.node.shards {
        0 => machine.cores,
        count => count,
    };
    if machine.cards.is_empty() {
        return Vec::new();
    }
    if shards < 2 || machine.cores < 2 {
        return vec![CHECK.ok("there is one shard, and nothing to spread")];
    }
    let found: Vec<_> =
        machine.cards.iter().filter_map(|card| crowded(card, machine.cores)).collect();
    if found.is_empty() {
        return vec![CHECK.ok("what cards receive is spread over cores")];
    }
    found
}

fn crowded(card: &Card, cores: usize) -> Option<Finding> {
    const CHECK: Check = Check::Interrupts;
    let Card { name, receive_queues, interrupted, has_rps } = card;
    if *has_rps {
        return None;
    }
    if *receive_queues > 1 {
        let core = interrupted.first().filter(|_| interrupted.len() == 1)?;
        let what = format!(
            "all interrupts of {name} go to core {core}, though it has {receive_queues} queues"
        );
        let mend = "apt install irqbalance && systemctl enable --now irqbalance";
        return Some(CHECK.finds(Level::Warning, what, mend));
    }
    let what = format!("{name} has one receive queue: one core takes all that comes in");
    let mask = mask(&(0..cores).collect());
    let mend = format!("echo {mask} > /sys/class/net/{name}/queues/rx-0/rps_cpus");
    Some(CHECK.finds(Level::Hint, what, mend))
}

/// Cores as the kernel reads a mask: hexadecimal, in groups of 32 bits, the highest first.
fn mask(cores: &BTreeSet<usize>) -> String {
    let groups = cores.last().map_or(1, |last| last / 32 + 1);
    let bits = |group: usize| {
        let inside = cores.iter().filter(|core| **core / 32 == group);
        inside.fold(0_u32, |bits, core| bits | 1 << (core % 32))
    };
    let highest = format!("{:x}", bits(groups - 1));
    let rest = (0..groups - 1).rev().map(|group| format!(",{:08x}", bits(group)));
    std::iter::once(highest).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_written_as_the_kernel_reads_it() {
        assert_eq!(mask(&(0..2).collect()), "3");
        assert_eq!(mask(&(0..32).collect()), "ffffffff");
        assert_eq!(mask(&(0..36).collect()), "f,ffffffff");
        assert_eq!(mask(&[0, 33, 64].into()), "1,00000002,00000001");
    }
}
