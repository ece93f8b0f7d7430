//! systemd's end of the socket that a service tells its state on.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

/// The listening end.
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    folder: TempDir,
}

impl NotifySocket {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self { socket, folder }
    }

    /// What `NOTIFY_SOCKET` is for the service.
    pub(crate) fn address(&self) -> String {
        self.folder.path().join("notify").to_string_lossy().into_owned()
    }

    /// The next message that has a line beginning so.
    #[track_caller]
    pub(crate) fn hear(&self, wanted: &str) -> String {
        loop {
            let told = self.next().unwrap_or_else(|| panic!("{wanted} was never told"));
            if told.lines().any(|line| line.starts_with(wanted)) {
                return told;
            }
        }
    }

    /// All that was told and not heard yet.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a socket");
        std::iter::from_fn(|| self.next()).collect()
    }

    fn next(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }
}
