//! RTMP URLs, as pushes and pulls are configured with.
//!
//! A stream name is a key and arguments hold tokens: neither `Display` nor `Debug` shows them.

use core::fmt;

use super::request::split_args;
use crate::limits::{ARGS_BYTES_MAX, NAME_BYTES_MAX};

const PORT_RTMP: u16 = 1935;
const PORT_RTMPS: u16 = 443;

/// Why a text is no RTMP URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtmpUrlError {
    /// Neither `rtmp://` nor `rtmps://`.
    #[error("expected rtmp:// or rtmps://")]
    Scheme,
    /// No host.
    #[error("expected a host")]
    Host,
    /// `user:password@`, which no RTMP server understands.
    #[error("user and password are not supported")]
    UserInfo,
    /// The port is no number from 1 to 65535.
    #[error("expected a port from 1 to 65535")]
    Port,
    /// Nothing behind the host.
    #[error("expected an application behind the host")]
    App,
    /// A part is too long.
    #[error("too long")]
    TooLong,
}

/// Plain or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RtmpScheme {
    /// `rtmp://`
    Rtmp,
    /// `rtmps://`
    Rtmps,
}

/// `rtmp[s]://host[:port]/app[/instance]/stream[?args]`.
///
/// The stream is the last segment of the path; the application is all before it. A query that comes
/// before the last segment belongs to the application, as in `rtmp://host/live2?backup=1/key`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RtmpUrl {
    scheme: RtmpScheme,
    host: String,
    port: u16,
    app: String,
    stream: String,
}

impl RtmpUrl {
    /// Parses a URL. The stream may be missing, to be given later by [`Self::with_stream`].
    ///
    /// # Errors
    /// It is no RTMP URL.
    pub fn parse(text: &str) -> Result<Self, RtmpUrlError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("rtmp", rest)) => (RtmpScheme::Rtmp, rest),
            Some(("rtmps", rest)) => (RtmpScheme::Rtmps, rest),
            _ => return Err(RtmpUrlError::Scheme),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = parse_authority(authority, scheme)?;
        let (app, stream) = split_path(path.trim_start_matches('/'));
        if app.is_empty() {
            return Err(RtmpUrlError::App);
        }
        let url = Self { scheme, host, port, app: app.to_owned(), stream: stream.to_owned() };
        if url.app.len() > NAME_BYTES_MAX + ARGS_BYTES_MAX || url.stream_too_long() {
            return Err(RtmpUrlError::TooLong);
        }
        Ok(url)
    }

    /// The same URL with another stream name, arguments included.
    ///
    /// # Errors
    /// The name is too long.
    pub fn with_stream(mut self, stream: &str) -> Result<Self, RtmpUrlError> {
        stream.clone_into(&mut self.stream);
        if self.stream_too_long() { Err(RtmpUrlError::TooLong) } else { Ok(self) }
    }

    /// Whether the connection is TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self.scheme, RtmpScheme::Rtmps)
    }

    /// The host name or address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's default where the URL does not say.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The application, with its query.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The stream name, with its query: a secret. Empty when the URL has none.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// What `connect` says as `tcUrl`.
    #[must_use]
    pub fn tc_url(&self) -> String {
        format!("{}/{}", self.origin(), self.app)
    }

    fn stream_too_long(&self) -> bool {
        let (name, args) = split_args(&self.stream);
        name.len() > NAME_BYTES_MAX || args.len() > ARGS_BYTES_MAX
    }

    fn origin(&self) -> String {
        let (scheme, default_port) = match self.scheme {
            RtmpScheme::Rtmp => ("rtmp", PORT_RTMP),
            RtmpScheme::Rtmps => ("rtmps", PORT_RTMPS),
        };
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }
}

/// Without the stream name and without any query.
impl fmt::Display for RtmpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (app, _) = split_args(&self.app);
        write!(formatter, "{}/{app}", self.origin())?;
        if self.stream.is_empty() { Ok(()) } else { formatter.write_str("/***") }
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn parse_authority(text: &str, scheme: RtmpScheme) -> Result<(String, u16), RtmpUrlError> {
    if text.contains('@') {
        return Err(RtmpUrlError::UserInfo);
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(RtmpUrlError::Host)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(RtmpUrlError::Port),
        }
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err(RtmpUrlError::Host);
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(RtmpUrlError::Port)?,
        None if scheme == RtmpScheme::Rtmps => PORT_RTMPS,
        None => PORT_RTMP,
    };
    Ok((host.to_owned(), port))
}

/// Application and stream of a path.
fn split_path(path: &str) -> (&str, &str) {
    let before_query = path.find('?').unwrap_or(path.len());
    let (plain, query) = path.split_at_checked(before_query).unwrap_or((path, ""));
    if let Some(slash) = plain.trim_end_matches('/').rfind('/') {
        let app = path.get(..slash).unwrap_or_default();
        let stream = path.get(slash + 1..).unwrap_or_default();
        return (app, if query.is_empty() { stream.trim_end_matches('/') } else { stream });
    }
    // One segment: the stream follows the application's query, or is not there.
    match query.rfind('/') {
        Some(slash) => (
            path.get(..before_query + slash).unwrap_or_default(),
            path.get(before_query + slash + 1..).unwrap_or_default(),
        ),
        None if query.is_empty() => (plain.trim_end_matches('/'), ""),
        None => (path, ""),
    }
}
