//! Ports: whether the relay gets those that it is to listen on.

use super::super::finding::{Check, Finding, Level};
use super::super::machine::{Holder, Listening, Machine, Trial};

/// The setting by which workers listen, for which a node starts all the same.
pub(in crate::doctor) const WORKERS: &str = "workers.listen";

pub(super) fn listening(machine: &Machine) -> Vec<Finding> {
    const CHECK: Check = Check::Listen;
    let found: Vec<_> = machine.addresses.iter().filter_map(|it| conflict(machine, it)).collect();
    if !found.is_empty() || machine.addresses.is_empty() {
        return found;
    }
    vec![match machine.node {
        Some(pid) => CHECK.ok(format!("the running node ({pid}) has its ports")),
        None => CHECK.ok("all ports can be had"),
    }]
}

fn conflict(machine: &Machine, listening: &Listening) -> Option<Finding> {
    const CHECK: Check = Check::Listen;
    let Listening { setting, address, trial, holders } = listening;
    let bad = if *setting == WORKERS { Level::Warning } else { Level::Error };
    let port = address.port();
    let permit = || {
        "install -D -m 644 /usr/share/doc/edgerelay/examples/port-below-1024.conf \
         /etc/systemd/system/edgerelay.service.d/port.conf && systemctl daemon-reload"
    };
    match trial {
        Trial::Free if port < machine.unprivileged_port && machine.is_root => Some(CHECK.finds(
            Level::Hint,
            format!("{setting} {address}: root may listen there, the service may not"),
            permit(),
        )),
        Trial::Free => None,
        Trial::Held if !holders.is_empty() && holders.iter().all(Holder::is_ours) => None,
        Trial::Held => {
            let mend = match holders.iter().find(|holder| !holder.is_ours()) {
                Some(Holder { pid, .. }) => {
                    format!(
                        "systemctl status {pid}   # what it belongs to: stop that, or change {setting}"
                    )
                }
                None => format!("sudo ss -Hltnp sport = :{port}   # who it is"),
            };
            let who = who(holders, machine.is_root);
            Some(CHECK.finds(bad, format!("{setting} {address} is taken by {who}"), mend))
        }
        Trial::NotPermitted => {
            let what = format!("{setting} {address}: ports below 1024 need CAP_NET_BIND_SERVICE");
            Some(CHECK.finds(bad, what, permit()))
        }
        Trial::NotHere => {
            let what = format!("{setting} {address}: no interface has this address");
            Some(CHECK.finds(bad, what, "ip -brief address"))
        }
        Trial::Failed(error) => {
            let what = format!("{setting} {address}: {error}");
            Some(CHECK.finds(bad, what, "ip -brief address"))
        }
    }
}

fn who(holders: &[Holder], is_root: bool) -> String {
    let mut names: Vec<_> =
        holders.iter().map(|Holder { pid, name }| format!("{name} ({pid})")).collect();
    if names.is_empty() {
        return match is_root {
            true => "another process, which cannot be seen from here".to_owned(),
            false => "another process; root is told which".to_owned(),
        };
    }
    names.truncate(4);
    names.join(", ")
}
