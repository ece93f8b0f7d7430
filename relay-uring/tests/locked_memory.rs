//! Zero copy without lockable memory. A file of its own, because the limit
//! holds for the whole process.

use std::io::Read;
use std::net::{TcpListener, TcpStream as Peer};
use std::rc::Rc;

use bytes::Bytes;
use edgerelay_uring::{RingUnavailable, SendBatch, SendRing, ZeroCopy, probe};
use tokio_uring::net::TcpStream;

/// Room for a small ring, and for what else the user may have locked.
const LIMIT_BYTES: u64 = 2 << 20;

/// More than may be locked.
const BATCH_BYTES: usize = 8 << 20;

#[test]
fn zero_copy_falls_back_to_copying_when_no_memory_may_be_locked() {
    tokio_uring::start(async {
        // Before the ring is made: it remembers whether it is limited.
        give_up_capabilities();
        limit_locked_memory(0);
        // Kernels before 5.12 count the ring's own memory, and so do new ones.
        if let Err(error) = probe() {
            assert!(matches!(error, RingUnavailable::LockedMemory), "{error}");
        }
        limit_locked_memory(LIMIT_BYTES);
        let mut ring = SendRing::new(8).unwrap();
        let waiter = ring.waiter().unwrap();
        if !ring.support().zero_copy {
            eprintln!("SKIPPED: this kernel has no SENDMSG_ZC");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(listener.accept().unwrap().0);
        let key = ring.add_socket(Rc::new(stream), ZeroCopy::On);
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 2 * BATCH_BYTES];
            peer.read_exact(&mut all).unwrap();
            all
        });
        for byte in [1, 2] {
            let bytes = Bytes::from(vec![byte; BATCH_BYTES]);
            ring.send(key, Rc::new(SendBatch::new([bytes]))).unwrap();
            ring.submit().unwrap();
            let mut outcomes = Vec::new();
            while outcomes.is_empty() {
                waiter.ready().await.unwrap();
                ring.completions(|completion| outcomes.push(completion.outcome)).unwrap();
            }
            assert_eq!(*outcomes[0].as_ref().unwrap(), BATCH_BYTES);
        }
        let all = reader.join().unwrap();
        assert!(all[..BATCH_BYTES].iter().all(|byte| *byte == 1));
        assert!(all[BATCH_BYTES..].iter().all(|byte| *byte == 2));
        let stats = ring.stats();
        // The first send finds out; the second does not try.
        assert_eq!((stats.enomem_fallbacks, stats.zc_sends), (1, 1));
    });
}

fn limit_locked_memory(bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to a valid limit.
    let result = unsafe {
        libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit);
        limit.rlim_cur = bytes;
        libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit)
    };
    assert_eq!(result, 0);
}

/// Gives up the capability that overrides the limit, and all others.
fn give_up_capabilities() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    // _LINUX_CAPABILITY_VERSION_3, this thread; effective, permitted and
    // inheritable sets, each of two words, all empty.
    let header = Header { version: 0x2008_0522, pid: 0 };
    let sets = [0_u32; 6];
    // SAFETY: header and sets have the layout that this version asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    assert_eq!(result, 0);
}
