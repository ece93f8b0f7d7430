//! Another configuration while streams run: who notices it, and who must not.

use std::process::Command;
use std::thread;
use std::time::Duration;

use edgerelay_proto::session::{ClientEvent, ClientMode};

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Pace, Player, publish};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::notify::NotifySocket;
use crate::support::ports::free_address;
use crate::support::process::{Process, code};
use crate::support::relay::{BINARY, Relay, Reloaded, Settings};
use crate::support::rtmp::{Peer, block_on};
use crate::support::swarm::Swarm;
use crate::support::upstream::{Publication, Upstream};

const LIMIT: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_millis(20);

fn settings() -> Settings {
    Settings::new()
}

/// The text of a configuration with another level of logging.
fn at_level(text: &str, level: &str) -> String {
    text.replace("level = \"debug\"", &format!("level = \"{level}\""))
}

#[test]
fn fifty_reloads_interrupt_none_of_twenty_streams() {
    let _machine = machine::shared();
    let upstream = Upstream::start();
    // Its own application, so that others can be added behind it.
    let plain = settings().push(&upstream.url("{name}"));
    let relay = plain.clone().start();
    let urls: Vec<_> = (0..20).map(|number| relay.url(&format!("cam{number}"))).collect();
    let publishers = Swarm::publish(urls.clone(), 2_500, PERIOD);
    publishers.wait_until_ready();
    let players = Swarm::play(urls);
    players.wait_until_ready();
    let source = Clip::Long.frames();
    let mut viewer = Player::start(&relay.url("clip"));
    let _clip = publish(Clip::Long.path(), &relay.url("clip"), Pace::RealTime);
    relay.wait_for_streams(21);
    let closed_before = relay.metric("edgerelay_connections_closed_total", &[]);
    let mut memory_before = 0.0;
    for round in 0..50_u32 {
        if round == 10 {
            memory_before = relay.metric("process_resident_memory_bytes", &[]);
        }
        if round % 5 == 4 {
            let section = if round % 2 == 0 { "[node]" } else { "[http]" };
            let wrong = format!("{section}\nnot_a_key_{round} = 1");
            let broken = plain.text().replace(section, &wrong);
            assert_eq!(relay.reload(&broken), Reloaded::Refused);
            continue;
        }
        let text = plain
            .clone()
            .rtmp(&format!("merge_window = \"{}ms\"", round % 3 * 10))
            .rtmp(&format!("connections_max = {}", 1000 + round))
            .app(&format!("[[app]]\nname = \"studio{round}\""))
            .text()
            .replace("[[app.push]]", &format!("lag_max = \"{}s\"\n[[app.push]]", 5 + round % 10));
        let level = if round % 2 == 0 { "info" } else { "warn" };
        assert_eq!(relay.reload(&at_level(&text, level)), Reloaded::Applied);
    }
    let memory = relay.metric("process_resident_memory_bytes", &[]);
    assert!(memory - memory_before < 16e6, "{memory_before} bytes, then {memory}");
    assert_eq!(relay.metric("edgerelay_reloads_total", &["outcome=\"refused\""]), 10.0);
    assert_eq!(relay.metric("edgerelay_config_last_reload_successful", &[]), 0.0);
    for round in (4..50).step_by(5) {
        let log = relay.log();
        let told = log.lines().find(|line| line.contains(&format!("not_a_key_{round}:")));
        let told = told.unwrap_or_else(|| panic!("not_a_key_{round} in {log}"));
        assert!(told.contains("edgerelay.toml:"), "with its place: {told}");
    }
    assert_eq!(relay.metric("edgerelay_connections_closed_total", &[]), closed_before);
    assert_eq!(relay.metric("edgerelay_subscriber_skips_total", &[]), 0.0);
    assert!(publishers.is_well() && players.is_well());
    let frames = viewer.wait_for_frames(source.count() / 3, LIMIT);
    frames.run_of(&source).unwrap();
    publishers.stop();
    publishers.wait_until_done();
    let sent = publishers.messages();
    let marked = |publication: &Publication| {
        publication.sink.first.is_some_and(|(publisher, _)| (1..=20).contains(&publisher))
    };
    let publications = eventually("the end of twenty streams upstream", LIMIT, || {
        let mut publications = upstream.publications();
        publications.retain(|it| marked(it) && it.finished);
        (publications.len() == 20).then_some(publications)
    });
    assert!(publications.iter().all(|it| it.sink.is_unbroken()), "{publications:?}");
    let made = publications.iter().filter_map(|it| it.sink.last).map(|(_, last)| last + 1);
    assert_eq!(made.sum::<u64>(), sent, "to the very end");
    assert_eq!(publishers.finish(), Vec::<String>::new());
    assert_eq!(players.finish(), Vec::<String>::new());
    assert_eq!(relay.reload(&plain.text()), Reloaded::Applied);
    assert_eq!(relay.metric("edgerelay_config_last_reload_successful", &[]), 1.0);
}

