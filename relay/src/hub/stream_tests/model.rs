//! Random publications and players, checked against a list of everything that was relayed.

use std::collections::HashMap;
use std::time::Duration;

use edgerelay_proto::message::Message;
use proptest::prelude::*;

use super::Got::{Audio, AudioHeader, Cue, EmptyAudio, Inter, Keyframe, Metadata, VideoHeader};
use super::publisher::message;
use super::{Got, Player, at};
use crate::hub::egress::Segment;
use crate::hub::limits::StreamLimits;
use crate::hub::stream::{Appended, Stream};
use crate::hub::subscriber::{Position, SubscribeFrom, SubscriberOptions};

/// Small, so that every bound is met often. A group of pictures may well not fit.
const LIMITS: StreamLimits = StreamLimits {
    log_bytes_max: 12_000,
    log_frames_max: 60,
    log_duration_max: Duration::from_secs(2),
    gop_cache: true,
    lag_bytes_max: 8_000,
    lag_duration_max: Duration::from_millis(1_500),
    disconnect_after: Duration::from_secs(5),
    chunk_size: 300,
};

#[derive(Clone, Debug)]
enum Step {
    Wait { millis: u16 },
    Clock { forward: i16 },
    Frame { what: u8, padding: u16 },
    Header { what: u8, changed: bool },
    Publish { clock: u32 },
    Unpublish,
    Join { start: u8, stream_id: u32 },
    Leave { player: usize },
    Poll { player: usize, iovecs_max: usize, bytes_max: usize },
    Sent { player: usize },
    Pause { player: usize, paused: bool },
    Video { player: usize, receive: bool },
    Audio { player: usize, receive: bool },
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    let player = 0_usize..5;
    prop_oneof![
        4 => (0_u16..120).prop_map(|millis| Step::Wait { millis }),
        1 => (0_u16..1_500).prop_map(|millis| Step::Wait { millis }),
        2 => (-60_i16..400).prop_map(|forward| Step::Clock { forward }),
        12 => (0_u8..14, prop_oneof![0_u16..200, 0_u16..3_000])
            .prop_map(|(what, padding)| Step::Frame { what, padding }),
        2 => (0_u8..3, any::<bool>()).prop_map(|(what, changed)| Step::Header { what, changed }),
        1 => any::<u32>().prop_map(|clock| Step::Publish { clock }),
        1 => Just(Step::Unpublish),
        2 => (0_u8..3, 1_u32..3).prop_map(|(start, stream_id)| Step::Join { start, stream_id }),
        1 => player.clone().prop_map(|player| Step::Leave { player }),
        10 => (player.clone(), 1_usize..60, 1_usize..20_000).prop_map(
            |(player, iovecs_max, bytes_max)| Step::Poll { player, iovecs_max, bytes_max }
        ),
        9 => player.clone().prop_map(|player| Step::Sent { player }),
        1 => (player.clone(), any::<bool>())
            .prop_map(|(player, paused)| Step::Pause { player, paused }),
        1 => (player.clone(), any::<bool>())
            .prop_map(|(player, receive)| Step::Video { player, receive }),
        1 => (player, any::<bool>()).prop_map(|(player, receive)| Step::Audio { player, receive }),
        1 => Just(Step::Timeout),
    ]
}

/// One message that went into the log.
#[derive(Clone, Debug)]
struct Relayed {
    got: Got,
    epoch: u32,
    timestamp: u32,
    payload_len: usize,
    /// The newest metadata, video and audio header before it, in its publication.
    headers: [Option<Got>; 3],
}

/// A player and what is known of it.
struct Watched {
    player: Player,
    in_flight: bool,
    paused: bool,
    ever_paused: bool,
    ever_filtered: bool,
    /// The newest metadata, video and audio header it has.
    headers: [Option<Got>; 3],
    /// The end of its last segment: what is relayed first has sequence number 0.
    end: Option<usize>,
    /// Index of the last numbered frame it got, of any kind, and of video alone.
    last: Option<usize>,
    last_video: Option<usize>,
    /// Timestamps of the last audio and video, and their publications.
    stamps: [Option<(u32, u32)>; 2],
    gaps: u64,
}

