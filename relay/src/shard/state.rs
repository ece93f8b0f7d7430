//! What a shard holds: connections, streams, the send ring, and lists of what is to be looked at.
//! Owns opening and closing of connections.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use edgerelay_proto::fault::PeerFault;
use edgerelay_proto::time::Instant;
use edgerelay_uring::{SendRing, SocketKey, ZeroCopy, socket_ref};
use slab::Slab;
use tokio::sync::oneshot;
use tokio_uring::net::TcpStream;

use super::bounds::{CONTROL_BYTES_MAX, LINGER};
use super::connection::{
    self, Connection, Egress, Identity, InFlight, Life, ReceiveClass, Role, Session,
};
use super::stream::StreamEntry;
use super::{Shard, client, server};
use crate::config::ZeroCopySetting;
use crate::id::{ConnectionId, StreamKey};
use crate::telemetry::CloseReason;

/// A connection's place on its shard, with its id, so that a stale one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) id: ConnectionId,
}

/// A stream's place on its shard. Streams live while a connection, push or peer needs them, so a
/// place held by one of these is valid.
pub(super) type StreamSlot = usize;

/// All that the tasks of a shard share.
pub(super) struct State {
    pub(super) connections: Slab<Connection>,
    pub(super) streams: Slab<StreamEntry>,
    pub(super) stream_slots: HashMap<StreamKey, StreamSlot>,
    pub(super) ring: SendRing,
    /// By the socket's index in the ring; that of a socket removed is stale until used again.
    by_socket: Vec<Slot>,
    /// Streams with frames that subscribers have not been offered.
    pub(super) streams_listed: Vec<StreamSlot>,
    /// Streams with frames for other shards.
    pub(super) handovers_listed: Vec<StreamSlot>,
    /// Connections with something to send.
    pub(super) connections_listed: Vec<Slot>,
    pub(super) deadlines: BinaryHeap<Reverse<(Instant, Slot)>>,
    pub(super) connections_made: u64,
    /// Kept for its capacity.
    pub(super) completed: Vec<edgerelay_uring::Completion>,
}

impl State {
    pub(super) fn new(ring: SendRing) -> Self {
        Self {
            connections: Slab::new(),
            streams: Slab::new(),
            stream_slots: HashMap::new(),
            ring,
            by_socket: Vec::new(),
            streams_listed: Vec::new(),
            handovers_listed: Vec::new(),
            connections_listed: Vec::new(),
            deadlines: BinaryHeap::new(),
            connections_made: 0,
            completed: Vec::new(),
        }
    }

    pub(super) fn connection(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.connections.get_mut(slot.index).filter(|connection| connection.id == slot.id)
    }

    pub(super) fn find(&self, id: ConnectionId) -> Option<Slot> {
        let found = self.connections.iter().find(|(_, connection)| connection.id == id);
        found.map(|(index, _)| Slot { index, id })
    }

    fn note_socket(&mut self, key: SocketKey, slot: Slot) {
        if self.by_socket.len() <= key.index() {
            self.by_socket.resize(key.index() + 1, slot);
        }
        if let Some(place) = self.by_socket.get_mut(key.index()) {
            *place = slot;
        }
    }

    /// The connection whose socket it is, if it is still there.
    pub(super) fn of_socket(&mut self, key: SocketKey) -> Option<Slot> {
        let slot = *self.by_socket.get(key.index())?;
        self.connection(slot).filter(|connection| connection.key == key).map(|_| slot)
    }

    pub(super) fn list_connection(&mut self, slot: Slot) {
        let Some(connection) = self.connection(slot) else { return };
        if !std::mem::replace(&mut connection.egress.listed, true) {
            self.connections_listed.push(slot);
        }
    }

    /// Sees to it that the connection's next deadline is looked at. A deadline that moves further
    /// away is found out when the old one is due.
    pub(super) fn watch_deadline(&mut self, shard: &Shard, slot: Slot) {
        let Some(connection) = self.connection(slot) else { return };
        let Some(deadline) = connection.next_deadline(shard) else { return };
        if connection.watched.is_none_or(|watched| deadline < watched) {
            connection.watched = Some(deadline);
            self.deadlines.push(Reverse((deadline, slot)));
        }
    }