#[test]
fn pushes_come_and_go_while_their_stream_runs() {
    let _machine = machine::shared();
    let [first, second, third] = [(); 3].map(|()| Upstream::start());
    let bare = settings();
    let with = |upstreams: &[&Upstream]| {
        upstreams.iter().fold(bare.clone(), |settings, upstream| {
            settings.push(&format!("{}?auth=Upstr3amKey", upstream.url("{name}")))
        })
    };
    let relay = with(&[&first, &second]).start();
    let publisher = Swarm::publish(vec![relay.url("cam")], 2_500, PERIOD);
    relay.wait_for_role("push", 2);
    let begun = |upstream: &Upstream| {
        eventually("media upstream", LIMIT, || {
            upstream.publications().pop().filter(|publication| publication.sink.received > 10)
        });
    };
    begun(&first);
    begun(&second);

    assert_eq!(relay.reload(&with(&[&third, &second]).text()), Reloaded::Applied);
    begun(&third);
    let of_first = eventually("the end of the first push", LIMIT, || {
        first.publications().pop().filter(|publication| publication.finished)
    });
    assert!(of_first.sink.is_unbroken(), "{:?}", of_first.sink);
    relay.wait_for_role("push", 2);

    publisher.stop();
    publisher.wait_until_done();
    let sent = publisher.messages();
    assert_eq!(publisher.finish(), Vec::<String>::new());
    for upstream in [&second, &third] {
        let publication = eventually("the end of the stream upstream", LIMIT, || {
            upstream.publications().pop().filter(|publication| publication.finished)
        });
        let sink = &publication.sink;
        assert!(sink.is_unbroken(), "{sink:?}");
        assert_eq!(sink.last, Some((1, sent - 1)), "to the very end: {sink:?}");
        assert_eq!(upstream.publications().len(), 1, "one push that stayed");
    }
    assert_eq!(first.publications().len(), 1, "not tried again");
    assert_eq!(relay.metric("edgerelay_push_failures_total", &[]), 0.0);
    assert!(relay.log().contains("app[live].push.url"), "{}", relay.log());
    assert!(!relay.log().contains("Upstr3amKey"), "{}", relay.log());
}

#[test]
fn a_first_push_starts_wherever_the_publisher_is() {
    let _machine = machine::shared();
    let upstream = Upstream::start();
    let bare = settings();
    let relay = bare.clone().start();
    let urls: Vec<_> = (0..6).map(|number| relay.url(&format!("cam{number}"))).collect();
    let publishers = Swarm::publish(urls.clone(), 1_000, PERIOD);
    publishers.wait_until_ready();
    // Publishers that take the names over, some on the other shard.
    let later = Swarm::publish(urls, 1_000, PERIOD);
    later.wait_until_ready();
    relay.wait_for_role("publish", 6);
    relay.reload(&bare.push(&upstream.url("{name}")).text());
    relay.wait_for_role("push", 6);
    eventually("all streams upstream", LIMIT, || {
        let publications = upstream.publications();
        let flowing = publications.iter().filter(|it| it.sink.received > 10).count();
        (flowing == 6).then_some(())
    });
    assert_eq!(upstream.publications().len(), 6, "each once");
    assert!(later.is_well());
}

/// Whether the relay lets somebody publish or play there.
fn is_let_in(relay: &Relay, app: &str, mode: ClientMode) -> bool {
    let url = format!("rtmp://{}/{app}/other", relay.address());
    block_on(async {
        let mut peer = Peer::connect(&url, mode).await.expect("connects");
        loop {
            match peer.next_event_within(LIMIT).await {
                Ok(ClientEvent::Ready { .. }) => return true,
                Ok(ClientEvent::Rejected { .. }) => return false,
                Ok(_) => {}
                Err(error) => panic!("{error} instead of an answer"),
            }
        }
    })
}

#[test]
fn applications_come_and_go_and_live_streams_stay() {
    let _machine = machine::shared();
    let upstream = Upstream::start();
    let both = settings().push(&upstream.url("{name}")).app("[[app]]\nname = \"studio\"");
    let relay = both.clone().start();
    let studio_alone = both.text().replace("name = \"live\"", "name = \"stage\"");
    let publisher = Swarm::publish(vec![relay.url("cam")], 1_000, PERIOD);
    publisher.wait_until_ready();
    let player = Swarm::play(vec![relay.url("cam")]);
    player.wait_until_ready();
    relay.wait_for_role("push", 1);

    assert!(!is_let_in(&relay, "stage", ClientMode::Publish));
    assert_eq!(relay.reload(&studio_alone), Reloaded::Applied);
    assert!(is_let_in(&relay, "stage", ClientMode::Publish));
    for mode in [ClientMode::Publish, ClientMode::Play] {
        assert!(!is_let_in(&relay, "live", mode), "{mode:?}");
    }
    let before = (player.messages(), upstream.publications()[0].sink.received);
    eventually("the live stream to go on, and its push", LIMIT, || {
        let push = upstream.publications()[0].sink.received;
        (player.messages() > before.0 + 20 && push > before.1 + 20).then_some(())
    });
    assert!(player.is_well() && publisher.is_well());

    assert_eq!(relay.reload(&both.text()), Reloaded::Applied);
    assert!(is_let_in(&relay, "live", ClientMode::Publish));
    assert!(player.is_well() && publisher.is_well());
    assert_eq!(upstream.publications().iter().filter(|it| !it.finished).count(), 1);
}

