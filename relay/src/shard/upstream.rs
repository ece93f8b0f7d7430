//! Connecting to a far side: looks its name up anew for every attempt, connects within a bound,
//! and can be called off.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;

use edgerelay_proto::session::{ClientConfig, ClientMode, ClientSession, RtmpUrl};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_uring::net::TcpStream;

use super::bounds::CONNECT_TIMEOUT;
use super::{Shard, random};

/// Calls a push or pull off.
#[derive(Debug, Default)]
pub(super) struct Cancel {
    cancelled: Cell<bool>,
    /// The stream goes on without it, so the rest of the stream is not its to bring.
    at_once: Cell<bool>,
    notify: Notify,
}

impl Cancel {
    pub(super) fn cancel(&self) {
        self.cancelled.set(true);
        self.notify.notify_one();
    }

    pub(super) fn cancel_at_once(&self) {
        self.at_once.set(true);
        self.cancel();
    }

    pub(super) fn is_at_once(&self) -> bool {
        self.at_once.get()
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
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let found = timeout_at(deadline, tokio::net::lookup_host((url.host(), url.port()))).await;
    let addresses: Vec<_> = found.map_err(|_elapsed| out_of_time())??.collect();
    let (stream, address) = connect_to_any(&addresses, deadline).await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok((TcpStream::from_std(stream), address))
}

/// Tries one address after the other. Each has an equal share of the time that those before it left,
/// so that one that swallows everything leaves some for the others.
async fn connect_to_any(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = deadline.saturating_duration_since(Instant::now())
            / u32::try_from(left).unwrap_or(u32::MAX);
        // tokio's own connect can be given up; the ring's cannot.
        match timeout(share, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = out_of_time(),
        }
    }
    Err(last)
}

fn out_of_time() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no connection in time")
}

/// The client side of a connection just made.
pub(super) fn session(shard: &Shard, url: RtmpUrl, mode: ClientMode) -> Box<ClientSession> {
    let config = shard.config();
    let rtmp = &config.rtmp;
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    use super::*;

    const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future)
    }

    /// A listener whose kernel answers nobody any more: its queue of one is full.
    async fn silent() -> (Socket, Vec<tokio::net::TcpStream>, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(LOOPBACK).into()).expect("a port");
        socket.listen(0).expect("listens");
        let address = socket.local_addr().expect("bound").as_socket().expect("an IP address");
        let mut queued = Vec::new();
        let short = Duration::from_millis(200);
        while let Ok(stream) = timeout(short, tokio::net::TcpStream::connect(address)).await {
            queued.push(stream.expect("accepted by the kernel"));
        }
        (socket, queued, address)
    }

    #[test]
    fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        block_on(async {
            let (_socket, _queued, silent) = silent().await;
            let listener = TcpListener::bind(LOOPBACK).expect("a port");
            let good = listener.local_addr().expect("bound");
            let deadline = Instant::now() + Duration::from_secs(6);
            let connected = connect_to_any(&[silent, good], deadline).await;
            assert_eq!(connected.expect("a connection").1, good);
            assert!(Instant::now() < deadline, "half of the time is left");
            let soon = Instant::now() + Duration::from_millis(100);
            let error = connect_to_any(&[silent], soon).await.expect_err("silence");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn what_the_last_address_did_is_reported() {
        block_on(async {
            let soon = Instant::now() + Duration::from_secs(5);
            let listener = TcpListener::bind(LOOPBACK).expect("a port");
            let nobody = listener.local_addr().expect("bound");
            drop(listener);
            let error = connect_to_any(&[nobody], soon).await.expect_err("nobody listens");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            let error = connect_to_any(&[], soon).await.expect_err("nowhere to go");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
    }
}