struct World {
    stream: Stream,
    millis: u64,
    clock: u32,
    epoch: u32,
    has_video: bool,
    headers: [Option<Got>; 3],
    numbers: u32,
    relayed: Vec<Relayed>,
    index: HashMap<u32, usize>,
    players: Vec<Watched>,
}

fn header_slot(got: Got) -> Option<usize> {
    match got {
        Metadata(_) => Some(0),
        VideoHeader(_) => Some(1),
        AudioHeader(_) => Some(2),
        _ => None,
    }
}

fn frame_number(got: Got) -> Option<u32> {
    match got {
        Keyframe(number) | Inter(number) | Audio(number) | Cue(number) => Some(number),
        _ => None,
    }
}

impl World {
    fn new() -> Self {
        Self {
            stream: Stream::new(LIMITS, at(0)),
            millis: 0,
            clock: 0,
            epoch: 0,
            has_video: false,
            headers: [None; 3],
            numbers: 0,
            relayed: Vec::new(),
            index: HashMap::new(),
            players: Vec::new(),
        }
    }

    fn append(&mut self, got: Got, padding: usize) {
        let sent = message(got, self.clock, padding);
        let payload_len = sent.payload.len();
        let appended = self.stream.append(at(self.millis), sent);
        if !self.stream.is_publishing() {
            assert_eq!(appended, Appended::Unpublished);
            return;
        }
        if appended == Appended::Withheld {
            self.has_video = true;
            assert!(matches!(got, Inter(_)), "{got:?} withheld");
            return;
        }
        self.has_video |= matches!(got, Keyframe(_) | Inter(_));
        let newest = self.stream.log_range().end - 1;
        let timestamp = self.stream.frames(newest..newest + 1).next().map(|frame| frame.timestamp);
        let timestamp = timestamp.expect("the newest frame is always held");
        if let Some(number) = frame_number(got) {
            self.index.insert(number, self.relayed.len());
        }
        let (epoch, headers) = (self.epoch, self.headers);
        self.relayed.push(Relayed { got, epoch, timestamp, payload_len, headers });
        if let Some(slot) = header_slot(got) {
            self.headers[slot] = Some(got);
        }
    }

    fn publish(&mut self, clock: u32) {
        self.stream.on_publish(at(self.millis));
        self.clock = clock;
        self.epoch += 1;
        self.has_video = false;
        self.headers = [None; 3];
    }

    fn frame(&mut self, what: u8, padding: u16) {
        self.numbers += 1;
        let got = match what {
            0 | 1 => Keyframe(self.numbers),
            2..=6 => Inter(self.numbers),
            7..=11 => Audio(self.numbers),
            12 => Cue(self.numbers),
            _ => EmptyAudio,
        };
        self.append(got, usize::from(padding));
    }

    fn header(&mut self, what: u8, changed: bool) {
        self.numbers += u32::from(changed);
        let got = match what {
            0 => Metadata(self.numbers),
            1 => VideoHeader(self.numbers),
            _ => AudioHeader(self.numbers),
        };
        self.append(got, 0);
    }

    fn join(&mut self, start: u8, message_stream_id: u32) {
        if self.players.len() == 5 {
            return;
        }
        let start = match start {
            0 => SubscribeFrom::NextKeyframe,
            1 => SubscribeFrom::LastKeyframe,
            _ => SubscribeFrom::Configured,
        };
        let options = SubscriberOptions { message_stream_id, start };
        self.players.push(Watched {
            player: Player::join_with(&mut self.stream, at(self.millis), options),
            in_flight: false,
            paused: false,
            ever_paused: false,
            ever_filtered: false,
            headers: [None; 3],
            end: None,
            last: None,
            last_video: None,
            stamps: [None; 2],
            gaps: 0,
        });
    }

    fn leave(&mut self, at: usize) {
        if at < self.players.len() {
            let gone = self.players.swap_remove(at);
            assert!(self.stream.unsubscribe(gone.player.key).is_some());
        }
    }

