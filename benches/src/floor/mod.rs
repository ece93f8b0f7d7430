//! The floor: what a relay's sends cost without the relay. It makes one synthetic stream itself and
//! sends its bytes to every player, through the same ring as the relay, at a rhythm of choice, and does
//! nothing else: no publisher is read, no frame is looked at, nobody is late or skipped.
//!
//! Players are greeted as RTMP wants it, so that they cannot tell.

mod feed;
mod greeting;
mod house;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use edgerelay_uring::RingWaiter;
use tokio_uring::net::{TcpListener, TcpStream};

use self::feed::Feed;
pub use self::feed::Rhythm;
use self::greeting::Greeting;
use self::house::House;
use crate::net::{clock, socket};
use crate::pattern::Pattern;

/// Entries of both rings.
const RING_ENTRIES: u32 = 4_096;

/// What players say is short.
const READ_BYTES: usize = 4_096;

/// The longest wait, so that a signal is noticed.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Serves players until `stop` is set. `on_listening` is told the address once it is bound.
///
/// # Errors
/// The address cannot be had, or io_uring cannot.
pub fn run(
    listen: SocketAddr,
    rhythm: Rhythm,
    pattern: Pattern,
    stop: &AtomicBool,
    on_listening: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let listener = socket::listen(listen)?;
    on_listening(listener.local_addr()?);
    tokio_uring::builder().entries(RING_ENTRIES).start(async {
        let (house, waiter) = House::new(RING_ENTRIES)?;
        let house = Rc::new(house);
        let listener = TcpListener::from_std(listener);
        tokio_uring::spawn(accept(Rc::clone(&house), listener));
        tokio_uring::spawn(reap(Rc::clone(&house), waiter));
        send(&house, Feed::new(pattern, rhythm, clock::now()), stop).await;
        Ok(())
    })
}

async fn send(house: &House, mut feed: Feed, stop: &AtomicBool) {
    let opening = feed.opening();
    while !stop.load(Ordering::Relaxed) {
        let now = clock::now();
        while let Some(piece) = feed.poll(now) {
            house.send(&piece, &opening);
        }
        let wait = feed.next_due().saturating_since(clock::now());
        tokio::time::sleep(wait.min(WAIT_MAX)).await;
    }
}

async fn reap(house: Rc<House>, waiter: RingWaiter) {
    while waiter.ready().await.is_ok() {
        house.reap();
    }
}

async fn accept(house: Rc<House>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // Without it the greeting is slow, and the stream the same.
        let _ = stream.set_nodelay(true);
        tokio_uring::spawn(serve(Rc::clone(&house), Rc::new(stream)));
    }
}

/// One player: greets it, lets it in, and reads what it says until it goes.
async fn serve(house: Rc<House>, stream: Rc<TcpStream>) {
    let mut greeting = Greeting::new(clock::now(), clock::seed());
    let mut key = None;
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let (outcome, returned) = stream.read(buffer).await;
        buffer = returned;
        if !matches!(outcome, Ok(1..)) {
            break;
        }
        if key.is_none() {
            let Ok(answer) = greeting.handle_input(clock::now(), &buffer) else { break };
            if stream.write_all(answer).await.0.is_err() {
                break;
            }
            if greeting.is_over() {
                key = Some(house.let_in(Rc::clone(&stream)));
            }
        }
        buffer.clear();
    }
    if let Some(key) = key {
        house.let_out(key);
    }
    // It may be gone already.
    let _ = stream.shutdown(std::net::Shutdown::Both);
}
