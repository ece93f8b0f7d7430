//! The arguments, as clap reads them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::amounts::{bits, rate, rate_or_none, rhythm, time};
use crate::check::Expect;
use crate::engine::settings::{Course, Crowd, IdleKind};
use crate::floor::Rhythm;
use crate::mark::Checksums;
use crate::net::socket::SourceRange;
use crate::pattern::Pattern;

/// Load for RTMP servers: publishers and players, thousands on one core, every message checked.
#[derive(Debug, Parser)]
#[command(name = "rtmp-load", version, about)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Publishes streams.
    Publish {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        sending: Sending,
    },
    /// Plays streams.
    Play {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        playing: Playing,
    },
    /// Publishes streams and plays them.
    Run {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        sending: Sending,
        #[command(flatten)]
        playing: Playing,
    },
    /// Takes publications, as the far side of pushes, and checks them.
    Sink {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        #[command(flatten)]
        shared: Shared,
    },
    /// Sends a synthetic stream to players with no protocol work: what a relay's sends alone cost.
    Floor {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// How often every player is sent something: per-message, per-frame, or a time like 100ms.
        #[arg(long, default_value = "per-message", value_parser = rhythm)]
        pattern: Rhythm,
        #[command(flatten)]
        media: PatternArguments,
    },
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Where to, such as rtmp://127.0.0.1/live/cam{n}. {n} is the stream's number; without it, the
    /// number is added to the name.
    #[arg(long)]
    pub(super) url: String,
    /// New connections per second.
    #[arg(long, default_value = "200", value_parser = rate)]
    pub(super) ramp: f64,
    /// Connections that are lost come back.
    #[arg(long)]
    pub(super) reconnect: bool,
    /// After so long.
    #[arg(long, default_value = "1s", value_parser = time)]
    pub(super) reconnect_after: Duration,
    /// How long the server may take to accept a connection's request.
    #[arg(long, default_value = "10s", value_parser = time)]
    pub(super) open_timeout: Duration,
    /// Source addresses to spread connections over, such as 127.0.0.2-127.0.0.9.
    #[arg(long)]
    pub(super) bind_range: Option<SourceRange>,
    #[command(flatten)]
    pub(super) shared: Shared,
}

/// What clients and the sink have in common.
#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Streams, numbered from 0.
    #[arg(long, default_value_t = 1)]
    pub(super) streams: usize,
    /// From everybody being there to the measured window.
    #[arg(long, default_value = "5s", value_parser = time)]
    warmup: Duration,
    /// The measured window.
    #[arg(long, default_value = "30s", value_parser = time)]
    duration: Duration,
    /// How long to wait for everybody to be there before measuring whoever is.
    #[arg(long, default_value = "60s", value_parser = time)]
    ready_timeout: Duration,
    /// The streams are not ours: judge only timestamps and starts.
    #[arg(long)]
    unmarked: bool,
    /// Do not verify checksums, only sequence marks.
    #[arg(long)]
    no_checksum: bool,
    /// Exit with 0 even if the checks found loss.
    #[arg(long)]
    pub(super) allow_loss: bool,
    /// Write the report there, as JSON.
    #[arg(long)]
    pub(super) json: Option<PathBuf>,
    /// Print one JSON object a line: "ready", "second", "window_begin", "window_end", "report".
    #[arg(long)]
    pub(super) json_lines: bool,
}

impl Shared {
    pub(super) const fn course(&self) -> Course {
        Course { ready_timeout: self.ready_timeout, warmup: self.warmup, duration: self.duration }
    }

