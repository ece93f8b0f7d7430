//! What the relay tells about itself: counters, metric names, log output, and what is kept secret.
//!
//! No metric is named outside this module. It reads no socket and decides nothing.

pub mod close;
pub mod counters;
pub mod role;

pub use close::CloseReason;
pub use counters::ShardCounters;
pub use role::ClientRole;
