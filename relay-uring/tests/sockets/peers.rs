//! Connections for the tests: one end for the ring, one for the test.

use std::future::Future;
use std::io::Read;
use std::net::{TcpListener, TcpStream as Peer};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use edgerelay_uring::{Completion, RingWaiter, SendBatch, SendRing};
use tokio_uring::net::TcpStream;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection over loopback: the ring's end and the peer's.
pub(crate) fn connection() -> (Rc<TcpStream>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    (Rc::new(TcpStream::from_std(accepted)), peer)
}

/// A ring and its waiter. Only within the runtime.
pub(crate) fn ring(entries: u32) -> (SendRing, RingWaiter) {
    let ring = SendRing::new(entries).unwrap();
    let waiter = ring.waiter().unwrap();
    (ring, waiter)
}

/// Runs a test in the runtime, with a bound.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio_uring::start(async {
        tokio::time::timeout(PATIENCE, test).await.expect("the test is done in time")
    })
}

/// Waits for so many completions.
pub(crate) async fn completions(
    ring: &mut SendRing,
    waiter: &RingWaiter,
    count: usize,
) -> Vec<Completion> {
    let mut all = Vec::new();
    while all.len() < count {
        waiter.ready().await.unwrap();
        ring.completions(|completion| all.push(completion)).unwrap();
    }
    all
}

/// Turns the ring until `done` says so.
pub(crate) async fn turn_until(
    ring: &mut SendRing,
    waiter: &RingWaiter,
    mut done: impl FnMut(&SendRing) -> bool,
) {
    while !done(ring) {
        waiter.ready().await.unwrap();
        ring.completions(|_| {}).unwrap();
    }
}

/// A batch of one slice.
pub(crate) fn batch(bytes: impl Into<Bytes>) -> Rc<SendBatch> {
    Rc::new(SendBatch::new([bytes.into()]))
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// Reads so many bytes on a thread of its own.
pub(crate) fn read_on_thread(
    mut peer: Peer,
    len: usize,
) -> std::thread::JoinHandle<(Vec<u8>, Peer)> {
    std::thread::spawn(move || {
        let mut bytes = vec![0; len];
        peer.read_exact(&mut bytes).unwrap();
        (bytes, peer)
    })
}

/// Bytes that count how many of their kind are alive.
pub(crate) struct Tracked {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl Tracked {
    pub(crate) fn bytes(bytes: Vec<u8>, alive: &Arc<AtomicUsize>) -> Bytes {
        alive.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Self { bytes, alive: Arc::clone(alive) })
    }
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // What is freed no longer reads as the pattern.
        self.bytes.fill(0xdd);
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}
