//! What the end-to-end tests are made of: the relay, its peers, clips and their checksums.

pub(crate) mod enhanced;
pub(crate) mod eventually;
pub(crate) mod ffmpeg;
pub(crate) mod fleet;
pub(crate) mod frames;
pub(crate) mod http;
pub(crate) mod kernel;
pub(crate) mod machine;
pub(crate) mod media;
pub(crate) mod meter;
pub(crate) mod namespace;
pub(crate) mod nginx;
pub(crate) mod packaging;
pub(crate) mod peers;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod relay;
pub(crate) mod rml;
pub(crate) mod rtmp;
pub(crate) mod scripted;
pub(crate) mod strangers;
pub(crate) mod swarm;
pub(crate) mod synthetic;
pub(crate) mod systemd;
pub(crate) mod upstream;
