//! The settings as the rest of the relay sees them, with their defaults.
//!
//! Plain data: no parsing and no checking here. What a key is called in the file, and which values
//! it takes, stands in `keys`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::socket::ControlConfig;
use super::workers::WorkersConfig;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Everything an operator can set, complete and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// This process: `[node]`.
    pub node: NodeConfig,
    /// The RTMP side: `[rtmp]`.
    pub rtmp: RtmpConfig,
    /// The HTTP side: `[http]`.
    pub http: HttpConfig,
    /// What commands reach the node by: `[control]`.
    pub control: ControlConfig,
    /// What the kernel counts: `[accounting]`.
    pub accounting: AccountingConfig,
    /// Logging: `[log]`.
    pub log: LogConfig,
    /// The workers: `[workers]`.
    pub workers: WorkersConfig,
    /// The applications: `[[app]]`, at least one, names differ.
    pub apps: Vec<AppConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: NodeConfig::default(),
            rtmp: RtmpConfig::default(),
            http: HttpConfig::default(),
            control: ControlConfig::default(),
            accounting: AccountingConfig::default(),
            log: LogConfig::default(),
            workers: WorkersConfig::default(),
            apps: vec![AppConfig { name: "live".to_owned(), ..AppConfig::default() }],
        }
    }
}

impl Config {
    /// The application called `name`, if it is configured.
    #[must_use]
    pub fn app(&self, name: &str) -> Option<&AppConfig> {
        self.apps.iter().find(|app| app.name == name)
    }
}

/// What the node is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Takes streams in and fans them out.
    Edge,
    /// Receives streams from edges and pushes them on.
    Worker,
    /// Both in one process.
    #[default]
    Standalone,
}

impl Role {
    /// The role as it is written.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Worker => "worker",
            Self::Standalone => "standalone",
        }
    }
}

/// `[node]`: this process.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    /// What the node is for.
    pub role: Role,
    /// The node's name. The loader puts the host name where none is set.
    pub name: String,
    /// Shards, each a thread on its own core. Zero: one for each available core.
    pub shards: usize,
    /// How long clients have to finish once the node stops.
    pub drain_timeout: Duration,
    /// How long clients have to finish once another process has taken the node's place.
    pub upgrade_timeout: Duration,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            role: Role::default(),
            name: String::new(),
            shards: 0,
            drain_timeout: Duration::from_secs(60),
            upgrade_timeout: Duration::from_secs(4 * 3600),
        }
    }
}

/// How long frames wait so that several go out in one send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeWindow {
    /// Not at all while the shard has time to spare, longer as it fills.
    #[default]
    Auto,
    /// Always this long.
    Fixed(Duration),
}

/// Whether the kernel sends from our buffers without copying them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopySetting {
    /// For large sends to peers that are not on the loopback.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// `[rtmp]`: listeners, limits and pace of RTMP connections.
#[derive(Clone, Debug, PartialEq)]
pub struct RtmpConfig {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Chunk size of what we send, bytes.
    pub chunk_size: u32,
    /// Bytes after which a peer is asked to acknowledge.
    pub window_ack_size: u32,
    /// The largest message a peer may send (`max_message`).
    pub message_bytes_max: usize,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
    /// From the handshake to a publish or play.
    pub command_timeout: Duration,
    /// A publisher that sends no media for so long is closed. Zero: never.
    pub publish_idle_timeout: Duration,
    /// A player waits so long for a stream that nobody publishes. Zero: for ever.
    pub play_wait_timeout: Duration,
    /// A peer that has been silent for so long is pinged: a client, and the far side of a push or pull.
    pub ping_interval: Duration,
    /// A ping unanswered for so long closes the connection; that of a push or pull only where the
    /// far side has ever answered one.
    pub ping_timeout: Duration,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address. Zero: no limit but `connections_max`.
    pub connections_per_ip_max: usize,
    /// How long frames wait to go out together.
    pub merge_window: MergeWindow,
    /// What `merge_window` may grow to.
    pub merge_window_max: Duration,
    /// Whether sends are zero-copy.
    pub zero_copy: ZeroCopySetting,
    /// `TCP_USER_TIMEOUT`: sent data unacknowledged, or not taken, for so long closes the connection.
    /// Zero: the kernel's own limit. The default is longer than `disconnect_after`, which is to
    /// decide about players that live and take nothing.
    pub tcp_user_timeout: Duration,
    /// Idle time before the first TCP keepalive probe. Zero: no keepalive.
    pub tcp_keepalive: Duration,
    /// `TCP_NOTSENT_LOWAT`: bytes that may lie unsent in the kernel. Zero: the kernel's own limit.
    pub notsent_lowat: u32,
}

