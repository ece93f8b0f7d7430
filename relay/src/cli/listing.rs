//! The tables of streams, clients and workers, and what stands in the place of an empty one.

use super::answers::{
    Audio, Client, Clients, Scaler, Stream, Streams, Video, Work, Worker, Workers, stream_label,
};
use super::human;
use super::table::{Align, Column, Table};

use Align::{Left, Right};

/// What a command prints: a table, or a sentence in its place.
#[derive(Clone, Debug)]
pub(super) enum Listing {
    Table(Table),
    Empty(String),
}

impl Listing {
    /// The lines, without their ends.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Table(table) => table.lines(),
            Self::Empty(sentence) => vec![sentence.clone()],
        }
    }
}

const STREAM_COLUMNS: &[Column] = &[
    ("STREAM", Left),
    ("STATE", Left),
    ("AGE", Right),
    ("IN", Right),
    ("OUT", Right),
    ("PLAYERS", Right),
    ("VIDEO", Left),
    ("AUDIO", Left),
    ("WORK", Left),
];

/// `edgerelay streams`.
pub(super) fn streams(answer: &Streams) -> Listing {
    if answer.streams.is_empty() {
        return Listing::Empty(NO_STREAMS.to_owned());
    }
    let mut table = Table::new(STREAM_COLUMNS);
    for stream in &answer.streams {
        let rates = (stream.bits_per_second_in as f64, stream.bits_per_second_out as f64);
        table.add(stream_cells(stream, rates));
    }
    Listing::Table(table)
}

pub(super) const NO_STREAMS: &str =
    "no streams: nobody publishes, and nobody waits for a publisher";

/// A stream's cells, with these rates in and out, bits per second.
pub(super) fn stream_cells(stream: &Stream, (rate_in, rate_out): (f64, f64)) -> [String; 9] {
    [
        stream_label(&stream.app, &stream.name),
        if stream.publishing { "live" } else { "waiting" }.to_owned(),
        human::age(stream.age_seconds),
        human::bit_rate(rate_in),
        human::bit_rate(rate_out),
        stream.players.to_string(),
        stream.video.as_ref().map(video).unwrap_or_default(),
        stream.audio.as_ref().map(audio).unwrap_or_default(),
        stream.work.as_ref().map(work).unwrap_or_default(),
    ]
}

/// An empty table of streams.
pub(super) fn stream_table() -> Table {
    Table::new(STREAM_COLUMNS)
}

fn video(video: &Video) -> String {
    let mut text = video.codec.clone();
    if video.width > 0 && video.height > 0 {
        text.push_str(&format!(" {}x{}", video.width, video.height));
    }
    if video.frame_rate > 0.0 {
        // Most rates are whole; 29.97 is not.
        let rate = format!("{:.2}", video.frame_rate);
        text.push_str(&format!(" {}/s", rate.trim_end_matches('0').trim_end_matches('.')));
    }
    text
}

fn audio(audio: &Audio) -> String {
    let mut text = audio.codec.clone();
    if audio.sample_rate > 0 {
        text.push_str(&format!(" {:.1} kHz", f64::from(audio.sample_rate) / 1000.0));
    }
    if audio.channels > 0 {
        text.push_str(&format!(" {}ch", audio.channels));
    }
    text
}

fn work(work: &Work) -> String {
    let mut text = work.state.clone();
    if let Some(worker) = work.worker {
        text.push_str(&format!(" on worker {worker}"));
    }
    if let Some(place) = work.place {
        text.push_str(&format!(", place {place}"));
    }
    if let Some(what) = &work.waits_for {
        text.push_str(&format!(", {what}"));
    }
    if work.failures > 0 {
        text.push_str(&format!(", failed {}x: {}", work.failures, work.reason));
    }
    text
}

const CLIENT_COLUMNS: &[Column] = &[
    ("ID", Right),
    ("ROLE", Left),
    ("STREAM", Left),
    ("ADDRESS", Left),
    ("SHARD", Right),
    ("AGE", Right),
    ("IN", Right),
    ("OUT", Right),
    ("RTT", Right),
    ("RETRANS", Right),
    ("SKIPS", Right),
    ("DROPPED", Right),
    ("COUNTED", Left),
    ("SOFTWARE", Left),
];