    /// Polls a player; whether it got anything.
    fn poll(&mut self, player: usize, iovecs_max: usize, bytes_max: usize) -> bool {
        let now = at(self.millis);
        let Some(watched) = self.players.get_mut(player) else { return false };
        match watched.player.take_within(&mut self.stream, now, iovecs_max, bytes_max) {
            Ok(messages) => {
                assert!(!watched.in_flight, "two segments in flight");
                assert!(!watched.paused, "a segment for a paused player");
                watched.in_flight = true;
                let view = View {
                    relayed: &self.relayed,
                    index: &self.index,
                    epoch: self.epoch,
                    has_video: self.has_video,
                };
                messages.iter().for_each(|message| view.check(watched, message));
                view.check_segment(&self.stream, watched, &messages);
                let stats = self.stream.subscriber(watched.player.key).expect("subscribed");
                if !watched.ever_paused && !watched.ever_filtered && stats.skips == 0 {
                    assert_eq!(watched.gaps, 0, "a gap that is not counted as a skip");
                }
                true
            }
            Err(Segment::Close(_)) => {
                self.leave(player);
                false
            }
            Err(_) => false,
        }
    }

    fn sent(&mut self, player: usize) {
        let Some(watched) = self.players.get_mut(player) else { return };
        let sent = self.stream.on_sent(at(self.millis), watched.player.key);
        assert_eq!(sent.bytes > 0, watched.in_flight);
        watched.in_flight = false;
    }

    fn pause(&mut self, player: usize, paused: bool) {
        let Some(watched) = self.players.get_mut(player) else { return };
        watched.paused = paused;
        watched.ever_paused |= paused;
        self.stream.set_paused(at(self.millis), watched.player.key, paused);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait { millis } => self.millis += u64::from(millis),
            Step::Clock { forward } => self.clock = self.clock.wrapping_add_signed(forward.into()),
            Step::Frame { what, padding } => self.frame(what, padding),
            Step::Header { what, changed } => self.header(what, changed),
            Step::Publish { clock } => self.publish(clock),
            Step::Unpublish => self.stream.on_unpublish(at(self.millis)),
            Step::Join { start, stream_id } => self.join(start, stream_id),
            Step::Leave { player } => self.leave(player),
            Step::Poll { player, iovecs_max, bytes_max } => {
                self.poll(player, iovecs_max, bytes_max);
            }
            Step::Sent { player } => self.sent(player),
            Step::Pause { player, paused } => self.pause(player, paused),
            Step::Video { player, receive } => {
                if let Some(watched) = self.players.get_mut(player) {
                    watched.ever_filtered = true;
                    self.stream.set_receive_video(watched.player.key, receive);
                }
            }
            Step::Audio { player, receive } => {
                if let Some(watched) = self.players.get_mut(player) {
                    watched.ever_filtered = true;
                    self.stream.set_receive_audio(watched.player.key, receive);
                }
            }
            Step::Timeout => self.stream.handle_timeout(at(self.millis)),
        }
        self.check_bounds();
    }

    fn check_bounds(&self) {
        let held = self.stream.log_range();
        let frames: Vec<_> = self.stream.frames(held.clone()).collect();
        assert_eq!(frames.len() as u64, held.end - held.start);
        let bytes: usize = frames.iter().map(|frame| frame.wire.wire_len).sum();
        assert_eq!(bytes, self.stream.log_bytes());
        assert!(bytes <= LIMITS.log_bytes_max || frames.len() == 1);
        assert!(frames.len() <= LIMITS.log_frames_max);
    }

    /// Everybody listens again, and a keyframe comes: all get it.
    fn finish(&mut self) {
        self.publish(7);
        self.header(1, true);
        self.numbers += 1;
        let last = Keyframe(self.numbers);
        self.append(last, 0);
        let expected = self.relayed.len() - 1;
        for player in (0..self.players.len()).rev() {
            let key = self.players[player].player.key;
            self.stream.set_receive_video(key, true);
            self.stream.set_receive_audio(key, true);
            self.pause(player, false);
            self.sent(player);
            let count = self.players.len();
            while self.poll(player, 1_024, 1 << 20) {
                self.sent(player);
            }
            if self.players.len() == count {
                assert_eq!(self.players[player].last_video, Some(expected), "a player is stuck");
            }
        }
    }
}

/// What a received message is checked against.
struct View<'a> {
    relayed: &'a [Relayed],
    index: &'a HashMap<u32, usize>,
    epoch: u32,
    has_video: bool,
}

