//! The operator's commands: what they print, whom the node answers, and what it bears.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, Command};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::eventually::eventually;
use crate::support::ffmpeg::{Player, publish_looped};
use crate::support::fleet::{self, fleet};
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::operator::{Desk, NOBODY, NOBODY_IN_4711, talk};
use crate::support::process::Process;

const LIMIT: Duration = Duration::from_secs(30);

/// The row of `table` that holds `part`, in words.
#[track_caller]
fn row<'a>(table: &'a str, part: &str) -> Vec<&'a str> {
    let found = table.lines().find(|line| line.contains(part));
    found.unwrap_or_else(|| panic!("{part} in {table}")).split_whitespace().collect()
}

#[test]
fn the_commands_show_streams_and_clients() {
    let _machine = machine::shared();
    let desk = Desk::new();
    let relay = desk.settings().start();
    assert_eq!(
        desk.answer(&["streams"]),
        "no streams: nobody publishes, and nobody waits for a publisher\n"
    );
    assert_eq!(desk.answer(&["clients"]), "no clients: no connection is open\n");
    assert_eq!(desk.answer(&["workers"]), "no workers: workers.backend is \"off\"\n");

    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let mut player = Player::start(&relay.url("cam"));
    player.wait_for_frames(60, LIMIT);
    let streams = desk.answer(&["streams"]);
    assert!(streams.starts_with("STREAM "), "{streams}");
    let cam = row(&streams, "live/cam");
    assert_eq!(cam[1], "live", "{streams}");
    assert!(streams.contains("H264") && streams.contains("AAC"), "{streams}");

    let clients = desk.answer(&["clients"]);
    assert_eq!(clients.lines().count(), 3, "{clients}");
    for role in ["publish", "play"] {
        let words = row(&clients, role);
        assert_eq!(words[2], "live/cam", "{clients}");
        assert!(words.contains(&"ebpf") || words.contains(&"tcp_info"), "{clients}");
    }

    for (command, path) in [("streams", "streams"), ("clients", "clients"), ("workers", "workers")]
    {
        let raw: Value = serde_json::from_str(&desk.answer(&[command, "--json"])).unwrap();
        let served: Value =
            serde_json::from_str(&relay.ask(&format!("/api/v1/{path}")).body).unwrap();
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(fields(&raw), fields(&served), "{command}");
    }
}

#[test]
fn top_shows_one_screen_with_rates_of_the_kernels_counts() {
    let _machine = machine::shared();
    let desk = Desk::new();
    let relay = desk.settings().start();
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    let mut player = Player::start(&relay.url("cam"));
    player.wait_for_frames(60, LIMIT);
    // No terminal: one screen, without being told so.
    let text = desk.answer(&["top"]);
    let line = |number: usize| text.lines().nth(number).unwrap_or_default();
    assert!(line(0).contains("test (standalone)") && line(0).ends_with("ok"), "{text}");
    assert!(line(1).contains("counted by the kernel ("), "{text}");
    assert!(!line(1).starts_with("in 0 bit/s"), "{text}");
    assert!(line(2).contains("streams 1   connections 2 (1 play, 1 publish)"), "{text}");
    let cam = row(&text, "live/cam  live");
    // Two words each: number and unit.
    let rate = |at: usize| cam[at].parse::<f64>().unwrap_or_else(|_| panic!("{cam:?}"));
    let aged = cam.iter().position(|word| word.ends_with("bit/s")).unwrap_or_default();
    assert!(rate(aged - 1) > 0.0 && rate(aged + 1) > 0.0, "{text}");
    assert!(text.contains("no workers: workers.backend is \"off\""), "{text}");

    let raw: Value = serde_json::from_str(&desk.answer(&["top", "--json"])).unwrap();
    assert_eq!(raw["health"]["node"], "test");
    assert_eq!(raw["clients"]["clients"].as_array().map(Vec::len), Some(2));
}

