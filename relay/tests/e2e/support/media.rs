//! The clips that tests publish: made by ffmpeg once per test run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::frames::Frames;

/// A kind of clip. Video has a keyframe every second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clip {
    /// H.264 without B-frames and AAC, six seconds.
    Plain,
    /// H.264 with B-frames and AAC, six seconds.
    BFrames,
    /// AAC alone, six seconds.
    AudioOnly,
    /// H.264 alone, six seconds.
    VideoOnly,
    /// As plain at a higher rate, twenty seconds.
    Long,
}

/// Where the clips are.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Under the build's own temporary folder, which each run overwrites: statics are not
        // dropped, so a folder of another name would be left behind.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
        std::fs::create_dir_all(&folder).expect("make the folder of clips");
        folder
    })
}

impl Clip {
    fn slot(self) -> (&'static str, &'static OnceLock<PathBuf>) {
        static PLAIN: OnceLock<PathBuf> = OnceLock::new();
        static B_FRAMES: OnceLock<PathBuf> = OnceLock::new();
        static AUDIO_ONLY: OnceLock<PathBuf> = OnceLock::new();
        static VIDEO_ONLY: OnceLock<PathBuf> = OnceLock::new();
        static LONG: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::Plain => ("plain", &PLAIN),
            Self::BFrames => ("b-frames", &B_FRAMES),
            Self::AudioOnly => ("audio-only", &AUDIO_ONLY),
            Self::VideoOnly => ("video-only", &VIDEO_ONLY),
            Self::Long => ("long", &LONG),
        }
    }

    /// The clip as an FLV file.
    pub(crate) fn path(self) -> &'static Path {
        let (name, slot) = self.slot();
        slot.get_or_init(|| self.make(name))
    }

    fn make(self, name: &str) -> PathBuf {
        let scratch = TempDir::new_in(folder()).expect("a scratch folder");
        let made = scratch.path().join("clip.flv");
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-y"]);
        let picture = match self {
            Self::Long => "testsrc2=size=640x360:rate=30",
            _ => "testsrc2=size=320x240:rate=30",
        };
        if self != Self::AudioOnly {
            command.args(["-f", "lavfi", "-i", picture]);
        }
        if self != Self::VideoOnly {
            command.args(["-f", "lavfi", "-i", "aevalsrc=sin(440*2*PI*t)+0.1*random(0):s=44100"]);
        }
        command.args(["-t", if self == Self::Long { "20" } else { "6" }]);
        if self != Self::AudioOnly {
            let b_frames = if self == Self::BFrames { "3" } else { "0" };
            command.args(["-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", b_frames]);
            command.args(["-pix_fmt", "yuv420p", "-bitexact"]);
        }
        if self != Self::VideoOnly {
            command.args(["-c:a", "aac", "-b:a", "96k"]);
        }
        if self == Self::Long {
            command.args(["-b:v", "2M", "-minrate", "2M"]);
        }
        let output = command.args(["-f", "flv"]).arg(&made).output();
        let output = output.expect("ffmpeg is installed; try `cargo xtask setup`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // A rename, so that two runs at once never see half a clip.
        let path = folder().join(format!("{name}.flv"));
        std::fs::rename(&made, &path).expect("move the clip to its place");
        path
    }

    /// The checksums of its frames.
    pub(crate) fn frames(self) -> Frames {
        frames_of_file(self.path())
    }
}

/// The checksums of a media file's frames.
pub(crate) fn frames_of_file(path: &Path) -> Frames {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-copyts", "-i"])
        .arg(path)
        .args(["-c", "copy", "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed; try `cargo xtask setup`");
    Frames::parse(&String::from_utf8_lossy(&output.stdout))
}