#[test]
fn limits_and_time_outs_hold_at_once() {
    let _machine = machine::shared();
    let plain = settings();
    let relay = plain.clone().rtmp("play_wait_timeout = \"0s\"").start();
    let hasty = plain.rtmp("play_wait_timeout = \"1s\"").rtmp("connections_per_ip_max = 2");
    let url = relay.url("nothing");
    let waiting = thread::spawn(move || {
        block_on(async {
            let mut player = Peer::connect(&url, ClientMode::Play).await.expect("connects");
            player.is_closed_within(LIMIT).await
        })
    });
    relay.wait_for_role("play", 1);
    assert_eq!(relay.reload(&hasty.text()), Reloaded::Applied);
    assert!(waiting.join().expect("no panic"), "it waits for a second now");
    relay.wait_for_role("play", 0);
    block_on(async {
        let mut held = Vec::new();
        for number in 0..2 {
            held.push(Peer::publish(&relay.url(&format!("cam{number}"))).await.expect("room"));
        }
        assert!(Peer::publish(&relay.url("third")).await.is_err(), "no room");
    });
}

#[test]
fn the_level_of_logging_changes() {
    let _machine = machine::shared();
    let plain = settings();
    let relay = plain.clone().start();
    let accepted = || relay.log().matches("connection accepted").count();
    let visit = || assert!(is_let_in(&relay, "live", ClientMode::Publish));
    visit();
    eventually("lines for debugging", LIMIT, || (accepted() > 0).then_some(()));
    relay.reload(&at_level(&plain.text(), "info"));
    let before = accepted();
    visit();
    relay.reload(&at_level(&plain.text(), "debug"));
    visit();
    eventually("lines for debugging again", LIMIT, || (accepted() > before).then_some(()));
    assert_eq!(accepted(), before + 1, "none while the level was higher");
}

#[test]
fn what_needs_a_restart_is_named_and_left_as_it_is() {
    let _machine = machine::shared();
    let plain = settings();
    let relay = plain.clone().start();
    let elsewhere = free_address();
    let text = plain.clone().at(elsewhere).rtmp("chunk_size = 4096").text();
    assert_eq!(relay.reload(&text), Reloaded::Applied);
    assert_eq!(relay.metric("edgerelay_config_restart_keys", &[]), 2.0);
    for key in ["rtmp.listen", "rtmp.chunk_size"] {
        let log = relay.log();
        let named = log.lines().any(|line| line.contains("needs a restart") && line.contains(key));
        assert!(named, "{key} in {log}");
    }
    assert!(is_let_in(&relay, "live", ClientMode::Publish));
    assert!(std::net::TcpStream::connect(elsewhere).is_err(), "listens where it did");
    assert_eq!(relay.reload(&plain.text()), Reloaded::Applied);
    assert_eq!(relay.metric("edgerelay_config_restart_keys", &[]), 0.0);
}

#[test]
fn systemd_is_told_of_a_reload_from_its_beginning_to_its_end() {
    let _machine = machine::shared();
    let systemd = NotifySocket::start();
    let plain = settings().environment("NOTIFY_SOCKET", &systemd.address());
    let relay = plain.clone().start();
    systemd.hear("READY=1");
    for text in [plain.text(), "[rtmp\n".to_owned()] {
        relay.reload(&text);
        let reloading = systemd.hear("RELOADING=1");
        let since = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(since.is_some_and(|since| since.parse::<u64>().is_ok()), "{reloading}");
        systemd.hear("READY=1");
    }
}

#[test]
fn the_command_has_the_node_reload_and_says_what_changed() {
    let _machine = machine::shared();
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("control.sock");
    let plain = settings().control(&format!("socket = \"{}\"", socket.display()));
    let relay = plain.clone().start();
    let reload = |text: &str| {
        relay.write(text);
        let mut command = Command::new(BINARY);
        let mut asked = Process::start(command.args(["reload", "--socket"]).arg(&socket));
        (code(asked.wait(LIMIT)), asked.stdout(), asked.stderr())
    };
    assert_eq!(reload(&plain.text()), (0, "nothing has changed\n".to_owned(), String::new()));
    let other = plain.rtmp("chunk_size = 4096").rtmp("connections_max = 7");
    let (exit, changed, _) = reload(&other.text());
    assert_eq!(exit, 0);
    assert_eq!(
        changed,
        "rtmp.chunk_size: \"4KiB\" instead of \"64KiB\", not before a restart\n\
         rtmp.connections_max: 7 instead of 10000\n"
    );
    let (exit, said, errors) = reload("[rtmp]\nlissten = []\n");
    assert_eq!((exit, said.contains("not reloaded")), (78, true), "{said}");
    assert!(errors.contains("edgerelay.toml:2:1: rtmp.lissten: unknown key"), "{errors}");
    assert_eq!(relay.metric("edgerelay_reloads_total", &["outcome=\"applied\""]), 2.0);
}
