//! What a node is as a worker: which streams it works on, and the configuration of the workers that a
//! node starts.

use std::net::SocketAddr;

use super::settings::{AppConfig, Config, PushConfig, Role};
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
