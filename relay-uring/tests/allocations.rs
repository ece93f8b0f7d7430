//! Counts what is allocated: connections that come and go leave nothing. A
//! file of its own, because the allocator is the whole process's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Read;
use std::net::{TcpListener, TcpStream as Peer};
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};

use bytes::Bytes;
use edgerelay_uring::{ReceiveBuffer, SMALL_BYTES, SendBatch, SendRing, SlabPool, ZeroCopy};
use tokio_uring::net::TcpStream;

struct Counting;

static LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live_bytes() -> isize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

fn connection() -> (Rc<TcpStream>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    (Rc::new(TcpStream::from_std(accepted)), peer)
}

/// One life of a ring with many connections.
fn live_once() {
    tokio_uring::start(async {
        let mut ring = SendRing::new(32).unwrap();
        let waiter = ring.waiter().unwrap();
        for cycle in 0..200 {
            let (stream, mut peer) = connection();
            let mode = [ZeroCopy::Off, ZeroCopy::On][cycle % 2];
            let key = ring.add_socket(Rc::clone(&stream), mode);
            let batch = SendBatch::new([Bytes::from(vec![7; 2000])]);
            ring.send(key, Rc::new(batch)).unwrap();
            ring.submit().unwrap();
            if cycle % 3 != 0 {
                let mut ended = 0;
                while ended == 0 {
                    waiter.ready().await.unwrap();
                    ended = ring.completions(|_| {}).unwrap();
                }
            }
            peer.read_exact(&mut [0; 2000]).unwrap();
            ring.remove_socket(key);
        }
    });
}

#[test]
fn memory_is_given_back() {
    // What the runtime and the test harness allocate once.
    live_once();
    let before = live_bytes();
    for _ in 0..10 {
        live_once();
    }
    let grown = live_bytes() - before;
    // 2000 connections: a leak of one byte each would show.
    assert!(grown < 2000, "{grown} bytes are left");

    an_idle_player_costs_a_small_buffer_and_little_more();
}

fn an_idle_player_costs_a_small_buffer_and_little_more() {
    const PLAYERS: usize = 500;
    tokio_uring::start(async {
        let mut ring = SendRing::new(32).unwrap();
        let mut connections: Vec<_> = (0..PLAYERS).map(|_| connection()).collect();
        let before = live_bytes();
        let mut readers = Vec::new();
        for (stream, _) in &connections {
            ring.add_socket(Rc::clone(stream), ZeroCopy::Off);
            let stream = Rc::clone(stream);
            readers.push(tokio_uring::spawn(async move {
                let mut buffer = ReceiveBuffer::small(SlabPool::new());
                buffer.read(&stream).await.unwrap().len()
            }));
        }
        // The runtime runs a few dozen tasks a turn.
        for _ in 0..PLAYERS {
            tokio::task::yield_now().await;
        }
        let each = (live_bytes() - before) as usize / PLAYERS;
        eprintln!("an idle player costs {each} bytes here");
        assert!(each > SMALL_BYTES && each < 2 * SMALL_BYTES, "{each}");
        for (stream, _) in &mut connections {
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        }
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 0);
        }
    });
}