/// `edgerelay clients`.
pub(super) fn clients(answer: &Clients) -> Listing {
    if answer.clients.is_empty() {
        return Listing::Empty(NO_CLIENTS.to_owned());
    }
    let mut table = Table::new(CLIENT_COLUMNS);
    for client in &answer.clients {
        let figures = Figures::of(client);
        table.add([
            client.id.to_string(),
            client.role.clone(),
            stream_of(client),
            client.address.clone(),
            client.shard.to_string(),
            human::age(client.age_seconds),
            human::size(figures.bytes_in),
            human::size(figures.bytes_out),
            human::round_trip(figures.rtt_seconds),
            figures.retransmits,
            client.skips.to_string(),
            client.frames_dropped.to_string(),
            figures.source,
            client.flash_ver.clone(),
        ]);
    }
    Listing::Table(table)
}

pub(super) const NO_CLIENTS: &str = "no clients: no connection is open";

/// The stream that a client is on, as people call it.
pub(super) fn stream_of(client: &Client) -> String {
    match (&client.app, &client.name) {
        (Some(app), Some(name)) => stream_label(app, name),
        _ => String::new(),
    }
}

/// A connection's figures: the kernel's, and where it was not asked our own.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) rtt_seconds: f64,
    pub(super) retransmits: String,
    /// Who counted.
    pub(super) source: String,
}

/// Who counted where the kernel did not.
pub(super) const OWN_COUNTS: &str = "relay";

impl Figures {
    pub(super) fn of(client: &Client) -> Self {
        match &client.kernel {
            Some(kernel) => Self {
                bytes_in: kernel.bytes_in,
                bytes_out: kernel.bytes_out,
                rtt_seconds: kernel.rtt_seconds,
                retransmits: kernel.retransmits.to_string(),
                source: kernel.source.clone(),
            },
            None => Self {
                bytes_in: client.bytes_in,
                bytes_out: client.bytes_out,
                rtt_seconds: 0.0,
                retransmits: String::new(),
                source: OWN_COUNTS.to_owned(),
            },
        }
    }
}

const WORKER_COLUMNS: &[Column] = &[
    ("ID", Right),
    ("STATE", Left),
    ("FOR", Right),
    ("PID", Right),
    ("ADDRESS", Left),
    ("STREAMS", Right),
    ("CPU", Right),
    ("MEMORY", Right),
    ("RATE", Right),
    ("CARRIES", Left),
];

/// `edgerelay workers`.
pub(super) fn workers(answer: &Workers, scaler: &Scaler) -> Listing {
    if answer.workers.is_empty() {
        return Listing::Empty(no_workers(&answer.backend, scaler));
    }
    let mut table = Table::new(WORKER_COLUMNS);
    for worker in &answer.workers {
        table.add(worker_cells(worker));
    }
    Listing::Table(table)
}

fn worker_cells(worker: &Worker) -> [String; 10] {
    let names = worker.streams.iter().map(|it| stream_label(&it.app, &it.name));
    let reserved = |figure: u64, text: String| if figure > 0 { text } else { String::new() };
    let (cpu, memory) = (worker.reserved_cpu_percent, worker.reserved_memory_bytes);
    let rate = worker.reserved_bits_per_second;
    [
        worker.id.to_string(),
        worker.state.clone(),
        human::age(worker.state_seconds),
        worker.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        worker.address.clone().unwrap_or_default(),
        format!("{}/{}", worker.streams.len(), worker.streams_max),
        reserved(cpu as u64, format!("{cpu}%")),
        reserved(memory, human::size(memory)),
        reserved(rate, human::bit_rate(rate as f64)),
        names.collect::<Vec<_>>().join(" "),
    ]
}

