//! edgerelay: the RTMP relay appliance.
//!
//! Modules import only downward: [`id`] < [`config`], [`telemetry`] < [`message`] < [`hub`],
//! [`placement`], [`scaler`] < [`shard`], [`control`], [`accounting`], [`doctor`], [`workers`] < [`supervisor`] <
//! [`cli`]. `cargo xtask tidy` checks it.
#![forbid(unsafe_code)]

pub mod accounting;
pub mod cli;
pub mod config;
pub mod control;
pub mod doctor;
pub mod hub;
pub mod id;
pub mod message;
pub mod placement;
pub mod scaler;
pub mod shard;
pub mod supervisor;
pub mod telemetry;
pub mod workers;
