//! Tests with completions that a healthy kernel seldom gives: each is faked
//! for a send that was never submitted, what follows runs on real sockets.

use std::io::Read;
use std::net::{TcpListener, TcpStream as Peer};
use std::rc::Rc;

use bytes::Bytes;
use tokio_uring::net::TcpStream;

use super::completing::Step;
use super::{Queued, RawCompletion, SendRing, SocketKey, SocketState};
use crate::batch::SendBatch;
use crate::flight::{FlightId, Phase, UsageReport};
use crate::verdict::Mode;
use crate::waiter::RingWaiter;
use crate::zero_copy::ZeroCopy;

/// `IORING_CQE_F_MORE`: a notification follows.
const MORE: u32 = 1 << 1;
/// `IORING_CQE_F_NOTIF`: the notification.
const NOTIF: u32 = 1 << 3;

const TEXT: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

struct Scene {
    ring: SendRing,
    waiter: RingWaiter,
    key: SocketKey,
    peer: Peer,
    batch: Rc<SendBatch>,
}

impl Scene {
    fn new(zero_copy: ZeroCopy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(listener.accept().unwrap().0);
        let mut ring = SendRing::new(8).unwrap();
        let waiter = ring.waiter().unwrap();
        let text = Bytes::from_static(TEXT);
        Self {
            key: ring.add_socket(Rc::new(stream), zero_copy),
            batch: Rc::new(SendBatch::new([text.slice(..10), text.slice(10..)])),
            ring,
            waiter,
            peer,
        }
    }

    /// Queues the batch, then pretends that the kernel has it.
    fn send_to_nobody(&mut self) -> FlightId {
        self.ring.send(self.key, Rc::clone(&self.batch)).unwrap();
        self.take_queued(Phase::Queued)
    }

    /// Takes the one queued operation away from the kernel.
    fn take_queued(&mut self, expected: Phase) -> FlightId {
        let Some(Queued::Flight(id)) = self.ring.queued.pop_front() else {
            panic!("nothing is queued");
        };
        let flight = self.ring.flights.find(id).unwrap();
        assert_eq!(flight.phase, expected);
        flight.phase = match expected {
            Phase::QueuedPoll => Phase::Polling,
            _ => Phase::Sending,
        };
        id
    }

    fn fake(&mut self, id: FlightId, result: i32, flags: u32) -> Step {
        self.ring.on_completion(&RawCompletion { user_data: id.user_data(), result, flags })
    }

    fn mode_of_next(&mut self) -> Mode {
        let SocketState::Sending(id) = self.ring.sockets[self.key.index].state else {
            panic!("the socket is not sending");
        };
        self.ring.flights.find(id).unwrap().mode
    }

    /// Lets the kernel send what is left; says what the peer got.
    async fn finish(&mut self, len: usize) -> Vec<u8> {
        self.ring.submit().unwrap();
        let mut outcomes = Vec::new();
        while outcomes.is_empty() {
            self.waiter.ready().await.unwrap();
            self.ring.completions(|completion| outcomes.push(completion.outcome)).unwrap();
        }
        assert_eq!(outcomes.len(), 1);
        assert_eq!(*outcomes[0].as_ref().unwrap(), TEXT.len());
        let mut read = vec![0; len];
        self.peer.read_exact(&mut read).unwrap();
        read
    }
}

#[test]
fn what_a_short_send_left_is_sent() {
    tokio_uring::start(async {
        for sent in [3, 10, 25] {
            let mut scene = Scene::new(ZeroCopy::Off);
            let id = scene.send_to_nobody();
            let step = scene.fake(id, sent, 0);
            assert!(matches!(step, Step::Queued));
            let rest = &TEXT[sent as usize..];
            assert_eq!(scene.finish(rest.len()).await, rest);
            let stats = scene.ring.stats();
            assert_eq!((stats.short_sends, stats.flights), (1, 0));
            assert_eq!(Rc::strong_count(&scene.batch), 1);
        }
    });
}

#[test]
fn a_short_zero_copy_send_is_held_while_the_rest_is_sent() {
    tokio_uring::start(async {
        let mut scene = Scene::new(ZeroCopy::On);
        let id = scene.send_to_nobody();
        assert!(matches!(scene.fake(id, 3, MORE), Step::Queued));
        assert_eq!(scene.finish(TEXT.len() - 3).await, &TEXT[3..]);
        // The first operation's hold outlives the report.
        assert!(scene.ring.flights.find(id).is_some());
        assert!(Rc::strong_count(&scene.batch) > 1);
        assert!(matches!(scene.fake(id, 0, NOTIF), Step::Nothing));
        assert!(scene.ring.flights.find(id).is_none());
        // A second notification, or any stray completion, changes nothing.
        assert!(matches!(scene.fake(id, 0, NOTIF), Step::Nothing));
        assert!(matches!(scene.fake(id, 5, 0), Step::Nothing));
    });
}

