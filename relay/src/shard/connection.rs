//! One connection: its socket, its session, what it is for, and the task that reads it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use edgerelay_proto::session::{ClientSession, ServerSession};
use edgerelay_proto::time::Instant;
use edgerelay_uring::{ReadableStream, ReceiveBuffer, SocketKey, hold_unread};
use tokio::sync::oneshot;
use tokio_uring::net::TcpStream;

use super::Shard;
use super::bounds::{IDENTITY_BYTES_MAX, STEP_READ_BYTES_MAX};
use super::pace::{Part, StepReads};
use super::state::{Slot, StreamSlot};
use crate::hub::subscriber::SubscriberKey;
use crate::id::{ConnectionId, LegId};
use crate::telemetry::account::Account;
use crate::telemetry::{ClientRole, CloseReason};

/// Which side of the protocol we are.
#[derive(Debug)]
pub(super) enum Session {
    Server(Box<ServerSession>),
    Client(Box<ClientSession>),
}

impl Session {
    /// Payload bytes copied on receipt, because they came in too small pieces.
    pub(super) fn bytes_copied(&self) -> u64 {
        match self {
            Self::Server(session) => session.bytes_copied(),
            Self::Client(session) => session.bytes_copied(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Server(session) => session.poll_timeout(),
            Self::Client(session) => session.poll_timeout(),
        }
    }
}

/// What the connection is for now.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// Nothing yet, or nothing any more.
    Idle,
    /// It publishes to us.
    Publisher { stream: StreamSlot, stream_id: u32 },
    /// It asked for a stream that nobody publishes.
    Waiting { stream: StreamSlot, stream_id: u32, since: Instant },
    /// It plays.
    Player { stream: StreamSlot, stream_id: u32, subscriber: SubscriberKey },
    /// We push to it; a subscriber once it is ready. A worker, if it is a leg.
    Push { stream: StreamSlot, subscriber: Option<SubscriberKey>, leg: Option<LegId> },
    /// We pull from it.
    Pull { stream: StreamSlot },
}

impl Role {
    pub(super) const fn client_role(&self) -> ClientRole {
        match self {
            Self::Idle => ClientRole::Idle,
            Self::Publisher { .. } => ClientRole::Publisher,
            Self::Waiting { .. } | Self::Player { .. } => ClientRole::Player,
            Self::Push { leg: None, .. } => ClientRole::Push,
            Self::Push { leg: Some(_), .. } => ClientRole::Worker,
            Self::Pull { .. } => ClientRole::Pull,
        }
    }

    pub(super) const fn stream(&self) -> Option<StreamSlot> {
        match self {
            Self::Idle => None,
            Self::Publisher { stream, .. }
            | Self::Waiting { stream, .. }
            | Self::Player { stream, .. }
            | Self::Push { stream, .. }
            | Self::Pull { stream } => Some(*stream),
        }
    }

    pub(super) const fn subscription(&self) -> Option<(StreamSlot, SubscriberKey)> {
        match self {
            Self::Player { stream, subscriber, .. }
            | Self::Push { stream, subscriber: Some(subscriber), .. } => {
                Some((*stream, *subscriber))
            }
            _ => None,
        }
    }
}

/// What is on its way to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFlight {
    Nothing,
    Control,
    Media,
}

/// The one way out to a peer: replies in order, then media, one send at a time.
#[derive(Debug)]
pub(super) struct Egress {
    pub(super) control: VecDeque<Bytes>,
    pub(super) control_bytes: usize,
    pub(super) in_flight: InFlight,
    /// In the shard's list of connections to look at.
    pub(super) listed: bool,
}

/// How far closing has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    Open,
    /// Replies go out, input is thrown away, the socket is cut at the deadline.
    Closing {
        deadline: Instant,
        half_closed: bool,
    },
    /// Both directions are shut; the reader is about to end.
    Cut,
}

/// What the peer says of itself, bounded, for display.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) app: Option<Arc<str>>,
    pub(super) flash_ver: String,
    pub(super) swf_url: String,
    pub(super) page_url: String,
}

/// The beginning of what a peer says, cut at a character.
pub(super) fn bounded(text: &str) -> String {
    text.char_indices()
        .take_while(|(at, character)| at + character.len_utf8() <= IDENTITY_BYTES_MAX)
        .map(|(_, character)| character)
        .collect()
}

