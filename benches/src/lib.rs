//! What `rtmp-load` is made of: a load generator for RTMP. The criterion benchmarks beside it live in
//! `benches/benches`.
//!
//! The parts that decide are sans-IO and take time as a value: [`pattern`], [`synthetic`], [`mark`],
//! [`check`], [`player`], [`publisher`]. Sockets and clocks are in [`net`], the loop over them in
//! [`engine`].
#![forbid(unsafe_code)]

pub mod check;
pub mod cli;
pub mod engine;
pub mod floor;
pub mod flv;
pub mod mark;
pub mod measure;
pub mod net;
pub mod pattern;
pub mod player;
pub mod population;
pub mod publisher;
pub mod receiver;
pub mod report;
pub mod source;
pub mod synthetic;
pub mod tally;
