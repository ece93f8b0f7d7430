//! ffmpeg as encoder and as player.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::eventually::eventually;
use super::frames::Frames;
use super::process::Process;

/// How fast a clip is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as it plays.
    RealTime,
    /// Four times as fast.
    Fast,
}

/// Publishes the file at `path` to `url` without re-encoding it.
pub(crate) fn publish(path: &Path, url: &str, pace: Pace) -> Process {
    let rate = if pace == Pace::RealTime { "1" } else { "4" };
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-readrate", rate, "-copyts", "-i"]).arg(path);
    start_publishing(command, url)
}

/// Publishes the file at `path` over and over in real time, until it is stopped.
pub(crate) fn publish_looped(path: &Path, url: &str) -> Process {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"]).arg(path);
    start_publishing(command, url)
}

/// Sends what `command` reads to `url` as it is.
///
/// With Nagle's algorithm, ffmpeg's last messages may still wait in its socket when it closes it, and
/// an acknowledgement from the relay that it did not read makes that close a reset, which drops them.
/// So publishers turn it off.
fn start_publishing(mut command: Command, url: &str) -> Process {
    command.args(["-c", "copy", "-flvflags", "no_duration_filesize", "-f", "flv"]);
    command.args(["-tcp_nodelay", "1", url]);
    Process::start(&mut command)
}

/// A player that notes the checksum of every frame it receives.
pub(crate) struct Player {
    process: Process,
}

impl Player {
    /// Starts to play `url`.
    pub(crate) fn start(url: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-copyts", "-analyzeduration", "1000000"]);
        command.args(["-rtmp_live", "live", "-i", url]);
        command.args(["-c", "copy", "-flush_packets", "1", "-f", "framemd5", "-"]);
        Self { process: Process::start(&mut command) }
    }

    /// What it received so far.
    pub(crate) fn frames(&self) -> Frames {
        Frames::parse(&self.process.stdout())
    }

    /// Waits until it has received `count` frames.
    #[track_caller]
    pub(crate) fn wait_for_frames(&mut self, count: usize, limit: Duration) -> Frames {
        eventually(&format!("{count} frames"), limit, || {
            let ended = self.process.ended();
            let frames = self.frames();
            if frames.count() < count && ended.is_some() {
                let (got, why) = (frames.count(), self.process.stderr());
                panic!("the player ended after {got} of {count} frames: {why}");
            }
            (frames.count() >= count).then_some(frames)
        })
    }

    /// Waits until the stream's end makes it end, and says what it received.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) -> Frames {
        self.process.wait(limit);
        self.frames()
    }
}
