//! The load generator against itself: publishers into the sink, the floor into players, and a server
//! that does wrong what the checks must find.

mod program;
mod tampering;

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use edgerelay_benches::check::Expect;
use edgerelay_benches::engine::settings::{
    Churn, Course, Crowd, IdleKind, Media, Publishing, Settings, Target,
};
use edgerelay_benches::engine::sink::SinkSettings;
use edgerelay_benches::engine::{Outcome, Second, Watcher, sink};
use edgerelay_benches::floor::{self, Rhythm};
use edgerelay_benches::flv::FlvFile;
use edgerelay_benches::mark::Checksums;
use edgerelay_benches::measure::Group;
use edgerelay_benches::pattern::Pattern;
use edgerelay_benches::report::{Asked, Report};
use edgerelay_benches::synthetic::Templates;
use edgerelay_benches::{engine, net};
use edgerelay_proto::session::RtmpUrl;
use edgerelay_proto::time::Instant;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long to wait for what takes moments.
const PATIENCE: Duration = Duration::from_secs(20);

const PATTERN: Pattern = Pattern {
    video_bits: 1_000_000.0,
    fps: 50.0,
    gop: Duration::from_millis(400),
    audio_bits: 64_000.0,
};

const COURSE: Course = Course {
    ready_timeout: PATIENCE,
    warmup: Duration::from_millis(200),
    duration: Duration::from_millis(1_500),
};

const MARKED: Expect = Expect::Marked(Checksums::Verified);

struct Silent;

impl Watcher for Silent {
    fn on_second(&mut self, _: &Second) {}
    fn on_ready(&mut self, _: Instant, _: bool) {}
    fn on_window_begin(&mut self, _: Instant) {}
    fn on_window_end(&mut self, _: Instant) {}
}

/// Nobody, at `address`.
fn settings(address: SocketAddr) -> Settings {
    let url = RtmpUrl::parse(&format!("rtmp://{address}/live/cam{{n}}")).unwrap();
    Settings {
        target: Target::new(url, address),
        streams: 1,
        publishing: None,
        crowd: Crowd::default(),
        churn: Churn::default(),
        slow_bits: 0.0,
        idle: IdleKind::Play,
        expect: MARKED,
        check_every: 1,
        ramp_per_second: 500.0,
        reconnect_after: None,
        open_timeout: PATIENCE,
        course: COURSE,
        from: None,
        slack: Duration::ZERO,
        gather: Duration::ZERO,
        latency_of: 1,
    }
}

fn synthetic() -> Publishing {
    Publishing { media: Media::Synthetic(Rc::new(Templates::new(PATTERN))), chunk_size: 700 }
}

/// Ten frames of 40 ms, the first of which is a keyframe.
fn file() -> Publishing {
    let tag = |timestamp: u32, body: &[u8]| {
        let [_, length @ ..] = (body.len() as u32).to_be_bytes();
        let [_, time @ ..] = timestamp.to_be_bytes();
        let behind = (body.len() as u32 + 11).to_be_bytes();
        [&[9][..], &length, &time, &[0, 0, 0, 0], body, &behind].concat()
    };
    let mut bytes = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    bytes.extend(tag(0, b"\x17\0\0\0\0configuration"));
    bytes.extend(tag(0, b"\x17\x01\0\0\0key"));
    for frame in 1..10 {
        bytes.extend(tag(frame * 40, b"\x27\x01\0\0\0inter"));
    }
    let file = FlvFile::parse(bytes.into()).unwrap();
    Publishing { media: Media::File(Rc::new(file)), chunk_size: 700 }
}

fn play(settings: &Settings) -> Outcome {
    let outcome = engine::run(settings, &Arc::default(), &mut Silent).unwrap();
    assert!(outcome.course.ready, "{:?}", outcome.populations.reasons);
    outcome
}

/// Runs `test` beside a floor.
fn with_floor<T>(rhythm: Rhythm, test: impl FnOnce(SocketAddr) -> T) -> T {
    let stop = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            floor::run(ANY_PORT, rhythm, PATTERN, &stop, |address| tell.send(address).unwrap())
        });
        let outcome = test(told.recv_timeout(PATIENCE).expect("the floor listens"));
        stop.store(true, Ordering::Relaxed);
        serving.join().expect("the floor does not panic").unwrap();
        outcome
    })
}

