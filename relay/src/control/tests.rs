//! The control plane over real sockets, with shards that are only a mailbox and a script.

mod local;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::pages::{DRAIN, PAGES, Page, RELOAD, RETRY};
use super::*;
use crate::id::StreamKey;
use crate::message::ReloadReport;

/// No test waits longer for anything.
const WAIT_MAX: Duration = Duration::from_secs(20);

struct Fixture {
    address: SocketAddr,
    readiness: Arc<Readiness>,
    server: ControlServer,
}

/// What a shard does when it is asked.
#[derive(Clone, Copy)]
enum Script {
    Answer,
    StaySilent,
}

fn node(scripts: &[Script]) -> Node {
    let mut handle = ControlHandle {
        shards: Vec::new(),
        counters: Vec::new(),
        config: watch::channel(Arc::default()).1,
        reloads: Arc::new(Reloads::new(std::time::UNIX_EPOCH)),
        reload: reloading(),
        readiness: Arc::new(Readiness::new(scripts.len())),
        ledger: Arc::new(Ledger::new()),
        started: Instant::now(),
        work: watch::channel(WorkSnapshot::default()).1,
        work_requests: mpsc::channel(1).0,
        work_counters: Arc::default(),
    };
    for script in scripts.iter().copied() {
        let (mailbox, mut messages) = mpsc::channel(4);
        handle.shards.push(mailbox);
        let counters = ShardCounters::new();
        counters.streams_active.set(1);
        handle.counters.push(Arc::new(counters));
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Some(message) = messages.recv().await {
                match (message, script) {
                    (ShardMessage::Snapshot(reply), Script::Answer) => {
                        let _ = reply.send(sample::captured(&StreamKey::new("live", "cam1")));
                    }
                    (message, _) => unanswered.push(message),
                }
            }
        });
    }
    let wait_max = match scripts.iter().any(|script| matches!(script, Script::StaySilent)) {
        true => Duration::from_millis(50),
        false => ANSWER_WAIT_MAX,
    };
    let ledger = Arc::clone(&handle.ledger);
    let collector = Collector::new(handle.shards.clone(), ledger, wait_max, Duration::ZERO);
    Node { handle, collector }
}

/// Whoever answers requests to reload.
fn reloading() -> mpsc::Sender<ReloadRequest> {
    let (requests, mut asked) = mpsc::channel::<ReloadRequest>(1);
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            let _ = request.send(ReloadReport { applied: true, ..ReloadReport::default() });
        }
    });
    requests
}

fn start_fixture(scripts: &[Script], limits: ServerLimits) -> Fixture {
    let node = node(scripts);
    let readiness = Arc::clone(&node.handle.readiness);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = start_with(vec![listener], None, node, limits).unwrap();
    Fixture { address, readiness, server }
}

