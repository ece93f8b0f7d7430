//! The settings of workers, `[workers]` and below: who starts them, how many, what one carries, and
//! what it runs for each stream.
//!
//! Plain data, as in `settings`. What the scaler and the placement make of it stands there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;

/// Bits per second. Never bytes: counters hold bytes, operators and thresholds speak of bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BitRate {
    bits_per_second: u64,
}

impl BitRate {
    /// No bits at all.
    pub const ZERO: Self = Self::from_bits_per_second(0);

    /// `bits_per_second` bits each second.
    #[must_use]
    pub const fn from_bits_per_second(bits_per_second: u64) -> Self {
        Self { bits_per_second }
    }

    /// The rate of `bytes` bytes, eight bits each, in `elapsed`. None where no time has passed.
    #[must_use]
    pub fn from_bytes(bytes: u64, elapsed: Duration) -> Option<Self> {
        let micros = elapsed.as_micros();
        if micros == 0 {
            return None;
        }
        let bits_per_second = u128::from(bytes) * 8 * 1_000_000 / micros;
        Some(Self { bits_per_second: u64::try_from(bits_per_second).unwrap_or(u64::MAX) })
    }

    /// The rate as a number of bits per second.
    #[must_use]
    pub const fn bits_per_second(self) -> u64 {
        self.bits_per_second
    }
}

/// Who starts and stops workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerBackend {
    /// There are no workers.
    #[default]
    Off,
    /// The node, as child processes.
    Process,
    /// systemd, at the node's word.
    Systemd,
    /// Somebody else: the node is told addresses and starts and stops nothing.
    Static,
}

impl WorkerBackend {
    /// The backend as it is written.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Process => "process",
            Self::Systemd => "systemd",
            Self::Static => "static",
        }
    }

    /// Whether there are workers.
    #[must_use]
    pub const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether the node says how many workers run.
    #[must_use]
    pub const fn is_managed(self) -> bool {
        matches!(self, Self::Process | Self::Systemd)
    }
}

/// `[workers]`: the workers of this node.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkersConfig {
    /// Who starts and stops them.
    pub backend: WorkerBackend,
    /// The applications whose streams go to workers.
    pub apps: Vec<String>,
    /// Workers that are always kept.
    pub min: usize,
    /// Workers at most, those on their way out included.
    pub max: usize,
    /// Worker N, counted from 1, listens here at the port plus N.
    pub listen: SocketAddr,
    /// Where workers are that somebody else runs: `HOST[:PORT]`.
    pub addresses: Vec<String>,
    /// The systemd unit's name before `@N.service`.
    pub unit: String,
    /// From the start of a worker until it is ready.
    pub start_timeout: Duration,
    /// How long an idle worker that was told to stop has until it is killed.
    pub stop_timeout: Duration,
    /// Media goes in and nothing comes out for so long: the stream is taken elsewhere.
    pub stall_timeout: Duration,
    /// Attempts after the first one, for each stream (`max_retries`).
    pub retries_max: usize,
    /// Pause before the first retry; each one doubles it.
    pub retry_delay: Duration,
    /// What the pause may grow to.
    pub retry_delay_max: Duration,
    /// A stream that went well for so long has its retries back.
    pub retry_reset: Duration,
    /// How many workers there are: `[workers.scaling]`.
    pub scaling: ScalingConfig,
    /// What one worker carries: `[workers.capacity]`.
    pub capacity: CapacityConfig,
    /// What a worker does with a stream: `[workers.pipeline]`.
    pub pipeline: PipelineConfig,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self {
            backend: WorkerBackend::default(),
            apps: vec!["live".to_owned()],
            min: 0,
            max: 10,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 19_350)),
            addresses: Vec::new(),
            unit: "edgerelay-worker".to_owned(),
            start_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(10),
            retries_max: 3,
            retry_delay: Duration::from_millis(250),
            retry_delay_max: Duration::from_secs(30),
            retry_reset: Duration::from_secs(60),
            scaling: ScalingConfig::default(),
            capacity: CapacityConfig::default(),
            pipeline: PipelineConfig::default(),
        }
    }
}

/// How the number of workers is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingPolicy {
    /// As many as the largest of the signals asks for, each by its own threshold.
    #[default]
    Threshold,
    /// One more while too many streams wait for each ready worker, one less when none does.
    QueueRatio,
}

/// `[workers.scaling]`: how many workers there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingConfig {
    /// How the number is found.
    pub policy: ScalingPolicy,
    /// Time between two looks at the signals.
    pub poll: Duration,
    /// Fewer are needed for so long before any is stopped.
    pub cooldown: Duration,
    /// Workers added or removed at one look (`max_step`). Zero: no limit.
    pub step_max: usize,
    /// Decide and tell, change nothing.
    pub dry_run: bool,
    /// Publishers and players for each worker. Zero: not looked at.
    pub clients_threshold: usize,
    /// Publishers and players up to which no worker is needed.
    pub clients_activation: usize,
    /// Streams for each worker. Zero: not looked at.
    pub streams_threshold: usize,
    /// Streams up to which no worker is needed.
    pub streams_activation: usize,
    /// What publishers send, for each worker. Zero: not looked at.
    pub bitrate_threshold: BitRate,
    /// What publishers send up to which no worker is needed.
    pub bitrate_activation: BitRate,
    /// Waiting streams for each worker beyond those that carry streams. Zero: not looked at.
    pub pending_threshold: usize,
    /// Waiting streams up to which no worker is needed.
    pub pending_activation: usize,
    /// Waiting streams for each ready worker, in hundredths, above which one is added.
    pub queue_high_percent: usize,
    /// Waiting streams for each ready worker, in hundredths, below which one may go.
    pub queue_low_percent: usize,
}