/// `top` on a terminal of `script`'s, and what types there.
fn top_on_a_terminal(desk: &Desk) -> (Process, ChildStdin) {
    let (program, socket) = (env!("CARGO_BIN_EXE_edgerelay"), desk.socket());
    let inner =
        format!("stty rows 30 columns 120; exec '{program}' top --socket '{}'", socket.display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--flush", "--command", &inner, "/dev/null"]);
    command.env("TERM", "xterm-256color");
    Process::start_typing(&mut command)
}

#[test]
fn top_ends_when_its_terminal_is_gone() {
    let _machine = machine::shared();
    let desk = Desk::new();
    let _relay = desk.settings().start();
    let (top, _keys) = top_on_a_terminal(&desk);
    eventually("a screen", LIMIT, || top.stdout().contains("CLIENTS 0").then_some(()));
    let shown = fleet::descendants(u64::from(top.id()));
    assert!(!shown.is_empty());
    drop(top);
    eventually("the end of top", LIMIT, || {
        (!shown.iter().any(|it| fleet::runs(*it))).then_some(())
    });
}

#[test]
fn top_on_a_terminal_follows_keys_and_gives_the_terminal_back() {
    let _machine = machine::shared();
    let desk = Desk::new();
    let _relay = desk.settings().start();
    let (mut top, mut keys) = top_on_a_terminal(&desk);
    let shows = |part: &str, from: usize| {
        eventually(part, LIMIT, || {
            top.stdout().get(from..).is_some_and(|text| text.contains(part)).then_some(())
        });
    };
    shows("CLIENTS 0", 0);
    shows("sort: out", 0);
    let before = top.stdout().len();
    keys.write_all(b"s").unwrap();
    // Only what changes is drawn.
    shows("in", before);
    keys.write_all(b"q").unwrap();
    top.succeed(LIMIT);
    let (on, off) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    let text = top.stdout();
    assert!(text.find(on) < text.find(off), "the ordinary screen is back: {text:?}");
}

#[test]
fn the_commands_show_workers_and_what_they_carry() {
    let _machine = machine::shared();
    let nginx = Nginx::start();
    let desk = Desk::new();
    let relay = desk.at(fleet(&nginx.base())).start();
    assert!(desk.answer(&["workers"]).starts_with("no workers: none is needed now"));
    let _publisher = publish_looped(Clip::Plain.path(), &relay.url("cam"));
    fleet::wait_for_state(&relay, "cam", "relaying", LIMIT);
    let workers = desk.answer(&["workers"]);
    let first = row(&workers, "live/cam");
    let pid = fleet::workers(&relay)[0].pid.expect("a child of the relay").to_string();
    assert_eq!((first[0], first[1], first[3]), ("1", "ready", &*pid), "{workers}");
    let streams = desk.answer(&["streams"]);
    assert!(streams.contains("relaying on worker 1"), "{streams}");
    // The worker has none of its own: it would be its node's.
    assert!(desk.answer(&["top", "--once"]).contains("WORKERS 1"));
}

#[test]
fn without_a_node_every_command_says_where_it_looked_and_exits_69() {
    let desk = Desk::new();
    for words in [&["streams"][..], &["clients"], &["workers"], &["top"], &["top", "--once"]] {
        let outcome = desk.run(words);
        assert_eq!((outcome.code, &*outcome.out), (Some(69), ""), "{words:?}: {outcome:?}");
        let place = desk.socket();
        let place = format!("no node runs at {} (there is no socket)", place.display());
        assert!(outcome.err.contains(&place), "{outcome:?}");
    }
}

#[test]
fn a_dead_nodes_socket_is_replaced_and_a_living_ones_is_not() {
    let _machine = machine::shared();
    let desk = Desk::new();
    let mut killed = desk.settings().start();
    killed.signal(Signal::KILL);
    killed.wait(LIMIT);
    assert!(desk.socket().exists(), "nobody took it away");
    let outcome = desk.run(&["streams"]);
    assert!(outcome.code == Some(69) && outcome.err.contains("nobody serves it"), "{outcome:?}");

    let mut living = desk.settings().start();
    desk.answer(&["streams"]);
    let mut second = desk.settings().launch();
    assert_eq!(second.wait(LIMIT).code(), Some(69));
    assert!(second.log().contains("another node is running and serves it"), "{}", second.log());
    desk.answer(&["streams"]);

    living.signal(Signal::TERM);
    living.wait(LIMIT);
    assert!(!desk.socket().exists(), "it goes with its node");
}

#[test]
fn another_user_is_refused_by_the_file_and_by_the_node() {
    let Some(desk) = Desk::for_others() else { return };
    let _machine = machine::shared();
    let _relay = desk.settings().start();
    let outcome = desk.run_as(&NOBODY, &["streams"]);
    assert_eq!(outcome.code, Some(77), "{outcome:?}");
    assert!(outcome.err.contains("not permitted: root, the user that the relay"), "{outcome:?}");
    // Even where somebody opens the file to all.
    std::fs::set_permissions(desk.socket(), Permissions::from_mode(0o666)).unwrap();
    for words in [&["streams"][..], &["clients", "--json"], &["top"]] {
        let outcome = desk.run_as(&NOBODY, words);
        assert_eq!((outcome.code, &*outcome.out), (Some(77), ""), "{outcome:?}");
        assert!(outcome.err.contains("members of control.group may ask here"), "{outcome:?}");
    }
    desk.answer(&["streams"]);
}

#[test]
fn members_of_the_group_may_read() {
    let Some(desk) = Desk::for_others() else { return };
    let _machine = machine::shared();
    let _relay = desk.settings().control("group = \"4711\"").start();
    let outcome = desk.run_as(&NOBODY_IN_4711, &["streams"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(desk.run_as(&NOBODY, &["streams"]).code, Some(77));
    std::fs::set_permissions(desk.socket(), Permissions::from_mode(0o666)).unwrap();
    assert_eq!(desk.run_as(&NOBODY, &["streams"]).code, Some(77), "the file proves nothing now");
    desk.answer(&["streams"]);
}

#[test]
fn a_hostile_user_takes_nobody_elses_place() {
    let Some(desk) = Desk::for_others() else { return };
    let _machine = machine::shared();
    // The relay is nobody's, who asks it; root, who may, is the hostile one.
    let relay = desk.settings().start_by("setpriv", &NOBODY);
    let mut held = Vec::new();
    for _ in 0..200 {
        // Begins, and never ends.
        let mut slow = UnixStream::connect(desk.socket()).expect("somebody listens");
        let _ = slow.write_all(b"GET /api/v1/streams HTTP/1.1\r\nhost: x\r\n");
        held.push(slow);
    }
    let outcome = desk.run(&["streams"]);
    assert_eq!(outcome.code, Some(69), "{outcome:?}");
    let outcome = desk.run_as(&NOBODY, &["streams"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(relay.ask("/healthz").status, 200);
    drop(held);
    eventually("room for root again", LIMIT, || {
        (desk.run(&["streams"]).code == Some(0)).then_some(())
    });
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "a".repeat(1 << 20));
    assert!(talk(&desk.socket(), &huge).starts_with("HTTP/1.1 431"));
    let fields: String = (0..1000).map(|field| format!("x-{field}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
    assert!(talk(&desk.socket(), &many).starts_with("HTTP/1.1 431"));
    assert_eq!(desk.run(&["streams"]).code, Some(0));
}
