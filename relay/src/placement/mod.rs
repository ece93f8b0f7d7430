//! Which worker carries which stream: placement, recovery, draining, adoption.
//!
//! [`Placement`] is told what happened ([`Input`]) and says what to do ([`Output`]). It starts and
//! stops nothing itself, reads no clock and knows no backend: a test is a list of inputs.
//!
//! Each publication has an [`Attempt`] while a worker is in charge of it, and a new one at every
//! retry. What is said of an attempt that is over is passed over, so late news does no harm.
//!
//! # Use
//!
//! ```text
//! loop {
//!     placement.handle(now, input)          or  placement.handle_timeout(now)
//!     while let Some(output) = placement.poll_output() { carry it out, in order }
//!     wait for the next input, at most until placement.poll_timeout()
//! }
//! ```

mod course;
mod fleet;
mod input;
mod output;
mod planner;
mod queue;
mod retry;
mod room;
mod settings;
mod state;
mod stream;
mod view;
mod worker;

pub use input::{Failure, Input, Loss};
pub use output::{Attempt, Output, Phase, Stop, Transition, Withdrawal};
pub use planner::Placement;
pub use retry::{Retries, RetrySettings, Verdict};
pub use room::{Room, Shortage};
pub use settings::{Fleet, PlacementSettings};
pub use state::{Event, StreamState, TRANSITIONS};
pub use view::{Load, StreamView, Wait, WorkerView};
pub use worker::WorkerState;

#[cfg(test)]
mod tests;
