//! Disks: whether the relay can write where it writes.

use super::super::finding::{Check, Finding, Level};
use super::super::machine::{Access, Machine, Need, Place};

/// Below this, in hundredths, a file system is nearly full.
const FREE_PERCENT_MIN: u64 = 5;

pub(super) fn storage(machine: &Machine) -> Vec<Finding> {
    let found: Vec<_> = machine.places.iter().filter_map(|it| trouble(machine, it)).collect();
    if found.is_empty() && !machine.places.is_empty() {
        return vec![Check::Storage.ok("there is room where the relay writes")];
    }
    found
}

fn trouble(machine: &Machine, place: &Place) -> Option<Finding> {
    const CHECK: Check = Check::Storage;
    let Place { what, folder, need, access, free_percent } = place;
    let bad = match need {
        Need::Must => Level::Error,
        Need::Would => Level::Warning,
    };
    let shown = folder.display();
    let write = |why: &str| format!("{what}: {shown} cannot be written to: {why}");
    match access {
        Access::ReadOnly => Some(CHECK.finds(
            bad,
            write("its file system is read-only"),
            format!("mount -o remount,rw $(findmnt -no TARGET --target {shown})"),
        )),
        // Nobody's right is not the relay's.
        Access::Denied => Some(CHECK.finds(
            if machine.node.is_some() || machine.has_service { Level::Hint } else { bad },
            write("this user has no right to"),
            format!("ls -ld {shown}   # the user that the relay runs as must own it"),
        )),
        Access::Failed(error) => Some(CHECK.finds(bad, write(error), format!("ls -ld {shown}"))),
        Access::Granted => {
            let free = (*free_percent)?;
            let (level, how) = match free {
                0 => (bad, "is full".to_owned()),
                few if few < FREE_PERCENT_MIN => {
                    (Level::Warning, format!("has {few} % of its room left"))
                }
                _ => return None,
            };
            let what = format!("{what}: the file system of {shown} {how}");
            Some(CHECK.finds(level, what, format!("du -xh --max-depth=1 {shown} | sort -h")))
        }
    }
}