    /// Replies go before media. A peer that never reads them is closed.
    pub(super) fn send_control(&mut self, shard: &Rc<Shard>, slot: Slot, bytes: Bytes) {
        let Some(connection) = self.connection(slot) else { return };
        if matches!(connection.life, Life::Cut) {
            return;
        }
        connection.egress.control_bytes += bytes.len();
        let overflow = connection.egress.control_bytes > CONTROL_BYTES_MAX;
        connection.egress.control.push_back(bytes);
        if overflow {
            self.cut(shard, slot, CloseReason::OutputOverflow);
        } else {
            self.list_connection(slot);
        }
    }

    pub(super) fn set_role(&mut self, shard: &Rc<Shard>, slot: Slot, role: Role) {
        let Some(connection) = self.connection(slot) else { return };
        let before = std::mem::replace(&mut connection.role, role);
        connection.skips_counted = 0;
        connection.drops_counted = 0;
        connection.farewell = false;
        if let Some(entry) = before.stream().and_then(|stream| self.streams.get_mut(stream)) {
            entry.users -= 1;
        }
        if let Some(entry) = role.stream().and_then(|stream| self.streams.get_mut(stream)) {
            entry.users += 1;
        }
        shard.counters.on_role_changed(before.client_role(), role.client_role());
        self.note_role(slot);
        self.watch_deadline(shard, slot);
    }

    /// Gives up what the connection is for: ends its publication or its subscription.
    pub(super) fn leave(&mut self, shard: &Rc<Shard>, slot: Slot, how: Leaving) {
        let Some(connection) = self.connection(slot) else { return };
        match connection.role {
            Role::Idle => {}
            Role::Publisher { stream, .. } => {
                self.end_publication(shard, stream, slot.id, how);
                self.set_role(shard, slot, Role::Idle);
            }
            Role::Pull { stream } => {
                self.suspend_pull(shard, stream, slot.id);
                self.set_role(shard, slot, Role::Idle);
            }
            Role::Waiting { stream, .. } => {
                self.remove_waiting(stream, slot);
                self.set_role(shard, slot, Role::Idle);
            }
            Role::Player { stream, subscriber, .. } => {
                self.count_skips(shard, slot);
                self.remove_subscriber(stream, subscriber);
                self.set_role(shard, slot, Role::Idle);
            }
            Role::Push { stream, subscriber, .. } => {
                self.count_skips(shard, slot);
                if let Some(subscriber) = subscriber {
                    self.remove_subscriber(stream, subscriber);
                }
                self.set_role(shard, slot, Role::Idle);
            }
        }
    }

    /// Closes in order: what is queued goes out, then the socket is shut.
    pub(super) fn close(&mut self, shard: &Rc<Shard>, slot: Slot, reason: CloseReason) {
        self.leave(shard, slot, Leaving::Lost);
        let now = shard.now();
        let Some(connection) = self.connection(slot) else { return };
        if !matches!(connection.life, Life::Open) {
            return;
        }
        connection.reason = Some(reason);
        connection.life = Life::Closing { deadline: now + LINGER, half_closed: false };
        self.watch_deadline(shard, slot);
        self.list_connection(slot);
        shard.urgent.notify_one();
    }

    /// Closes at once, whatever is queued.
    pub(super) fn cut(&mut self, shard: &Rc<Shard>, slot: Slot, reason: CloseReason) {
        self.leave(shard, slot, Leaving::Lost);
        let Some(connection) = self.connection(slot) else { return };
        if matches!(connection.life, Life::Cut) {
            return;
        }
        connection.reason.get_or_insert(reason);
        connection.life = Life::Cut;
        connection.egress.control.clear();
        connection.egress.control_bytes = 0;
        // The pending read returns and its task removes the connection. An error means that the
        // peer is gone already, and the read knows that too.
        let _gone = connection.socket.shutdown(Shutdown::Both);
    }

    /// Subscribers' skips go to the counters as they happen.
    pub(super) fn count_skips(&mut self, shard: &Shard, slot: Slot) {
        let Some(connection) = self.connections.get_mut(slot.index) else { return };
        let Some((stream, subscriber)) = connection.role.subscription() else { return };
        let Some(stats) = self.streams.get(stream).and_then(|e| e.stream.subscriber(subscriber))
        else {
            return;
        };
        shard.counters.subscriber_skips.add(stats.skips - connection.skips_counted);
        shard
            .counters
            .subscriber_frames_dropped
            .add(stats.frames_dropped - connection.drops_counted);
        connection.skips_counted = stats.skips;
        connection.drops_counted = stats.frames_dropped;
    }
}