impl View<'_> {
    fn check(&self, watched: &mut Watched, message: &Message) {
        let got = Got::read(message);
        if let Some(slot) = header_slot(got) {
            watched.headers[slot] = Some(got);
            return;
        }
        let Some(number) = frame_number(got) else { return };
        let at = self.index[&number];
        let relayed = &self.relayed[at];
        assert_eq!(relayed.got, got);
        assert_eq!(relayed.timestamp, message.timestamp);
        assert_eq!(relayed.payload_len, message.payload.len());
        assert!(watched.last.is_none_or(|last| last < at), "{got:?} out of order");
        self.check_headers(watched, relayed);
        self.check_decodable(watched, at);
        self.check_timestamp(watched, relayed);
        watched.last = Some(at);
        if matches!(got, Keyframe(_) | Inter(_)) {
            watched.last_video = Some(at);
        }
    }

    /// The decoder has what it needs, and nothing newer than the frame.
    fn check_headers(&self, watched: &Watched, relayed: &Relayed) {
        let slot = match relayed.got {
            Keyframe(_) | Inter(_) => 1,
            Audio(_) => 2,
            _ => 0,
        };
        if let Some(header) = relayed.headers[slot] {
            assert_eq!(watched.headers[slot], Some(header), "headers of {:?}", relayed.got);
        }
    }

    /// A frame that needs others comes right after them.
    fn check_decodable(&self, watched: &Watched, at: usize) {
        if matches!(self.relayed[at].got, Inter(_)) {
            let from = watched.last_video.map_or(0, |last| last + 1);
            let is_video = |other: &Relayed| matches!(other.got, Keyframe(_) | Inter(_));
            let missed = self.relayed[from..at].iter().any(is_video);
            assert!(!missed && watched.last_video.is_some(), "Inter at {at} undecodable");
        }
    }

    /// A segment of a player that takes everything is a run of the log; where it does not follow
    /// on the one before, it starts at a keyframe, where there is video.
    fn check_segment(&self, stream: &Stream, watched: &mut Watched, messages: &[Message]) {
        let subscriber = stream.subscribers.get(watched.player.key).expect("subscribed");
        let Position::At(end) = subscriber.position() else { panic!("no place after a segment") };
        let end = usize::try_from(end).expect("a short log");
        let frames = subscriber.in_flight.expect("just taken").sent.frames;
        if watched.ever_filtered {
            return;
        }
        let start = end - usize::try_from(frames).expect("a short log");
        let numbered = |got: &Got| frame_number(*got).is_some();
        let logged = self.relayed[start..end].iter().map(|relayed| relayed.got).filter(numbered);
        let got = messages.iter().map(Got::read).filter(numbered);
        assert!(logged.eq(got), "not the run {start}..{end}");

        let first = &self.relayed[start];
        let from = watched.end.unwrap_or(0);
        let missed = self.relayed[from..start].iter().any(|other| other.epoch == first.epoch);
        // Only while its publication runs can it be said whether it has video.
        let video_there = first.epoch == self.epoch && self.has_video;
        if missed && video_there {
            assert!(matches!(first.got, Keyframe(_)), "{:?} after a gap", first.got);
        }
        if missed && watched.end.is_some_and(|end| self.relayed[end - 1].epoch == first.epoch) {
            watched.gaps += 1;
        }
        watched.end = Some(end);
    }

    /// A later publication never goes back behind an earlier one.
    fn check_timestamp(&self, watched: &mut Watched, relayed: &Relayed) {
        let kind = match relayed.got {
            Audio(_) => 0,
            Keyframe(_) | Inter(_) => 1,
            _ => return,
        };
        if let Some((epoch, before)) = watched.stamps[kind]
            && epoch != relayed.epoch
        {
            let step = relayed.timestamp.wrapping_sub(before).cast_signed();
            assert!(step > 0, "{before} then {}", relayed.timestamp);
        }
        watched.stamps[kind] = Some((relayed.epoch, relayed.timestamp));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn players_get_decodable_streams_in_order(steps in prop::collection::vec(step(), 1..250)) {
        let mut world = World::new();
        world.publish(0);
        for step in &steps {
            world.step(step);
        }
        world.finish();
    }
}
