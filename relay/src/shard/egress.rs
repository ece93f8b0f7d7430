//! The way out: offers subscribers what is new, builds each batch once for all subscribers at the
//! same place, and submits the sends of a turn with one system call.

use std::rc::Rc;

use edgerelay_uring::{Completion, RingWaiter, SendBatch};

use super::Shard;
use super::bounds::{SEND_BYTES_MAX, SEND_IOVECS_MAX};
use super::connection::{InFlight, Life, Role, Session};
use super::state::{Slot, State, StreamSlot};
use crate::hub::egress::Segment;
use crate::telemetry::CloseReason;

/// Sends what is urgent, turn by turn. Whoever has read something already, before this task's turn
/// came, is sent together.
pub(super) async fn run(shard: Rc<Shard>) {
    loop {
        shard.urgent.notified().await;
        shard.turn();
    }
}

/// Takes the completions as they come; those of a shard that merges, several at a time.
pub(super) async fn reap(shard: Rc<Shard>, ring: RingWaiter) {
    while ring.ready().await.is_ok() {
        shard.gather_completions().await;
        shard.turn();
    }
}

impl Shard {
    /// One turn: completions, then whoever can be sent something, then one submission; again while
    /// the sends complete at once, as they do into an empty socket buffer.
    pub(super) fn turn(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        state.hand_over_all(self);
        loop {
            state.reap(self);
            let sent = state.offer(self);
            if let Err(error) = state.ring.submit() {
                tracing::debug!(%error, "could not submit sends; trying again");
            }
            if sent == 0 {
                break;
            }
        }
        state.count_ring(self);
    }
}

impl State {
    /// Takes the completions that are there.
    pub(super) fn reap(&mut self, shard: &Rc<Shard>) {
        let mut completed = std::mem::take(&mut self.completed);
        let taken = self.ring.completions(|completion| completed.push(completion));
        if let Err(error) = taken {
            tracing::debug!(%error, "could not take completions; trying again");
        }
        for completion in completed.drain(..) {
            self.on_completion(shard, &completion);
        }
        self.completed = completed;
    }

    fn on_completion(&mut self, shard: &Rc<Shard>, completion: &Completion) {
        let Some(slot) = self.of_socket(completion.key) else { return };
        let now = shard.now();
        let Some(connection) = self.connection(slot) else { return };
        let in_flight = std::mem::replace(&mut connection.egress.in_flight, InFlight::Nothing);
        match &completion.outcome {
            Ok(bytes) => {
                connection.bytes_out += *bytes as u64;
                shard.counters.bytes_out.add(*bytes as u64);
            }
            Err(_) => {
                self.cut(shard, slot, CloseReason::IoError);
                return;
            }
        }
        let has_to_say = connection.has_to_say();
        if in_flight == InFlight::Media
            && let Some((stream, subscriber)) = connection.role.subscription()
            && let Some(entry) = self.streams.get_mut(stream)
        {
            let sent = entry.stream.on_sent(now, subscriber);
            shard.counters.frames_out.add(sent.frames);
            shard.counters.payload_bytes_out.add(sent.bytes);
            if !has_to_say && entry.stream.is_at_end(subscriber) {
                return;
            }
        }
        self.list_connection(slot);
    }

    /// Offers every listed connection, and every subscriber of every listed stream, what is next
    /// for it. Says how many sends that made.
    fn offer(&mut self, shard: &Rc<Shard>) -> usize {
        let mut sends = 0;
        let mut streams = std::mem::take(&mut self.streams_listed);
        for stream in streams.drain(..) {
            sends += self.offer_stream(shard, stream);
        }
        if self.streams_listed.is_empty() {
            self.streams_listed = streams;
        }
        let mut connections = std::mem::take(&mut self.connections_listed);
        for slot in connections.drain(..) {
            let Some(connection) = self.connection(slot) else { continue };
            connection.egress.listed = false;
            sends += usize::from(self.pump(shard, slot));
        }
        if self.connections_listed.is_empty() {
            self.connections_listed = connections;
        }
        sends
    }

