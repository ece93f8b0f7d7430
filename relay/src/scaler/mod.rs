//! How many workers there shall be: a function of samples and time.
//!
//! [`Scaler`] is given a [`Sample`] at every look and answers with a [`Decision`], which says all that
//! went into it. It starts and stops nothing: `placement` does, and never a worker with a stream.
//! Reads no clock. The same settings and samples give the same decisions, which [`replay`] checks of a
//! record.
//!
//! # Use
//!
//! ```text
//! at scaler.poll_timeout(), and when streams begin to wait:
//!     if let Some(decision) = scaler.handle_sample(now, sample) {
//!         record it; if decision.applied { tell the placement decision.desired }
//!     }
//! ```

mod cooldown;
mod decision;
mod policy;
mod record;
mod sample;
mod scale;

pub use decision::{Decision, Hold, Occasion, Outcome, Reading, Signal};
pub use record::{Opening, RecordLine, ReplayFault, Replayed, replay};
pub use sample::{Connections, Sample, WorkerCounts};
pub use scale::{DECISIONS_KEPT_MAX, Scaler};

#[cfg(test)]
mod tests;
