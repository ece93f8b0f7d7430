//! Every bound of the configuration, by name.
//!
//! Bounds on what an operator may write; bounds on peers stand where peers are read.

use std::time::Duration;

/// Errors shown at once; the rest are counted.
pub(super) const ERRORS_MAX: usize = 20;
/// Characters of a wrong value that a message quotes.
pub(super) const QUOTED_CHARS_MAX: usize = 64;
/// One configuration file.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;
/// Files taken from `conf.d`.
pub(super) const DROP_INS_MAX: usize = 256;
/// A path, as the kernel bounds it for most of its interfaces.
pub(super) const PATH_BYTES_MAX: usize = 1024;
/// A unix socket's path: the kernel's 108 bytes with the zero behind it.
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A group's name, as the tools that make groups bound it.
pub(super) const GROUP_NAME_BYTES_MAX: usize = 32;
/// Applications; each costs the loop check a walk over all.
pub(super) const APPS_MAX: usize = 256;
/// Pushes or origins of one application.
pub(super) const UPSTREAMS_MAX: usize = 64;
/// Listening addresses of one service.
pub(super) const LISTEN_MAX: usize = 64;
/// An application's name: what fits a `connect` command of every encoder seen.
pub(super) const APP_NAME_BYTES_MAX: usize = 128;
/// A node's name: a host name's length.
pub(super) const NODE_NAME_BYTES_MAX: usize = 64;
/// A URL template.
pub(super) const URL_BYTES_MAX: usize = 2048;
/// Workers of one node: each has a port, and the API lists all of them.
pub(super) const WORKERS_MAX: u64 = 256;
/// A systemd unit's name: 256 in all, with `@N.service` behind.
pub(super) const UNIT_NAME_BYTES_MAX: usize = 200;
/// Arguments of a worker's command.
pub(super) const ARGUMENTS_MAX: usize = 256;
/// One argument of a worker's command: room for a filter graph.
pub(super) const ARGUMENT_BYTES_MAX: usize = 16 << 10;
/// Retries of a stream: beyond, the pauses alone are minutes.
pub(super) const RETRIES_MAX: u64 = 100;
/// Streams of one worker, and what a threshold may count.
pub(super) const STREAMS_MAX: u64 = 10_000;
/// Hundredths of a processor: as many processors as a node may have shards.
pub(super) const CPU_PERCENT_MAX: u64 = 100 * SHARDS_MAX;
/// Memory of a worker or of a stream.
pub(super) const MEMORY: (u64, u64) = (1 << 20, 16 << 40);
/// Bits a second, of a worker, a stream or a threshold.
pub(super) const BITRATE: (u64, u64) = (1_000, 1_000_000_000_000);
/// Streams that wait for each ready worker, in hundredths.
pub(super) const QUEUE_PERCENT_MAX: u64 = 100_000;
/// Shards: shard numbers take the upper 16 bits of a connection id, and no node has more cores.
pub(super) const SHARDS_MAX: u64 = 1024;
/// Chunk size: RTMP 1.0 §5.4.1 wants at least 128 on this side, and a message has 24 bits of
/// length, so more than 16 MiB is never filled.
pub(super) const CHUNK_SIZE: (u64, u64) = (128, 16 << 20);
/// Acknowledgement window: below, acknowledgements outnumber media; above, counters wrap first.
pub(super) const WINDOW_ACK_SIZE: (u64, u64) = (4 << 10, 1 << 30);
/// Largest message: below, ordinary keyframes are refused; 24 bits of length end at 16 MiB.
pub(super) const MESSAGE_BYTES: (u64, u64) = (64 << 10, 16 << 20);
/// Connections of a node.
pub(super) const CONNECTIONS_MAX: u64 = 1_000_000;
/// `TCP_NOTSENT_LOWAT`, where it is not off.
pub(super) const NOTSENT_LOWAT: (u64, u64) = (4 << 10, 16 << 20);
/// A stream's log on one shard.
pub(super) const LOG_BYTES: (u64, u64) = (256 << 10, 2 << 30);
/// A subscriber's lag in bytes.
pub(super) const LAG_BYTES: (u64, u64) = (64 << 10, 1 << 30);

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// How long draining may take; zero stops at once.
pub(super) const DRAIN_TIMEOUT: (Duration, Duration) =
    (Duration::ZERO, Duration::from_secs(86_400));
/// Time for a peer to finish its handshake or its commands.
pub(super) const OPENING_TIMEOUT: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(600));
/// Idle and waiting times that may also be off.
pub(super) const IDLE_TIMEOUT: (Duration, Duration) = (SECOND, Duration::from_secs(86_400));
/// Pings, keepalives and their answers.
pub(super) const PING: (Duration, Duration) = (SECOND, HOUR);
/// How far frames may be held back.
pub(super) const MERGE_WINDOW_MAX: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(5));
/// Media time a log spans.
pub(super) const LOG_DURATION: (Duration, Duration) = (SECOND, Duration::from_secs(600));
/// Media time a subscriber may lag.
pub(super) const LAG: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));
/// Time a stuck subscriber is kept.
pub(super) const DISCONNECT_AFTER: (Duration, Duration) = (SECOND, HOUR);
/// Time for a worker to start, or to stop.
pub(super) const WORKER_TURN: (Duration, Duration) = (SECOND, Duration::from_secs(600));
/// Time without progress. Below a second, an ordinary group of pictures may bring none.
pub(super) const STALL_TIMEOUT: (Duration, Duration) = (SECOND, Duration::from_secs(600));
/// Pauses between retries.
pub(super) const RETRY_DELAY: (Duration, Duration) = (Duration::from_millis(10), HOUR);
/// Time that wins retries back.
pub(super) const RETRY_RESET: (Duration, Duration) = (SECOND, Duration::from_secs(86_400));
/// Time between two looks of the scaler.
pub(super) const POLL: (Duration, Duration) = (Duration::from_millis(100), HOUR);
/// Time before scaling in.
pub(super) const COOLDOWN: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(86_400));