impl Default for ScalingConfig {
    fn default() -> Self {
        Self {
            policy: ScalingPolicy::default(),
            poll: Duration::from_secs(10),
            cooldown: Duration::from_secs(30),
            step_max: 0,
            dry_run: false,
            clients_threshold: 0,
            clients_activation: 0,
            streams_threshold: 4,
            streams_activation: 0,
            bitrate_threshold: BitRate::ZERO,
            bitrate_activation: BitRate::ZERO,
            pending_threshold: 4,
            pending_activation: 0,
            queue_high_percent: 250,
            queue_low_percent: 50,
        }
    }
}

/// `[workers.capacity]`: what one worker carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityConfig {
    /// Streams at once.
    pub streams: usize,
    /// What streams may reserve of processors, memory and bits per second. Zero: not counted.
    pub resources: Resources,
}

impl Default for CapacityConfig {
    fn default() -> Self {
        Self { streams: 4, resources: Resources::default() }
    }
}

/// Processors, memory and bits per second: of a worker, or reserved by a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Hundredths of one processor.
    pub cpu_percent: usize,
    /// Memory.
    pub memory_bytes: u64,
    /// What the stream brings.
    pub bitrate: BitRate,
}

/// What a worker does with a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PipelineKind {
    /// Pushes it on as it is, without a process of its own.
    #[default]
    Passthrough,
    /// Runs a command of the operator's.
    Command,
    /// Transcodes it to three sizes: 1080, 720 and 480 lines.
    Abr,
    /// Pushes its audio on and leaves the video away.
    AudioOnly,
}

impl PipelineKind {
    /// What one stream of this kind usually needs; nothing is known of a command.
    #[must_use]
    pub const fn usual_need(self) -> Resources {
        let (cpu_percent, memory_mib) = match self {
            Self::Passthrough => (5, 32),
            Self::Command => (0, 0),
            Self::Abr => (400, 1536),
            Self::AudioOnly => (10, 96),
        };
        Resources { cpu_percent, memory_bytes: memory_mib * MIB, bitrate: BitRate::ZERO }
    }
}

/// `[workers.pipeline]`: what a worker does with a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineConfig {
    /// What is done.
    pub kind: PipelineKind,
    /// Program and arguments of [`PipelineKind::Command`], templates for [`expand_argument`].
    ///
    /// [`expand_argument`]: super::expand_argument
    pub command: Vec<String>,
    /// Where results go, without the stream's name: `rtmp://HOST[:PORT]/APP`. Empty: nowhere, or
    /// where `[[app.push]]` says.
    pub push_url: String,
    /// What a stream reserves. Zero: what the kind usually needs.
    pub need: Resources,
}

impl PipelineConfig {
    /// What a stream reserves.
    #[must_use]
    pub fn need(&self) -> Resources {
        let usual = self.kind.usual_need();
        let Resources { cpu_percent, memory_bytes, bitrate } = self.need;
        Resources {
            cpu_percent: if cpu_percent == 0 { usual.cpu_percent } else { cpu_percent },
            memory_bytes: if memory_bytes == 0 { usual.memory_bytes } else { memory_bytes },
            bitrate: if bitrate == BitRate::ZERO { usual.bitrate } else { bitrate },
        }
    }

    /// The template of where a stream is pushed: `{push_url}/{name}`. None without a `push_url`.
    #[must_use]
    pub fn push_template(&self) -> Option<String> {
        (!self.push_url.is_empty()).then(|| super::url::with_name(&self.push_url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_as_eight_bits() {
        let rate = |bytes, millis| BitRate::from_bytes(bytes, Duration::from_millis(millis));
        assert_eq!(rate(1_000, 1_000), Some(BitRate::from_bits_per_second(8_000)));
        assert_eq!(rate(125, 500), Some(BitRate::from_bits_per_second(2_000)));
        assert_eq!(rate(0, 1_000), Some(BitRate::ZERO));
        assert_eq!(rate(u64::MAX, 1), Some(BitRate::from_bits_per_second(u64::MAX)));
        assert_eq!(rate(1_000, 0), None);
    }

    #[test]
    fn a_stream_reserves_what_is_written_and_else_what_is_usual() {
        let written = Resources { cpu_percent: 250, ..Resources::default() };
        let config =
            PipelineConfig { kind: PipelineKind::Abr, need: written, ..PipelineConfig::default() };
        let usual = PipelineKind::Abr.usual_need();
        assert_eq!(config.need(), Resources { cpu_percent: 250, ..usual });
    }
}
