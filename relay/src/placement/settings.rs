//! What the placement goes by, taken from the configuration.

use std::time::Duration;

use super::retry::RetrySettings;
use super::room::Room;
use crate::config::{Resources, WorkersConfig};

/// Who decides how many workers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fleet {
    /// The placement says start and stop.
    Managed,
    /// Somebody else; workers are found and lost, never started. They are told to stop only when they
    /// were drained, which here means to let them go.
    Given,
}

/// What the placement goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementSettings {
    /// Who decides how many workers there are.
    pub fleet: Fleet,
    /// Workers from the start, and never fewer.
    pub workers_min: usize,
    /// Workers at most, those that are stopping included.
    pub workers_max: usize,
    /// What a worker carries that does not say so itself.
    pub room: Room,
    /// What a stream reserves that does not say so itself.
    pub need: Resources,
    /// From the start of a worker until it is ready.
    pub start_timeout: Duration,
    /// From being told to stop until it is killed.
    pub stop_timeout: Duration,
    /// Fed and without progress for so long, an attempt has failed.
    pub stall_timeout: Duration,
    /// How often, and after what pauses, a stream is tried again.
    pub retry: RetrySettings,
}

impl PlacementSettings {
    /// What `config` says.
    #[must_use]
    pub fn new(config: &WorkersConfig) -> Self {
        Self {
            // A dry run decides, and starts and stops nothing.
            fleet: if config.backend.is_managed() && !config.scaling.dry_run {
                Fleet::Managed
            } else {
                Fleet::Given
            },
            workers_min: config.min,
            workers_max: config.max,
            room: Room::new(&config.capacity),
            need: config.pipeline.need(),
            start_timeout: config.start_timeout,
            stop_timeout: config.stop_timeout,
            stall_timeout: config.stall_timeout,
            retry: RetrySettings::new(config),
        }
    }
}
