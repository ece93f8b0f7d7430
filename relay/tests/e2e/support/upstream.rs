//! A scripted RTMP server, the far side of pushes: made of the protocol crate's own session. It notes
//! what each publication brought, and can stop reading or die.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bytes::BytesMut;
use edgerelay_proto::session::{ServerEvent, ServerOutput, ServerSession, ServerSessionConfig};
use edgerelay_proto::time::Instant;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::ports::free_address;
use super::rtmp::block_on;
use super::synthetic::Sink;

const READ_BYTES: usize = 64 * 1024;
/// So little that whoever sends notices at once when nothing is read.
const STALLED_READ_BYTES: usize = 16 * 1024;
const BACKLOG: i32 = 128;

/// What it does once somebody publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Reads,
    Stalls,
}

/// What one publisher brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Publication {
    /// Its messages.
    pub(crate) sink: Sink,
    /// Whether it said that the stream is over.
    pub(crate) finished: bool,
}

type Publications = Arc<Mutex<Vec<Publication>>>;

/// A running server.
pub(crate) struct Upstream {
    address: SocketAddr,
    publications: Publications,
    /// Whether one that stalls reads on.
    reads_on: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// One that reads, on a free port.
    pub(crate) fn start() -> Self {
        Self::start_on(free_address())
    }

    /// One that reads, on `address`.
    pub(crate) fn start_on(address: SocketAddr) -> Self {
        Self::with_manner(address, Manner::Reads)
    }

    /// One that accepts publications and reads nothing of them until it is told to.
    pub(crate) fn stalling() -> Self {
        Self::stalling_on(free_address())
    }

    /// The same on `address`.
    pub(crate) fn stalling_on(address: SocketAddr) -> Self {
        Self::with_manner(address, Manner::Stalls)
    }

    fn with_manner(address: SocketAddr, manner: Manner) -> Self {
        let listener = listen(address, manner).expect("a free address");
        let publications = Publications::default();
        let (stop, stopped) = oneshot::channel();
        let (reads_on, may_read) = watch::channel(manner == Manner::Reads);
        let noted = publications.clone();
        let thread = thread::spawn(move || {
            // The runtime's end closes every socket, as a process's does.
            block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    error = accept(listener, may_read, noted) => panic!("accepting: {error:?}"),
                }
            });
        });
        Self { address, publications, reads_on, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL of a stream there.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }

    /// What was published so far, in order.
    pub(crate) fn publications(&self) -> Vec<Publication> {
        self.publications.lock().expect("no server panics").clone()
    }

    /// Lets one that stalls read.
    pub(crate) fn read_on(&self) {
        self.reads_on.send_replace(true);
    }

    /// Closes all it has at once.
    pub(crate) fn die(mut self) -> SocketAddr {
        self.end();
        self.address
    }

    fn end(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server does not panic");
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.end();
    }
}

fn listen(address: SocketAddr, manner: Manner) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // One that died left connections behind in the kernel.
    socket.set_reuse_address(true)?;
    if manner == Manner::Stalls {
        socket.set_recv_buffer_size(STALLED_READ_BYTES)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

async fn accept(
    listener: TcpListener,
    may_read: watch::Receiver<bool>,
    publications: Publications,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, may_read.clone(), publications.clone()));
    }
}

/// Serves one publisher until it goes. What goes wrong shows in what it did not bring.
async fn serve(
    mut stream: TcpStream,
    mut may_read: watch::Receiver<bool>,
    publications: Publications,
) -> io::Result<()> {
    // Nobody calls its time-outs, so its time may stand still.
    let now = Instant::EPOCH;
    let mut session = ServerSession::new(ServerSessionConfig::default(), now, 7);
    let mut publication = None;
    let mut input = BytesMut::new();
    loop {
        input.reserve(READ_BYTES);
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        session.handle_input(now, input.split().freeze()).map_err(io::Error::other)?;
        while let Some(output) = session.poll_output() {
            let event = match output {
                ServerOutput::Send(bytes) => {
                    stream.write_all(&bytes).await?;
                    continue;
                }
                ServerOutput::Event(event) => event,
            };
            match event {
                ServerEvent::Connect(_) => session.accept_connect().map_err(io::Error::other)?,
                ServerEvent::Publish(request) => {
                    let mut publications = publications.lock().expect("no server panics");
                    publication = Some(publications.len());
                    publications.push(Publication::default());
                    session.accept_publish(request.stream_id).map_err(io::Error::other)?;
                }
                event => {
                    let Some(index) = publication else { continue };
                    let mut publications = publications.lock().expect("no server panics");
                    note(&mut publications[index], &event);
                }
            }
        }
        if publication.is_some() {
            // An error is the end of the server, and of this task.
            let _ended = may_read.wait_for(|may| *may).await;
        }
    }
}

fn note(publication: &mut Publication, event: &ServerEvent) {
    match event {
        ServerEvent::Media { message, .. } => publication.sink.take(message),
        ServerEvent::Unpublish { .. } => publication.finished = true,
        _ => {}
    }
}