/// Publishes three streams into a sink, whose report is returned beside the publishers' outcome.
fn publish_to_sink(
    slack: Duration,
    expect: Expect,
    publishing: fn() -> Publishing,
) -> (Report, Outcome) {
    let sink = SinkSettings { listen: ANY_PORT, streams: 3, expect, course: COURSE };
    let stop: Arc<AtomicBool> = Arc::default();
    let (tell, told) = mpsc::channel();
    let (received, sent) = std::thread::scope(|scope| {
        let sinking = scope.spawn(|| {
            let told = |address| tell.send(address).unwrap();
            sink::run(&sink, &Arc::default(), &mut Silent, told).unwrap()
        });
        let address = told.recv_timeout(PATIENCE).expect("the sink listens");
        let publishing = scope.spawn({
            let stop = Arc::clone(&stop);
            move || {
                let long = Course { duration: PATIENCE, ..COURSE };
                let settings = Settings {
                    streams: 3,
                    publishing: Some(publishing()),
                    slack,
                    course: long,
                    ..settings(address)
                };
                engine::run(&settings, &stop, &mut Silent).unwrap()
            }
        });
        let received = sinking.join().expect("the sink does not panic");
        stop.store(true, Ordering::Relaxed);
        (received, publishing.join().expect("publishers do not panic"))
    });
    (Report::new(Asked::of_sink(&sink), &received), sent)
}

#[test]
fn messages_go_as_late_as_they_may_and_are_whole() {
    let (report, sent) = publish_to_sink(Duration::from_millis(100), MARKED, synthetic);
    assert!(report.verdict.passed, "{report}");
    let lateness = sent.measures.lateness.summary().expect("messages were sent");
    assert!(lateness.mean_us > 20_000, "{lateness:?}");
    // Stamped when they go, not when they were due.
    assert!(report.latency.is_some_and(|latency| latency.p50_us < 20_000), "{report}");
}

#[test]
fn what_publishers_send_reaches_a_sink_whole() {
    let (report, sent) = publish_to_sink(Duration::ZERO, MARKED, synthetic);
    assert!(report.window.ready && report.verdict.passed, "{report}");
    let got = report.players["steady"].got;
    assert!(got.messages >= 3 * 100 && got.keyframes >= 3 * 2, "{report}");
    assert!(report.latency.is_some_and(|latency| latency.count > 200), "{report}");
    assert!(!sent.course.complete, "it was stopped");
    assert_eq!(sent.populations.publishers.failed, 0);
    assert!(sent.measures.sent.messages >= got.messages);
}

#[test]
fn a_file_is_published_over_and_over_in_its_time() {
    let (report, _) = publish_to_sink(Duration::ZERO, Expect::Foreign, file);
    assert!(report.window.ready && report.verdict.passed, "{report}");
    let got = report.players["steady"].got;
    // Three streams, a round every 0.4 s, for 1.5 s.
    assert!((6..=24).contains(&got.keyframes), "{report}");
    assert!(got.messages >= 6 * got.keyframes, "{report}");
}

#[test]
fn a_player_that_is_put_out_comes_back() {
    struct Telling(mpsc::Sender<()>);
    impl Watcher for Telling {
        fn on_second(&mut self, _: &Second) {}
        fn on_ready(&mut self, _: Instant, _: bool) {}
        fn on_window_begin(&mut self, _: Instant) {
            self.0.send(()).unwrap();
        }
        fn on_window_end(&mut self, _: Instant) {}
    }

    let stops = [AtomicBool::new(false), AtomicBool::new(false)];
    let serve = |listen, stop, tell: mpsc::Sender<SocketAddr>| {
        let told = |address| tell.send(address).unwrap();
        floor::run(listen, Rhythm::PerMessage, PATTERN, stop, told).unwrap();
    };
    let (tell, told) = mpsc::channel();
    let (tell_begun, begun) = mpsc::channel();
    let outcome = std::thread::scope(|scope| {
        let first = scope.spawn({
            let tell = tell.clone();
            let (serve, stop) = (&serve, &stops[0]);
            move || serve(ANY_PORT, stop, tell)
        });
        let address = told.recv_timeout(PATIENCE).expect("the first listens");
        let playing = scope.spawn(move || {
            let settings = Settings {
                crowd: Crowd { steady: 1, ..Crowd::default() },
                reconnect_after: Some(Duration::from_millis(20)),
                course: Course { duration: Duration::from_secs(4), ..COURSE },
                ..settings(address)
            };
            engine::run(&settings, &Arc::default(), &mut Telling(tell_begun)).unwrap()
        });
        begun.recv_timeout(PATIENCE).expect("the window begins");
        stops[0].store(true, Ordering::Relaxed);
        first.join().expect("the first does not panic");
        let second = scope.spawn({
            let (serve, stop) = (&serve, &stops[1]);
            move || serve(address, stop, tell)
        });
        let outcome = playing.join().expect("the player does not panic");
        stops[1].store(true, Ordering::Relaxed);
        second.join().expect("the second does not panic");
        outcome
    });
    let steady = outcome.populations.players(Group::Steady);
    assert!(steady.attempts >= 2, "{steady:?}");
    assert_eq!((steady.ended, steady.present, outcome.silent), (1, 1, 0), "{steady:?}");
    assert_eq!(outcome.course.end.owed().faults(), 0);
}

