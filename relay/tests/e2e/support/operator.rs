//! An operator at the control socket, or somebody who has no business there.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::relay::{BINARY, Settings};

/// How long a conversation may be silent.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A place for a control socket that everybody gets to, with a copy of the program.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Arguments by which `setpriv` becomes nobody, who is in no group but 4711.
pub(crate) const NOBODY_IN_4711: [&str; 7] =
    ["--reuid", "65534", "--regid", "65534", "--groups", "4711", "--no-new-privs"];
/// And nobody in no group.
pub(crate) const NOBODY: [&str; 6] =
    ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"];

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("ours");
        let program = folder.path().join("edgerelay");
        std::fs::copy(BINARY, &program).expect("copy the program");
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("ours");
        Self { folder }
    }

    /// One at which other users can be; `None`, loudly, where we cannot become them.
    pub(crate) fn for_others() -> Option<Self> {
        if rustix::process::geteuid().is_root() {
            return Some(Self::new());
        }
        // Not by the macro, whose output the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: only root can be another user");
        None
    }

    /// Where the socket is. Its folder is the relay's to make.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("run").join("control.sock")
    }

    /// Settings of a relay with this control socket.
    pub(crate) fn settings(&self) -> Settings {
        self.at(Settings::new())
    }

    /// `settings` with this control socket.
    pub(crate) fn at(&self, settings: Settings) -> Settings {
        settings.control(&format!("socket = \"{}\"", self.socket().display()))
    }

    /// The program, which is to ask at this socket.
    fn command(&self, mut command: Command, words: &[&str]) -> Outcome {
        command.args(words).arg("--socket").arg(self.socket());
        let Output { status, stdout, stderr } = command.output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Outcome { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        self.command(Command::new(BINARY), words)
    }

    /// Runs a command to its end as somebody else.
    pub(crate) fn run_as(&self, who: &[&str], words: &[&str]) -> Outcome {
        let mut command = Command::new("setpriv");
        command.args(who).arg(self.folder.path().join("edgerelay"));
        self.command(command, words)
    }

    /// What a command prints that succeeds.
    #[track_caller]
    pub(crate) fn answer(&self, words: &[&str]) -> String {
        let outcome = self.run(words);
        assert_eq!(outcome.code, Some(0), "{words:?}: {outcome:?}");
        outcome.out
    }
}

/// Sends `text` to the socket at `path`, and says what comes until the end.
pub(crate) fn talk(path: &Path, text: &str) -> String {
    let mut socket = UnixStream::connect(path).expect("somebody listens");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a time-out");
    socket.set_write_timeout(Some(TIMEOUT)).expect("a time-out");
    // What is refused may be refused before all of it is sent.
    let _ = socket.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
