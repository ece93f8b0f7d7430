//! Inputs in, outputs out: scenarios, and properties of any series of inputs.

mod course;
mod fleet;
mod properties;
mod recovery;
mod table;
mod world;

use std::time::Duration;

use super::{Fleet, PlacementSettings, RetrySettings, Room};
use crate::config::Resources;
use crate::id::StreamKey;

/// Up to four workers with room for two streams each.
fn settings() -> PlacementSettings {
    PlacementSettings {
        fleet: Fleet::Managed,
        workers_min: 0,
        workers_max: 4,
        room: Room { streams: 2, resources: Resources::default() },
        need: Resources::default(),
        start_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        retry: RetrySettings {
            retries_max: 3,
            delay: Duration::from_millis(250),
            delay_max: Duration::from_secs(30),
            reset: Duration::from_secs(60),
        },
    }
}

fn key(name: &str) -> StreamKey {
    StreamKey::new("live", name)
}

fn name(key: &StreamKey) -> &str {
    &key.name
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
