//! Batches over real sockets: what arrives, and what is reported.

use std::io::Read;

use edgerelay_uring::{SendError, ZeroCopy};

use crate::peers::{batch, completions, connection, pattern, ring, run};

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
        assert_eq!(std::rc::Rc::strong_count(&shared), 1);
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
