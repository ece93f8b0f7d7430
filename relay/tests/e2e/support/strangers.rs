//! Connections that are no RTMP clients: they say nothing, drip, or make noise, until they are
//! closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::eventually::eventually;
use super::rtmp::block_on;

const DRIP_INTERVAL: Duration = Duration::from_secs(1);

/// What a stranger does once it is connected.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Says this, and waits.
    Says(Vec<u8>),
    /// Says this, and then a byte every second.
    Drips(Vec<u8>),
}

impl Manner {
    /// Says nothing at all.
    pub(crate) fn silent() -> Self {
        Self::Says(Vec::new())
    }

    /// Starts a handshake and never gets to its end.
    pub(crate) fn dripping() -> Self {
        Self::Drips(vec![3])
    }

    /// Says `count` bytes without any sense.
    pub(crate) fn noise(seed: u64, count: usize) -> Self {
        Self::Says(noise(seed, count))
    }

    /// As [`Self::noise`], behind the beginning of a handshake.
    pub(crate) fn noisy_greeting(seed: u64, count: usize) -> Self {
        Self::Says([vec![3], noise(seed, count)].concat())
    }
}

fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

#[derive(Debug, Default)]
struct Counts {
    connected: AtomicU64,
    closed: AtomicU64,
    /// The longest that one was let stay.
    longest_millis: AtomicU64,
}

/// Strangers on a thread of their own. They go when this is dropped.
pub(crate) struct Strangers {
    count: u64,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Strangers {
    /// Connects one for each manner, and waits until all are.
    #[track_caller]
    pub(crate) fn start(relay: SocketAddr, manners: Vec<Manner>, limit: Duration) -> Self {
        let counts = Arc::new(Counts::default());
        let count = manners.len() as u64;
        let (stop, stopped) = oneshot::channel();
        let shared = counts.clone();
        let thread = thread::spawn(move || {
            block_on(async move {
                let mut strangers = JoinSet::new();
                for manner in manners {
                    strangers.spawn(visit(relay, manner, shared.clone()));
                }
                let all = async { while strangers.join_next().await.is_some() {} };
                tokio::select! {
                    _ = stopped => {}
                    () = all => {}
                }
            });
        });
        let strangers = Self { count, counts, stop: Some(stop), thread: Some(thread) };
        eventually(&format!("{count} strangers to be connected"), limit, || {
            (strangers.counts.connected.load(Relaxed) == count).then_some(())
        });
        strangers
    }

    /// How many are connected still.
    pub(crate) fn open(&self) -> u64 {
        self.count - self.counts.closed.load(Relaxed)
    }

    /// Waits until the relay has closed all of them, and says how long the longest was there.
    #[track_caller]
    pub(crate) fn wait_until_closed(&self, limit: Duration) -> Duration {
        eventually(&format!("{} strangers to be closed", self.count), limit, || {
            (self.open() == 0).then_some(())
        });
        Duration::from_millis(self.counts.longest_millis.load(Relaxed))
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "strangers do not panic");
        }
    }
}

async fn visit(relay: SocketAddr, manner: Manner, counts: Arc<Counts>) {
    // One that the kernel turns away is not counted as connected.
    let Ok(mut stream) = TcpStream::connect(relay).await else { return };
    let came = Instant::now();
    counts.connected.fetch_add(1, Relaxed);
    let (opening, drips) = match manner {
        Manner::Says(opening) => (opening, false),
        Manner::Drips(opening) => (opening, true),
    };
    let (mut reader, mut writer) = stream.split();
    // Reading decides: a write that fails has a read that does.
    let talking = async {
        let _ = writer.write_all(&opening).await;
        if !drips {
            std::future::pending::<()>().await;
        }
        let mut ticks = interval(DRIP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let _ = writer.write_all(&[0]).await;
        }
    };
    let reading = async { while matches!(reader.read(&mut [0; 4096]).await, Ok(1..)) {} };
    tokio::select! {
        never = talking => never,
        () = reading => {}
    }
    let stayed = u64::try_from(came.elapsed().as_millis()).expect("a short test");
    counts.longest_millis.fetch_max(stayed, Relaxed);
    counts.closed.fetch_add(1, Relaxed);
}
