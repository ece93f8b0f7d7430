//! Encoders and players: ffmpeg, from outside through the cable or from inside over the loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::machine::Machine;
use super::network::MACHINE;
use super::{end, eventually, quietly, seen};

/// Frames that a player takes: two seconds.
const FRAMES: usize = 60;

/// How long anything of a stream may take to come about.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the other end of the cable.
    Outside,
    /// On the machine.
    Inside,
}

/// A short piece of video and sound, which publishers repeat.
pub(super) struct Media {
    file: PathBuf,
}

/// Somebody who publishes until this value goes.
pub(super) struct Publisher {
    child: Child,
}

impl Media {
    /// Encodes it.
    pub(super) fn make() -> Result<Self> {
        let file = super::folder().join("sample.flv");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "error", "-y"]);
        ffmpeg.args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=4"]);
        ffmpeg.args(["-f", "lavfi", "-i", "sine=frequency=440:duration=4"]);
        ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-c:a", "aac"]);
        quietly(ffmpeg.arg(&file))?;
        ensure!(fs::metadata(&file).context("the sample")?.len() > 0, "the sample is empty");
        Ok(Self { file })
    }

    /// Where it is.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Publishes under `name`.
    pub(super) fn publish(&self, machine: &Machine, from: Place, name: &str) -> Result<Publisher> {
        let file = match from {
            Place::Outside => self.file.clone(),
            Place::Inside => machine.lend(&self.file)?,
        };
        let (file, url) = (file.to_string_lossy(), url(from, name));
        let input = ["-re", "-stream_loop", "-1", "-i", &file];
        let output = ["-c", "copy", "-f", "flv", &url];
        let mut ffmpeg = ffmpeg(machine, from, &[&input[..], &output].concat());
        let child = ffmpeg.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Publisher { child: child.context("start ffmpeg")? })
    }

    /// Publishes and plays in every direction.
    pub(super) fn passes_through(&self, machine: &Machine) -> Result<()> {
        for from in [Place::Outside, Place::Inside] {
            let mut publisher = self.publish(machine, from, "stream")?;
            for to in [Place::Outside, Place::Inside] {
                plays(machine, to, "stream")?;
                seen(format_args!("published {from:?}, played {to:?}: {FRAMES} frames"));
            }
            publisher.lives()?;
        }
        Ok(())
    }
}

impl Publisher {
    /// Fails if it has ended.
    pub(super) fn lives(&mut self) -> Result<()> {
        let status = self.child.try_wait().context("look at the publisher")?;
        ensure!(status.is_none(), "the publisher ended with {status:?}");
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Plays the stream `name`, until enough frames have come.
pub(super) fn plays(machine: &Machine, at: Place, name: &str) -> Result<()> {
    plays_from(machine, at, &url(at, name))
}

/// As [`plays`], from any server.
pub(super) fn plays_from(machine: &Machine, at: Place, url: &str) -> Result<()> {
    let input = ["-rw_timeout", "20000000", "-i", url, "-map", "0:v", "-c", "copy"];
    let output = ["-frames:v", &FRAMES.to_string(), "-f", "framemd5", "-"];
    let mut player = ffmpeg(machine, at, &[&input[..], &output].concat());
    let frames = quietly(&mut player)?;
    let count = frames.lines().filter(|line| !line.starts_with('#')).count();
    ensure!(count >= FRAMES, "{url}: {count} frames instead of {FRAMES}");
    Ok(())
}

/// Waits until the relay takes a stream again.
pub(super) fn is_served_again(machine: &Machine, media: &Media) -> Result<()> {
    eventually(machine, "a stream passes through", SOON, || {
        let _publisher = media.publish(machine, Place::Outside, "again")?;
        plays(machine, Place::Outside, "again")
    })
}

/// ffmpeg that says only what is wrong.
pub(super) fn ffmpeg(machine: &Machine, at: Place, arguments: &[&str]) -> Command {
    let line = [&["ffmpeg", "-nostdin", "-loglevel", "error"], arguments].concat();
    match at {
        Place::Outside => {
            let mut command = machine.outside(line[0]);
            command.args(&line[1..]);
            command
        }
        Place::Inside => machine.inside(&line),
    }
}

/// The stream `name`, seen from there.
pub(super) fn url(from: Place, name: &str) -> String {
    let host = match from {
        Place::Outside => MACHINE,
        Place::Inside => "127.0.0.1",
    };
    format!("rtmp://{host}/live/{name}")
}
