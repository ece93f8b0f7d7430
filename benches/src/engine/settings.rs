//! What a run is to do, parsed. Must not do it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use edgerelay_proto::session::{ClientConfig, ClientMode, RtmpUrl, RtmpUrlError};

use crate::check::Expect;
use crate::flv::FlvFile;
use crate::measure::Group;
use crate::net::socket::SourceRange;
use crate::synthetic::Templates;

/// What stands for a stream's number in a URL.
const NUMBER: &str = "{n}";

/// A URL with a place for the stream's number.
#[derive(Clone, Debug)]
pub struct Target {
    url: RtmpUrl,
    /// Where to connect to.
    pub address: SocketAddr,
}

impl Target {
    /// Streams of `url` at `address`. Without `{n}` the number is added to the end of the name.
    #[must_use]
    pub const fn new(url: RtmpUrl, address: SocketAddr) -> Self {
        Self { url, address }
    }

    /// The URL, without stream name.
    #[must_use]
    pub fn shown(&self) -> String {
        self.url.to_string()
    }

    /// How to connect for stream `number`. `kind` tells streams apart that nobody publishes.
    ///
    /// # Errors
    /// The name is too long.
    pub fn config(
        &self,
        mode: ClientMode,
        number: usize,
        kind: StreamKind,
    ) -> Result<ClientConfig, RtmpUrlError> {
        let template = self.url.stream();
        let mut name = if template.contains(NUMBER) {
            template.replace(NUMBER, &number.to_string())
        } else {
            let (name, query) = template
                .split_once('?')
                .map_or((template, None), |(name, query)| (name, Some(query)));
            let name = format!("{name}{number}");
            query.map_or(name.clone(), |query| format!("{name}?{query}"))
        };
        if kind == StreamKind::Unpublished {
            name.insert_str(0, "nobody-");
        }
        Ok(ClientConfig::new(self.url.clone().with_stream(&name)?, mode))
    }
}

/// Whether somebody publishes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A publisher of ours, or of another process.
    Published,
    /// Nobody.
    Unpublished,
}

/// What idle players do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdleKind {
    /// Play a stream that nobody publishes.
    #[default]
    Play,
    /// Say `connect`, and nothing more.
    Connect,
}

/// What publishers send.
#[derive(Clone, Debug)]
pub enum Media {
    /// Synthetic streams.
    Synthetic(Rc<Templates>),
    /// A file.
    File(Rc<FlvFile>),
}

/// Publishers.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// What they send.
    pub media: Media,
    /// In chunks of this size.
    pub chunk_size: u32,
}

/// Players, by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Players that watch all the time.
    pub steady: usize,
    /// Players that read slower than the stream is.
    pub slow: usize,
    /// Players that stop reading.
    pub stalled: usize,
    /// Players that wait for what does not come.
    pub idle: usize,
}

/// Players that come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Churn {
    /// Joins per second; zero for none.
    pub joins_per_second: f64,
    /// From joining to leaving.
    pub stay: Duration,
}

/// How long the parts of a run take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// From the start until all are there, at most.
    pub ready_timeout: Duration,
    /// From then to the measured window.
    pub warmup: Duration,
    /// The measured window.
    pub duration: Duration,
}

/// Who has to be there before the course goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) publishers: u64,
    /// In the order of [`Group::ALL`].
    pub(super) players: [u64; Group::ALL.len()],
    pub(super) course: Course,
}

impl Plan {
    pub(super) fn of_run(settings: &Settings) -> Self {
        let crowd = settings.crowd;
        let publishers = if settings.publishing.is_some() { settings.streams } else { 0 };
        let players = Group::ALL.map(|group| match group {
            Group::Steady => crowd.steady as u64,
            Group::Slow => crowd.slow as u64,
            Group::Stalled => crowd.stalled as u64,
            Group::Idle => crowd.idle as u64,
            Group::Churn => 0,
        });
        Self { publishers: publishers as u64, players, course: settings.course }
    }

    /// Publications that come to us count as players that watch.
    pub(super) fn of_sink(streams: usize, course: Course) -> Self {
        let players = Group::ALL.map(|group| match group {
            Group::Steady => streams as u64,
            _ => 0,
        });
        Self { publishers: 0, players, course }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to.
    pub target: Target,
    /// Streams, numbered from zero.
    pub streams: usize,
    /// Publishers of these streams, if they are ours.
    pub publishing: Option<Publishing>,
    /// Players.
    pub crowd: Crowd,
    /// Players that come and go, beside these.
    pub churn: Churn,
    /// What slow players read, bits per second.
    pub slow_bits: f64,
    /// What idle players do.
    pub idle: IdleKind,
    /// What is known of the streams.
    pub expect: Expect,
    /// Every so many steady players one is checked.
    pub check_every: u64,
    /// New connections per second.
    pub ramp_per_second: f64,
    /// Until who lost its connection comes back; none for never.
    pub reconnect_after: Option<Duration>,
    /// From connecting to being accepted, at most.
    pub open_timeout: Duration,
    /// Its course.
    pub course: Course,
    /// Source addresses.
    pub from: Option<SourceRange>,
    /// How much later than due publishers' messages may go, so that more of them go at once.
    pub slack: Duration,
    /// From look to look at the sockets of steady players that watch; zero for whenever something
    /// comes.
    pub gather: Duration,
    /// With `gather`: one of so many checked players is looked at whenever something comes, and
    /// latency is measured on these.
    pub latency_of: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str, kind: StreamKind) -> String {
        let target =
            Target::new(RtmpUrl::parse(url).unwrap(), SocketAddr::from(([127, 0, 0, 1], 1935)));
        target.config(ClientMode::Play, 7, kind).unwrap().url.stream().to_owned()
    }

    #[test]
    fn the_number_goes_where_the_url_says_or_to_the_end_of_the_name() {
        let published = StreamKind::Published;
        assert_eq!(name("rtmp://h/live/cam{n}-x?k={n}", published), "cam7-x?k=7");
        assert_eq!(name("rtmp://h/live/cam?token=1", published), "cam7?token=1");
        assert_eq!(name("rtmp://h/live/cam", StreamKind::Unpublished), "nobody-cam7");
    }
}
