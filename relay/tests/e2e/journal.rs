//! Logging to the journal, with a socket of ours in the journal's place.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::machine;
use crate::support::process::Process;
use crate::support::relay::{BINARY, Settings};

const LIMIT: Duration = Duration::from_secs(20);

/// Runs `$1 run --config $2` where the folder `$0` is that of the journal's socket. The path of that
/// is fixed, so it takes a view of the file system of the program's own.
const IN_ITS_OWN_VIEW: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                               mount --bind \"$0\" /run/systemd/journal && \
                               exec \"$1\" run --config \"$2\" --set log.format=journald";

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    command
}

/// Whether the datagram has the field, in the form with a length: name, eight bytes, value.
fn has_field(datagram: &[u8], name: &str, value: &str) -> bool {
    let length = u64::try_from(value.len()).expect("short").to_le_bytes();
    let field = [name.as_bytes(), b"\n", &length, value.as_bytes(), b"\n"].concat();
    datagram.windows(field.len()).any(|window| window == field)
}

#[test]
fn lines_reach_the_journal_with_their_fields() {
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: the journal, because we may not mount anything here");
        return;
    }
    let _machine = machine::shared();
    let folder = TempDir::new().expect("a temporary folder");
    let journal = UnixDatagram::bind(folder.path().join("socket")).expect("a socket");
    journal.set_read_timeout(Some(LIMIT)).expect("a socket");
    let file = folder.path().join("edgerelay.toml");
    std::fs::write(&file, Settings::new().text()).expect("write the configuration");
    let mut command = unshare();
    command.args(["sh", "-c", IN_ITS_OWN_VIEW]).arg(folder.path()).args([BINARY]).arg(&file);
    let relay = Process::start(&mut command);
    let next_line = |message| {
        let mut datagram = vec![0; 64 * 1024];
        loop {
            let len = journal.recv(&mut datagram).unwrap_or_else(|error| {
                panic!("{error}, waiting for {message:?}: {}", relay.stderr())
            });
            if has_field(&datagram[..len], "MESSAGE", message) {
                return datagram[..len].to_vec();
            }
        }
    };
    assert!(has_field(&next_line("RTMP listening"), "F_SHARDS", "2"));
    let ready = next_line("ready");
    assert!(has_field(&ready, "SYSLOG_IDENTIFIER", "edgerelay"));
    assert!(has_field(&ready, "TARGET", "edgerelay::supervisor"));
    assert_eq!(relay.stderr(), "", "nothing goes to standard error as well");
}
