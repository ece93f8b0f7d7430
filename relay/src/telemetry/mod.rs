//! What the relay tells about itself: counters, metric names, log output, and what is kept secret.
//!
//! No metric is named outside this module. It opens no socket and decides nothing.

pub mod account;
mod catalog;
pub mod close;
pub mod counters;
pub mod exposition;
pub mod ledger;
pub mod logging;
pub mod process;
pub mod readiness;
pub mod redact;
pub mod reloads;
pub mod role;
pub mod work;

pub use catalog::{METRICS, Metric, MetricKind};
pub use close::CloseReason;
pub use counters::ShardCounters;
pub use ledger::Ledger;
pub use readiness::Readiness;
pub use reloads::{ReloadCounts, ReloadOutcome, Reloads};
pub use role::ClientRole;
pub use work::WorkCounters;
