//! The screen, drawn on a terminal that is only memory.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::answers::{
    Client, Clients, Health, Kernel, Scaler, Stream, StreamName, Streams, Worker, Workers,
};
use super::feed::Sample;
use super::model::{Key, Model};
use super::{screen, view};

fn client(id: u64, role: &str, look: u64, megabits: u64) -> Client {
    let bytes = look * megabits * 125_000;
    let (bytes_in, bytes_out) = if role == "publish" { (bytes, 0) } else { (0, bytes) };
    let kernel = Kernel {
        source: "ebpf".to_owned(),
        bytes_in,
        bytes_out,
        rtt_seconds: 0.001,
        retransmits: 0,
    };
    Client {
        id,
        role: role.to_owned(),
        app: Some("live".to_owned()),
        name: Some("cam".to_owned()),
        address: format!("192.0.2.{id}:1"),
        age_seconds: (10 + look) as f64,
        flash_ver: "\u{1b}[2J".to_owned(),
        kernel: Some(kernel),
        ..Client::default()
    }
}

/// A node with one stream and as many players, at one look and the next.
fn busy(players: u64) -> Model {
    let mut model = Model::new();
    for look in [0, 1] {
        let mut clients = vec![client(1, "publish", look, 4)];
        clients.extend((0..players).map(|at| client(2 + at, "play", look, 4 + at)));
        let stream = Stream {
            app: "live".to_owned(),
            name: "cam".to_owned(),
            publishing: true,
            age_seconds: 11.0,
            players,
            ..Stream::default()
        };
        let worker = Worker {
            id: 1,
            state: "ready".to_owned(),
            streams: vec![StreamName { app: "live".to_owned(), name: "cam".to_owned() }],
            streams_max: 4,
            ..Worker::default()
        };
        model.handle_sample(Sample {
            health: Health {
                status: "ok".to_owned(),
                node: "edge-1".to_owned(),
                role: "edge".to_owned(),
                version: "0.1.0".to_owned(),
                uptime_seconds: 185,
                shards: 2,
                shards_up: 2,
                ..Health::default()
            },
            streams: Streams { streams: vec![stream], ..Streams::default() },
            clients: Clients { clients, ..Clients::default() },
            workers: Workers { backend: "process".to_owned(), workers: vec![worker] },
            scaler: Scaler { min: Some(0), max: Some(10), desired: Some(1), dry_run: false },
        });
    }
    model
}

fn drawn(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let rows = (0..height).map(|row| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    });
    rows.collect()
}

#[test]
fn a_screen_shows_the_node_its_streams_its_clients_and_its_workers() {
    let mut model = busy(2);
    let mut expected = vec![
        "edgerelay 0.1.0   edge-1 (edge)   up 3m 05s   ok",
        "in 4.00 Mbit/s   out 9.00 Mbit/s   counted by the kernel (ebpf)",
        "streams 1   connections 3 (2 play, 1 publish)   shards 2/2   workers 1 (1 wanted, 0 to 10)",
        "",
        "STREAMS 1",
        "STREAM    STATE  AGE           IN          OUT  PLAYERS  VIDEO  AUDIO  WORK",
        "live/cam  live   11s  4.00 Mbit/s  9.00 Mbit/s        2  -      -      -",
        "",
        "CLIENTS 3",
        "ID  ROLE     STREAM    ADDRESS      AGE           IN          OUT      RTT  RETRANS  SKIPS  SOFTWARE",
        " 3  play     live/cam  192.0.2.3:1  11s      0 bit/s  5.00 Mbit/s  1.00 ms        0      0  \u{fffd}[2J",
        " 2  play     live/cam  192.0.2.2:1  11s      0 bit/s  4.00 Mbit/s  1.00 ms        0      0  \u{fffd}[2J",
        " 1  publish  live/cam  192.0.2.1:1  11s  4.00 Mbit/s      0 bit/s  1.00 ms        0      0  \u{fffd}[2J",
        "",
        "WORKERS 1",
        "ID  STATE  FOR  PID  ADDRESS  STREAMS  CPU  MEMORY  RATE  CARRIES",
        " 1  ready   0s    -  -            1/4    -       -     -  live/cam",
    ];
    assert_eq!(view::text(&model), expected);
    expected.push("q quit   s sort: out   Tab section   Up Down PgUp PgDn scroll");
    assert_eq!(drawn(&mut model, 120, 18), expected);
}

#[test]
fn an_idle_node_says_what_it_lacks() {
    let mut model = Model::new();
    let workers = Workers { backend: "off".to_owned(), ..Workers::default() };
    model.handle_sample(Sample { workers, ..Sample::default() });
    let text = view::text(&model).join("\n");
    for part in ["no streams: ", "no clients: ", "no workers: workers.backend is \"off\""] {
        assert!(text.contains(part), "{text}");
    }
    assert!(drawn(&mut model, 80, 24).join("\n").contains("no workers"));
}

#[test]
fn a_full_screen_shows_part_of_the_long_list_and_scrolls_to_its_end() {
    let mut model = busy(200);
    let shown = drawn(&mut model, 120, 30).join("\n");
    assert!(shown.contains("CLIENTS 201   rows 1 to 15"), "{shown}");
    assert!(shown.contains("WORKERS 1") && shown.contains("live/cam  live "), "{shown}");
    assert!(shown.contains("192.0.2.201:1") && !shown.contains("192.0.2.1:1"), "{shown}");
    model.handle_key(Key::Section);
    model.handle_key(Key::Scroll(10_000));
    let shown = drawn(&mut model, 120, 30).join("\n");
    assert!(shown.contains("rows 187 to 201") && shown.contains("192.0.2.1:1"), "{shown}");
    model.handle_key(Key::Scroll(-1));
    assert!(drawn(&mut model, 120, 30).join("\n").contains("rows 186 to 200"));
}

#[test]
fn a_sort_by_name_puts_the_first_connection_first() {
    let mut model = busy(3);
    let first_row = |model: &mut Model| drawn(model, 120, 30)[10].clone();
    assert!(first_row(&mut model).starts_with(" 4  play"), "{}", first_row(&mut model));
    model.handle_key(Key::Sort);
    assert!(first_row(&mut model).starts_with(" 1  publish"), "{}", first_row(&mut model));
}

#[test]
fn a_node_that_fell_silent_is_told_of_above_what_was_known() {
    let mut model = busy(1);
    model.handle_fault("no node runs at /x".to_owned());
    let shown = drawn(&mut model, 120, 30);
    assert_eq!(shown[3], "NOT UP TO DATE: no node runs at /x");
    assert!(shown.join("\n").contains("192.0.2.2:1"));
}

#[test]
fn no_screen_is_too_small() {
    for (width, height) in [(1, 1), (10, 2), (20, 5), (300, 3), (3, 100)] {
        drawn(&mut busy(5), width, height);
        drawn(&mut Model::new(), width, height);
    }
}
