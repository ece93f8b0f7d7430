//! Namespaces: of mounts, so that one process can have a file of the system to itself, and of the
//! network, so that a test has a loopback of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::eventually::eventually;
use super::process::Process;

const LIMIT: Duration = Duration::from_secs(10);

/// Arguments of `unshare` that make a mount namespace here.
pub(crate) type Namespaces = &'static [&'static str];

/// What `unshare` must be told, as root and as anybody else. `None`, loudly, where the machine does
/// not let us.
pub(crate) fn mounts() -> Option<Namespaces> {
    const WAYS: [Namespaces; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let found = WAYS.into_iter().find(|way| {
        let mut probe = program_with_file(way, Path::new("/etc/hosts"), "/etc/hosts", "true");
        let quiet = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        // Not by the macro, whose output the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no mount namespace may be made here");
    }
    found
}

/// Runs `program`, to which arguments can be added, with `file` in the place of `instead_of`.
pub(crate) fn program_with_file(
    namespaces: Namespaces,
    file: &Path,
    instead_of: &str,
    program: impl AsRef<OsStr>,
) -> Command {
    const SCRIPT: &str = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", SCRIPT, "sh"]).arg(file).arg(instead_of);
    command.arg(program);
    command
}

/// Runs `test` in a network of its own, where nothing but the loopback is. Not at all, loudly, where
/// the machine does not let us.
pub(crate) fn in_own_network(test: impl FnOnce() + Send) {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"]);
    let mut holder = Process::start(&mut command);
    let made = eventually("a network", LIMIT, || match holder.ended() {
        Some(_) => Some(false),
        None => (holder.stdout() == "up\n").then_some(true),
    });
    if !made {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no network namespace may be made here");
        return;
    }
    let network = File::open(format!("/proc/{}/ns/net", holder.id())).expect("a namespace");
    thread::scope(|scope| {
        // What this thread starts, threads and processes, is in the namespace with it.
        let within = scope.spawn(|| {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).expect("we made it");
            test();
        });
        if let Err(panic) = within.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Takes the loopback of this thread's network down, where everything that is sent is lost, or up.
pub(crate) fn set_loopback(state: &str) {
    let mut command = Command::new("ip");
    let status = command.args(["link", "set", "lo", state]).status().expect("ip runs");
    assert!(status.success(), "the loopback goes {state}");
}

/// Segments that were sent again by the open sockets at `port` of this thread's network, as `ss` says.
pub(crate) fn segments_sent_again(port: u16) -> u64 {
    let mut command = Command::new("ss");
    let output = command.args(["-tinHO", "sport", "=", &format!(":{port}")]).output();
    let shown = String::from_utf8(output.expect("ss runs").stdout).expect("text");
    let counts = shown.split_whitespace().filter_map(|word| word.strip_prefix("retrans:"));
    counts.filter_map(|count| count.split_once('/')?.1.parse::<u64>().ok()).sum()
}
