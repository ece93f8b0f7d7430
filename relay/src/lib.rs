//! edgerelay: the RTMP relay appliance.
//!
//! Modules import only downward: [`id`] < [`config`], [`telemetry`] < [`message`] < [`hub`] <
//! [`shard`], [`control`], [`accounting`] < [`supervisor`] < [`cli`]. `cargo xtask tidy` checks it.
#![forbid(unsafe_code)]

pub mod accounting;
pub mod cli;
pub mod config;
pub mod control;
pub mod hub;
pub mod id;
pub mod message;
pub mod shard;
pub mod supervisor;
pub mod telemetry;
pub mod workers;
