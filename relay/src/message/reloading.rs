//! What the control plane asks of the supervisor, and what it is told: to read the configuration again.

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// Requests to reload that may wait.
pub const RELOAD_REQUESTS_MAX: usize = 8;

/// A request to read the configuration again. Whoever asks is told what became of it.
pub type ReloadRequest = oneshot::Sender<ReloadReport>;

/// What became of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Whether the configuration is in force, but for keys that need a restart.
    pub applied: bool,
    /// What is wrong with it, each with its place.
    pub errors: Vec<String>,
    /// What differs from the one before, with what may be secret left out.
    pub changes: Vec<ReloadedKey>,
}

/// One key that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadedKey {
    /// The key.
    pub key: String,
    /// Its value before, if it had one.
    pub old: Option<String>,
    /// Its value in the files, if it has one.
    pub new: Option<String>,
    /// When it takes effect: `at_once`, `from_now_on` or `restart`.
    pub effect: String,
}
