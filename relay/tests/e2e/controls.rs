//! Players that pause, or do without audio or video for a while. The others of their stream get all
//! of it.

use std::time::Duration;

use edgerelay_proto::amf0::Value;
use edgerelay_proto::session::{ClientEvent, MediaKind, MediaMessage};

use crate::support::machine;
use crate::support::relay::Relay;
use crate::support::rtmp::block_on;
use crate::support::scripted::{Encoder, Viewer};

const LIMIT: Duration = Duration::from_secs(20);
/// How long a message may take to a player that gets it.
const QUIET: Duration = Duration::from_millis(200);
/// Messages after which a command has had its effect.
const BATCHES_MAX: usize = 200;

/// An encoder, a viewer that is told what to do, and one that just watches.
struct Show {
    relay: Relay,
    encoder: Encoder,
    viewer: Viewer,
    other: Viewer,
}

impl Show {
    async fn start() -> Self {
        let relay = Relay::start();
        let url = relay.url("cam");
        let encoder = Encoder::start(&url, 1).await;
        let (viewer, other) = (Viewer::start(&url).await, Viewer::start(&url).await);
        Self { relay, encoder, viewer, other }
    }

    async fn command(&mut self, name: &str, argument: bool) {
        let arguments = vec![Value::Boolean(argument), Value::Number(0.0)];
        self.viewer.peer.command(name, arguments).await.expect("the relay reads");
    }

    /// The number of the newest message.
    fn newest(&self) -> u64 {
        self.encoder.source.made() - 1
    }

    /// Sends `count` messages, the last of which the viewer is to get, and says what it got.
    async fn batch(&mut self, count: usize) -> Vec<MediaMessage> {
        self.encoder.send(count).await;
        let mut got = Vec::new();
        while self.viewer.sink.last != Some((1, self.newest())) {
            got.push(self.viewer.next().await);
        }
        got
    }

    /// Sends batches of three until the viewer gets one that `accept` takes, and gives it.
    async fn batch_until(
        &mut self,
        what: &str,
        accept: impl Fn(&[MediaMessage]) -> bool,
    ) -> Vec<MediaMessage> {
        for _ in 0..BATCHES_MAX {
            let got = self.batch(3).await;
            if accept(&got) {
                return got;
            }
        }
        panic!("waited in vain for {what}");
    }

    /// Sends one message, which the relay has when this returns, and says whether anything came.
    async fn is_quiet(&mut self) -> bool {
        self.encoder.send(1).await;
        // The decoder configurations count, too.
        let sent = (self.encoder.source.made() + 2) as f64;
        let name = "edgerelay_frames_received_total";
        self.relay.wait_for_metric(name, &[], LIMIT, |frames| frames == sent);
        match self.viewer.peer.next_event_within(QUIET).await {
            Ok(ClientEvent::Media(message)) => {
                self.viewer.sink.take(&message);
                false
            }
            Ok(_) => false,
            Err(error) => error.kind() == std::io::ErrorKind::TimedOut,
        }
    }

    async fn wait_until_quiet(&mut self) {
        let mut quiet = 0;
        for _ in 0..BATCHES_MAX {
            quiet = if self.is_quiet().await { quiet + 1 } else { 0 };
            if quiet == 5 {
                return;
            }
        }
        panic!("a paused player gets nothing, not {:?}", self.viewer.sink);
    }

    /// The viewer that was told nothing has everything.
    async fn finish(mut self) {
        self.other.watch_until(1, self.encoder.source.made() - 1).await;
        assert!(self.other.sink.is_unbroken(), "{:?}", self.other.sink);
        assert_eq!(self.relay.metric("edgerelay_subscriber_skips_total", &[]), 0.0);
    }
}

fn is_header(message: &MediaMessage) -> bool {
    message.payload.prefix::<2>().0[1] == 0
}

