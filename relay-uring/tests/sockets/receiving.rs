//! Receive buffers: slices of what was read, memory used again.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream as Peer};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use edgerelay_uring::{
    ReadableStream, ReceiveBuffer, SLAB_BYTES_MAX, SLAB_BYTES_MIN, SMALL_BYTES, SlabPool,
    hold_unread, tcp_info,
};
use tokio::time::timeout;

use crate::peers::{connection, pattern, run};

#[test]
fn what_is_read_when_ready_is_all_that_was_sent() {
    run(async {
        let (stream, mut peer) = connection();
        let readable = ReadableStream::new(stream).unwrap();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        buffer.become_slab();
        assert_eq!(buffer.room_bytes(), 0, "nothing is held before there is something to read");
        let sent = pattern(5000).repeat(100);
        let writer = std::thread::spawn({
            let sent = sent.clone();
            move || peer.write_all(&sent).map(|()| peer)
        });
        let mut read = Vec::new();
        while read.len() < sent.len() {
            let slice = buffer.read_when_ready(&readable).await.unwrap();
            assert!(!slice.is_empty());
            read.extend_from_slice(&slice);
        }
        assert!(read == sent);
        drop(writer.join().unwrap().unwrap());
        assert!(buffer.read_when_ready(&readable).await.unwrap().is_empty(), "the end");
        assert!(buffer.read_when_ready(&readable).await.unwrap().is_empty(), "the end stays");
    });
}

#[test]
fn a_read_that_filled_its_room_may_have_left_something() {
    run(async {
        let (stream, mut peer) = connection();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        peer.write_all(&pattern(SMALL_BYTES + 1)).unwrap();
        assert_eq!(buffer.read(&stream).await.unwrap().len(), SMALL_BYTES);
        assert!(buffer.may_have_more());
        assert_eq!(buffer.read(&stream).await.unwrap().len(), 1);
        assert!(!buffer.may_have_more());
        let readable = ReadableStream::new(stream).unwrap();
        peer.write_all(&pattern(2 * SMALL_BYTES)).unwrap();
        buffer.read_when_ready(&readable).await.unwrap();
        assert!(buffer.may_have_more());
    });
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    run(async {
        let (stream, mut peer) = connection();
        peer.write_all(b"all").unwrap();
        drop(peer);
        let readable = ReadableStream::new(stream).unwrap();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        assert_eq!(buffer.read_when_ready(&readable).await.unwrap(), "all");
        assert!(buffer.read_when_ready(&readable).await.unwrap().is_empty());
    });
}

#[test]
fn a_wait_that_is_given_up_loses_nothing_and_the_ring_reads_on() {
    run(async {
        let (stream, mut peer) = connection();
        let readable = ReadableStream::new(Rc::clone(&stream)).unwrap();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        let given_up = timeout(Duration::ZERO, buffer.read_when_ready(&readable)).await;
        assert!(given_up.is_err());
        peer.write_all(b"one").unwrap();
        assert_eq!(buffer.read_when_ready(&readable).await.unwrap(), "one");
        drop(readable);
        peer.write_all(b"two").unwrap();
        assert_eq!(buffer.read(&stream).await.unwrap(), "two");
        let readable = ReadableStream::new(Rc::clone(&stream)).unwrap();
        peer.write_all(b"three").unwrap();
        assert_eq!(buffer.read_when_ready(&readable).await.unwrap(), "three");
    });
}

#[test]
fn shutting_the_stream_ends_a_wait() {
    run(async {
        let (stream, _peer) = connection();
        let readable = ReadableStream::new(Rc::clone(&stream)).unwrap();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        let (read, ()) = tokio::join!(buffer.read_when_ready(&readable), async {
            tokio::task::yield_now().await;
            stream.shutdown(Shutdown::Both).unwrap();
        });
        assert!(read.unwrap().is_empty());
    });
}

/// Where a slice begins in memory.
fn address(bytes: &Bytes) -> usize {
    bytes.as_ptr().addr()
}

#[test]
fn a_small_buffer_is_used_again_when_its_slices_are_gone() {
    run(async {
        let (stream, mut peer) = connection();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        assert_eq!(buffer.room_bytes(), 0);
        let mut addresses = Vec::new();
        for _ in 0..50 {
            peer.write_all(&pattern(SMALL_BYTES)).unwrap();
            let mut read = 0;
            while read < SMALL_BYTES {
                let slice = buffer.read(&stream).await.unwrap();
                assert!(!slice.is_empty() && slice.len() <= SMALL_BYTES);
                assert_eq!(slice[0], pattern(SMALL_BYTES)[read]);
                addresses.push(address(&slice));
                read += slice.len();
            }
        }
        let (low, high) = (addresses.iter().min(), addresses.iter().max());
        assert!(high.unwrap() - low.unwrap() < SMALL_BYTES);
    });
}