    /// Offers every subscriber of a stream what is next for it.
    pub(super) fn offer_stream(&mut self, shard: &Rc<Shard>, stream: StreamSlot) -> usize {
        let Some(entry) = self.streams.get_mut(stream) else { return 0 };
        entry.listed = false;
        let subscribers = std::mem::take(&mut entry.subscribers);
        let mut sends = 0;
        for (_, slot) in &subscribers {
            sends += usize::from(self.pump(shard, *slot));
        }
        if let Some(entry) = self.streams.get_mut(stream) {
            // Whoever subscribed meanwhile stands in the new list, and whoever left is gone from
            // the stream itself.
            let joined = std::mem::replace(&mut entry.subscribers, subscribers);
            entry.subscribers.extend(joined);
            entry.forget_gone();
        }
        sends
    }

    /// Starts the next send to a connection, if it is free and there is something: replies first.
    fn pump(&mut self, shard: &Rc<Shard>, slot: Slot) -> bool {
        let Some(connection) = self.connection(slot) else { return false };
        if connection.egress.in_flight != InFlight::Nothing {
            return false;
        }
        if !connection.egress.control.is_empty() {
            let egress = &mut connection.egress;
            let count = egress.control.len().min(SEND_IOVECS_MAX);
            let batch = SendBatch::new(egress.control.drain(..count));
            egress.control_bytes = egress.control_bytes.saturating_sub(batch.len_bytes());
            return self.start_send(shard, slot, Rc::new(batch), InFlight::Control);
        }
        match connection.life {
            Life::Open => {}
            Life::Closing { half_closed: true, .. } | Life::Cut => return false,
            Life::Closing { deadline, .. } => {
                // All is said. The peer reads it and closes; its own data is read and thrown
                // away meanwhile, since closing on unread data would reset the connection.
                connection.life = Life::Closing { deadline, half_closed: true };
                let _gone = connection.socket.shutdown(std::net::Shutdown::Write);
                return false;
            }
        }
        let Some((stream, subscriber)) = connection.role.subscription() else { return false };
        let Some(entry) = self.streams.get_mut(stream) else { return false };
        let now = shard.now();
        let segment = entry.stream.poll_segment(now, subscriber, SEND_IOVECS_MAX, SEND_BYTES_MAX);
        let batch = match segment {
            Segment::Idle => return self.say_farewell(shard, slot),
            Segment::Shared { range } => entry.batch(range),
            Segment::Private(slices) => Rc::new(SendBatch::new(slices)),
            Segment::Close(_) => {
                self.cut(shard, slot, CloseReason::SubscriberStalled);
                return false;
            }
        };
        self.count_skips(shard, slot);
        self.start_send(shard, slot, batch, InFlight::Media)
    }

    /// Everything is sent to a player or upstream whose stream is over: now it is told so.
    fn say_farewell(&mut self, shard: &Rc<Shard>, slot: Slot) -> bool {
        let Some(connection) = self.connection(slot) else { return false };
        if !std::mem::take(&mut connection.farewell) {
            return false;
        }
        match (connection.role, &mut connection.session) {
            (Role::Player { stream_id, .. }, Session::Server(session)) => {
                session.play_unpublish_notify(stream_id);
                self.drain_session(shard, slot);
            }
            (Role::Push { .. }, Session::Client(_)) => self.end_push(shard, slot),
            _ => return false,
        }
        self.pump(shard, slot)
    }

    fn start_send(
        &mut self,
        shard: &Rc<Shard>,
        slot: Slot,
        batch: Rc<SendBatch>,
        what: InFlight,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(slot.index) else { return false };
        match self.ring.send(connection.key, batch) {
            Ok(()) => {
                connection.egress.in_flight = what;
                true
            }
            Err(error) => {
                tracing::debug!(connection = %slot.id, %error, "could not send");
                self.cut(shard, slot, CloseReason::IoError);
                false
            }
        }
    }

    fn count_ring(&self, shard: &Shard) {
        let stats = self.ring.stats();
        let counters = &shard.counters;
        counters.ring_enters.set_total(stats.enters);
        counters.ring_sends.set_total(stats.sends);
        counters.ring_short_sends.set_total(stats.short_sends);
        counters.ring_zero_copy_sends.set_total(stats.zc_sends);
        counters.ring_zero_copy_copied.set_total(stats.zc_copied);
        counters.ring_zero_copy_enomem.set_total(stats.enomem_fallbacks);
    }
}
