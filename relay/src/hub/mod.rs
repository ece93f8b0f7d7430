//! Decisions about streams: what is kept, who gets what and when, who is let in.
//!
//! Nothing here reads a clock, does IO, starts a thread or takes a lock: `now` and randomness are
//! passed in, and what to send is handed out.

pub mod admission;
pub mod backoff;
pub mod directory;
pub mod egress;
pub mod frame;
mod headers;
mod history;
mod hold;
pub mod limits;
mod log;
pub mod merge;
pub mod meter;
pub mod stream;
#[cfg(test)]
mod stream_tests;
pub mod subscriber;
mod timeline;