impl Default for RtmpConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1935))],
            chunk_size: 65_536,
            window_ack_size: 5_000_000,
            message_bytes_max: 8 * MIB,
            handshake_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(10),
            publish_idle_timeout: Duration::from_secs(60),
            play_wait_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(30),
            connections_max: 10_000,
            connections_per_ip_max: 0,
            merge_window: MergeWindow::default(),
            merge_window_max: Duration::from_millis(100),
            zero_copy: ZeroCopySetting::default(),
            tcp_user_timeout: Duration::from_secs(45),
            tcp_keepalive: Duration::from_secs(30),
            notsent_lowat: 128 * 1024,
        }
    }
}

/// `[http]`: metrics, health and the API.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// Addresses to listen on. Empty: no HTTP.
    pub listen: Vec<SocketAddr>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))] }
    }
}

/// `[accounting]`: connections as the kernel counts them.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountingConfig {
    /// Whether the node asks the kernel at all.
    pub enabled: bool,
    /// Where the loader pins its maps and the node finds them. On a BPF file system.
    pub pin_dir: String,
    /// The cgroup whose connections are counted. Empty: all of the machine's.
    pub cgroup: String,
}

impl Default for AccountingConfig {
    fn default() -> Self {
        Self { enabled: true, pin_dir: "/sys/fs/bpf/edgerelay".to_owned(), cgroup: String::new() }
    }
}

/// How log lines look and where they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Journald under systemd, human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text for people, on standard error.
    Human,
    /// One JSON object a line, on standard error.
    Json,
    /// The journal's own protocol.
    Journald,
}

/// `[log]`: logging.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// Filter directives: `info`, or `info,edgerelay::shard=debug`.
    pub level: String,
    /// How lines look and where they go.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::default() }
    }
}

/// What happens when a name is published that is being published already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicatePublish {
    /// The new publisher takes over, the old one is closed, subscribers stay.
    #[default]
    Replace,
    /// The new publisher is refused.
    Refuse,
}

/// `[[app]]`: an application.
#[derive(Clone, Debug, PartialEq)]
pub struct AppConfig {
    /// The name clients connect to.
    pub name: String,
    /// Whether a joining player starts at the last keyframe rather than at the next.
    pub gop_cache: bool,
    /// What a second publisher of a name meets.
    pub on_duplicate_publish: OnDuplicatePublish,
    /// Bytes one stream's log may hold on one shard.
    pub log_bytes_max: usize,
    /// How long ago the oldest frame of one stream's log may have arrived, the current group of
    /// pictures apart. Not media time, which is the publisher's word.
    pub log_duration_max: Duration,
    /// A subscriber further behind than this skips to the newest keyframe.
    pub lag_max: Duration,
    /// A subscriber with more bytes than this to go skips to the newest keyframe.
    pub lag_bytes_max: usize,
    /// A subscriber that takes nothing for so long is closed.
    pub disconnect_after: Duration,
    /// Where every stream of the application is pushed.
    pub push: Vec<PushConfig>,
    /// Where a stream that nobody publishes here is pulled from: URL templates, tried in order.
    pub origin: Vec<String>,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            gop_cache: true,
            on_duplicate_publish: OnDuplicatePublish::default(),
            log_bytes_max: 32 * MIB,
            log_duration_max: Duration::from_secs(30),
            lag_max: Duration::from_secs(10),
            lag_bytes_max: 16 * MIB,
            disconnect_after: Duration::from_secs(30),
            push: Vec::new(),
            origin: Vec::new(),
        }
    }
}

/// `[[app.push]]`: one upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PushConfig {
    /// A URL template: `rtmp://host[:port]/app/{name}`.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_the_kernel_has_more_patience_with_a_player_than_we() {
        let kernel = RtmpConfig::default().tcp_user_timeout;
        assert!(kernel > AppConfig::default().disconnect_after, "{kernel:?}");
    }
}
