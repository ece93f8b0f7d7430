//! Sessions: an RTMP connection as a state machine, server side and client side.
//!
//! Owns the order of things on a connection: handshake, commands, acknowledgements, pings,
//! deadlines. Must not decide who may publish or play what; it asks through events.
//!
//! Drive a session like this: after each `handle_input`, `handle_timeout` or answering method, call
//! `poll_output` until it returns `None`, then wait for input or until `poll_timeout`. Bytes and
//! events come out in the order in which they happened.

mod capabilities;
mod client;
mod intake;
mod link;
mod media;
mod output;
mod request;
mod server;
mod url;

pub use capabilities::PeerCapabilities;
pub use client::{ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession};
pub use media::{MediaKind, MediaMessage};
pub use output::SessionOutput;
pub use request::{ConnectRequest, PlayRequest, PublishKind, PublishRequest};
pub use server::{ServerEvent, ServerOutput, ServerSession, ServerSessionConfig};
pub use url::{RtmpUrl, RtmpUrlError};

/// The status code of a report between our own.
const REPORT_CODE: &str = "Edgerelay.Stream.Report";
