//! Sends one batch to many sockets, again and again, and says what it took:
//! `cargo run --release --example fanout -- [SOCKETS] [BATCHES] [BYTES]`.
//!
//! Under `strace -c -e trace=io_uring_enter` it shows the system calls per
//! batch.

use std::collections::HashSet;
use std::env;
use std::io::Read;
use std::net::{TcpListener, TcpStream as Peer};
use std::rc::Rc;
use std::thread;

use bytes::Bytes;
use edgerelay_uring::{RingWaiter, SendBatch, SendRing, SocketKey, ZeroCopy, probe};
use tokio_uring::net::TcpStream;

fn main() {
    let mut numbers = env::args().skip(1).map(|text| text.parse().unwrap());
    let sockets: usize = numbers.next().unwrap_or(200);
    let batches: usize = numbers.next().unwrap_or(100);
    let bytes: usize = numbers.next().unwrap_or(10_400);
    println!("{:?}", probe().unwrap());
    tokio_uring::start(async {
        let mut ring = SendRing::new(1024).unwrap();
        let waiter = ring.waiter().unwrap();
        let mut keys = HashSet::new();
        let mut readers = Vec::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..sockets {
            let mut peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
            let stream = TcpStream::from_std(listener.accept().unwrap().0);
            keys.insert(ring.add_socket(Rc::new(stream), ZeroCopy::Off));
            readers.push(thread::spawn(move || {
                let mut all = vec![0; bytes];
                (0..batches).for_each(|_| peer.read_exact(&mut all).unwrap());
            }));
        }
        for _ in 0..batches {
            send_to_all(&mut ring, &waiter, &keys, bytes).await;
        }
        for reader in readers {
            reader.join().unwrap();
        }
        let stats = ring.stats();
        println!(
            "{sockets} sockets, {batches} batches of {bytes} bytes: {} sends, {} enters, {} per batch",
            stats.sends,
            stats.enters,
            stats.enters as f64 / batches as f64,
        );
    });
}

async fn send_to_all(
    ring: &mut SendRing,
    waiter: &RingWaiter,
    keys: &HashSet<SocketKey>,
    bytes: usize,
) {
    let slices = (0..10).map(|_| Bytes::from(vec![7; bytes / 10]));
    let rest = Bytes::from(vec![7; bytes % 10]);
    let batch = Rc::new(SendBatch::new(slices.chain([rest])));
    for key in keys {
        ring.send(*key, Rc::clone(&batch)).unwrap();
    }
    ring.submit().unwrap();
    let mut left = keys.clone();
    while !left.is_empty() {
        waiter.ready().await.unwrap();
        ring.completions(|completion| {
            completion.outcome.unwrap();
            left.remove(&completion.key);
        })
        .unwrap();
    }
}
