//! Streams and clients for the control plane's tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use edgerelay_proto::media::{AudioCodec, AudioSummary, VideoCodec, VideoSummary};

use crate::id::{ConnectionId, ShardId, StreamKey};
use crate::message::{
    ClientRole, ClientSnapshot, KernelFigures, KernelSource, ShardSnapshot, StreamSnapshot,
};

pub(super) fn stream(key: &StreamKey, home: bool) -> StreamSnapshot {
    StreamSnapshot {
        stream: key.clone(),
        home,
        publishing: true,
        age: Duration::from_millis(5676),
        bytes_in: if home { 1_305_747 } else { 0 },
        bytes_out: 1_682_927,
        bits_per_second_in: 0,
        bits_per_second_out: 0,
        audio_bits_per_second: 0,
        video_bits_per_second: 0,
        frames_in: 300,
        log_bytes: 4096,
        log_frames: 12,
        video: Some(VideoSummary {
            codec: VideoCodec::Avc,
            width: 640,
            height: 360,
            frame_rate: 25.0,
            profile: Some("Baseline"),
            compat: 192,
            level: 3.0,
        }),
        audio: Some(AudioSummary {
            codec: AudioCodec::Aac,
            profile: Some("LC"),
            channels: 1,
            sample_rate: 44_100,
        }),
    }
}

pub(super) fn client(
    shard: u16,
    count: u64,
    role: ClientRole,
    key: Option<&StreamKey>,
) -> ClientSnapshot {
    ClientSnapshot {
        id: ConnectionId::new(ShardId(shard), count),
        shard: ShardId(shard),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
        role,
        stream: key.cloned(),
        age: Duration::from_millis(2898),
        flash_ver: "LNX 9,0,124,2".to_owned(),
        swf_url: String::new(),
        page_url: String::new(),
        bytes_in: 100,
        bytes_out: 200,
        frames_dropped: 0,
        skips: 0,
        timestamp: 5503,
        audio_video_offset_ms: -23,
        kernel: KernelFigures {
            source: KernelSource::Ebpf,
            bytes_in: 100,
            bytes_out: 190,
            rtt_us: 250,
            retransmits: 1,
        },
    }
}

/// The captured situation: one publisher, one player, one push, all on one stream.
pub(super) fn captured(key: &StreamKey) -> ShardSnapshot {
    let player = client(0, 10, ClientRole::Player, Some(key));
    let mut push = client(0, 4, ClientRole::Push, Some(key));
    push.address = SocketAddr::from((Ipv4Addr::LOCALHOST, 19_399));
    push.age = Duration::from_millis(5676);
    push.flash_ver = "ngx-local-relay".to_owned();
    let mut publisher = client(0, 1, ClientRole::Publisher, Some(key));
    publisher.age = Duration::from_millis(5857);
    publisher.flash_ver = "FMLE/3.0 (compatible; Lavf59.27".to_owned();
    ShardSnapshot { streams: vec![stream(key, true)], clients: vec![publisher, push, player] }
}
