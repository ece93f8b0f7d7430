//! The running node, asked over its control socket.
//!
//! Owns the way there and what can go wrong on it; what answers mean is `answers`'s.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::answers::Refusal;
use super::human;

/// How long a node has to take a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long to wait while its queue of connections is full.
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// How long it has to answer: longer than it gives itself.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer. Ten thousand clients are about six million.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Characters of the node's own words that are shown.
const WORDS_MAX: usize = 300;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("no control socket is configured: control.socket is \"\"")]
    NoSocket,
    #[error("no node runs at {}; --socket names another place", list(.0))]
    NoNode(Vec<(PathBuf, io::Error)>),
    #[error("{0}: not permitted: {1}")]
    NotPermitted(PathBuf, String),
    #[error("{0}: cannot be connected to: {1}")]
    Connect(PathBuf, io::Error),
    #[error("{0}: the node did not answer in time")]
    Silent(PathBuf),
    #[error("{0}: the node broke off: {1}")]
    Broken(PathBuf, String),
    #[error("{0}: the node refused with status {1}: {2}")]
    Refused(PathBuf, u16, String),
    #[error("the answer to {0} is not understood: {1}; is the node of another version?")]
    Strange(&'static str, serde_json::Error),
}

fn list(tried: &[(PathBuf, io::Error)]) -> String {
    let places = tried.iter().map(|(path, error)| match error.kind() {
        io::ErrorKind::NotFound => format!("{} (there is no socket)", path.display()),
        _ => format!("{} (nobody serves it)", path.display()),
    });
    places.collect::<Vec<_>>().join(" or ")
}

/// Whom the kernel lets in.
const WHO_MAY: &str = "root, the user that the relay runs as and members of control.group may ask";

/// A connection to a running node.
#[derive(Debug)]
pub(super) struct NodeClient {
    sender: SendRequest<Body>,
    path: PathBuf,
}

impl NodeClient {
    /// Connects to the first of `candidates` that a node serves.
    pub(super) async fn connect(candidates: &[PathBuf]) -> Result<Self, AskError> {
        let mut tried = Vec::new();
        for path in candidates {
            match open(path).await {
                Ok(socket) => return Self::greet(socket, path).await,
                Err(error) => match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        tried.push((path.clone(), error));
                    }
                    io::ErrorKind::PermissionDenied => {
                        return Err(AskError::NotPermitted(path.clone(), WHO_MAY.to_owned()));
                    }
                    _ => return Err(AskError::Connect(path.clone(), error)),
                },
            }
        }
        Err(if tried.is_empty() { AskError::NoSocket } else { AskError::NoNode(tried) })
    }

    async fn greet(socket: UnixStream, path: &Path) -> Result<Self, AskError> {
        let broken = |error: hyper::Error| AskError::Broken(path.to_owned(), error.to_string());
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        // What becomes of it is told to whoever waits for an answer.
        tokio::spawn(async {
            let _told = connection.await;
        });
        Ok(Self { sender, path: path.to_owned() })
    }

    /// What the node answers to GET of `page`.
    pub(super) async fn ask(&mut self, page: &str) -> Result<String, AskError> {
        self.say(Method::GET, page).await
    }

    /// Has the node do something, and what it answers.
    pub(super) async fn tell(&mut self, page: &str) -> Result<String, AskError> {
        self.say(Method::POST, page).await
    }

    async fn say(&mut self, method: Method, page: &str) -> Result<String, AskError> {
        let path = self.path.clone();
        match timeout(ANSWER_TIME_MAX, self.exchange(method, page)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Silent(path)),
        }
    }

    async fn exchange(&mut self, method: Method, page: &str) -> Result<String, AskError> {
        let broken = |error: String| AskError::Broken(self.path.clone(), error);
        let request = Request::builder().method(method).uri(page).header(header::HOST, "node");
        let request = request.body(Body::empty());
        let request = request.map_err(|error| broken(error.to_string()))?;
        let answer = self.sender.send_request(request).await;
        let answer = answer.map_err(|error| broken(error.to_string()))?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| broken(error.to_string()))?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status == StatusCode::OK {
            return Ok(text);
        }
        let words = match serde_json::from_str::<Refusal>(&text) {
            Ok(refusal) => human::printable(&refusal.error, WORDS_MAX),
            Err(_) => "it does not say why".to_owned(),
        };
        Err(match status {
            StatusCode::FORBIDDEN => AskError::NotPermitted(self.path.clone(), words),
            status => AskError::Refused(self.path.clone(), status.as_u16(), words),
        })
    }
}

async fn open(path: &Path) -> io::Result<UnixStream> {
    let deadline = Instant::now() + CONNECT_TIME_MAX;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() > deadline {
                    return Err(error);
                }
                sleep(CONNECT_RETRY_DELAY).await;
            }
            result => return result,
        }
    }
}

/// An answer as what it means.
pub(super) fn parse<T: DeserializeOwned>(page: &'static str, text: &str) -> Result<T, AskError> {
    serde_json::from_str(text).map_err(|error| AskError::Strange(page, error))
}

/// Runs a conversation to its end.
pub(super) fn block_on<T>(conversation: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(conversation))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_node_that_is_not_there_is_named_with_every_place_that_was_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let (dead, missing) = (folder.path().join("dead.sock"), folder.path().join("missing.sock"));
        drop(UnixListener::bind(&dead).unwrap());
        let asked = block_on(NodeClient::connect(&[dead.clone(), missing.clone()])).unwrap();
        let message = asked.unwrap_err().to_string();
        let (dead, missing) = (dead.display(), missing.display());
        assert_eq!(
            message,
            format!(
                "no node runs at {dead} (nobody serves it) or {missing} (there is no socket); \
                 --socket names another place"
            )
        );
    }

    #[test]
    fn without_a_place_to_look_the_setting_is_named() {
        let asked = block_on(NodeClient::connect(&[])).unwrap();
        assert!(matches!(asked, Err(AskError::NoSocket)), "{asked:?}");
    }
}
