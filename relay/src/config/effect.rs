//! When a changed key takes effect on a node that runs.
//!
//! Owns the one list of that. A test compares it with the keys there are and with the book, so a new
//! key cannot do without a place in it.

/// When a changed key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At a reload, also on what runs.
    AtOnce,
    /// At a reload, for connections, streams and pulls that begin from then on.
    FromNowOn,
    /// When the node is started again.
    Restart,
}

impl Effect {
    /// The effect as the API says it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::FromNowOn => "from_now_on",
            Self::Restart => "restart",
        }
    }
}

use Effect::{AtOnce, FromNowOn, Restart};

/// Every key with its effect; those of arrays without places, as the book names them.
pub(super) const EFFECTS: &[(&str, Effect)] = &[
    ("node.role", Restart),
    ("node.name", Restart),
    ("node.shards", Restart),
    ("node.drain_timeout", AtOnce),
    ("node.upgrade_timeout", AtOnce),
    ("rtmp.listen", Restart),
    // What players were told when they connected, and what frames in the logs are cut into.
    ("rtmp.chunk_size", Restart),
    ("rtmp.window_ack_size", FromNowOn),
    ("rtmp.max_message", FromNowOn),
    ("rtmp.handshake_timeout", FromNowOn),
    ("rtmp.command_timeout", FromNowOn),
    ("rtmp.publish_idle_timeout", AtOnce),
    ("rtmp.play_wait_timeout", AtOnce),
    ("rtmp.ping_interval", FromNowOn),
    ("rtmp.ping_timeout", FromNowOn),
    ("rtmp.connections_max", AtOnce),
    ("rtmp.connections_per_ip_max", AtOnce),
    ("rtmp.merge_window", AtOnce),
    ("rtmp.merge_window_max", AtOnce),
    ("rtmp.zero_copy", FromNowOn),
    ("rtmp.tcp_user_timeout", FromNowOn),
    ("rtmp.tcp_keepalive", FromNowOn),
    ("rtmp.notsent_lowat", FromNowOn),
    ("http.listen", Restart),
    ("control.socket", Restart),
    ("control.group", Restart),
    ("accounting.enabled", Restart),
    ("accounting.pin_dir", Restart),
    ("accounting.cgroup", Restart),
    ("log.level", AtOnce),
    ("log.format", Restart),
    ("workers.backend", Restart),
    ("workers.apps", Restart),
    ("workers.min", Restart),
    ("workers.max", Restart),
    ("workers.listen", Restart),
    ("workers.addresses", Restart),
    ("workers.unit", Restart),
    ("workers.start_timeout", Restart),
    ("workers.stop_timeout", Restart),
    ("workers.stall_timeout", Restart),
    ("workers.max_retries", Restart),
    ("workers.retry_delay", Restart),
    ("workers.retry_delay_max", Restart),
    ("workers.retry_reset", Restart),
    ("workers.scaling.policy", Restart),
    ("workers.scaling.poll", Restart),
    ("workers.scaling.cooldown", Restart),
    ("workers.scaling.max_step", Restart),
    ("workers.scaling.dry_run", Restart),
    ("workers.scaling.clients_threshold", Restart),
    ("workers.scaling.clients_activation", Restart),
    ("workers.scaling.streams_threshold", Restart),
    ("workers.scaling.streams_activation", Restart),
    ("workers.scaling.bitrate_threshold", Restart),
    ("workers.scaling.bitrate_activation", Restart),
    ("workers.scaling.pending_threshold", Restart),
    ("workers.scaling.pending_activation", Restart),
    ("workers.scaling.queue_high_percent", Restart),
    ("workers.scaling.queue_low_percent", Restart),
    ("workers.capacity.streams", Restart),
    ("workers.capacity.cpu_percent", Restart),
    ("workers.capacity.memory", Restart),
    ("workers.capacity.bitrate", Restart),
    ("workers.pipeline.kind", Restart),
    ("workers.pipeline.command", Restart),
    ("workers.pipeline.push_url", Restart),
    ("workers.pipeline.cpu_percent", Restart),
    ("workers.pipeline.memory", Restart),
    ("workers.pipeline.bitrate", Restart),
    ("app.name", AtOnce),
    ("app.gop_cache", AtOnce),
    ("app.on_duplicate_publish", AtOnce),
    ("app.log_bytes_max", AtOnce),
    ("app.log_duration_max", AtOnce),
    ("app.lag_max", AtOnce),
    ("app.lag_bytes_max", AtOnce),
    ("app.disconnect_after", AtOnce),
    ("app.origin", FromNowOn),
    ("app.push.url", AtOnce),
];

/// The effect of a key. One that is not listed needs a restart, so that nothing acts on half of it.
pub(super) fn effect_of(key: &str) -> Effect {
    EFFECTS.iter().find(|(known, _)| *known == key).map_or(Restart, |(_, effect)| *effect)
}