#[test]
fn zero_copy_without_memory_is_sent_copying_and_copying_stays_for_a_while() {
    tokio_uring::start(async {
        for (errno, flags) in [(libc::ENOMEM, 0), (libc::ENOBUFS, MORE)] {
            let mut scene = Scene::new(ZeroCopy::On);
            let id = scene.send_to_nobody();
            assert!(matches!(scene.fake(id, -errno, flags), Step::Queued));
            assert_eq!(scene.mode_of_next(), Mode::Copying);
            assert_eq!(scene.finish(TEXT.len()).await, TEXT);
            assert_eq!(scene.ring.stats().enomem_fallbacks, 1);
            assert_eq!(scene.ring.stats().zc_sends, 0);
            if flags == MORE {
                assert_eq!(scene.ring.stats().flights, 1);
                scene.fake(id, 0, NOTIF);
            }
            assert_eq!(scene.ring.stats().flights, 0);
            assert_eq!(Rc::strong_count(&scene.batch), 1);

            scene.send_to_nobody();
            assert_eq!(scene.mode_of_next(), Mode::Copying);
            scene.ring.flights.leak();
        }
    });
}

#[test]
fn zero_copy_unsupported_gives_up_the_report_first_and_then_zero_copy() {
    tokio_uring::start(async {
        let mut scene = Scene::new(ZeroCopy::On);
        let id = scene.send_to_nobody();
        scene.fake(id, -libc::EINVAL, 0);
        assert_eq!(scene.ring.usage_report, UsageReport::Without);
        assert_eq!(scene.finish(TEXT.len()).await, TEXT);

        let id = scene.send_to_nobody();
        assert_eq!(scene.mode_of_next(), Mode::ZeroCopy);
        scene.fake(id, -libc::EOPNOTSUPP, 0);
        assert_eq!(scene.finish(TEXT.len()).await, TEXT);

        let id = scene.send_to_nobody();
        assert_eq!(scene.mode_of_next(), Mode::Copying);
        scene.fake(id, -libc::EPIPE, 0);
    });
}

#[test]
fn a_full_socket_is_polled_and_then_sent_to() {
    tokio_uring::start(async {
        let mut scene = Scene::new(ZeroCopy::Off);
        let id = scene.send_to_nobody();
        assert!(matches!(scene.fake(id, -libc::EAGAIN, 0), Step::Queued));
        // The poll is real, and finds the socket writable.
        assert_eq!(scene.finish(TEXT.len()).await, TEXT);
    });
}

#[test]
fn an_interrupted_send_is_sent_again() {
    tokio_uring::start(async {
        let mut scene = Scene::new(ZeroCopy::Off);
        let id = scene.send_to_nobody();
        assert!(matches!(scene.fake(id, -libc::EINTR, 0), Step::Queued));
        assert_eq!(scene.finish(TEXT.len()).await, TEXT);
        assert_eq!(scene.ring.stats().short_sends, 0);
    });
}

#[test]
fn a_failed_poll_fails_the_send() {
    tokio_uring::start(async {
        let mut scene = Scene::new(ZeroCopy::Off);
        let id = scene.send_to_nobody();
        scene.fake(id, -libc::EAGAIN, 0);
        let id = scene.take_queued(Phase::QueuedPoll);
        let Step::Deliver(completion) = scene.fake(id, -libc::ECANCELED, 0) else {
            panic!("not delivered");
        };
        assert_eq!(completion.outcome.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(scene.ring.stats().flights, 0);
    });
}

#[test]
fn nobody_hears_of_a_removed_socket_whatever_the_kernel_says() {
    tokio_uring::start(async {
        let outcomes = [(26, MORE), (26, 0), (3, MORE), (3, 0), (-libc::ECANCELED, 0)];
        for (result, flags) in outcomes {
            let mut scene = Scene::new(ZeroCopy::On);
            let id = scene.send_to_nobody();
            scene.ring.remove_socket(scene.key);
            assert!(matches!(scene.fake(id, result, flags), Step::Nothing));
            assert_eq!(scene.ring.stats().flights, usize::from(flags == MORE));
            if flags == MORE {
                scene.fake(id, 0, NOTIF);
            }
            assert_eq!(scene.ring.stats().flights, 0);
            assert_eq!(Rc::strong_count(&scene.batch), 1);
        }
    });
}
