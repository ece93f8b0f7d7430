//! The commands of a worker: the shipped ones and the operator's, with a stream's own values put in.

use crate::config::{CommandValues, PipelineConfig, PipelineKind, expand_argument, expand_url};
use crate::id::StreamKey;

/// A command for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamCommand {
    /// Program and arguments.
    pub(super) arguments: Vec<String>,
    /// Whether it says how far it has come, so that silence means that it hangs.
    pub(super) tells_progress: bool,
    /// What of it must not be shown.
    pub(super) secrets: Vec<String>,
}

/// A rendition of the transcoding preset: lines, bits per second in thousands.
const RENDITIONS: [(u32, u32); 3] = [(1080, 5000), (720, 2800), (480, 1400)];

/// Seconds between keyframes of all renditions, at the same places in each.
const KEYFRAME_SECONDS: u32 = 2;

/// The command for a stream that comes from `input`; none for a pipeline without one.
pub(super) fn command(
    config: &PipelineConfig,
    stream: &StreamKey,
    input: &str,
) -> Option<StreamCommand> {
    let output = |suffix: &str| {
        let renamed = StreamKey::new(&stream.app, &format!("{}{suffix}", stream.name));
        config.push_template().map(|url| expand_url(&url, &renamed)).unwrap_or_default()
    };
    let secrets = |mut outputs: Vec<String>| {
        let arguments = config.push_url.split_once('?').map(|(_, arguments)| arguments.to_owned());
        outputs.push(input.to_owned());
        outputs.extend(arguments);
        outputs
    };
    match config.kind {
        PipelineKind::Passthrough => None,
        PipelineKind::Command => {
            let output = output("");
            let values =
                CommandValues { app: &stream.app, name: &stream.name, input, output: &output };
            let arguments: Vec<_> =
                config.command.iter().map(|it| expand_argument(it, &values)).collect();
            let tells_progress = arguments.iter().any(|argument| argument == "-progress");
            Some(StreamCommand { arguments, tells_progress, secrets: secrets(vec![output]) })
        }
        PipelineKind::Abr => {
            let outputs = RENDITIONS.map(|(lines, _)| output(&format!("_{lines}")));
            let mut arguments = opening(input);
            arguments.extend(transcode(&outputs));
            let secrets = secrets(outputs.into());
            Some(StreamCommand { arguments, tells_progress: true, secrets })
        }
        PipelineKind::AudioOnly => {
            let output = output("");
            let mut arguments = opening(input);
            arguments.extend(words(&["-map", "0:a:0", "-c:a", "copy", "-f", "flv"]));
            arguments.push(output.clone());
            let secrets = secrets(vec![output]);
            Some(StreamCommand { arguments, tells_progress: true, secrets })
        }
    }
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().copied().map(str::to_owned).collect()
}

/// ffmpeg, up to and including its input.
fn opening(input: &str) -> Vec<String> {
    let mut arguments = words(&["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning"]);
    arguments.extend(words(&["-progress", "pipe:1", "-stats_period", "0.5"]));
    arguments.extend(words(&["-rtmp_live", "live", "-i", input]));
    arguments
}

fn transcode(outputs: &[String; RENDITIONS.len()]) -> Vec<String> {
    let splits: String = RENDITIONS.map(|(lines, _)| format!("[s{lines}]")).concat();
    let scales = RENDITIONS.map(|(lines, _)| {
        // Nothing is made larger than it came.
        format!(";[s{lines}]scale=-2:'min({lines},trunc(ih/2)*2)'[v{lines}]")
    });
    let graph = format!("[0:v:0]split={}{splits}{}", RENDITIONS.len(), scales.concat());
    let mut arguments = words(&["-filter_complex", &graph]);
    for ((lines, kilobits), output) in RENDITIONS.into_iter().zip(outputs) {
        let (rate, buffer) = (format!("{kilobits}k"), format!("{}k", kilobits * 2));
        let keyframes = format!("expr:gte(t,n_forced*{KEYFRAME_SECONDS})");
        arguments.extend(words(&["-map", &format!("[v{lines}]"), "-map", "0:a:0?"]));
        arguments.extend(words(&[
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-tune",
            "zerolatency",
        ]));
        arguments.extend(words(&["-pix_fmt", "yuv420p", "-b:v", &rate, "-maxrate", &rate]));
        arguments.extend(words(&["-bufsize", &buffer, "-force_key_frames", &keyframes]));
        arguments.extend(words(&["-c:a", "aac", "-b:a", "128k", "-f", "flv", output]));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(kind: PipelineKind, command: &[&str]) -> PipelineConfig {
        PipelineConfig {
            kind,
            command: words(command),
            push_url: "rtmp://up.example/live?auth=s3cret".to_owned(),
            ..PipelineConfig::default()
        }
    }

    fn of(config: &PipelineConfig) -> StreamCommand {
        let input = "rtmp://127.0.0.1:19351/worker/cam";
        command(config, &StreamKey::new("worker", "cam"), input).expect("a command")
    }

    #[test]
    fn a_command_of_the_operators_gets_the_streams_values() {
        let template = ["copy", "-progress", "pipe:1", "{input}", "-o", "{output}", "{app}-{name}"];
        let made = of(&config(PipelineKind::Command, &template));
        let expected = [
            "copy",
            "-progress",
            "pipe:1",
            "rtmp://127.0.0.1:19351/worker/cam",
            "-o",
            "rtmp://up.example/live/cam?auth=s3cret",
            "worker-cam",
        ];
        assert_eq!(made.arguments, expected);
        assert!(made.tells_progress);
        assert!(made.secrets.contains(&"auth=s3cret".to_owned()));
        assert!(!of(&config(PipelineKind::Command, &["true"])).tells_progress);
    }

    #[test]
    fn every_rendition_goes_to_a_name_of_its_own_before_the_urls_arguments() {
        let made = of(&config(PipelineKind::Abr, &[]));
        for lines in ["1080", "720", "480"] {
            let url = format!("rtmp://up.example/live/cam_{lines}?auth=s3cret");
            assert!(made.arguments.contains(&url), "{:?}", made.arguments);
            assert!(made.secrets.contains(&url));
        }
    }

    #[test]
    fn audio_alone_is_copied_and_a_passthrough_has_no_command() {
        let made = of(&config(PipelineKind::AudioOnly, &[]));
        assert_eq!(made.arguments.last().unwrap(), "rtmp://up.example/live/cam?auth=s3cret");
        assert!(!made.arguments.iter().any(|argument| argument.contains("0:v")));
        let none = config(PipelineKind::Passthrough, &[]);
        assert_eq!(command(&none, &StreamKey::new("live", "cam"), "rtmp://x/y/z"), None);
    }
}
