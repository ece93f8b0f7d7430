//! A stream that is watched from its first frame to its last: what came is compared with what was sent.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::machine::Machine;
use super::media::{Media, Place, ffmpeg, url};
use super::running::clients;
use super::{end, ends_within, eventually, quietly, seen};

/// How long a player may take to be there, and to end after its publisher.
const PATIENCE: Duration = Duration::from_secs(20);

/// What has ffmpeg print a checksum for each frame, and change none.
const FRAMES: [&str; 9] = ["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "framemd5", "-"];

/// A publisher from outside that ends by itself, and its player.
pub(super) struct Watched {
    name: String,
    sent: Vec<String>,
    came: PathBuf,
    player: Child,
    publisher: Child,
    patience: Duration,
    begun: Instant,
}

impl Watched {
    /// Publishes the sample `rounds` times, or as often as a slow machine takes, after the player has come.
    pub(super) fn start(machine: &Machine, media: &Media, name: &str, rounds: u32) -> Result<Self> {
        // Repeated beforehand, so that what is published is what was read.
        let file = super::folder().join(format!("{name}.flv"));
        let mut repeat = Command::new("ffmpeg");
        repeat.args(["-nostdin", "-loglevel", "error", "-y", "-stream_loop"]);
        let repeated = rounds * machine.slowness() - 1;
        repeat.arg(repeated.to_string()).arg("-i").arg(media.file());
        quietly(repeat.args(["-c", "copy", "-f", "flv"]).arg(&file))?;
        let mut read = Command::new("ffmpeg");
        read.args(["-nostdin", "-loglevel", "error", "-i"]).arg(&file).args(FRAMES);
        let sent = frames(&quietly(&mut read)?);
        ensure!(sent.len() > 100, "the sample has only {} frames", sent.len());

        let came = super::folder().join(format!("{name}.framemd5"));
        let present = clients(machine)?;
        let url = url(Place::Outside, name);
        let input = ["-rw_timeout", "60000000", "-i", &url];
        let mut play = ffmpeg(machine, Place::Outside, &[&input[..], &FRAMES].concat());
        let output = File::create(&came).with_context(|| format!("make {}", came.display()))?;
        let player = play.stdin(Stdio::null()).stdout(output).spawn().context("start a player")?;
        eventually(machine, &format!("a player waits for {name}"), PATIENCE, || {
            let now = clients(machine)?;
            ensure!(now > present, "{now} clients");
            Ok(())
        })?;
        let file = file.to_string_lossy();
        let publish = ["-re", "-i", &file, "-c", "copy", "-f", "flv", &url];
        let mut publish = ffmpeg(machine, Place::Outside, &publish);
        let publisher = publish.stdin(Stdio::null()).spawn().context("start a publisher")?;
        let (name, patience) = (name.to_owned(), PATIENCE * machine.slowness());
        Ok(Self { name, sent, came, player, publisher, patience, begun: Instant::now() })
    }

    /// Fails if either end has ended.
    pub(super) fn is_under_way(&mut self) -> Result<()> {
        for (who, child) in [("publisher", &mut self.publisher), ("player", &mut self.player)] {
            let status = child.try_wait().with_context(|| format!("look at the {who}"))?;
            ensure!(status.is_none(), "the {who} of {} has ended: {status:?}", self.name);
        }
        Ok(())
    }

    /// Waits for the end, and compares.
    pub(super) fn has_lost_nothing(mut self) -> Result<()> {
        // What it publishes is as long as its frames; a bound that is never near is enough.
        let limit = Duration::from_secs(self.sent.len() as u64 / 30) + self.patience;
        for (who, child) in [("publisher", &mut self.publisher), ("player", &mut self.player)] {
            let status = ends_within(child, limit).with_context(|| format!("{who}'s end"))?;
            ensure!(status.success(), "the {who} of {} ended with {status}", self.name);
        }
        let text = std::fs::read_to_string(&self.came).context("read what came")?;
        let came = frames(&text);
        if let Some(first) = self.sent.iter().zip(&came).position(|(sent, came)| sent != came) {
            bail!("{}: frame {first} is {} and was {}", self.name, came[first], self.sent[first]);
        }
        let (sent, came) = (self.sent.len(), came.len());
        ensure!(sent == came, "{}: {sent} frames were sent and {came} came", self.name);
        seen(format_args!(
            "{}: {came} of {sent} frames came, each with the checksum it was sent with, in {:.1} s",
            self.name,
            self.begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for child in [&mut self.publisher, &mut self.player] {
            end(child);
        }
    }
}

/// Of each frame its kind, size and checksum, all of one kind after the other: how video and sound lie
/// between each other is the reader's choice. Without the sound before the first picture, as a player's
/// stream begins with that.
fn frames(text: &str) -> Vec<String> {
    let mut begin = None;
    let mut frames = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let [kind, time, _, _, size, sum] = fields[..] else { continue };
        let Ok(time) = time.parse::<i64>() else { continue };
        if kind == VIDEO && begin.is_none() {
            begin = Some(time);
        }
        frames.push((kind, time, format!("{kind} {size} {sum}")));
    }
    frames.retain(|(kind, time, _)| *kind == VIDEO || begin.is_some_and(|begin| *time >= begin));
    // Stable: the order within a kind stays.
    frames.sort_by_key(|(kind, ..)| *kind);
    frames.into_iter().map(|(.., frame)| frame).collect()
}

/// What ffmpeg calls the kind that is asked for first.
const VIDEO: &str = "0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_in_the_order_of_their_kind_from_the_first_picture_on_without_their_times() {
        let one = "#tb 0: 1/1000\n1, -9, -9, 23, 5, dd\n0, 0, 0, 33, 10, aa\n1, 0, 0, 23, 5, bb\n0, 33, 33, 33, 11, cc\n";
        let other = "1, 9, 9, 23, 5, bb\n0, 8, 8, 33, 10, aa\n0, 41, 41, 33, 11, cc\n";
        assert_eq!(frames(one), ["0 10 aa", "0 11 cc", "1 5 bb"]);
        assert_eq!(frames(one), frames(other));
        assert_ne!(frames(one), frames(&other.replace("cc", "dd")));
    }
}
