//! The JSON that the API answers with. Field names are a contract, described in `openapi.json`.

use serde::Serialize;

use super::merge::{MergedStream, NodeSnapshot};
use super::work::Work;
use crate::id::StreamKey;
use crate::message::{ClientSnapshot, KernelFigures, KernelSource, WorkSnapshot, WorkedStream};
use crate::telemetry::{ClientRole, Readiness};

/// `/api/v1/streams`.
#[derive(Debug, Serialize)]
pub(super) struct Streams {
    shards_missing: Vec<u16>,
    streams: Vec<Stream>,
}

/// `/api/v1/clients`.
#[derive(Debug, Serialize)]
pub(super) struct Clients {
    shards_missing: Vec<u16>,
    clients: Vec<Client>,
}

#[derive(Debug, Serialize)]
struct Stream {
    app: String,
    name: String,
    publishing: bool,
    age_seconds: f64,
    bytes_in: u64,
    bytes_out: u64,
    bits_per_second_in: u64,
    bits_per_second_out: u64,
    audio_bits_per_second: u64,
    video_bits_per_second: u64,
    frames_in: u64,
    log_bytes: u64,
    clients: u64,
    players: u64,
    video: Option<Video>,
    audio: Option<Audio>,
    work: Option<Work>,
}

#[derive(Debug, Serialize)]
struct Video {
    codec: String,
    width: u32,
    height: u32,
    frame_rate: f64,
    profile: Option<String>,
    level: f32,
}

#[derive(Debug, Serialize)]
struct Audio {
    codec: String,
    profile: Option<String>,
    channels: u32,
    sample_rate: u32,
}

#[derive(Debug, Serialize)]
struct Client {
    id: u64,
    shard: u16,
    address: String,
    role: &'static str,
    app: Option<String>,
    name: Option<String>,
    age_seconds: f64,
    flash_ver: String,
    swf_url: String,
    page_url: String,
    bytes_in: u64,
    bytes_out: u64,
    frames_dropped: u64,
    skips: u64,
    timestamp_ms: u32,
    audio_video_offset_ms: i64,
    kernel: Option<Kernel>,
}

/// A connection as the kernel counts it.
#[derive(Debug, Serialize)]
struct Kernel {
    source: &'static str,
    bytes_in: u64,
    bytes_out: u64,
    rtt_seconds: f64,
    retransmits: u32,
}

impl Streams {
    /// The node's streams, and what is done with them.
    pub(super) fn new(node: &NodeSnapshot, work: &WorkSnapshot) -> Self {
        let streams = node.streams.iter();
        let streams = streams.map(|(key, stream)| Stream::new(key, stream, work.streams.get(key)));
        Self { shards_missing: shards_missing(node), streams: streams.collect() }
    }
}

impl From<&NodeSnapshot> for Clients {
    fn from(node: &NodeSnapshot) -> Self {
        let clients = node.clients().map(Client::new).collect();
        Self { shards_missing: shards_missing(node), clients }
    }
}

/// The numbers of the shards that did not answer.
pub(super) fn shards_missing(node: &NodeSnapshot) -> Vec<u16> {
    node.shards_missing.iter().map(|shard| shard.0).collect()
}

impl Stream {
    fn new(key: &StreamKey, stream: &MergedStream, work: Option<&WorkedStream>) -> Self {
        let is_player = |client: &&ClientSnapshot| client.role == ClientRole::Player;
        Self {
            app: key.app.to_string(),
            name: key.name.to_string(),
            publishing: stream.publishing,
            age_seconds: stream.age.as_secs_f64(),
            bytes_in: stream.bytes_in,
            bytes_out: stream.bytes_out,
            bits_per_second_in: stream.bits_per_second_in,
            bits_per_second_out: stream.bits_per_second_out,
            audio_bits_per_second: stream.audio_bits_per_second,
            video_bits_per_second: stream.video_bits_per_second,
            frames_in: stream.frames_in,
            log_bytes: stream.log_bytes,
            clients: stream.clients_foreign(),
            players: stream.clients.iter().filter(is_player).count() as u64,
            video: stream.video.as_ref().map(|video| Video {
                codec: video.codec.label().to_string(),
                width: video.width,
                height: video.height,
                frame_rate: video.frame_rate,
                profile: video.profile.map(|profile| profile.to_string()),
                level: video.level,
            }),
            audio: stream.audio.as_ref().map(|audio| Audio {
                codec: audio.codec.label().to_string(),
                profile: audio.profile.map(|profile| profile.to_string()),
                channels: audio.channels,
                sample_rate: audio.sample_rate,
            }),
            work: work.map(Work::from),
        }
    }
}