fn is_keyframe(message: &MediaMessage) -> bool {
    message.payload.prefix::<2>().0 == [0x17, 1]
}

fn of(kind: MediaKind) -> impl Fn(&MediaMessage) -> bool {
    move |message| message.kind == kind
}

#[test]
fn a_short_pause_loses_nothing_and_a_long_one_ends_at_a_keyframe() {
    let _machine = machine::shared();
    block_on(async {
        let mut show = Show::start().await;
        show.batch(62).await;
        show.command("pause", true).await;
        show.wait_until_quiet().await;
        let newest = show.newest();
        assert!(newest < 120, "no keyframe since, but {newest}");
        show.command("pause", false).await;
        show.viewer.watch_until(1, newest).await;
        assert!(show.viewer.sink.is_unbroken(), "{:?}", show.viewer.sink);

        show.command("pause", true).await;
        show.wait_until_quiet().await;
        let missing = 190 - show.newest();
        show.encoder.send(usize::try_from(missing).expect("few")).await;
        assert!(show.is_quiet().await, "even over keyframes");
        let before = show.viewer.sink.clone();
        show.command("pause", false).await;
        let first = show.viewer.next().await;
        assert!(is_keyframe(&first), "not {first:?}");
        assert_eq!(show.viewer.sink.last, Some((1, 180)), "the newest");
        show.batch(10).await;
        let sink = &show.viewer.sink;
        assert_eq!((sink.gaps, sink.bad_starts, sink.steps_back), (1, 0, 0), "{before:?} {sink:?}");
        show.finish().await;
    });
}

#[test]
fn audio_that_was_turned_off_comes_back_behind_its_configuration() {
    let _machine = machine::shared();
    let audio = of(MediaKind::Audio);
    block_on(async {
        let mut show = Show::start().await;
        // From here on, a batch of three is audio, video, video.
        show.batch(2).await;
        show.command("receiveAudio", false).await;
        show.batch_until("video alone", |got| !got.iter().any(&audio)).await;
        for _ in 0..50 {
            let got = show.batch(3).await;
            assert!(got.len() == 2 && !got.iter().any(&audio), "video alone: {got:?}");
        }
        show.command("receiveAudio", true).await;
        let got = show.batch_until("audio", |got| got.iter().any(&audio)).await;
        let heard: Vec<_> = got.iter().filter(|message| audio(message)).collect();
        let [header, frame] = heard[..] else { panic!("a configuration and a frame: {got:?}") };
        assert!(is_header(header) && !is_header(frame), "{got:?}");
        for _ in 0..10 {
            assert_eq!(show.batch(3).await.len(), 3, "all of it again");
        }
        show.finish().await;
    });
}

#[test]
fn video_that_was_turned_off_comes_back_at_a_keyframe_behind_its_configuration() {
    let _machine = machine::shared();
    let video = of(MediaKind::Video);
    block_on(async {
        let mut show = Show::start().await;
        // From here on, a batch of three is video, video, audio.
        show.batch(3).await;
        show.command("receiveVideo", false).await;
        show.batch_until("audio alone", |got| !got.iter().any(&video)).await;
        while show.newest() % 60 != 29 {
            let got = show.batch(3).await;
            assert!(got.len() == 1 && !got.iter().any(&video), "audio alone: {got:?}");
        }
        // In the middle of a group of pictures.
        show.command("receiveVideo", true).await;
        let got = show.batch_until("video", |got| got.iter().any(&video)).await;
        assert_eq!(show.newest() % 60, 2, "not before the keyframe: {got:?}");
        let [header, keyframe, inter, _audio] = &got[..] else { panic!("four, not {got:?}") };
        assert!(is_header(header) && video(header), "{got:?}");
        assert!(is_keyframe(keyframe) && video(inter), "{got:?}");
        for _ in 0..10 {
            assert_eq!(show.batch(3).await.len(), 3, "all of it again");
        }
        show.finish().await;
    });
}