    pub(super) const fn expect(&self) -> Expect {
        match (self.unmarked, self.no_checksum) {
            (true, _) => Expect::Foreign,
            (false, true) => Expect::Marked(Checksums::Ignored),
            (false, false) => Expect::Marked(Checksums::Verified),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Sending {
    #[command(flatten)]
    pub(super) pattern: PatternArguments,
    /// Publish this file over and over instead. Its messages carry no marks, so loss goes unseen.
    #[arg(long, conflicts_with_all = ["bitrate", "fps", "gop", "audio"])]
    pub(super) flv: Option<PathBuf>,
    /// How much later than due messages may go, so that fewer wake-ups send them.
    #[arg(long, default_value = "500us", value_parser = time)]
    pub(super) slack: Duration,
    /// Chunk size of publishers.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1..=0x7FFF_FFFF))]
    pub(super) chunk_size: u32,
}

#[derive(Debug, Args)]
pub(super) struct PatternArguments {
    /// Video bits per second.
    #[arg(long, default_value = "2.5M", value_parser = bits)]
    bitrate: f64,
    /// Video frames per second.
    #[arg(long, default_value = "30", value_parser = rate)]
    fps: f64,
    /// From keyframe to keyframe.
    #[arg(long, default_value = "2s", value_parser = time)]
    gop: Duration,
    /// Audio bits per second, 0 for none; 46.875 messages a second.
    #[arg(long, default_value = "128k", value_parser = bits)]
    audio: f64,
}

impl PatternArguments {
    pub(super) const fn pattern(&self) -> Pattern {
        Pattern { video_bits: self.bitrate, fps: self.fps, gop: self.gop, audio_bits: self.audio }
    }
}

#[derive(Debug, Args)]
pub(super) struct Playing {
    /// Players, spread over the streams.
    #[arg(long, default_value_t = 0)]
    players: usize,
    /// Players of each stream, beside --players.
    #[arg(long, default_value_t = 0)]
    players_per_stream: usize,
    /// Check one of so many players; once the others have a picture, what they get is thrown away in
    /// the kernel. They cost less, see no loss and answer no pings.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) check_every: u64,
    /// Look at players that watch only so often: saves processor time.
    #[arg(long, default_value = "0s", value_parser = time)]
    pub(super) gather: Duration,
    /// With --gather: one of so many checked players is looked at whenever something comes, and
    /// latency is theirs alone.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) latency_of: u64,
    /// Players that read slower than the stream is.
    #[arg(long, default_value_t = 0)]
    slow: usize,
    /// What these read, bits per second.
    #[arg(long, default_value = "500k", value_parser = bits)]
    pub(super) slow_rate: f64,
    /// Players that stop reading when they have a picture.
    #[arg(long, default_value_t = 0)]
    stalled: usize,
    /// Players that wait.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// What these do.
    #[arg(long, value_enum, default_value_t)]
    pub(super) idle_kind: IdleArgument,
    /// Joins per second of players that leave again, beside the others.
    #[arg(long, default_value = "0", value_parser = rate_or_none)]
    pub(super) churn: f64,
    /// How long these stay once they have a picture.
    #[arg(long, default_value = "2s", value_parser = time)]
    pub(super) churn_stay: Duration,
}

impl Playing {
    pub(super) const fn crowd(&self, streams: usize) -> Crowd {
        Crowd {
            steady: self.players + self.players_per_stream * streams,
            slow: self.slow,
            stalled: self.stalled,
            idle: self.idle,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum IdleArgument {
    /// Play a stream that nobody publishes.
    #[default]
    Play,
    /// Say `connect`, and nothing more.
    Connect,
}

impl From<IdleArgument> for IdleKind {
    fn from(argument: IdleArgument) -> Self {
        match argument {
            IdleArgument::Play => Self::Play,
            IdleArgument::Connect => Self::Connect,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn players_per_stream_come_beside_players() {
        let line = ["rtmp-load", "play", "--url", "rtmp://h/live/x", "--streams", "4"];
        let more = ["--players", "3", "--players-per-stream", "2"];
        let arguments = Arguments::parse_from(line.into_iter().chain(more));
        let Command::Play { common, playing } = arguments.command else { panic!("it plays") };
        assert_eq!(playing.crowd(common.shared.streams).steady, 11);
    }
}
