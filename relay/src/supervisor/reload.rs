//! Reads the configuration again while the node runs, says what changed, and brings it to all who go by
//! it. One that is wrong changes nothing.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::config::{Change, Config, ConfigSource, Effect, Reload, local_addresses};
use crate::message::{ReloadReport, ReloadedKey, ShardMessage};
use crate::shard::Commons;
use crate::telemetry::{Reloads, logging::LogLevel};

/// What a shard has to take a configuration over. One that hangs is the watchdog's business.
const SHARD_PATIENCE: Duration = Duration::from_secs(10);

/// The configuration in force, and what it takes to put another in its place.
pub(super) struct Reloader {
    /// Where to read it from; nowhere, where it was handed over.
    pub(super) source: Option<ConfigSource>,
    pub(super) level: LogLevel,
    pub(super) config: watch::Sender<Arc<Config>>,
    pub(super) reloads: Arc<Reloads>,
    pub(super) commons: Arc<Commons>,
    pub(super) shards: Vec<mpsc::Sender<ShardMessage>>,
}

impl Reloader {
    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// Reads the configuration and puts it in force.
    pub(super) async fn reload(&self) -> ReloadReport {
        let Some(source) = self.source.clone() else {
            return self.refuse(vec!["what it was started with cannot be read again".to_owned()]);
        };
        let running = self.config();
        // A file may lie on something slow; the shards are looked after meanwhile, but for this thread.
        let read = tokio::task::spawn_blocking(move || source.reload(&running, local_addresses()));
        match read.await {
            Ok(Ok(reload)) => self.apply(reload).await,
            Ok(Err(errors)) => {
                let mut told: Vec<_> = errors.errors.iter().map(ToString::to_string).collect();
                if errors.omitted > 0 {
                    told.push(format!("and {} more", errors.omitted));
                }
                self.refuse(told)
            }
            Err(panic) => self.refuse(vec![panic.to_string()]),
        }
    }

    fn refuse(&self, errors: Vec<String>) -> ReloadReport {
        for error in &errors {
            tracing::error!("configuration: {error}");
        }
        tracing::error!("configuration not reloaded; the one before stays in force");
        self.reloads.on_refused(errors.clone());
        ReloadReport { errors, ..ReloadReport::default() }
    }

    async fn apply(&self, reload: Reload) -> ReloadReport {
        let Reload { config, changes, warnings } = reload;
        for warning in warnings {
            tracing::warn!("configuration: {warning}");
        }
        let mut restart_keys = Vec::new();
        for change in &changes {
            let (key, old, new) = (&*change.key, change.old.as_deref(), change.new.as_deref());
            match change.effect {
                Effect::AtOnce => tracing::info!(key, old, new, "configuration changed"),
                Effect::FromNowOn => {
                    tracing::info!(
                        key,
                        old,
                        new,
                        "configuration changed for what begins from now on"
                    );
                }
                Effect::Restart => {
                    tracing::warn!(key, old, new, "not changed: this key needs a restart");
                    restart_keys.push(change.key.clone());
                }
            }
        }
        let applied = changes.len() - restart_keys.len();
        if applied > 0 {
            self.distribute(Arc::new(config)).await;
        }
        tracing::info!(changes = applied, restart = restart_keys.len(), "configuration reloaded");
        self.reloads.on_applied(SystemTime::now(), restart_keys);
        let changes = changes.into_iter().map(|Change { key, old, new, effect }| ReloadedKey {
            key,
            old,
            new,
            effect: effect.label().to_owned(),
        });
        ReloadReport { applied: true, errors: Vec::new(), changes: changes.collect() }
    }

    async fn distribute(&self, config: Arc<Config>) {
        if let Err(error) = self.level.set(&config.log.level) {
            tracing::error!(%error, "the log level stays");
        }
        self.commons
            .admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set_limits(config.rtmp.connections_max, config.rtmp.connections_per_ip_max);
        self.config.send_replace(Arc::clone(&config));
        let mut answers = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (applied, answer) = oneshot::channel();
            let message = ShardMessage::Configure { config: Arc::clone(&config), applied };
            let sent = timeout(SHARD_PATIENCE, shard.send(message)).await;
            answers.push((sent.is_ok_and(|sent| sent.is_ok()), answer));
        }
        for (shard, (sent, answer)) in answers.into_iter().enumerate() {
            if !sent || !timeout(SHARD_PATIENCE, answer).await.is_ok_and(|done| done.is_ok()) {
                tracing::error!(shard, "the shard did not take the configuration over in time");
            }
        }
    }
}
