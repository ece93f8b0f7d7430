//! A way to the relay that counts what passes: so a test knows the bytes of a connection on both ends,
//! whoever's program speaks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const COPY_BYTES: usize = 64 * 1024;

/// Listens, and hands every connection on.
pub(crate) struct Meter {
    address: SocketAddr,
    passed: Arc<Passed>,
}

/// Bytes that passed, over all connections.
#[derive(Default)]
struct Passed {
    to_relay: AtomicU64,
    from_relay: AtomicU64,
}

impl Meter {
    /// A way to `relay`.
    pub(crate) fn new(relay: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let passed: Arc<Passed> = Arc::default();
        let counting = Arc::clone(&passed);
        // Ends with the test's process; it holds nothing but a port.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(relay) else { return };
                for stream in [&client, &server] {
                    let _ = stream.set_nodelay(true);
                }
                let back = (server.try_clone().expect("a descriptor"), client.try_clone());
                let (there, here) = (Arc::clone(&counting), Arc::clone(&counting));
                thread::spawn(move || copy(client, server, &there.to_relay));
                thread::spawn(move || {
                    copy(back.0, back.1.expect("a descriptor"), &here.from_relay);
                });
            }
        });
        Self { address, passed }
    }

    /// The URL of a stream of the application `live`, by this way.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }

    /// Bytes that were handed to the relay's socket so far.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.passed.to_relay.load(Ordering::SeqCst)
    }

    /// Bytes that were read from the relay's socket so far.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.passed.from_relay.load(Ordering::SeqCst)
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, passed: &AtomicU64) {
    let mut buffer = vec![0; COPY_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..count) else { break };
        if to.write_all(bytes).is_err() {
            break;
        }
        passed.fetch_add(count as u64, Ordering::SeqCst);
    }
    // One side's end is the other's, and the rest still flows the other way.
    let _ = to.shutdown(Shutdown::Write);
}