/// How a connection gives up its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It said so: the stream is over.
    Finished,
    /// It is gone or was sent away, and may come back.
    Lost,
}

impl Shard {
    /// Takes in a connection, accepted or made.
    pub(super) fn open(
        self: &Rc<Self>,
        socket: TcpStream,
        address: SocketAddr,
        session: Session,
        role: Role,
        ended: Option<oneshot::Sender<CloseReason>>,
    ) -> Slot {
        self.set_options(&socket, address);
        let now = self.now();
        let account = self.open_account(&socket);
        let socket = Rc::new(socket);
        let mut state = self.state.borrow_mut();
        state.connections_made += 1;
        let id = ConnectionId::new(self.id, state.connections_made);
        let key = state.ring.add_socket(Rc::clone(&socket), self.zero_copy(&socket, address));
        let index = state.connections.insert(Connection {
            id,
            socket: Rc::clone(&socket),
            key,
            address,
            session,
            role,
            egress: Egress {
                control: VecDeque::new(),
                control_bytes: 0,
                in_flight: InFlight::Nothing,
                listed: false,
            },
            life: Life::Open,
            watched: None,
            identity: Identity::default(),
            opened: now,
            last_media: now,
            bytes_in: 0,
            bytes_out: 0,
            settled_at: None,
            skips_counted: 0,
            drops_counted: 0,
            copied_counted: 0,
            farewell: false,
            ended,
            account,
            reason: None,
        });
        let slot = Slot { index, id };
        state.note_socket(key, slot);
        state.note_role(slot);
        if let Some(entry) = role.stream().and_then(|stream| state.streams.get_mut(stream)) {
            entry.users += 1;
        }
        self.counters.on_opened(role.client_role());
        state.drain_session(self, slot);
        state.watch_deadline(self, slot);
        drop(state);
        self.urgent.notify_one();
        tokio_uring::spawn(connection::read(Rc::clone(self), slot, socket));
        slot
    }

    fn set_options(&self, socket: &TcpStream, address: SocketAddr) {
        let config = self.config();
        let rtmp = &config.rtmp;
        let options = socket_ref(socket);
        let set = || -> io::Result<()> {
            options.set_tcp_nodelay(true)?;
            if rtmp.notsent_lowat > 0 {
                options.set_tcp_notsent_lowat(rtmp.notsent_lowat)?;
            }
            if !rtmp.tcp_user_timeout.is_zero() {
                options.set_tcp_user_timeout(Some(rtmp.tcp_user_timeout))?;
            }
            if !rtmp.tcp_keepalive.is_zero() {
                let interval = (rtmp.tcp_keepalive / 3).max(Duration::from_secs(1));
                let keepalive = socket2::TcpKeepalive::new()
                    .with_time(rtmp.tcp_keepalive)
                    .with_interval(interval)
                    .with_retries(3);
                options.set_tcp_keepalive(&keepalive)?;
            }
            Ok(())
        };
        if let Err(error) = set() {
            tracing::debug!(%address, %error, "could not set all socket options");
        }
    }

    fn zero_copy(&self, socket: &TcpStream, peer: SocketAddr) -> ZeroCopy {
        match self.config().rtmp.zero_copy {
            ZeroCopySetting::On => ZeroCopy::On,
            ZeroCopySetting::Off => ZeroCopy::Off,
            ZeroCopySetting::Auto => {
                let local =
                    socket_ref(socket).local_addr().ok().and_then(|local| local.as_socket());
                local.map_or(ZeroCopy::Off, |local| ZeroCopy::auto(local.ip(), peer.ip()))
            }
        }
    }

    /// Bytes came. Says how large the next receive buffer is to be.
    pub(super) fn on_input(self: &Rc<Self>, slot: Slot, input: Bytes) -> ReceiveClass {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let Some(connection) = state.connection(slot) else { return ReceiveClass::Small };
        connection.bytes_in += input.len() as u64;
        self.counters.bytes_in.add(input.len() as u64);
        if !matches!(connection.life, Life::Open) {
            return ReceiveClass::Small;
        }
        let handled = match &mut connection.session {
            Session::Server(session) => session.handle_input(now, input),
            Session::Client(session) => session.handle_input(now, input),
        };
        let copied = connection.session.bytes_copied();
        let before = std::mem::replace(&mut connection.copied_counted, copied);
        self.counters.payload_bytes_copied.add(copied - before);
        state.drain_session(self, slot);
        if let Err(fault) = handled {
            state.on_fault(self, slot, &fault);
        }
        let class = match state.connection(slot).map(|connection| connection.role) {
            Some(Role::Publisher { .. } | Role::Pull { .. }) => ReceiveClass::Slab,
            _ => ReceiveClass::Small,
        };
        if !state.connections_listed.is_empty() {
            self.urgent.notify_one();
        }
        class
    }

