//! What a node is as a worker: which streams it works on, and the configuration of the workers that a
//! node starts.

use std::net::SocketAddr;

use super::settings::{AppConfig, Config, PushConfig, Role};
use super::socket::SocketSetting;
use super::workers::{PipelineKind, WorkerBackend};

/// The application in which a worker gets streams from other nodes.
pub const WORKER_APP: &str = "worker";
/// The applications in which a worker gets streams: as everybody does, and from other nodes.
const WORKER_APPS: [&str; 2] = ["live", WORKER_APP];

impl Config {
    /// Whether streams of `app` are for workers or, on a worker, for its pipelines.
    #[must_use]
    pub fn works_on(&self, app: &str) -> bool {
        match self.node.role {
            Role::Worker => WORKER_APPS.contains(&app),
            Role::Edge | Role::Standalone => {
                self.workers.backend.is_on() && self.workers.apps.iter().any(|of| of == app)
            }
        }
    }

    /// Where worker `instance` of this node listens, counted from 1. None where ports end.
    #[must_use]
    pub fn worker_address(&self, instance: u32) -> Option<SocketAddr> {
        let port = u32::from(self.workers.listen.port()).checked_add(instance)?;
        Some(SocketAddr::new(self.workers.listen.ip(), u16::try_from(port).ok()?))
    }

    /// The configuration of worker `instance` of this node, as it is written: what a worker's
    /// upstream adds to it is added when it is read. None where ports end.
    #[must_use]
    pub fn of_worker(&self, instance: u32) -> Option<Self> {
        let mut own = self.clone();
        own.node.role = Role::Worker;
        // The name may not grow beyond its bound.
        let suffix = format!("-w{instance}");
        let room = super::limits::NODE_NAME_BYTES_MAX.saturating_sub(suffix.len());
        own.node.name.truncate(room);
        own.node.name.push_str(&suffix);
        // A few streams each; several workers share the machine.
        own.node.shards = 1;
        own.rtmp.listen = vec![self.worker_address(instance)?];
        own.http.listen = Vec::new();
        // It is its node's.
        own.control.socket = SocketSetting::Off;
        let like = self.workers.apps.iter().find_map(|app| self.app(app));
        let like = like.cloned().unwrap_or_default();
        own.apps = WORKER_APPS
            .map(|name| AppConfig {
                name: name.to_owned(),
                push: Vec::new(),
                origin: Vec::new(),
                ..like.clone()
            })
            .into();
        own.workers.backend = WorkerBackend::Off;
        Some(own)
    }

    /// What worker `instance` runs by: this configuration where it is a worker's already.
    #[must_use]
    pub fn for_worker(self, instance: u32) -> Option<Self> {
        if self.node.role == Role::Worker {
            return Some(self);
        }
        let mut own = self.of_worker(instance)?;
        if own.workers.pipeline.kind == PipelineKind::Passthrough
            && let Some(url) = own.workers.pipeline.push_template()
        {
            own.push_worker_streams(&url);
        }
        Some(own)
    }

    /// A worker that takes streams as everybody does takes them from other nodes, too.
    pub(super) fn add_worker_app(&mut self) {
        if self.node.role == Role::Worker
            && self.app(WORKER_APP).is_none()
            && let [Some(live), _] = WORKER_APPS.map(|app| self.app(app))
        {
            let name = WORKER_APP.to_owned();
            let own = AppConfig { name, push: Vec::new(), origin: Vec::new(), ..live.clone() };
            self.apps.push(own);
        }
    }

    /// Pushes to `url` what the node gets as a worker. The places of the pushes: application, and
    /// push within it.
    pub(super) fn push_worker_streams(&mut self, url: &str) -> Vec<(usize, usize)> {
        let mut added = Vec::new();
        for (index, app) in self.apps.iter_mut().enumerate() {
            if WORKER_APPS.contains(&app.name.as_str()) {
                added.push((index, app.push.len()));
                app.push.push(PushConfig { url: url.to_owned() });
            }
        }
        added
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LoadOptions, Secrets, load};
    use super::*;

    fn loaded(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("edgerelay.toml");
        std::fs::write(&file, text).unwrap();
        load(&LoadOptions { file: Some(file), ..LoadOptions::default() }).unwrap().config
    }

    const EDGE: &str = "[node]\nrole = \"edge\"\nname = \"edge-1\"\n\
        [[app]]\nname = \"live\"\nlag_max = \"5s\"\n\
        [[app.push]]\nurl = \"rtmp://elsewhere.example/live/{name}\"\n\
        [workers]\nbackend = \"process\"\npipeline.push_url = \"rtmp://up.example/live\"\n";

    #[test]
    fn a_worker_pushes_where_workers_push_and_nowhere_its_node_pushes_itself() {
        let own = loaded(EDGE).for_worker(3).unwrap();
        assert_eq!(own.node.role, Role::Worker);
        assert_eq!(own.node.name, "edge-1-w3");
        assert_eq!(own.rtmp.listen, ["127.0.0.1:19353".parse().unwrap()]);
        assert!(own.http.listen.is_empty());
        assert_eq!(own.control.socket, SocketSetting::Off);
        let apps: Vec<_> = own.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!(apps, WORKER_APPS);
        for app in &own.apps {
            assert_eq!(app.push, [PushConfig { url: "rtmp://up.example/live/{name}".to_owned() }]);
            assert_eq!(app.lag_max, std::time::Duration::from_secs(5));
        }
    }

    #[test]
    fn what_a_worker_is_handed_reads_as_what_it_would_derive_itself() {
        let node = loaded(EDGE);
        let handed = loaded(&node.of_worker(1).unwrap().to_toml(Secrets::Shown));
        assert_eq!(handed, node.for_worker(1).unwrap());
        assert_eq!(handed.clone().for_worker(1), Some(handed));
    }

    #[test]
    fn a_worker_of_its_own_takes_streams_from_other_nodes_without_being_told_so() {
        let own = loaded("[node]\nrole = \"worker\"\n");
        assert!(own.works_on("live") && own.works_on(WORKER_APP) && !own.works_on("studio"));
        assert!(own.app(WORKER_APP).is_some());
        let edge = loaded(EDGE);
        assert!(edge.works_on("live") && !edge.works_on(WORKER_APP));
        assert!(!loaded("").works_on("live"), "there are no workers");
    }

    #[test]
    fn ports_end() {
        assert_eq!(loaded(EDGE).for_worker(60_000), None);
    }
}
