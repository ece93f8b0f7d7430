//! What the node answers, as far as commands show it. Fields that a node of another version does not
//! send are empty.

use serde::Deserialize;

/// `/health`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) node: String,
    pub(super) role: String,
    pub(super) version: String,
    pub(super) uptime_seconds: u64,
    pub(super) shards: usize,
    pub(super) shards_up: usize,
    pub(super) shards_missing: Vec<u16>,
}

/// `/api/v1/streams`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Streams {
    pub(super) shards_missing: Vec<u16>,
    pub(super) streams: Vec<Stream>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Stream {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) publishing: bool,
    pub(super) age_seconds: f64,
    pub(super) bits_per_second_in: u64,
    pub(super) bits_per_second_out: u64,
    pub(super) players: u64,
    pub(super) video: Option<Video>,
    pub(super) audio: Option<Audio>,
    pub(super) work: Option<Work>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Video {
    pub(super) codec: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) frame_rate: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Audio {
    pub(super) codec: String,
    pub(super) channels: u32,
    pub(super) sample_rate: u32,
}

/// What is done with a stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Work {
    pub(super) state: String,
    pub(super) worker: Option<u16>,
    pub(super) place: Option<usize>,
    pub(super) waits_for: Option<String>,
    pub(super) failures: u32,
    pub(super) reason: String,
}

/// `/api/v1/clients`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Clients {
    pub(super) shards_missing: Vec<u16>,
    pub(super) clients: Vec<Client>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) shard: u16,
    pub(super) address: String,
    pub(super) role: String,
    pub(super) app: Option<String>,
    pub(super) name: Option<String>,
    pub(super) age_seconds: f64,
    pub(super) flash_ver: String,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) frames_dropped: u64,
    pub(super) skips: u64,
    pub(super) kernel: Option<Kernel>,
}

/// A connection as the kernel counts it.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Kernel {
    pub(super) source: String,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) rtt_seconds: f64,
    pub(super) retransmits: u32,
}

/// `/api/v1/workers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Workers {
    pub(super) backend: String,
    pub(super) workers: Vec<Worker>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Worker {
    pub(super) id: u16,
    pub(super) state: String,
    pub(super) state_seconds: f64,
    pub(super) pid: Option<u32>,
    pub(super) address: Option<String>,
    pub(super) streams: Vec<StreamName>,
    pub(super) streams_max: usize,
    pub(super) reserved_cpu_percent: usize,
    pub(super) reserved_memory_bytes: u64,
    pub(super) reserved_bits_per_second: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct StreamName {
    pub(super) app: String,
    pub(super) name: String,
}

/// `/api/v1/scaler`: empty where the node starts no workers.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
pub(super) struct Scaler {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
    pub(super) desired: Option<usize>,
    pub(super) dry_run: bool,
}

/// What is answered instead.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// `APP/NAME`, as people call a stream.
pub(super) fn stream_label(app: &str, name: &str) -> String {
    format!("{app}/{name}")
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_field_that_is_shown_is_one_of_the_api() {
        let description: Value =
            serde_json::from_str(include_str!("../control/openapi.json")).unwrap();
        let check = |schema: &str, answer: Value| {
            let described = &description["components"]["schemas"][schema]["properties"];
            for field in answer.as_object().unwrap().keys() {
                assert!(described.get(field).is_some(), "{schema}.{field}");
            }
        };
        fn shown<T: Default + Serialize>() -> Value {
            serde_json::to_value(T::default()).unwrap()
        }
        check("Health", shown::<Health>());
        check("Streams", shown::<Streams>());
        check("Stream", shown::<Stream>());
        check("Video", shown::<Video>());
        check("Audio", shown::<Audio>());
        check("Work", shown::<Work>());
        check("Clients", shown::<Clients>());
        check("Client", shown::<Client>());
        check("Kernel", shown::<Kernel>());
        check("Workers", shown::<Workers>());
        check("Worker", shown::<Worker>());
        check("StreamName", shown::<StreamName>());
        check("Scaler", shown::<Scaler>());
        check("Error", shown::<Refusal>());
    }
}
