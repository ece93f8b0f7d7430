//! Who is measured, and how each is started: with defaults, but for what the comparison needs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::accounting::{self, Counting};
use super::arguments::Arguments;
use super::process::{BOTH_CORES, Process, SERVER_CORE};
use super::scenario::{Guests, Load, Question, Scenario};
use super::version;

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
    Edgerelay {
        window: &'static str,
        shards: u32,
    },
    /// edgerelay on one shard that serves HTTP, with kernel accounting or without.
    Accounting(Accounts),
    NginxRtmp,
    Xiu,
    NodeMediaServer,
    Floor {
        pattern: &'static str,
    },
}

/// Whether the kernel counts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accounts {
    Off,
    On,
}

/// The name of the contender that others are compared with.
pub(crate) const REFERENCE: &str = "nginx-rtmp";

/// Those that they are compared with where these take part.
pub(crate) const OTHER_PEERS: [&str; 2] = ["xiu", "node-media-server"];

impl Contender {
    /// Everybody who is asked the scenario's question, if the program is known. Where it is asked a
    /// second time, only edgerelay and what it is compared with.
    pub(crate) fn asked(scenario: &Scenario, again: bool, arguments: &Arguments) -> Vec<Self> {
        let mut asked = Vec::new();
        let mut add = |kind, program: &Path| asked.push(Self { kind, program: program.into() });
        if scenario.question == Question::Accounting {
            for accounts in [Accounts::Off, Accounts::On] {
                add(Kind::Accounting(accounts), &arguments.relay);
            }
            return asked;
        }
        for &window in scenario.windows {
            add(Kind::Edgerelay { window, shards: 1 }, &arguments.relay);
        }
        if scenario.question == Question::Shards {
            for &window in scenario.windows {
                add(Kind::Edgerelay { window, shards: 2 }, &arguments.relay);
            }
            return asked;
        }
        if let Some(program) = &arguments.nginx {
            add(Kind::NginxRtmp, program);
        }
        let guests = if again { Guests::None } else { scenario.guests };
        if matches!(guests, Guests::Peers | Guests::All) {
            // Its players are sent away where nobody publishes.
            let xiu = arguments.xiu.as_ref();
            if let Some(program) = xiu.filter(|_| !matches!(scenario.load, Load::Idle { .. })) {
                add(Kind::Xiu, program);
            }
            if let Some(folder) = &arguments.node_media_server {
                add(Kind::NodeMediaServer, folder);
            }
        }
        if matches!(guests, Guests::Floors | Guests::All) {
            for &(pattern, _) in PATTERNS.iter().filter(|(_, of)| scenario.windows.contains(of)) {
                add(Kind::Floor { pattern }, &arguments.load);
            }
        }
        asked
    }

    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Edgerelay { window, shards: 1 } => format!("edgerelay {window}"),
            Kind::Edgerelay { window, shards } => format!("edgerelay {window}, {shards} shards"),
            Kind::Accounting(Accounts::Off) => "edgerelay, accounting off".into(),
            Kind::Accounting(Accounts::On) => "edgerelay, accounting on".into(),
            Kind::NginxRtmp => REFERENCE.into(),
            Kind::Xiu => OTHER_PEERS[0].into(),
            Kind::NodeMediaServer => OTHER_PEERS[1].into(),
            Kind::Floor { pattern } => format!("floor {pattern}"),
        }
    }

    /// Its release, if its package says.
    pub(crate) fn version(&self) -> Option<String> {
        match self.kind {
            Kind::Edgerelay { .. } | Kind::Accounting(_) => version::of_program(&self.program),
            Kind::NginxRtmp => version::of_debian_package("libnginx-mod-rtmp"),
            Kind::Xiu => version::of_cargo_install(&self.program),
            Kind::NodeMediaServer => version::of_node_package(&node_package(&self.program)),
            Kind::Floor { .. } => None,
        }
    }

    /// The floor that sends as this one does.
    pub(crate) fn floor(&self) -> Option<String> {
        let Kind::Edgerelay { window, .. } = &self.kind else { return None };
        let (pattern, _) = PATTERNS.iter().find(|(_, of)| of == window)?;
        Some(format!("floor {pattern}"))
    }

    /// The one that differs in one thing: on one shard, for one that is on more, or without accounting.
    pub(crate) fn basis(&self) -> Option<String> {
        let program = self.program.clone();
        match self.kind {
            Kind::Edgerelay { window, shards: 2.. } => Some(format!("edgerelay {window}")),
            Kind::Accounting(Accounts::On) => {
                Some(Self { kind: Kind::Accounting(Accounts::Off), program }.name())
            }
            _ => None,
        }
    }

    /// Starts the programs that count for it.
    pub(crate) fn start_counting(&self, folder: &Path) -> Result<Option<Counting>> {
        match self.kind {
            Kind::Accounting(Accounts::On) => Counting::start(&self.program, folder).map(Some),
            _ => Ok(None),
        }
    }

    /// Where it shows figures that somebody is to look at.
    pub(crate) const fn shows_figures(&self) -> bool {
        matches!(self.kind, Kind::Accounting(_))
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
            Kind::Accounting(accounts) => {
                let counts = (*accounts == Accounts::On).then_some(folder);
                let text = accounting::config(address, counts);
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
                // Node looks for it from the script's place.
                let program = std::path::absolute(&self.program)?;
                let script = write(folder, "server.js", &node_script(&program, address))?;
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

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
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
         [authsecret]\nkey = \"\"\npassword = \"\"\n[log]\nlevel = \"error\"\n",
        address.port()
    )
}

fn node_package(folder: &Path) -> PathBuf {
    folder.join("node_modules/node-media-server")
}

fn node_script(folder: &Path, address: SocketAddr) -> String {
    let module = node_package(folder);
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
