//! What clients ask for: `connect`, `publish` and `play`, parsed once and bounded.
//!
//! Stream names are keys and arguments hold tokens, so no `Debug` here shows them.

use core::fmt;

use super::capabilities::PeerCapabilities;
use crate::amf0::Value;
use crate::command::Command;
use crate::fault::PeerFault;
use crate::limits::{ARGS_BYTES_MAX, NAME_BYTES_MAX, STRING_BYTES_MAX};

/// A client's `connect`. RTMP 1.0 §7.2.1.1.
#[derive(Clone, PartialEq)]
pub struct ConnectRequest {
    /// The application, without arguments and without slashes around it.
    pub app: String,
    /// The query string of the application, else of `tcUrl`; empty when there is none.
    pub args: String,
    /// The URL the client says it connected to.
    pub tc_url: String,
    /// The client's name.
    pub flash_ver: String,
    /// Where its player came from.
    pub swf_url: String,
    /// The page the player is on.
    pub page_url: String,
    /// What it can do.
    pub caps: PeerCapabilities,
}

impl ConnectRequest {
    pub(super) fn read(command: &Command) -> Result<Self, PeerFault> {
        let object = &command.object;
        let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let tc_url = text("tcUrl");
        check_len(tc_url, STRING_BYTES_MAX, "tcUrl")?;
        let (url_path, url_args) = split_args(tc_url);
        let (app, args) = split_args(text("app"));
        let app = match app.trim_matches('/') {
            "" => url_app(url_path),
            app => app,
        };
        let args = if args.is_empty() { url_args } else { args };
        check_len(app, NAME_BYTES_MAX, "application name")?;
        check_len(args, ARGS_BYTES_MAX, "application arguments")?;
        Ok(Self {
            app: app.to_owned(),
            args: args.to_owned(),
            tc_url: tc_url.to_owned(),
            flash_ver: truncated(text("flashVer")),
            swf_url: truncated(text("swfUrl")),
            page_url: truncated(text("pageUrl")),
            caps: PeerCapabilities::read(object),
        })
    }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectRequest")
            .field("app", &self.app)
            .field("flash_ver", &self.flash_ver)
            .field("caps", &self.caps)
            .finish_non_exhaustive()
    }
}

/// What a publisher wants done with the stream. RTMP 1.0 §7.2.2.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishKind {
    /// Relay it.
    #[default]
    Live,
    /// Relay and record it.
    Record,
    /// Relay it and append to the recording.
    Append,
}

impl PublishKind {
    /// The word on the wire.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "record",
            Self::Append => "append",
        }
    }

    fn read(text: Option<&str>) -> Self {
        match text {
            Some("record") => Self::Record,
            Some("append") => Self::Append,
            _ => Self::Live,
        }
    }
}

/// A client's `publish`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// The message stream it came on.
    pub stream_id: u32,
    /// The stream's name, without arguments.
    pub name: String,
    /// The query string behind the name; empty when there is none.
    pub args: String,
    /// What to do with it.
    pub kind: PublishKind,
}

impl PublishRequest {
    pub(super) fn read(stream_id: u32, command: &Command) -> Result<Self, PeerFault> {
        let (name, args) = stream_name(command.text(0).unwrap_or_default())?;
        Ok(Self { stream_id, name, args, kind: PublishKind::read(command.text(1)) })
    }
}

impl fmt::Debug for PublishRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PublishRequest")
            .field("stream_id", &self.stream_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A client's `play`. RTMP 1.0 §7.2.2.1.
#[derive(Clone, PartialEq)]
pub struct PlayRequest {
    /// The message stream it came on.
    pub stream_id: u32,
    /// The stream's name, without arguments.
    pub name: String,
    /// The query string behind the name; empty when there is none.
    pub args: String,
    /// Where to start: −2 live or recorded, −1 live, otherwise seconds. Some send milliseconds.
    pub start: f64,
    /// How long to play, −1 to the end.
    pub duration: f64,
    /// Whether what was playing before is dropped.
    pub reset: bool,
}

impl PlayRequest {
    pub(super) fn read(stream_id: u32, command: &Command) -> Result<Self, PeerFault> {
        let (name, args) = stream_name(command.text(0).unwrap_or_default())?;
        Ok(Self {
            stream_id,
            name,
            args,
            start: command.number(1).unwrap_or(-2.0),
            duration: command.number(2).unwrap_or(-1.0),
            reset: command.argument(3).and_then(Value::as_bool).unwrap_or(true),
        })
    }
}

impl fmt::Debug for PlayRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlayRequest")
            .field("stream_id", &self.stream_id)
            .field("start", &self.start)
            .field("duration", &self.duration)
            .field("reset", &self.reset)
            .finish_non_exhaustive()
    }
}

/// Text up to the first `?`, and what follows it.
pub(super) fn split_args(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

fn stream_name(text: &str) -> Result<(String, String), PeerFault> {
    let (name, args) = split_args(text);
    check_len(name, NAME_BYTES_MAX, "stream name")?;
    check_len(args, ARGS_BYTES_MAX, "stream arguments")?;
    Ok((name.to_owned(), args.to_owned()))
}

/// The path of a URL without its query: what clients that send no `app` mean.
fn url_app(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return "" };
    rest.split_once('/').map_or("", |(_, path)| path.trim_matches('/'))
}

fn check_len(text: &str, bytes_max: usize, what: &'static str) -> Result<(), PeerFault> {
    if text.len() > bytes_max { Err(PeerFault::StringTooLong(what)) } else { Ok(()) }
}

fn truncated(text: &str) -> String {
    let mut end = text.len().min(STRING_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