fn fixture() -> Fixture {
    start_fixture(&[Script::Answer], ServerLimits::default())
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn send(address: SocketAddr, request: &str) -> Reply {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let text = read_to_end(&mut socket).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Everything until the server closes, by whatever way it closes.
async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(WAIT_MAX, socket.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> Reply {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
    send(address, &head).await
}

#[tokio::test]
async fn every_page_answers_with_its_kind_of_text() {
    let node = fixture();
    node.readiness.on_listeners_bound();
    node.readiness.on_shard_up();
    for (path, page) in PAGES {
        let reply = ask(node.address, "GET", path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        let (kind, part) = match page {
            Page::Metrics => ("text/plain; version=0.0.4", "edgerelay_subscriber_skips_total 0\n"),
            Page::Alive => ("text/plain", "ok"),
            Page::Stat => ("text/xml", "<name>cam1</name>"),
            Page::Ready => ("application/json", "\"ready\":true"),
            Page::Health => ("application/json", "\"status\":\"ok\""),
            Page::Streams | Page::Clients => ("application/json", "\"name\":\"cam1\""),
            Page::Workers => ("application/json", "{\"backend\":\"off\",\"workers\":[]}"),
            Page::Scaler => ("application/json", "{}"),
            Page::Description => ("application/json", "\"openapi\""),
        };
        assert!(reply.head.contains(&format!("content-type: {kind}")), "{path}: {}", reply.head);
        assert!(reply.body.contains(part), "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn the_description_names_exactly_the_paths_that_are_served() {
    let node = fixture();
    let description = ask(node.address, "GET", "/api/v1/openapi.json").await.json();
    let described: Vec<&str> =
        description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut served: Vec<&str> = PAGES.iter().map(|(path, _)| *path).collect();
    served.extend([RELOAD, DRAIN, RETRY]);
    served.sort_unstable();
    assert_eq!(described, served);
    let health = ask(node.address, "GET", "/health").await.json();
    let schema = &description["components"]["schemas"]["Health"]["properties"];
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(schema), fields(&health));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let node = fixture();
    for path in ["/", "/metrics/", "/api/v1", "/control/drop/client", "/%00", "//stat"] {
        assert_eq!(ask(node.address, "GET", path).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(ask(node.address, method, "/metrics").await.status, 405, "{method}");
    }
    for wish in [RELOAD, "/api/v1/workers/1/drain", "/api/v1/streams/live/cam1/retry"] {
        assert_eq!(ask(node.address, "GET", wish).await.status, 405, "{wish}");
        assert_eq!(ask(node.address, "POST", wish).await.status, 403, "{wish}: not over TCP");
    }
    let reply = ask(node.address, "HEAD", "/stat").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_body_is_refused_before_it_is_read() {
    let node = fixture();
    let reply = send(
        node.address,
        "GET /metrics HTTP/1.1\r\nhost: node\r\ncontent-length: 1000000000\r\n\r\n",
    )
    .await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let node = fixture();
    let filler = "a".repeat(64 * 1024);
    let reply =
        send(node.address, &format!("GET /stat HTTP/1.1\r\nhost: node\r\nx: {filler}")).await;
    assert_eq!(reply.status, 431);
}

#[tokio::test]
async fn slow_heads_give_their_place_up() {
    let limits = ServerLimits {
        connections_max: 2,
        head_time_max: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let node = start_fixture(&[Script::Answer], limits);
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(node.address).await.unwrap();
        socket.write_all(b"GET /stat HTTP/1.1\r\n").await.unwrap();
        slow.push(socket);
    }
    assert_eq!(ask(node.address, "GET", "/healthz").await.status, 200);
    for mut socket in slow {
        assert!(!read_to_end(&mut socket).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn a_connection_ends_when_its_time_is_up() {
    let limits = ServerLimits {
        connection_time_max: Duration::from_millis(100),
        finish_time_max: Duration::from_millis(50),
        ..ServerLimits::default()
    };
    let node = start_fixture(&[Script::Answer], limits);
    let mut socket = TcpStream::connect(node.address).await.unwrap();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut socket).await.ends_with("ok\n"));
}

#[tokio::test]
async fn a_silent_shard_is_reported_and_the_rest_is_answered() {
    let node = start_fixture(&[Script::Answer, Script::StaySilent], ServerLimits::default());
    let reply = ask(node.address, "GET", "/stat").await;
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("x-edgerelay-shards-missing: 1"), "{}", reply.head);
    assert!(reply.body.contains("<name>cam1</name>"));
    let streams = ask(node.address, "GET", "/api/v1/streams").await.json();
    assert_eq!(streams["shards_missing"], serde_json::json!([1]));
    let metrics = ask(node.address, "GET", "/metrics").await.body;
    assert!(metrics.contains("edgerelay_shards_silent 1\n"));
}

#[tokio::test]
async fn readiness_follows_the_node_from_start_to_drain() {
    let node = fixture();
    let ready = async |status: u16, failing: &[&str]| {
        let reply = ask(node.address, "GET", "/readyz").await;
        assert_eq!(reply.status, status, "{}", reply.body);
        let conditions = reply.json()["conditions"].clone();
        for (condition, met) in conditions.as_object().unwrap() {
            assert_eq!(*met, !failing.contains(&condition.as_str()), "{condition}");
        }
    };
    ready(503, &["listeners_bound", "shards_up"]).await;
    node.readiness.on_listeners_bound();
    ready(503, &["shards_up"]).await;
    node.readiness.on_shard_up();
    ready(200, &[]).await;
    node.readiness.on_drain();
    ready(503, &["not_draining"]).await;
    assert_eq!(ask(node.address, "GET", "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_scaler_sees_clients_without_our_own_pushes() {
    let node = fixture();
    let metrics = ask(node.address, "GET", "/metrics").await.body;
    assert!(metrics.contains("nginx_rtmp_nclients{application=\"live\"} 2\n"), "{metrics}");
    assert!(ask(node.address, "GET", "/stat").await.body.contains("<nclients>3</nclients>"));
    assert_eq!(ask(node.address, "GET", "/health").await.json()["clients"], 2);
}

#[tokio::test]
async fn a_silent_shard_takes_no_streams_from_a_scaler() {
    let node = start_fixture(&[Script::Answer, Script::StaySilent], ServerLimits::default());
    let health = ask(node.address, "GET", "/health").await.json();
    assert_eq!(health["shards_missing"], serde_json::json!([1]));
    assert_eq!(health["streams"], 2);
    let metrics = ask(node.address, "GET", "/metrics").await.body;
    assert!(metrics.contains("rtmp_streams_active 2\n"), "{metrics}");
}

#[tokio::test]
async fn no_stream_name_and_no_address_is_in_the_metrics() {
    let metrics = ask(fixture().address, "GET", "/metrics").await.body;
    assert!(!metrics.contains("cam1") && !metrics.contains("127.0.0.1"), "{metrics}");
}

#[tokio::test]
async fn shutdown_closes_the_listener_and_idle_connections() {
    let node = fixture();
    let mut idle = TcpStream::connect(node.address).await.unwrap();
    assert_eq!(ask(node.address, "GET", "/healthz").await.status, 200);
    tokio::task::spawn_blocking(move || node.server.shutdown()).await.unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(node.address).await.is_err());
}
