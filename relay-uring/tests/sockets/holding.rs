//! The ring holds memory and sockets as long as the kernel uses them, and no
//! longer.

use std::io::Read;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edgerelay_uring::{SendBatch, SendError, ZeroCopy, socket_ref};

use crate::peers::{Tracked, batch, completions, connection, pattern, ring, run, turn_until};

/// More than the kernel buffers for a peer that does not read.
const STALLING_BYTES: usize = 32 << 20;

#[test]
fn a_socket_removed_in_flight_is_held_until_the_kernel_lets_go() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let alive = Arc::new(AtomicUsize::new(0));
        let (stream, _peer) = connection();
        let key = ring.add_socket(Rc::clone(&stream), ZeroCopy::Off);
        let bytes = Tracked::bytes(pattern(STALLING_BYTES), &alive);
        ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
        ring.submit().unwrap();

        ring.remove_socket(key);
        assert_eq!(ring.stats().sockets, 0);
        assert_eq!(ring.send(key, batch("more")), Err(SendError::Closed));
        // The cancellation may be done already; its completion is not seen.
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        assert_eq!(Rc::strong_count(&stream), 2);

        turn_until(&mut ring, &waiter, |ring| ring.stats().flights == 0).await;
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert_eq!(Rc::strong_count(&stream), 1);
    });
}

#[test]
fn a_removed_socket_delivers_no_completion_and_its_key_names_no_other() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (first, _first_peer) = connection();
        let (second, mut second_peer) = connection();
        let old = ring.add_socket(first, ZeroCopy::Off);
        ring.send(old, batch("unseen")).unwrap();
        ring.submit().unwrap();
        ring.remove_socket(old);
        let new = ring.add_socket(second, ZeroCopy::Off);
        assert_ne!(old, new);

        assert_eq!(ring.send(old, batch("stray")), Err(SendError::Closed));
        ring.remove_socket(old);
        ring.send(new, batch("seen")).unwrap();
        ring.submit().unwrap();
        let done = completions(&mut ring, &waiter, 1).await;
        assert_eq!((done.len(), done[0].key), (1, new));
        let mut bytes = [0; 4];
        second_peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"seen");
    });
}

#[test]
fn a_send_queued_but_not_submitted_is_dropped_with_its_socket() {
    run(async {
        let (mut ring, _waiter) = ring(8);
        let alive = Arc::new(AtomicUsize::new(0));
        let (stream, mut peer) = connection();
        let key = ring.add_socket(Rc::clone(&stream), ZeroCopy::Off);
        let bytes = Tracked::bytes(pattern(100), &alive);
        ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
        ring.remove_socket(key);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        ring.submit().unwrap();
        assert_eq!(ring.stats().enters, 0);
        drop(stream);
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    });
}

#[test]
fn dropping_the_ring_cancels_and_frees_what_is_in_flight() {
    run(async {
        let (mut ring, _waiter) = ring(8);
        let alive = Arc::new(AtomicUsize::new(0));
        let mut connections = Vec::new();
        for _ in 0..20 {
            let (stream, peer) = connection();
            let key = ring.add_socket(Rc::clone(&stream), ZeroCopy::Off);
            let bytes = Tracked::bytes(vec![7; 8 << 20], &alive);
            ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
            connections.push((stream, peer));
        }
        ring.submit().unwrap();
        assert_eq!(alive.load(Ordering::Relaxed), 20);
        drop(ring);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        for (stream, _) in &connections {
            assert_eq!(Rc::strong_count(stream), 1);
        }
    });
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    run(async {
        let (mut ring, waiter) = ring(64);
        let alive = Arc::new(AtomicUsize::new(0));
        let mut connections: Vec<_> = (0..10).map(|_| connection()).collect();
        let stalling = Tracked::bytes(pattern(STALLING_BYTES), &alive);
        let stalling = Rc::new(SendBatch::new([stalling]));
        for cycle in 0..10_000 {
            let (stream, peer) = &mut connections[cycle % 10];
            let mode = [ZeroCopy::Off, ZeroCopy::On][cycle % 2];
            let key = ring.add_socket(Rc::clone(stream), mode);
            match cycle % 4 {
                // Sent and seen.
                0 | 1 => {
                    let bytes = Tracked::bytes(vec![1; 10], &alive);
                    ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
                    ring.submit().unwrap();
                    completions(&mut ring, &waiter, 1).await;
                    peer.read_exact(&mut [0; 10]).unwrap();
                }
                // Removed before the completion is seen.
                2 => {
                    let bytes = Tracked::bytes(vec![2; 10], &alive);
                    ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
                    ring.submit().unwrap();
                    peer.read_exact(&mut [0; 10]).unwrap();
                }
                // Never submitted.
                _ => ring.send(key, Rc::clone(&stalling)).unwrap(),
            }
            ring.remove_socket(key);
        }
        turn_until(&mut ring, &waiter, |ring| ring.stats().flights == 0).await;
        drop(stalling);
        assert_eq!(ring.stats().sockets, 0);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        for (stream, _) in &connections {
            assert_eq!(Rc::strong_count(stream), 1);
        }
    });
}

