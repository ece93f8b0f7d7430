//! The configuration: what an operator can set, its defaults, and its bounds.
//!
//! Owns the typed [`Config`] that every other part is built from, and nothing that acts on it: no
//! socket, no thread. All of it is checked before a port is bound, and every fault is reported at
//! once, each with its file, line and column.

mod change;
mod check;
mod codec;
mod command;
mod effect;
mod fault;
mod host;
mod keys;
mod limits;
mod load;
mod loops;
mod nearest;
mod reader;
mod settings;
mod socket;
mod source;
mod unit;
mod url;
mod value;
mod worker_check;
mod worker_codec;
mod worker_keys;
mod worker_node;
mod workers;
mod writer;

pub use change::Change;
pub use command::{CommandValues, expand_argument};
pub use effect::Effect;
pub use fault::{ConfigError, ConfigErrors, Origin};
pub use host::{host_name, local_addresses};
pub use load::{LoadOptions, Loaded, Override, load};
pub use settings::{
    AccountingConfig, AppConfig, Config, HttpConfig, LogConfig, LogFormat, MergeWindow, NodeConfig,
    OnDuplicatePublish, PushConfig, Role, RtmpConfig, ZeroCopySetting,
};
pub use socket::{ControlConfig, SocketSetting, Surroundings};
pub use source::{ConfigSource, Reload};
pub use url::{expand_url, redact_url};
pub use worker_node::WORKER_APP;
pub use workers::{
    BitRate, CapacityConfig, PipelineConfig, PipelineKind, Resources, ScalingConfig, ScalingPolicy,
    WorkerBackend, WorkersConfig,
};
pub use writer::Secrets;

#[cfg(test)]
mod tests;
