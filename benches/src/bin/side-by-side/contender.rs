//! Who is measured, and how each is started: with defaults, but for what the comparison needs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::arguments::Arguments;
use super::process::{BOTH_CORES, Process, SERVER_CORE};
use super::scenario::{Load, Question, Scenario};

/// The merge windows that edgerelay is measured with. The longest is above what is allowed by
/// default.
const WINDOWS: [&str; 5] = ["0s", "33ms", "100ms", "350ms", "auto"];

/// Those that are measured on two shards too.
const ON_SHARDS: [&str; 2] = ["0s", "100ms"];

/// Those whose capacity is looked for.
const ON_CAPACITY: [&str; 2] = ["0s", "auto"];

/// The patterns of the floor, as the load generator names them, each with the merge window that
/// sends alike.
const PATTERNS: [(&str, &str); 4] =
    [("per-message", "0s"), ("per-frame", "33ms"), ("100ms", "100ms"), ("350ms", "350ms")];

/// A server under test.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Edgerelay { window: &'static str, shards: u32 },
    NginxRtmp,
    Xiu,
    NodeMediaServer,
    Floor { pattern: &'static str },
}

/// The name of the contender that others are compared with.
pub(crate) const REFERENCE: &str = "nginx-rtmp";

impl Contender {
    /// Everybody whose program is known.
    pub(crate) fn all(arguments: &Arguments) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |kind, program: &Path| all.push(Self { kind, program: program.into() });
        for window in WINDOWS {
            add(Kind::Edgerelay { window, shards: 1 }, &arguments.relay);
        }
        for window in ON_SHARDS {
            add(Kind::Edgerelay { window, shards: 2 }, &arguments.relay);
        }
        if let Some(program) = &arguments.nginx {
            add(Kind::NginxRtmp, program);
        }
        if let Some(program) = &arguments.xiu {
            add(Kind::Xiu, program);
        }
        if let Some(folder) = &arguments.node_media_server {
            add(Kind::NodeMediaServer, folder);
        }
        for (pattern, _) in PATTERNS {
            add(Kind::Floor { pattern }, &arguments.load);
        }
        all
    }

    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Edgerelay { window, shards: 1 } => format!("edgerelay {window}"),
            Kind::Edgerelay { window, shards } => format!("edgerelay {window}, {shards} shards"),
            Kind::NginxRtmp => REFERENCE.into(),
            Kind::Xiu => "xiu".into(),
            Kind::NodeMediaServer => "node-media-server".into(),
            Kind::Floor { pattern } => format!("floor {pattern}"),
        }
    }

    /// The floor that sends as this one does.
    pub(crate) fn floor(&self) -> Option<String> {
        let Kind::Edgerelay { window, .. } = &self.kind else { return None };
        let (pattern, _) = PATTERNS.iter().find(|(_, of)| of == window)?;
        Some(format!("floor {pattern}"))
    }

    /// The same on one shard, for one that is on more.
    pub(crate) fn one_shard(&self) -> Option<String> {
        match self.kind {
            Kind::Edgerelay { window, shards: 2.. } => Some(format!("edgerelay {window}")),
            _ => None,
        }
    }

    /// Whether it is asked the scenario's question, and can do what that takes.
    pub(crate) fn takes_part(&self, scenario: &Scenario) -> bool {
        match (scenario.question, &self.kind) {
            (Question::Cost, Kind::Edgerelay { shards, .. }) => *shards == 1,
            (Question::Cost, _) => self.can_take(scenario),
            (Question::Capacity(_), Kind::Edgerelay { window, shards }) => {
                *shards == 1 && ON_CAPACITY.contains(window)
            }
            (Question::Capacity(_), Kind::NginxRtmp) => true,
            (Question::Shards, Kind::Edgerelay { window, .. }) => ON_SHARDS.contains(window),
            (Question::Capacity(_) | Question::Shards, _) => false,
        }
    }

    fn can_take(&self, scenario: &Scenario) -> bool {
        match (&self.kind, scenario.load) {
            // The floor sends one stream, and knows no joining.
            (Kind::Floor { .. }, Load::Play { streams, .. }) => streams == 1,
            (Kind::Floor { .. }, _) => false,
            // Pushing is set up in another way there, or not to be had.
            (Kind::Xiu | Kind::NodeMediaServer, Load::Push { .. }) => false,
            _ => true,
        }
    }

    /// Whether it makes the stream itself, so that nobody publishes.
    pub(crate) const fn publishes(&self) -> bool {
        matches!(self.kind, Kind::Floor { .. })
    }

    /// Starts it on its core and waits until it listens.
    pub(crate) fn start(
        &self,
        scenario: &Scenario,
        address: SocketAddr,
        sink: SocketAddr,
        folder: &Path,
    ) -> Result<Process> {
        let pushes = matches!(scenario.load, Load::Push { .. });
        let mut command = match &self.kind {
            Kind::Edgerelay { window, shards } => {
                let text = edgerelay_config(window, *shards, address, pushes.then_some(sink));
                let path = write(folder, "edgerelay.toml", &text)?;
                let mut command = Command::new(&self.program);
                command.args(["run", "--config"]).arg(path);
                command
            }
            Kind::NginxRtmp => {
                let text = nginx_config(address, pushes.then_some(sink));
                write(folder, "nginx.conf", &text)?;
                let mut command = Command::new(&self.program);
                command.arg("-p").arg(folder).args(["-e", "stderr", "-c", "nginx.conf"]);
                command
            }
            Kind::Xiu => {
                let path = write(folder, "xiu.toml", &xiu_config(address))?;
                let mut command = Command::new(&self.program);
                command.arg("-c").arg(path);
                command
            }
            Kind::NodeMediaServer => {
                let script = write(folder, "server.js", &node_script(&self.program, address))?;
                let mut command = Command::new("node");
                command.arg(script);
                command
            }
            Kind::Floor { pattern } => {
                let mut command = Command::new(&self.program);
                command.args(["floor", "--listen", &address.to_string(), "--pattern", pattern]);
                command.args(scenario.pattern());
                command
            }
        };
        command.current_dir(folder);
        let cores = match self.kind {
            Kind::Edgerelay { shards: 2.., .. } => BOTH_CORES.to_owned(),
            _ => SERVER_CORE.to_string(),
        };
        let mut process = Process::server(&command, &cores, &folder.join("server.log"))?;
        let log = || fs::read_to_string(folder.join("server.log")).unwrap_or_default();
        process.wait_for_port(address).with_context(log)?;
        Ok(process)
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn edgerelay_config(
    window: &str,
    shards: u32,
    address: SocketAddr,
    push: Option<SocketAddr>,
) -> String {
    let longest = if window == "350ms" { "350ms" } else { "100ms" };
    let push = push.map(|sink| format!("[[app.push]]\nurl = \"rtmp://{sink}/live/{{name}}\"\n"));
    format!(
        "[node]\nshards = {shards}\n\
         [rtmp]\nlisten = [\"{address}\"]\nmerge_window = \"{window}\"\n\
         merge_window_max = \"{longest}\"\n\
         connections_max = 20000\nconnections_per_ip_max = 20000\nplay_wait_timeout = \"0s\"\n\
         [http]\nlisten = []\n\
         [[app]]\nname = \"live\"\n{}",
        push.unwrap_or_default()
    )
}

fn nginx_config(address: SocketAddr, push: Option<SocketAddr>) -> String {
    let push = push.map(|sink| format!("push rtmp://{sink}/live; ")).unwrap_or_default();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         user root; daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;\n\
         worker_rlimit_nofile 20000;\n\
         events {{ worker_connections 20000; }}\n\
         rtmp {{ access_log off; server {{ listen {address}; \
         application live {{ live on; {push}}} }} }}\n"
    )
}

fn xiu_config(address: SocketAddr) -> String {
    format!(
        "[rtmp]\nenabled = true\nport = {}\ngop_num = 1\n\
         [rtsp]\nenabled = false\nport = 0\n[webrtc]\nenabled = false\nport = 0\n\
         [httpflv]\nenabled = false\nport = 0\n[hls]\nenabled = false\nport = 0\n\
         need_record = false\n[log]\nlevel = \"error\"\n",
        address.port()
    )
}

fn node_script(folder: &Path, address: SocketAddr) -> String {
    let module = folder.join("node_modules/node-media-server");
    format!(
        "const Server = require({:?});\n\
         new Server({{ bind: \"{}\", notify: {{ url: \"\" }}, store: {{ path: \"./data\" }},\n\
         auth: {{ play: false, publish: false, secret: \"\", jwt: {{ users: [] }} }},\n\
         rtmp: {{ port: {} }}, http: {{ port: 8000 }}, webadmin: {{ enable: false }},\n\
         record: {{ auto: false, path: \"./record\" }} }}).run();\n",
        module.display().to_string(),
        address.ip(),
        address.port()
    )
}
