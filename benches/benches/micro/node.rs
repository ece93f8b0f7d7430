//! A relay of one shard in this process, and peers of it on the loopback: a publisher, and players
//! whose bytes are counted, not looked at.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edgerelay::config::{Config, MergeWindow};
use edgerelay::hub::admission::Admission;
use edgerelay::hub::directory::Directory;
use edgerelay::id::ShardId;
use edgerelay::message::ShardMessage;
use edgerelay::shard::{self, Commons, MAILBOX_MESSAGES_MAX, ShardSetup};
use edgerelay::telemetry::{Ledger, Readiness, ShardCounters};
use edgerelay_proto::session::{
    ClientConfig, ClientEvent, ClientMode, ClientOutput, ClientSession, RtmpUrl,
};
use edgerelay_proto::time::Instant as ProtoInstant;
use rustix::event::epoll;
use tokio::sync::mpsc;

/// What the relay has for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Silence that is taken for the end of what a player is sent.
const QUIET: Duration = Duration::from_millis(150);
const READ_BYTES: usize = 256 * 1024;

/// A relay that ends with the value.
#[derive(Debug)]
pub(crate) struct Node {
    address: SocketAddr,
    mailbox: mpsc::Sender<ShardMessage>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Node {
    /// Starts a relay of one shard that merges nothing and pings nobody.
    pub(crate) fn start() -> io::Result<Self> {
        let mut config = Config::default();
        config.rtmp.merge_window = MergeWindow::Fixed(Duration::ZERO);
        config.rtmp.ping_interval = Duration::ZERO;
        config.rtmp.publish_idle_timeout = Duration::ZERO;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (sender, mailbox) = mpsc::channel(MAILBOX_MESSAGES_MAX);
        let admission = Admission::new(config.rtmp.connections_max, 0);
        let thread = shard::spawn(ShardSetup {
            id: ShardId(0),
            core: None,
            listeners: vec![listener],
            config: Arc::new(config),
            counters: Arc::new(ShardCounters::new()),
            mailbox,
            peers: vec![sender.clone()],
            events: None,
            commons: Arc::new(Commons {
                directory: Mutex::new(Directory::new()),
                admission: Mutex::new(admission),
                readiness: Arc::new(Readiness::new(1)),
                ledger: Arc::new(Ledger::disabled()),
            }),
        })?;
        Ok(Self { address, mailbox: sender, thread: Some(thread) })
    }

    /// A publisher of `name`, accepted. Its chunks are of 65 536 bytes.
    pub(crate) fn publish(&self, name: &str) -> io::Result<Publisher> {
        let (stream, stream_id) = self.connect(name, ClientMode::Publish)?;
        Ok(Publisher { stream, stream_id })
    }

    /// `count` players of `name`, accepted.
    pub(crate) fn play(&self, name: &str, count: usize) -> io::Result<Players> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut streams = Vec::with_capacity(count);
        for index in 0..count {
            let (stream, _) = self.connect(name, ClientMode::Play)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&poll, &stream, data, epoll::EventFlags::IN)?;
            streams.push(stream);
        }
        let events = Vec::with_capacity(count);
        Ok(Players { poll, streams, events, buffer: vec![0; READ_BYTES] })
    }

    fn connect(&self, name: &str, mode: ClientMode) -> io::Result<(TcpStream, u32)> {
        let url = format!("rtmp://{}/live/{name}", self.address);
        let url = RtmpUrl::parse(&url).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut session = ClientSession::new(ClientConfig::new(url, mode), ProtoInstant::EPOCH, 7);
        let mut buffer = vec![0; 4096];
        loop {
            while let Some(output) = session.poll_output() {
                match output {
                    ClientOutput::Send(bytes) => stream.write_all(&bytes)?,
                    ClientOutput::Event(ClientEvent::Ready { stream_id }) => {
                        return Ok((stream, stream_id));
                    }
                    ClientOutput::Event(other) => {
                        return Err(io::Error::other(format!("{other:?} instead of ready")));
                    }
                }
            }
            let len = stream.read(&mut buffer)?;
            if len == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let input = Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default());
            session.handle_input(ProtoInstant::EPOCH, input).map_err(io::Error::other)?;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A shard that has ended needs no telling.
        let _ended = self.mailbox.try_send(ShardMessage::Stop);
        if let Some(thread) = self.thread.take() {
            let _outcome = thread.join();
        }
    }
}

/// A publisher.
#[derive(Debug)]
pub(crate) struct Publisher {
    stream: TcpStream,
    stream_id: u32,
}

impl Publisher {
    /// The message stream it publishes on.
    pub(crate) const fn stream_id(&self) -> u32 {
        self.stream_id
    }

    /// Sends bytes made by [`wire`](super::media::wire).
    pub(crate) fn send(&mut self, wire: &[u8]) -> io::Result<()> {
        self.stream.write_all(wire)
    }
}

/// Players that read all they are sent, on the caller's thread.
pub(crate) struct Players {
    poll: OwnedFd,
    streams: Vec<TcpStream>,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
}

impl Players {
    /// Reads until all together have got `bytes` more.
    pub(crate) fn receive(&mut self, bytes: u64) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut received = 0;
        while received < bytes {
            if Instant::now() > deadline {
                let what = format!("{received} of {bytes} bytes arrived");
                return Err(io::Error::new(ErrorKind::TimedOut, what));
            }
            received += self.read_ready(PATIENCE)?;
        }
        if received > bytes {
            return Err(io::Error::other(format!("{received} bytes instead of {bytes}")));
        }
        Ok(())
    }

    /// Reads at least `bytes`, and on until nothing has come for a while: what stands between
    /// players just accepted and a steady stream.
    pub(crate) fn settle(&mut self, bytes: u64) -> io::Result<()> {
        let mut received = 0;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let more = self.read_ready(QUIET)?;
            received += more;
            if more == 0 && received >= bytes {
                return Ok(());
            }
            if Instant::now() > deadline {
                let what = format!("{received} of {bytes} bytes arrived, or no end of them");
                return Err(io::Error::new(ErrorKind::TimedOut, what));
            }
        }
    }

    /// Waits for bytes and reads them; none within `timeout` is 0. Allocates nothing.
    fn read_ready(&mut self, timeout: Duration) -> io::Result<u64> {
        let timeout = rustix::event::Timespec::try_from(timeout).map_err(io::Error::other)?;
        self.events.clear();
        epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout))?;
        let mut received = 0;
        for event in &self.events {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(mut stream) = self.streams.get(index) else { continue };
            match stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => received += len as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(received)
    }
}