#[test]
fn a_slice_keeps_its_bytes_while_the_buffer_reads_on() {
    run(async {
        let (stream, mut peer) = connection();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        let mut kept: Vec<Bytes> = Vec::new();
        for round in 0..100_u8 {
            peer.write_all(&[round; 300]).unwrap();
            let mut read = 0;
            while read < 300 {
                let slice = buffer.read(&stream).await.unwrap();
                read += slice.len();
                kept.push(slice);
            }
        }
        let all: Vec<u8> = kept.iter().flatten().copied().collect();
        let expected: Vec<u8> = (0..100_u8).flat_map(|round| [round; 300]).collect();
        assert!(all == expected);
    });
}

/// Reads a hundred times `len` bytes into slabs. How many slabs that took.
fn slabs_for(len: usize) -> usize {
    let mut slabs = 1;
    run(async {
        let (stream, mut peer) = connection();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        buffer.become_slab();
        let mut kept: Vec<Bytes> = Vec::new();
        for _ in 0..100 {
            peer.write_all(&pattern(len)).unwrap();
            let mut read = 0;
            while read < len {
                let room = buffer.room_bytes();
                let slice = buffer.read(&stream).await.unwrap();
                read += slice.len();
                let follows =
                    kept.last().is_some_and(|last| address(last) + last.len() == address(&slice));
                if !follows && !kept.is_empty() {
                    // A new slab, only when the old one had little room left.
                    assert!(room < 4096, "{room}");
                    slabs += 1;
                }
                kept.push(slice);
            }
        }
        let all: Vec<u8> = kept.iter().flatten().copied().collect();
        assert!(all == pattern(len).repeat(100));
    });
    slabs
}

#[test]
fn a_slab_is_filled_by_one_read_after_another_without_copying() {
    assert!(slabs_for(500) <= 1 + 50_000 / (SLAB_BYTES_MIN - 1024));
}

#[test]
fn long_reads_get_long_slabs() {
    // The first is a short one still.
    assert!(slabs_for(6000) <= 3 + 600_000 / (SLAB_BYTES_MAX - 4096));
}

#[test]
fn the_end_of_the_stream_is_empty_and_shutdown_ends_a_pending_read() {
    run(async {
        let (stream, peer) = connection();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        let reading = async { buffer.read(&stream).await };
        let (read, ()) = tokio::join!(reading, async {
            tokio::task::yield_now().await;
            stream.shutdown(Shutdown::Both).unwrap();
        });
        assert!(read.unwrap().is_empty());
        drop(peer);
    });
}

#[test]
fn a_read_whose_future_is_dropped_leaves_the_buffer_usable() {
    run(async {
        let (stream, mut peer) = connection();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        let dropped = timeout(Duration::ZERO, buffer.read(&stream)).await;
        assert!(dropped.is_err());
        // The read in the kernel takes the first bytes; they are lost.
        peer.write_all(b"lost").unwrap();
        let (other, mut other_peer) = connection();
        other_peer.write_all(b"kept").unwrap();
        assert_eq!(buffer.read(&other).await.unwrap(), "kept");
    });
}

#[test]
fn a_socket_takes_in_unread_what_it_is_told_to() {
    const WANTED: usize = 2 << 20;
    run(async {
        let [told, plain] = [connection(), connection()];
        let held = hold_unread(&told.0, WANTED).unwrap();
        assert!(held >= WANTED, "{held}");
        let [taken, as_it_was] = [told, plain].map(|(stream, peer)| {
            fill(peer, 4 * WANTED);
            tcp_info(&stream).unwrap().bytes_received
        });
        assert!(taken >= WANTED as u64, "{taken}");
        assert!(as_it_was < WANTED as u64, "{as_it_was}: the test proves nothing");
    });
}

#[test]
fn a_socket_that_was_told_to_hold_more_is_readable_with_one_byte() {
    run(async {
        let (stream, mut peer) = connection();
        hold_unread(&stream, 1 << 20).unwrap();
        peer.write_all(b"x").unwrap();
        let readable = ReadableStream::new(stream).unwrap();
        let mut buffer = ReceiveBuffer::small(SlabPool::new());
        assert_eq!(buffer.read_when_ready(&readable).await.unwrap(), "x");
    });
}

/// Writes pieces of a message's size until all is written or nothing goes for a while.
fn fill(mut peer: Peer, bytes: usize) {
    let piece = pattern(1000);
    peer.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    for _ in 0..bytes / piece.len() {
        match peer.write_all(&piece) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}
