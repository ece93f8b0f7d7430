//! rtmpdump and GStreamer as encoders and players: other people's RTMP.

use std::path::Path;
use std::process::Command;

use super::process::Process;

/// rtmpdump plays `url` into `file` until the stream ends.
pub(crate) fn rtmpdump_play(url: &str, file: &Path) -> Process {
    let mut command = Command::new("rtmpdump");
    command.args(["--quiet", "--live", "--rtmp", url, "--flv"]).arg(file);
    Process::start(&mut command)
}

/// GStreamer publishes the FLV file at `path` to `url` in real time.
pub(crate) fn gstreamer_publish(path: &Path, url: &str) -> Process {
    gstreamer_send(path, &["!", "rtmp2sink", "sync=true"], url)
}

/// GStreamer plays `url` into `file` until the stream ends.
pub(crate) fn gstreamer_play(url: &str, file: &Path) -> Process {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "rtmp2src", &format!("location={url}")]);
    command.args(["!", "filesink", "buffer-mode=unbuffered"]);
    command.arg(format!("location={}", file.display()));
    Process::start(&mut command)
}

/// GStreamer writes what it would publish of the FLV file at `path` to `file`: its parsers and its
/// multiplexer do not leave everything as it was.
pub(crate) fn gstreamer_remux(path: &Path, file: &Path) -> Process {
    gstreamer_send(path, &["!", "filesink"], &file.display().to_string())
}

fn gstreamer_send(path: &Path, sink: &[&str], location: &str) -> Process {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "flvmux", "name=mux", "streamable=true"]);
    command.args(sink).arg(format!("location={location}"));
    command.arg("filesrc").arg(format!("location={}", path.display()));
    command.args(["!", "flvdemux", "name=demux"]);
    command.args(["demux.video", "!", "queue", "!", "h264parse", "!", "mux."]);
    command.args(["demux.audio", "!", "queue", "!", "aacparse", "!", "mux."]);
    Process::start(&mut command)
}
