//! Connecting to a far side: looks its name up anew for every attempt, connects within a bound,
//! and can be called off.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;

use edgerelay_proto::session::{ClientConfig, ClientMode, ClientSession, RtmpUrl};
use tokio::sync::Notify;
use tokio_uring::net::TcpStream;

use super::bounds::CONNECT_TIMEOUT;
use super::{Shard, random};

/// Calls a push or pull off.
#[derive(Debug, Default)]
pub(super) struct Cancel {
    cancelled: Cell<bool>,
    notify: Notify,
}

impl Cancel {
    pub(super) fn cancel(&self) {
        self.cancelled.set(true);
        self.notify.notify_one();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// Returns once it is called off. One task waits at a time.
    pub(super) async fn cancelled(&self) {
        while !self.cancelled.get() {
            self.notify.notified().await;
        }
    }
}

/// A connection to the URL's host, by the first of its addresses that answers.
pub(super) async fn connect(url: &RtmpUrl) -> io::Result<(TcpStream, SocketAddr)> {
    let attempt = async {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in tokio::net::lookup_host((url.host(), url.port())).await? {
            // tokio's own connect can be given up; the ring's cannot.
            match tokio::net::TcpStream::connect(address).await {
                Ok(stream) => {
                    let stream = stream.into_std()?;
                    stream.set_nonblocking(false)?;
                    return Ok((TcpStream::from_std(stream), address));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
    tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or_else(|_| Err(timed_out()))
}

/// The client side of a connection just made.
pub(super) fn session(shard: &Shard, url: RtmpUrl, mode: ClientMode) -> Box<ClientSession> {
    let rtmp = &shard.config.rtmp;
    let config = ClientConfig {
        chunk_size: rtmp.chunk_size,
        message_bytes_max: rtmp.message_bytes_max,
        handshake_timeout: rtmp.handshake_timeout,
        command_timeout: rtmp.command_timeout,
        ping_interval: rtmp.ping_interval,
        ping_timeout: rtmp.ping_timeout,
        ..ClientConfig::new(url, mode)
    };
    Box::new(ClientSession::new(config, shard.now(), random()))
}