/// Why there are none, as far as the configuration says.
fn no_workers(backend: &str, scaler: &Scaler) -> String {
    match backend {
        "off" => "no workers: workers.backend is \"off\"".to_owned(),
        "static" => "no workers: none of workers.addresses answers (workers.backend is \"static\")"
            .to_owned(),
        _ => match (scaler.desired, scaler.max) {
            (Some(0), Some(max)) => format!("no workers: none is needed now, of at most {max}"),
            (Some(desired), Some(max)) => {
                format!("no workers: {desired} of at most {max} are wanted, none runs yet")
            }
            _ => "no workers".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::{Kernel, StreamName};
    use super::*;

    fn stream() -> Stream {
        Stream {
            app: "live".to_owned(),
            name: "cam1".to_owned(),
            publishing: true,
            age_seconds: 63.0,
            bits_per_second_in: 2_411_000,
            bits_per_second_out: 4_822_000,
            players: 2,
            video: Some(Video {
                codec: "H264".to_owned(),
                width: 1280,
                height: 720,
                frame_rate: 29.97,
            }),
            audio: Some(Audio { codec: "AAC".to_owned(), channels: 2, sample_rate: 44_100 }),
            work: None,
        }
    }

    #[test]
    fn streams_are_listed_with_what_they_are_and_what_becomes_of_them() {
        let waiting = Stream {
            name: "later".to_owned(),
            work: Some(Work {
                state: "pending".to_owned(),
                place: Some(1),
                waits_for: Some("no_room: streams".to_owned()),
                ..Work::default()
            }),
            ..Stream::default()
        };
        let waiting = Stream { app: "live".to_owned(), ..waiting };
        let answer = Streams { streams: vec![stream(), waiting], ..Streams::default() };
        assert_eq!(
            streams(&answer).lines(),
            [
                "STREAM      STATE       AGE           IN          OUT  PLAYERS  VIDEO                  AUDIO             WORK",
                "live/cam1   live     1m 03s  2.41 Mbit/s  4.82 Mbit/s        2  H264 1280x720 29.97/s  AAC 44.1 kHz 2ch  -",
                "live/later  waiting      0s      0 bit/s      0 bit/s        0  -                      -                 pending, place 1, no_room: streams",
            ]
        );
    }

    #[test]
    fn clients_are_listed_with_the_kernels_figures_where_it_has_any() {
        let client = |id, role: &str, kernel| Client {
            id,
            role: role.to_owned(),
            app: Some("live".to_owned()),
            name: Some("cam1".to_owned()),
            address: "192.0.2.7:40000".to_owned(),
            age_seconds: 5.0,
            bytes_in: 1024,
            bytes_out: 2048,
            kernel,
            flash_ver: "FMLE/3.0".to_owned(),
            ..Client::default()
        };
        let kernel = Kernel {
            source: "ebpf".to_owned(),
            bytes_in: 4096,
            bytes_out: 8192,
            rtt_seconds: 0.000_25,
            retransmits: 3,
        };
        let clients_answer = Clients {
            clients: vec![client(1, "publish", Some(kernel)), client(2, "play", None)],
            ..Clients::default()
        };
        assert_eq!(
            clients(&clients_answer).lines(),
            [
                "ID  ROLE     STREAM     ADDRESS          SHARD  AGE        IN       OUT      RTT  RETRANS  SKIPS  DROPPED  COUNTED  SOFTWARE",
                " 1  publish  live/cam1  192.0.2.7:40000      0   5s  4.00 KiB  8.00 KiB  0.25 ms        3      0        0  ebpf     FMLE/3.0",
                " 2  play     live/cam1  192.0.2.7:40000      0   5s  1.00 KiB  2.00 KiB        -        -      0        0  relay    FMLE/3.0",
            ]
        );
    }

    #[test]
    fn workers_are_listed_with_what_they_carry_and_reserve() {
        let name = |name: &str| StreamName { app: "live".to_owned(), name: name.to_owned() };
        let worker = Worker {
            id: 1,
            state: "ready".to_owned(),
            state_seconds: 12.0,
            pid: Some(4711),
            address: Some("127.0.0.1:19351".to_owned()),
            streams: vec![name("a"), name("b")],
            streams_max: 4,
            reserved_cpu_percent: 10,
            reserved_memory_bytes: 64 << 20,
            reserved_bits_per_second: 0,
        };
        let answer = Workers { backend: "process".to_owned(), workers: vec![worker] };
        assert_eq!(
            workers(&answer, &Scaler::default()).lines(),
            [
                "ID  STATE  FOR   PID  ADDRESS          STREAMS  CPU    MEMORY  RATE  CARRIES",
                " 1  ready  12s  4711  127.0.0.1:19351      2/4  10%  64.0 MiB     -  live/a live/b",
            ]
        );
    }

    #[test]
    fn an_empty_list_says_why() {
        let none = |backend: &str, scaler: &Scaler| {
            let answer = Workers { backend: backend.to_owned(), workers: Vec::new() };
            workers(&answer, scaler).lines().concat()
        };
        let off = Scaler::default();
        assert_eq!(none("off", &off), "no workers: workers.backend is \"off\"");
        assert!(none("static", &off).contains("workers.addresses"));
        let wanted =
            |desired| Scaler { desired: Some(desired), max: Some(10), ..Scaler::default() };
        assert_eq!(none("process", &wanted(0)), "no workers: none is needed now, of at most 10");
        assert_eq!(
            none("process", &wanted(2)),
            "no workers: 2 of at most 10 are wanted, none runs yet"
        );
        assert_eq!(streams(&Streams::default()).lines(), [NO_STREAMS]);
        assert_eq!(clients(&Clients::default()).lines(), [NO_CLIENTS]);
    }
}
