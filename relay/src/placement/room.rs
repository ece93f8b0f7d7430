//! What fits a worker. Owns the arithmetic of reservations, and nothing that chooses.

use serde::{Deserialize, Serialize};

use crate::config::{BitRate, CapacityConfig, Resources};

/// What a worker carries in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Streams at once.
    pub streams: usize,
    /// Processors, memory and bits per second; what is zero is not counted.
    pub resources: Resources,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortage {
    /// Streams at once.
    Streams,
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Bits per second.
    Bitrate,
}

impl Room {
    /// What `config` says.
    #[must_use]
    pub fn new(config: &CapacityConfig) -> Self {
        Self { streams: config.streams, resources: config.resources }
    }

    /// What a stream that reserves `need` lacks, where `streams` streams have reserved `taken`.
    pub(super) fn shortage(
        &self,
        streams: usize,
        taken: &Resources,
        need: &Resources,
    ) -> Option<Shortage> {
        let within =
            |limit: u64, taken: u64, need: u64| limit == 0 || taken.saturating_add(need) <= limit;
        let limit = &self.resources;
        let bits = BitRate::bits_per_second;
        if streams >= self.streams {
            Some(Shortage::Streams)
        } else if !within(
            limit.cpu_percent as u64,
            taken.cpu_percent as u64,
            need.cpu_percent as u64,
        ) {
            Some(Shortage::Cpu)
        } else if !within(limit.memory_bytes, taken.memory_bytes, need.memory_bytes) {
            Some(Shortage::Memory)
        } else if !within(bits(limit.bitrate), bits(taken.bitrate), bits(need.bitrate)) {
            Some(Shortage::Bitrate)
        } else {
            None
        }
    }
}

/// The sum of reservations.
pub(super) fn sum<'a>(needs: impl Iterator<Item = &'a Resources>) -> Resources {
    needs.fold(Resources::default(), |sum, need| Resources {
        cpu_percent: sum.cpu_percent.saturating_add(need.cpu_percent),
        memory_bytes: sum.memory_bytes.saturating_add(need.memory_bytes),
        bitrate: BitRate::from_bits_per_second(
            sum.bitrate.bits_per_second().saturating_add(need.bitrate.bits_per_second()),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn resources(cpu_percent: usize, memory_bytes: u64, bits: u64) -> Resources {
        Resources { cpu_percent, memory_bytes, bitrate: BitRate::from_bits_per_second(bits) }
    }

    #[test]
    fn the_first_thing_short_is_named() {
        let room = Room { streams: 2, resources: resources(100, 1_000, 8_000) };
        for (streams, taken, need, shortage) in [
            (0, resources(0, 0, 0), resources(100, 1_000, 8_000), None),
            (1, resources(50, 500, 4_000), resources(50, 500, 4_000), None),
            (2, resources(0, 0, 0), resources(0, 0, 0), Some(Shortage::Streams)),
            (1, resources(51, 0, 0), resources(50, 0, 0), Some(Shortage::Cpu)),
            (1, resources(0, 1, 0), resources(0, 1_000, 0), Some(Shortage::Memory)),
            (1, resources(0, 0, 1), resources(0, 0, 8_000), Some(Shortage::Bitrate)),
        ] {
            assert_eq!(room.shortage(streams, &taken, &need), shortage, "{taken:?} {need:?}");
        }
    }

    #[test]
    fn what_is_not_counted_is_never_short() {
        let room = Room { streams: 1, resources: Resources::default() };
        let all = resources(usize::MAX, u64::MAX, u64::MAX);
        assert_eq!(room.shortage(0, &all, &all), None);
    }
}