    /// The reader's task is over: the connection goes.
    pub(super) fn on_ended(self: &Rc<Self>, slot: Slot, error: Option<&io::Error>) {
        let mut state = self.state.borrow_mut();
        let outgoing = state
            .connection(slot)
            .is_some_and(|connection| matches!(connection.session, Session::Client(_)));
        if error.is_none() {
            // When the kernel gives a peer up, a send that waits is told why and the read sees a
            // mere end.
            state.reap(self);
            self.urgent.notify_one();
        }
        let natural = match error {
            None if outgoing => CloseReason::UpstreamClosed,
            None => CloseReason::PeerClosed,
            Some(_) => CloseReason::IoError,
        };
        state.leave(self, slot, Leaving::Lost);
        if state.connection(slot).is_none() {
            return;
        }
        let mut connection = state.connections.remove(slot.index);
        self.close_account(&connection);
        // What is in flight to a peer that is gone ends now; the ring keeps its buffers till then.
        let _gone = connection.socket.shutdown(Shutdown::Both);
        state.ring.remove_socket(connection.key);
        if state.ring.submit().is_err() {
            self.urgent.notify_one();
        }
        let role = connection.role.client_role();
        let reason = connection.reason.unwrap_or(natural);
        self.counters.on_closed(role, reason);
        if !outgoing {
            self.admission().release(connection.address.ip());
        }
        log_closed(&connection, reason, error, self.now());
        if let Some(ended) = connection.ended.take() {
            // A push that was called off listens no more.
            let _unheard = ended.send(reason);
        }
        if self.draining.get() && state.connections.is_empty() {
            self.done.notify_one();
        }
    }
}

fn log_closed(
    connection: &Connection,
    reason: CloseReason,
    error: Option<&io::Error>,
    now: Instant,
) {
    let seconds = now.saturating_since(connection.opened).as_secs_f64();
    let app = connection.identity.app.as_deref().unwrap_or_default();
    tracing::info!(
        connection = %connection.id, address = %connection.address, app,
        reason = reason.label(), error = error.map(tracing::field::display),
        bytes_in = connection.bytes_in, bytes_out = connection.bytes_out, seconds,
        "connection closed"
    );
}

impl State {
    /// Sends what the session has to say and acts on what it heard, in order.
    pub(super) fn drain_session(&mut self, shard: &Rc<Shard>, slot: Slot) {
        loop {
            let Some(connection) = self.connection(slot) else { return };
            match &mut connection.session {
                Session::Server(session) => match session.poll_output() {
                    Some(output) => server::on_output(self, shard, slot, output),
                    None => return,
                },
                Session::Client(session) => match session.poll_output() {
                    Some(output) => client::on_output(self, shard, slot, output),
                    None => return,
                },
            }
        }
    }

    /// The peer broke the protocol or missed a deadline: its connection closes, nothing else.
    pub(super) fn on_fault(&mut self, shard: &Rc<Shard>, slot: Slot, fault: &PeerFault) {
        let Some(connection) = self.connection(slot) else { return };
        tracing::info!(
            connection = %connection.id, address = %connection.address,
            reason = fault.reason(), %fault, "peer fault"
        );
        let outgoing = connection.role.client_role();
        let reason = match fault {
            PeerFault::HandshakeTimeout | PeerFault::CommandTimeout if outgoing.is_relay_leg() => {
                CloseReason::UpstreamUnreachable
            }
            PeerFault::HandshakeTimeout => CloseReason::HandshakeTimeout,
            PeerFault::CommandTimeout => CloseReason::CommandTimeout,
            PeerFault::PingTimeout => CloseReason::PingTimeout,
            fault => CloseReason::PeerFault(fault.reason()),
        };
        self.cut(shard, slot, reason);
    }
}
