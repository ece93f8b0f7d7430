//! Network cards: their receive queues, and the cores that these interrupt.

use std::collections::BTreeSet;
use std::fs;

use super::Files;
use crate::doctor::machine::Card;

/// Cards that are a device and not down.
pub(super) fn read(files: &Files<'_>) -> Vec<Card> {
    let names = files.names("sys/class/net").into_iter();
    names.filter_map(|name| card(files, name)).collect()
}

fn card(files: &Files<'_>, name: String) -> Option<Card> {
    let folder = format!("sys/class/net/{name}");
    let is_device = files.path(&format!("{folder}/device")).exists();
    let state = files.text(&format!("{folder}/operstate"));
    if !is_device || state.as_deref() == Some("down") {
        return None;
    }
    let queues = files.names(&format!("{folder}/queues")).into_iter();
    let queues: Vec<_> = queues.filter(|queue| queue.starts_with("rx-")).collect();
    let has_rps = queues.iter().any(|queue| {
        let mask = files.text(&format!("{folder}/queues/{queue}/rps_cpus")).unwrap_or_default();
        mask.chars().any(|digit| !matches!(digit, '0' | ','))
    });
    let affinities = interrupts(files, &name).into_iter().filter_map(|interrupt| {
        let folder = format!("proc/irq/{interrupt}");
        let effective = files.text(&format!("{folder}/effective_affinity_list"));
        let allowed = || files.text(&format!("{folder}/smp_affinity_list"));
        effective.filter(|list| !list.is_empty()).or_else(allowed)
    });
    let interrupted = affinities.flat_map(|list| core_list(&list)).collect();
    Some(Card { name, receive_queues: queues.len(), interrupted, has_rps })
}

/// The numbers of a card's interrupts. A virtual card's belong to the device that it is behind.
fn interrupts(files: &Files<'_>, card: &str) -> Vec<String> {
    let Ok(device) = fs::canonicalize(files.path(&format!("sys/class/net/{card}/device"))) else {
        return Vec::new();
    };
    let folders = [Some(&*device), device.parent()].into_iter().flatten();
    let of = |folder: &std::path::Path| -> Vec<String> {
        let entries = fs::read_dir(folder.join("msi_irqs")).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    };
    folders.map(of).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Reads `0-3,8`.
fn core_list(list: &str) -> BTreeSet<usize> {
    let ranges = list.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    });
    // No machine has more; a list that says so is none.
    ranges.filter(|range| *range.end() < 1 << 16).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_as_the_kernel_writes_them() {
        assert_eq!(core_list("0"), [0].into());
        assert_eq!(core_list("0-2,8,10-11"), [0, 1, 2, 8, 10, 11].into());
        assert_eq!(core_list(""), BTreeSet::new());
        assert_eq!(core_list("0-99999999999"), BTreeSet::new());
    }
}
