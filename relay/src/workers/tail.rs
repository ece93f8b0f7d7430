//! The last lines that a command printed, and what it says of its progress. Owns both bounds; shows
//! no stream key.

use std::collections::VecDeque;

/// Lines kept of one command.
pub(super) const LOG_LINES_MAX: usize = 20;
/// Bytes kept of one line.
pub(super) const LINE_BYTES_MAX: usize = 400;

/// The last lines of a command's output, over all its attempts.
#[derive(Clone, Debug)]
pub(super) struct LogTail {
    lines: VecDeque<String>,
    secrets: Vec<String>,
}

impl LogTail {
    /// Nothing yet. Where one of `secrets` is printed, stars stand instead.
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|it| !it.is_empty()).collect();
        // The longer first: one may be part of another.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { lines: VecDeque::with_capacity(LOG_LINES_MAX), secrets }
    }

    /// A line was printed.
    pub(super) fn push(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut line: String = line.trim_end().replace(|c: char| c.is_control(), " ");
        if line.is_empty() {
            return;
        }
        for secret in &self.secrets {
            line = line.replace(secret, "***");
        }
        let end = (0..=LINE_BYTES_MAX.min(line.len())).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or_default());
        if self.lines.len() == LOG_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// What a command says of its progress, in ffmpeg's words: `KEY=VALUE` on a line each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes that it made.
    pub(super) bytes: u64,
    /// How far it has come in the stream.
    pub(super) position_micros: u64,
    frames: u64,
}

impl Progress {
    /// Takes a line in, and says whether it was one of these.
    pub(super) fn take(&mut self, line: &[u8]) -> bool {
        let Ok(line) = str::from_utf8(line) else { return false };
        let Some((key, value)) = line.trim_end().split_once('=') else { return false };
        let number = || value.trim().parse().ok();
        match key {
            "total_size" => self.bytes = number().unwrap_or(self.bytes),
            "out_time_us" => self.position_micros = number().unwrap_or(self.position_micros),
            "frame" => self.frames = number().unwrap_or(self.frames),
            "fps" | "bitrate" | "out_time_ms" | "out_time" | "dup_frames" | "drop_frames"
            | "speed" | "progress" => {}
            key => return key.starts_with("stream_"),
        }
        true
    }

    /// Whether anything came out at all.
    pub(super) fn has_begun(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_without_keys_and_within_bounds() {
        let mut tail = LogTail::new(["rtmp://up/live/key?auth=s3".to_owned(), "key".to_owned()]);
        tail.push(b"first");
        for number in 0..LOG_LINES_MAX - 1 {
            tail.push(format!("line {number} to rtmp://up/live/key?auth=s3\r\n").as_bytes());
        }
        tail.push(b"   \n");
        tail.push("\u{e4}".repeat(LINE_BYTES_MAX).as_bytes());
        let lines = tail.lines();
        assert_eq!(lines.len(), LOG_LINES_MAX);
        assert_eq!(lines[0], "line 0 to ***");
        assert_eq!(lines[LOG_LINES_MAX - 1].len(), LINE_BYTES_MAX);
        tail.push(b"\xff\x1b[31mkey");
        assert_eq!(tail.lines().last().unwrap(), "\u{fffd} [31m***");
    }

    #[test]
    fn progress_is_read_and_nothing_else_is_taken_for_it() {
        let mut progress = Progress::default();
        assert!(!progress.has_begun());
        for line in ["frame=0", "fps=0.00", "stream_0_0_q=29.0", "bitrate=N/A", "total_size=N/A"] {
            assert!(progress.take(line.as_bytes()), "{line}");
        }
        assert!(!progress.has_begun(), "nothing came out yet");
        assert!(progress.take(b"total_size=48210\n"));
        assert!(progress.take(b"out_time_us=1000000\n"));
        assert!(progress.has_begun());
        assert_eq!((progress.bytes, progress.position_micros), (48210, 1_000_000));
        for line in ["hello", "error=1", "[flv @ 0x1] x=y", ""] {
            assert!(!progress.take(line.as_bytes()), "{line}");
        }
    }
}
