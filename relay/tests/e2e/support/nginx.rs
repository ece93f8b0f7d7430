//! nginx with its RTMP module: the far side of pushes and pulls.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::eventually::eventually;
use super::frames::Frames;
use super::media::frames_of_file;
use super::ports::free_address;
use super::process::Process;

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running nginx-rtmp with the application `live`.
pub(crate) struct Nginx {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        Self::start_on(free_address())
    }

    /// Starts it on `address`.
    pub(crate) fn start_on(address: SocketAddr) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let configuration = format!(
            "load_module {MODULE};\n\
             daemon off; master_process off; worker_processes 1;\n\
             pid nginx.pid; error_log stderr notice;\n\
             events {{ worker_connections 256; }}\n\
             rtmp {{ server {{ listen {address}; chunk_size 4096; max_message 8M;\n\
             application live {{ live on; wait_key off; publish_notify on;\n\
             record all; record_path {}; record_unique on; record_max_size 64M; }} }} }}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("nginx.conf"), configuration).expect("write nginx.conf");
        let mut process = Self::spawn(&folder);
        eventually("nginx to listen", START_LIMIT, || {
            assert!(process.ended().is_none(), "nginx ended: {}", process.stderr());
            TcpStream::connect(address).ok()
        });
        Self { process, address, folder }
    }

    fn spawn(folder: &TempDir) -> Process {
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
        Process::start(&mut command)
    }

    /// The streams called `name` that it recorded, in the order in which they came.
    pub(crate) fn recordings(&self, name: &str) -> Vec<Frames> {
        let entries = std::fs::read_dir(self.folder.path()).expect("its folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        // NAME-SECONDS.flv
        let is_of = |file: &String| {
            file.rsplit_once('-').is_some_and(|(of, rest)| of == name && rest.ends_with(".flv"))
        };
        let mut names: Vec<String> = names.filter(is_of).collect();
        names.sort_unstable();
        names.iter().map(|name| frames_of_file(&self.folder.path().join(name))).collect()
    }

    /// How many publications it has recorded, so far.
    pub(crate) fn accepted(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).expect("its folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".flv")).count()
    }

    /// The URL of its application.
    pub(crate) fn base(&self) -> String {
        format!("rtmp://{}/live", self.address)
    }

    /// The URL of a stream of its application.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn crash(mut self) -> SocketAddr {
        self.process.signal(Signal::KILL);
        self.process.wait(START_LIMIT);
        self.folder.close().expect("remove the folder");
        self.address
    }
}
