//! Batches over real sockets: what arrives, and what is reported.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read};
use std::rc::Rc;

use bytes::Bytes;
use edgerelay_uring::{IOVECS_MAX, SendBatch, SendError, ZeroCopy, socket_ref};

use crate::peers::{batch, completions, connection, pattern, read_on_thread, ring, run};

#[test]
fn many_sockets_get_one_batch_with_one_system_call() {
    run(async {
        const SOCKETS: usize = 200;
        let (mut ring, waiter) = ring(256);
        let mut peers = Vec::new();
        let shared = batch(pattern(1000));
        for _ in 0..SOCKETS {
            let (stream, peer) = connection();
            let key = ring.add_socket(stream, ZeroCopy::Off);
            ring.send(key, shared.clone()).unwrap();
            peers.push(peer);
        }
        ring.submit().unwrap();
        assert_eq!(ring.stats().enters, 1);
        for completion in completions(&mut ring, &waiter, SOCKETS).await {
            assert_eq!(completion.outcome.unwrap(), 1000);
        }
        for mut peer in peers {
            let mut bytes = vec![0; 1000];
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, pattern(1000));
        }
        assert_eq!(ring.stats().flights, 0);
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

#[test]
fn a_socket_takes_one_batch_at_a_time() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (stream, _peer) = connection();
        let key = ring.add_socket(stream, ZeroCopy::Off);
        assert_eq!(ring.send(key, batch("")), Err(SendError::Empty));
        ring.send(key, batch("one")).unwrap();
        assert_eq!(ring.send(key, batch("two")), Err(SendError::Busy));
        ring.submit().unwrap();
        assert_eq!(ring.send(key, batch("two")), Err(SendError::Busy));
        completions(&mut ring, &waiter, 1).await;
        ring.send(key, batch("two")).unwrap();
        ring.submit().unwrap();
        completions(&mut ring, &waiter, 1).await;
        ring.remove_socket(key);
        assert_eq!(ring.send(key, batch("three")), Err(SendError::Closed));
    });
}

#[test]
fn a_batch_arrives_whole_through_a_tiny_send_buffer() {
    run(async {
        let (mut ring, waiter) = ring(8);
        for nonblocking in [false, true] {
            let (stream, peer) = connection();
            socket_ref(&stream).set_send_buffer_size(4096).unwrap();
            socket_ref(&stream).set_nonblocking(nonblocking).unwrap();
            let key = ring.add_socket(stream, ZeroCopy::Off);
            let reader = read_on_thread(peer, 3_000_000);
            let slices = Bytes::from(pattern(3_000_000));
            // Odd lengths, so that short sends end inside slices.
            let batch = Rc::new(SendBatch::new(
                (0..1000).map(|index| slices.slice(index * 3000..(index + 1) * 3000)),
            ));
            ring.send(key, batch).unwrap();
            ring.submit().unwrap();
            let done = completions(&mut ring, &waiter, 1).await;
            assert_eq!(*done[0].outcome.as_ref().unwrap(), 3_000_000);
            assert!(reader.join().unwrap().0 == pattern(3_000_000));
        }
    });
}

#[test]
fn a_batch_of_more_slices_than_one_operation_takes_arrives_whole() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (stream, peer) = connection();
        let key = ring.add_socket(stream, ZeroCopy::Off);
        let slices = Bytes::from(pattern(7 * 3000));
        let batch = SendBatch::new((0..3000).map(|index| slices.slice(index * 7..index * 7 + 7)));
        assert!(batch.iovec_count() > 2 * IOVECS_MAX);
        ring.send(key, Rc::new(batch)).unwrap();
        ring.submit().unwrap();
        let done = completions(&mut ring, &waiter, 1).await;
        assert_eq!(*done[0].outcome.as_ref().unwrap(), 7 * 3000);
        assert!(read_on_thread(peer, 7 * 3000).join().unwrap().0 == pattern(7 * 3000));
        assert_eq!(ring.stats().short_sends, 2);
    });
}