#[test]
fn every_rhythm_of_the_floor_reaches_players_whole() {
    let rhythms = [Rhythm::PerMessage, Rhythm::PerFrame, Rhythm::Every(Duration::from_millis(100))];
    for rhythm in rhythms {
        let report = with_floor(rhythm, |address| {
            let crowd = Crowd { steady: 5, ..Crowd::default() };
            let settings = Settings { crowd, ..settings(address) };
            Report::new(Asked::of_run(&settings), &play(&settings))
        });
        assert!(report.verdict.passed, "{rhythm:?}: {report}");
        let got = report.players["steady"].got;
        assert!(got.messages >= 5 * 100, "{rhythm:?}: {report}");
        assert_eq!((got.starts_without_keyframe, got.starts_without_configuration), (0, 0));
        assert_eq!(report.join.map(|join| join.count), Some(5));
    }
}

#[test]
fn players_that_are_not_checked_are_sent_as_much() {
    let outcome = with_floor(Rhythm::PerMessage, |address| {
        let crowd = Crowd { steady: 8, ..Crowd::default() };
        play(&Settings { crowd, check_every: 4, ..settings(address) })
    });
    assert_eq!(outcome.silent, 0);
    let begin = outcome.course.begin.owed();
    let got = outcome.course.end.owed().since(&begin);
    assert_eq!(got.faults(), 0);
    let each = got.payload_bytes as f64 / 2.0;
    let all = got.bytes as f64;
    assert!((6.0..10.0).contains(&(all / each)), "{got:?}");
}

#[test]
fn gathered_players_get_everything_and_latency_is_of_the_prompt_ones() {
    let gather = Duration::from_millis(120);
    let outcome = with_floor(Rhythm::PerMessage, |address| {
        let crowd = Crowd { steady: 8, ..Crowd::default() };
        play(&Settings { crowd, gather, latency_of: 4, ..settings(address) })
    });
    let got = outcome.course.end.owed().since(&outcome.course.begin.owed());
    assert_eq!((outcome.silent, got.faults()), (0, 0), "{got:?}");
    let latency = outcome.measures.latency.summary().expect("two players are prompt");
    let of_each = got.messages / 8;
    // A message may come in between the edge of the window and its players' reads.
    assert!(latency.count.abs_diff(2 * of_each) <= of_each / 4, "{latency:?} {got:?}");
    assert!(latency.mean_us < gather.as_micros() as u64 / 4, "{latency:?}");
    assert!(got.reads < got.messages / 2, "the others' messages are read together: {got:?}");
}

#[test]
fn players_come_and_go_beside_those_that_stay() {
    let outcome = with_floor(Rhythm::PerMessage, |address| {
        play(&Settings {
            crowd: Crowd { steady: 2, stalled: 1, slow: 1, idle: 0 },
            slow_bits: 100_000.0,
            churn: Churn { joins_per_second: 20.0, stay: Duration::from_millis(300) },
            ..settings(address)
        })
    });
    let owed = outcome.course.end.owed();
    assert_eq!(owed.faults(), 0, "{owed:?}");
    let churn = outcome.populations.players(Group::Churn);
    assert!(churn.attempts >= 10 && churn.left > 0, "{churn:?}");
    assert_eq!((churn.failed, churn.ended), (0, 0), "{churn:?}");
    let bytes = |group| outcome.course.end.tallies[group as usize].bytes;
    assert!(bytes(Group::Stalled) < bytes(Group::Steady) / 4);
    assert!(bytes(Group::Slow) < bytes(Group::Steady) / 2);
}

#[test]
fn those_who_wait_are_counted_when_they_are_connected() {
    let outcome = with_floor(Rhythm::PerMessage, |address| {
        play(&Settings {
            crowd: Crowd { idle: 20, ..Crowd::default() },
            idle: IdleKind::Connect,
            ..settings(address)
        })
    });
    assert_eq!(outcome.populations.players(Group::Idle).present, 20);
    assert_eq!(outcome.course.end.delivered().messages, 0);
    assert_eq!(outcome.measures.connect.summary().map(|connect| connect.count), Some(20));
}

#[test]
fn nobody_to_connect_to_is_a_reason_and_not_an_error() {
    // Bound, and closed again: nobody listens there.
    let address = net::socket::listen(ANY_PORT).unwrap().local_addr().unwrap();
    let course = Course { ready_timeout: Duration::from_millis(300), ..COURSE };
    let settings = Settings {
        crowd: Crowd { steady: 1, ..Crowd::default() },
        reconnect_after: Some(Duration::from_millis(50)),
        course,
        ..settings(address)
    };
    let outcome = engine::run(&settings, &Arc::default(), &mut Silent).unwrap();
    assert!(!outcome.course.ready);
    let report = Report::new(Asked::of_run(&settings), &outcome);
    assert!(!report.verdict.passed, "a run without anybody proves nothing: {report}");
    let steady = outcome.populations.players(Group::Steady);
    assert!(steady.failed > 1, "it tries again: {steady:?}");
    assert!(outcome.populations.reasons.keys().any(|reason| reason.contains("refused")));
}
