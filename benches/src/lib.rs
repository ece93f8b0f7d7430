//! What `rtmp-load` is made of: a load generator for RTMP. The criterion benchmarks beside it live in
//! `benches/benches`.
//!
//! The parts that decide are sans-IO and take time as a value: [`pattern`], [`synthetic`], [`mark`],
//! [`check`], [`player`], [`publisher`].
#![forbid(unsafe_code)]

pub mod check;
pub mod flv;
pub mod mark;
pub mod measure;
pub mod pattern;
pub mod player;
pub mod publisher;
pub mod source;
pub mod synthetic;
pub mod tally;