impl Client {
    fn new(client: &ClientSnapshot) -> Self {
        let key = client.stream.as_ref();
        Self {
            id: client.id.as_u64(),
            shard: client.shard.0,
            address: client.address.to_string(),
            role: client.role.label(),
            app: key.map(|key| key.app.to_string()),
            name: key.map(|key| key.name.to_string()),
            age_seconds: client.age.as_secs_f64(),
            flash_ver: client.flash_ver.clone(),
            swf_url: client.swf_url.clone(),
            page_url: client.page_url.clone(),
            bytes_in: client.bytes_in,
            bytes_out: client.bytes_out,
            frames_dropped: client.frames_dropped,
            skips: client.skips,
            timestamp_ms: client.timestamp,
            audio_video_offset_ms: client.audio_video_offset_ms,
            kernel: Kernel::new(&client.kernel),
        }
    }
}

impl Kernel {
    /// None until the kernel was asked.
    fn new(figures: &KernelFigures) -> Option<Self> {
        (figures.source != KernelSource::None).then(|| Self {
            source: figures.source.label(),
            bytes_in: figures.bytes_in,
            bytes_out: figures.bytes_out,
            rtt_seconds: f64::from(figures.rtt_us) / 1e6,
            retransmits: figures.retransmits,
        })
    }
}

/// `/readyz`: each condition by itself, so that an operator sees which one fails.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    pub(super) ready: bool,
    conditions: Conditions,
    shards_up: usize,
    shards_expected: usize,
    /// `attached` or `degraded`: the node serves either way.
    kernel_accounting: &'static str,
}

#[derive(Debug, Serialize)]
struct Conditions {
    listeners_bound: bool,
    shards_up: bool,
    not_draining: bool,
}

impl From<&Readiness> for Ready {
    fn from(readiness: &Readiness) -> Self {
        let (shards_up, shards_expected) = (readiness.shards_up(), readiness.shards_expected());
        let conditions = Conditions {
            listeners_bound: readiness.listeners_bound(),
            shards_up: shards_up >= shards_expected,
            not_draining: !readiness.draining(),
        };
        // From the conditions shown, not asked again: the answer must not contradict itself.
        let ready = conditions.listeners_bound && conditions.shards_up && conditions.not_draining;
        let kernel_accounting = if readiness.ebpf_attached() { "attached" } else { "degraded" };
        Self { ready, conditions, shards_up, shards_expected, kernel_accounting }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_description_names_exactly_the_fields_that_are_sent() {
        let description: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let schemas = &description["components"]["schemas"];
        let node = NodeSnapshot::merge([sample::captured(&StreamKey::new("live", "cam1"))]);
        let streams = serde_json::to_value(Streams::new(&node, &WorkSnapshot::default())).unwrap();
        let clients = serde_json::to_value(Clients::from(&node)).unwrap();
        let ready = serde_json::to_value(Ready::from(&Readiness::new(1))).unwrap();
        for (schema, sent) in [
            ("Streams", &streams),
            ("Stream", &streams["streams"][0]),
            ("Video", &streams["streams"][0]["video"]),
            ("Audio", &streams["streams"][0]["audio"]),
            ("Clients", &clients),
            ("Client", &clients["clients"][0]),
            ("Kernel", &clients["clients"][0]["kernel"]),
            ("Ready", &ready),
        ] {
            assert_eq!(keys(&schemas[schema]["properties"]), keys(sent), "{schema}");
        }
    }

    #[test]
    fn a_stream_counts_its_players_apart_from_our_own_connections() {
        let node = NodeSnapshot::merge([sample::captured(&StreamKey::new("live", "cam1"))]);
        let streams = serde_json::to_value(Streams::new(&node, &WorkSnapshot::default())).unwrap();
        assert_eq!(streams["streams"][0]["clients"], 2);
        assert_eq!(streams["streams"][0]["players"], 1);
    }
}