#[test]
fn a_zero_copy_send_is_reported_and_then_given_back() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let alive = Arc::new(AtomicUsize::new(0));
        let (stream, mut peer) = connection();
        let key = ring.add_socket(stream, ZeroCopy::On);
        let bytes = Tracked::bytes(pattern(50_000), &alive);
        ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
        ring.submit().unwrap();
        let done = completions(&mut ring, &waiter, 1).await;
        assert_eq!(*done[0].outcome.as_ref().unwrap(), 50_000);
        let mut read = vec![0; 50_000];
        peer.read_exact(&mut read).unwrap();
        assert!(read == pattern(50_000));
        turn_until(&mut ring, &waiter, |ring| ring.stats().flights == 0).await;
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        let stats = ring.stats();
        assert_eq!((stats.zc_sends, stats.enomem_fallbacks), (1, 0));
        // Loopback makes the copy that was saved.
        assert_eq!(stats.zc_copied, 1);
    });
}

/// A socket whose send queue holds a zero-copy batch that the peer, not
/// reading, gives the kernel no reason to let go of.
struct Withheld {
    alive: Arc<AtomicUsize>,
    ahead: usize,
    len: usize,
}

impl Withheld {
    fn new() -> Self {
        Self { alive: Arc::new(AtomicUsize::new(0)), ahead: 0, len: 20_000 }
    }

    /// What the peer will read.
    fn expected(&self) -> Vec<u8> {
        let mut all = vec![9; self.ahead];
        all.extend(pattern(self.len));
        all
    }
}

/// Fills the peer's window with ordinary bytes, then sends a zero-copy batch.
async fn withhold(
    ring: &mut edgerelay_uring::SendRing,
    waiter: &edgerelay_uring::RingWaiter,
    key: edgerelay_uring::SocketKey,
    stream: &tokio_uring::net::TcpStream,
) -> Withheld {
    let mut withheld = Withheld::new();
    let socket = socket_ref(stream);
    socket.set_send_buffer_size(4 << 20).unwrap();
    socket.set_nonblocking(true).unwrap();
    // Until as much as the batch is queued behind a closed window.
    while queued_bytes(stream) < 200_000 {
        withheld.ahead += socket.send(&[9; 4096]).unwrap();
    }
    let bytes = Tracked::bytes(pattern(withheld.len), &withheld.alive);
    ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
    ring.submit().unwrap();
    let done = completions(ring, waiter, 1).await;
    assert_eq!(*done[0].outcome.as_ref().unwrap(), withheld.len);
    withheld
}

/// Bytes not yet acknowledged by the peer.
fn queued_bytes(stream: &tokio_uring::net::TcpStream) -> usize {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ writes one int.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    assert_eq!(result, 0);
    bytes as usize
}

#[test]
fn a_zero_copy_batch_is_held_while_the_kernel_reads_it_and_the_socket_goes_on() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (stream, mut peer) = connection();
        let key = ring.add_socket(Rc::clone(&stream), ZeroCopy::On);
        let withheld = withhold(&mut ring, &waiter, key, &stream).await;
        assert_eq!(withheld.alive.load(Ordering::Relaxed), 1);
        assert_eq!(ring.stats().flights, 1);
        // Only the memory is held: the socket sends again, and can be closed.
        assert_eq!(Rc::strong_count(&stream), 2);
        ring.send(key, batch("tail")).unwrap();
        ring.submit().unwrap();
        completions(&mut ring, &waiter, 1).await;
        ring.remove_socket(key);
        assert_eq!(Rc::strong_count(&stream), 1);
        stream.shutdown(Shutdown::Write).unwrap();
        drop(stream);

        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        turn_until(&mut ring, &waiter, |ring| ring.stats().flights == 0).await;
        assert_eq!(withheld.alive.load(Ordering::Relaxed), 0);
        let mut expected = withheld.expected();
        expected.extend(b"tail");
        assert!(reader.join().unwrap() == expected);
    });
}

#[test]
fn a_dropped_ring_leaks_a_batch_rather_than_free_it_under_the_kernel() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (stream, mut peer) = connection();
        let key = ring.add_socket(Rc::clone(&stream), ZeroCopy::On);
        let withheld = withhold(&mut ring, &waiter, key, &stream).await;
        drop(waiter);
        drop(ring);
        assert_eq!(withheld.alive.load(Ordering::Relaxed), 1);
        assert_eq!(Rc::strong_count(&stream), 1);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert!(all == withheld.expected());
    });
}
