//! The control socket: what it serves, and what its clients may take.

use std::path::PathBuf;

use tokio::net::UnixStream;

use super::*;

struct Local {
    path: PathBuf,
    server: ControlServer,
    _folder: tempfile::TempDir,
}

fn start_local(limits: ServerLimits) -> Local {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = ControlSocket::bind(&path, "").unwrap();
    let server = start_with(Vec::new(), Some(socket), node(&[Script::Answer]), limits).unwrap();
    Local { path, server, _folder: folder }
}

/// Sends `request` and reads to the end, by whatever way it comes.
async fn talk(path: &PathBuf, request: &str) -> String {
    let mut socket = UnixStream::connect(path).await.unwrap();
    let _ = socket.write_all(request.as_bytes()).await;
    read_all(&mut socket).await
}

async fn read_all(socket: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(WAIT_MAX, socket.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

const ASK: &str = "GET /healthz HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn it_serves_every_page_without_any_tcp_listener() {
    let local = start_local(ServerLimits::default());
    for (path, page) in PAGES.iter().filter(|(_, page)| *page != Page::Ready) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        let answer = talk(&local.path, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path} {page:?}: {answer}");
    }
}

#[tokio::test]
async fn its_owner_may_have_the_configuration_read_again() {
    let local = start_local(ServerLimits::default());
    let request = format!("POST {RELOAD} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
    let answer = talk(&local.path, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("{\"applied\":true,\"errors\":[],\"changes\":[]}"), "{answer}");
}

#[tokio::test]
async fn a_node_without_workers_says_so_to_who_wants_something_of_them() {
    let local = start_local(ServerLimits::default());
    for path in ["/api/v1/workers/1/drain", "/api/v1/streams/live/cam%2F1/retry"] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        let answer = talk(&local.path, &request).await;
        assert!(answer.starts_with("HTTP/1.1 409"), "{path}: {answer}");
        assert!(answer.contains("this node has no workers"), "{path}: {answer}");
    }
    let request =
        "POST /api/v1/workers/x/drain HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";
    assert!(talk(&local.path, request).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn it_is_gone_after_the_end() {
    let local = start_local(ServerLimits::default());
    assert!(talk(&local.path, ASK).await.ends_with("ok\n"));
    tokio::task::spawn_blocking(move || local.server.shutdown()).await.unwrap();
    assert!(!local.path.exists());
}

#[tokio::test]
async fn a_user_with_too_many_connections_is_told_and_slow_heads_give_their_places_up() {
    let head_time_max = Duration::from_millis(300);
    let local = start_local(ServerLimits { head_time_max, ..ServerLimits::default() });
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut socket = UnixStream::connect(&local.path).await.unwrap();
        socket.write_all(b"GET /stat HTTP/1.1\r\n").await.unwrap();
        slow.push(socket);
    }
    let answer = talk(&local.path, "").await;
    assert!(answer.contains("too many connections of this user"), "{answer}");
    for mut socket in slow {
        assert!(!read_all(&mut socket).await.contains("200 OK"));
    }
    assert!(talk(&local.path, ASK).await.ends_with("ok\n"));
}

#[tokio::test]
async fn an_endless_head_and_a_body_are_refused() {
    let local = start_local(ServerLimits::default());
    let filler = "a".repeat(64 * 1024);
    let answer =
        talk(&local.path, &format!("GET /stat HTTP/1.1\r\nhost: node\r\nx: {filler}")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let head = "GET /stat HTTP/1.1\r\nhost: node\r\ncontent-length: 1000000000\r\n\r\n";
    let answer = talk(&local.path, head).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
