//! The configuration: what an operator can set, its defaults, and its bounds.
//!
//! Owns the typed [`Config`] that every other part is built from, and nothing that acts on it: no
//! socket, no thread. All of it is checked before a port is bound, and every fault is reported at
//! once, each with its file, line and column.

mod settings;

pub use settings::{
    AppConfig, Config, HttpConfig, LogConfig, LogFormat, MergeWindow, NodeConfig,
    OnDuplicatePublish, PushConfig, Role, RtmpConfig, ZeroCopySetting,
};