#[test]
fn a_stalled_reader_delays_no_other() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (stalled, _reads_nothing) = connection();
        let (lively, peer) = connection();
        let stalled = ring.add_socket(stalled, ZeroCopy::Off);
        let lively = ring.add_socket(lively, ZeroCopy::Off);
        ring.send(stalled, batch(vec![0; 32 << 20])).unwrap();
        ring.submit().unwrap();
        let reader = read_on_thread(peer, 100 * 1000);
        for _ in 0..100 {
            ring.send(lively, batch(vec![1; 1000])).unwrap();
            ring.submit().unwrap();
            let done = completions(&mut ring, &waiter, 1).await;
            assert_eq!(done[0].key, lively);
        }
        reader.join().unwrap();
        assert_eq!(ring.send(stalled, batch("more")), Err(SendError::Busy));
    });
}

#[test]
fn a_reset_by_the_peer_is_reported_once_and_closes_the_socket() {
    run(async {
        let (mut ring, waiter) = ring(8);
        let (stream, peer) = connection();
        let key = ring.add_socket(stream, ZeroCopy::Off);
        ring.send(key, batch(vec![0; 32 << 20])).unwrap();
        ring.submit().unwrap();
        // Closing with bytes unread resets.
        drop(peer);
        let done = completions(&mut ring, &waiter, 1).await;
        let error = done[0].outcome.as_ref().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{error}"
        );
        assert_eq!(ring.send(key, batch("more")), Err(SendError::Closed));
        assert_eq!((ring.stats().failures, ring.stats().flights), (1, 0));
    });
}

#[test]
fn more_completions_than_the_queue_holds_are_all_delivered() {
    run(async {
        const SOCKETS: usize = 150;
        let (mut ring, waiter) = ring(2);
        let mut peers = Vec::new();
        for _ in 0..SOCKETS {
            let (stream, peer) = connection();
            let key = ring.add_socket(stream, ZeroCopy::Off);
            ring.send(key, batch("tick")).unwrap();
            peers.push((key, peer));
        }
        // 75 system calls, and nothing taken out of a queue of 8 meanwhile.
        ring.submit().unwrap();
        let done = completions(&mut ring, &waiter, SOCKETS).await;
        let keys: HashSet<_> = done.iter().map(|completion| completion.key).collect();
        assert_eq!(keys.len(), SOCKETS);
        assert!(done.iter().all(|completion| completion.outcome.is_ok()));
    });
}

#[test]
fn no_completion_is_missed_by_a_task_that_waits_for_them() {
    run(async {
        const SOCKETS: usize = 50;
        const ROUNDS: usize = 60;
        const BYTES: usize = 40_000;
        let (ring, waiter) = ring(64);
        let ring = Rc::new(RefCell::new(ring));
        let mut readers = Vec::new();
        let mut left = HashMap::new();
        for _ in 0..SOCKETS {
            let (stream, peer) = connection();
            socket_ref(&stream).set_send_buffer_size(8192).unwrap();
            let key = ring.borrow_mut().add_socket(stream, ZeroCopy::Off);
            readers.push(read_on_thread(peer, ROUNDS * BYTES));
            left.insert(key, ROUNDS);
        }
        let shared = batch(pattern(BYTES));
        for key in left.keys() {
            ring.borrow_mut().send(*key, shared.clone()).unwrap();
        }
        ring.borrow_mut().submit().unwrap();
        while !left.is_empty() {
            waiter.ready().await.unwrap();
            let mut idle = Vec::new();
            let mut ring = ring.borrow_mut();
            ring.completions(|completion| idle.push(completion.key)).unwrap();
            for key in idle {
                let rounds = left.get_mut(&key).unwrap();
                *rounds -= 1;
                if *rounds == 0 {
                    left.remove(&key);
                } else {
                    ring.send(key, shared.clone()).unwrap();
                }
            }
            ring.submit().unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(ring.borrow().stats().sends as usize, SOCKETS * ROUNDS);
    });
}
