//! Mount namespaces, so that one process can have a file of the system to itself.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

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