/// One connection.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) socket: Rc<TcpStream>,
    pub(super) key: SocketKey,
    pub(super) address: SocketAddr,
    pub(super) session: Session,
    pub(super) role: Role,
    pub(super) egress: Egress,
    pub(super) life: Life,
    /// When its deadline is looked at next; other entries of it in the shard's list are stale.
    pub(super) watched: Option<Instant>,
    pub(super) identity: Identity,
    pub(super) opened: Instant,
    pub(super) last_media: Instant,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// How many bytes had moved, both ways, when the kernel said last that all are acknowledged.
    pub(super) settled_at: Option<u64>,
    /// Skips and dropped frames of the present subscription already counted.
    pub(super) skips_counted: u64,
    pub(super) drops_counted: u64,
    pub(super) copied_counted: u64,
    /// The stream is over; the player or upstream is told behind the last frame.
    pub(super) farewell: bool,
    /// Told the reason when the connection has ended: the task of a push or pull waits for it.
    pub(super) ended: Option<oneshot::Sender<CloseReason>>,
    /// What the kernel counts of it.
    pub(super) account: Arc<Account>,
    pub(super) reason: Option<CloseReason>,
}

impl Connection {
    /// Whether there is something to send it, or to do once all is sent, beside media.
    pub(super) fn has_to_say(&self) -> bool {
        self.farewell || !self.egress.control.is_empty() || !matches!(self.life, Life::Open)
    }

    /// The next moment at which something of it may be due.
    pub(super) fn next_deadline(&self, shard: &Shard) -> Option<Instant> {
        match self.life {
            Life::Closing { deadline, .. } => return Some(deadline),
            Life::Cut => return None,
            Life::Open => {}
        }
        let config = shard.config();
        let rtmp = &config.rtmp;
        let own = match self.role {
            Role::Publisher { .. } | Role::Pull { .. } if !rtmp.publish_idle_timeout.is_zero() => {
                Some(self.last_media + rtmp.publish_idle_timeout)
            }
            Role::Waiting { since, .. } if !rtmp.play_wait_timeout.is_zero() => {
                Some(since + rtmp.play_wait_timeout)
            }
            _ => None,
        };
        [own, self.session.poll_timeout()].into_iter().flatten().min()
    }
}

/// Reads the connection until it ends, then removes it.
pub(super) async fn read(shard: Rc<Shard>, slot: Slot, socket: Rc<TcpStream>) {
    let mut buffer = ReceiveBuffer::small(shard.slabs.clone());
    let mut class = ReceiveClass::Small;
    let mut watched = None;
    let mut reads = StepReads::new(0);
    loop {
        let gathers = class == ReceiveClass::Slab && shard.gathers();
        let wanted = match receive(&mut buffer, &socket, &mut watched, gathers).await {
            Ok(input) if input.is_empty() => {
                shard.on_ended(slot, None);
                break;
            }
            Ok(input) => {
                let part = reads.on_read(shard.last_step(), input.len(), buffer.may_have_more());
                shard.set_part(part);
                let wanted = shard.on_input(slot, input);
                shard.set_part(Part::None);
                if part == Part::Last {
                    shard.on_step_read();
                }
                wanted
            }
            Err(error) => {
                shard.on_ended(slot, Some(&error));
                break;
            }
        };
        if wanted != class {
            match wanted {
                ReceiveClass::Small => {
                    buffer.become_small();
                    reads = StepReads::new(0);
                }
                ReceiveClass::Slab => {
                    buffer.become_slab();
                    reads = StepReads::new(unread_bytes_max(&socket));
                }
            }
            class = wanted;
        }
        // The rest of what a step found belongs to it.
        if class == ReceiveClass::Slab && !buffer.may_have_more() {
            let waited = reads.may_wait() && shard.until_read(slot).await;
            reads.on_waited(waited);
        }
    }
}

/// How much a publisher may bring in a merge window and be read only at the next step. Makes room for
/// twice as much.
fn unread_bytes_max(socket: &TcpStream) -> usize {
    match hold_unread(socket, 2 * STEP_READ_BYTES_MAX) {
        Ok(held) => STEP_READ_BYTES_MAX.min(held / 2),
        Err(error) => {
            tracing::debug!(%error, "could not make room for what is unread; reading on");
            0
        }
    }
}

/// Reads once. Publishers that are read step by step are read by operations on the ring: the reads
/// of a step are submitted together, and what comes before the step wakes nobody. All others are
/// read when there is something, and hold no memory until then.
async fn receive(
    buffer: &mut ReceiveBuffer,
    socket: &Rc<TcpStream>,
    watched: &mut Option<ReadableStream>,
    gathers: bool,
) -> io::Result<Bytes> {
    if gathers {
        *watched = None;
        return buffer.read(socket).await;
    }
    let stream = match watched {
        Some(stream) => stream,
        None => watched.insert(ReadableStream::new(Rc::clone(socket))?),
    };
    buffer.read_when_ready(stream).await
}

/// How much a connection is expected to send us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiveClass {
    /// Replies and acknowledgements.
    Small,
    /// A stream.
    Slab,
}
