//! The command line of `rtmp-load`: arguments to settings, and how a run is shown. Must not do the
//! work.

mod amounts;
mod arguments;
mod screen;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use edgerelay_proto::session::RtmpUrl;

use self::arguments::{Arguments, Command, Common, Playing, Sending, Shared};
use self::screen::Screen;
use crate::check::Expect;
use crate::engine::settings::{Churn, Crowd, Media, Publishing, Settings, Target};
use crate::engine::sink::SinkSettings;
use crate::flv::FlvFile;
use crate::net::socket;
use crate::report::{Asked, Report};
use crate::synthetic::Templates;
use crate::{engine, floor};

/// The checks found that something is missing or wrong.
const EXIT_FAULTS: u8 = 1;

/// Parses the process's arguments and does what they say.
///
/// # Errors
/// The arguments make no sense together, or the machine does not offer what is needed.
pub fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    socket::raise_descriptor_limit();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let (shared, report) = match &arguments.command {
        Command::Publish { common, sending } => load(common, Some(sending), None, &stop)?,
        Command::Play { common, playing } => load(common, None, Some(playing), &stop)?,
        Command::Run { common, sending, playing } => {
            load(common, Some(sending), Some(playing), &stop)?
        }
        Command::Sink { listen, shared } => (shared, sink(*listen, shared, &stop)?),
        Command::Floor { listen, pattern, media } => {
            floor::run(*listen, *pattern, media.pattern(), &stop, |_| {})?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    if let Some(path) = &shared.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    let failed = !report.verdict.passed && !shared.allow_loss;
    Ok(if failed { ExitCode::from(EXIT_FAULTS) } else { ExitCode::SUCCESS })
}

fn load<'a>(
    common: &'a Common,
    sending: Option<&Sending>,
    playing: Option<&Playing>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<(&'a Shared, Report)> {
    let settings = settings(common, sending, playing)?;
    let mut screen = Screen::new(common.shared.json_lines, &settings.course);
    let outcome = engine::run(&settings, stop, &mut screen)?;
    let report = Report::new(Asked::of_run(&settings), &outcome);
    screen.finish(&report)?;
    Ok((&common.shared, report))
}

fn sink(listen: SocketAddr, shared: &Shared, stop: &Arc<AtomicBool>) -> anyhow::Result<Report> {
    let (streams, expect, course) = (shared.streams, shared.expect(), shared.course());
    let settings = SinkSettings { listen, streams, expect, course };
    let mut screen = Screen::new(shared.json_lines, &settings.course);
    let outcome = engine::sink::run(&settings, stop, &mut screen, |_| {})
        .with_context(|| format!("listening on {listen}"))?;
    let report = Report::new(Asked::of_sink(&settings), &outcome);
    screen.finish(&report)?;
    Ok(report)
}

fn settings(
    common: &Common,
    sending: Option<&Sending>,
    playing: Option<&Playing>,
) -> anyhow::Result<Settings> {
    let shared = &common.shared;
    let is_file = sending.is_some_and(|sending| sending.flv.is_some());
    Ok(Settings {
        target: target(&common.url)?,
        streams: shared.streams,
        publishing: sending.map(publishing).transpose()?,
        crowd: playing.map_or_else(Crowd::default, |playing| playing.crowd(shared.streams)),
        churn: playing.map_or_else(Churn::default, |playing| Churn {
            joins_per_second: playing.churn,
            stay: playing.churn_stay,
        }),
        slow_bits: playing.map_or(0.0, |playing| playing.slow_rate),
        idle: playing.map_or_else(Default::default, |playing| playing.idle_kind.into()),
        expect: if is_file { Expect::Foreign } else { shared.expect() },
        check_every: playing.map_or(1, |playing| playing.check_every),
        ramp_per_second: common.ramp,
        reconnect_after: common.reconnect.then_some(common.reconnect_after),
        open_timeout: common.open_timeout,
        course: shared.course(),
        from: common.bind_range,
        slack: sending.map_or(Duration::ZERO, |sending| sending.slack),
        gather: playing.map_or(Duration::ZERO, |playing| playing.gather),
        latency_of: playing.map_or(1, |playing| playing.latency_of),
    })
}

fn publishing(sending: &Sending) -> anyhow::Result<Publishing> {
    let media = match &sending.flv {
        Some(path) => {
            let bytes =
                std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let file = FlvFile::parse(bytes.into())
                .with_context(|| format!("reading {}", path.display()))?;
            Media::File(Rc::new(file))
        }
        None => Media::Synthetic(Rc::new(Templates::new(sending.pattern.pattern()))),
    };
    Ok(Publishing { media, chunk_size: sending.chunk_size })
}

fn target(text: &str) -> anyhow::Result<Target> {
    let url = RtmpUrl::parse(text).context("the URL")?;
    anyhow::ensure!(!url.is_tls(), "the URL: rtmps:// is not supported");
    anyhow::ensure!(!url.stream().is_empty(), "the URL has no stream name");
    let address = (url.host(), url.port())
        .to_socket_addrs()
        .with_context(|| format!("looking up {}", url.host()))?
        .next()
        .with_context(|| format!("{} has no address", url.host()))?;
    Ok(Target::new(url, address))
}
