//! Time on a shard: deadlines of connections, the sweep over streams, how busy the shard is, and
//! the drain.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use edgerelay_proto::time::Instant;

use super::bounds::{LOAD_PERIOD, PULL_IDLE, SWEEP, TICK};
use super::connection::{Life, Role, Session};
use super::state::{Slot, State};
use super::{Shard, accept};
use crate::hub::merge::MergePolicy;
use crate::telemetry::CloseReason;

/// Looks at what is due, tick by tick.
pub(super) async fn run(shard: Rc<Shard>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut swept = shard.now();
    let mut measured = swept;
    let mut cpu = thread_cpu();
    let mut merging =
        MergePolicy::new(shard.config().rtmp.merge_window, shard.config().rtmp.merge_window_max);
    shard.set_merge_window(merging.window());
    loop {
        interval.tick().await;
        shard.counters.heartbeats.add(1);
        let now = shard.now();
        let mut state = shard.state.borrow_mut();
        state.on_deadlines(&shard, now);
        let span = now.saturating_since(measured);
        if span >= LOAD_PERIOD {
            let used = thread_cpu();
            let busy = used.saturating_sub(cpu).as_secs_f32() / span.as_secs_f32();
            shard.counters.busy_permille.set((busy * 1000.0) as u64);
            let config = shard.config();
            merging.set(config.rtmp.merge_window, config.rtmp.merge_window_max);
            shard.set_merge_window(merging.on_load(busy));
            cpu = used;
            measured = now;
        }
        if now.saturating_since(swept) >= SWEEP {
            swept = now;
            state.ask_sockets(&shard);
            state.sweep(&shard, now);
            shard.slabs.trim();
        }
        let pending = !state.connections_listed.is_empty();
        drop(state);
        if pending {
            shard.urgent.notify_one();
        }
    }
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl State {
    fn on_deadlines(&mut self, shard: &Rc<Shard>, now: Instant) {
        let mut reached = Vec::new();
        while let Some(entry) = self.deadlines.peek().filter(|Reverse((due, _))| *due <= now) {
            reached.push(entry.0);
            self.deadlines.pop();
        }
        for (due, slot) in reached {
            let Some(connection) = self.connection(slot) else { continue };
            if connection.watched != Some(due) {
                continue;
            }
            connection.watched = None;
            if connection.next_deadline(shard).is_some_and(|deadline| deadline <= now) {
                self.on_deadline(shard, slot, now);
            }
            self.watch_deadline(shard, slot);
        }
    }

    fn on_deadline(&mut self, shard: &Rc<Shard>, slot: Slot, now: Instant) {
        let Some(connection) = self.connection(slot) else { return };
        if let Life::Closing { .. } = connection.life {
            self.cut(shard, slot, CloseReason::PeerClosed);
            return;
        }
        let handled = match &mut connection.session {
            Session::Server(session) => session.handle_timeout(now),
            Session::Client(session) => session.handle_timeout(now),
        };
        self.drain_session(shard, slot);
        if let Err(fault) = handled {
            self.on_fault(shard, slot, &fault);
            return;
        }
        self.on_own_deadline(shard, slot, now);
    }

    /// The deadlines that are not the session's.
    fn on_own_deadline(&mut self, shard: &Rc<Shard>, slot: Slot, now: Instant) {
        let config = shard.config();
        let rtmp = &config.rtmp;
        let Some(connection) = self.connection(slot) else { return };
        let silent = now.saturating_since(connection.last_media);
        let is_silent = !rtmp.publish_idle_timeout.is_zero() && silent >= rtmp.publish_idle_timeout;
        match (connection.role, &mut connection.session) {
            (Role::Publisher { stream_id, .. }, Session::Server(session)) if is_silent => {
                session.refuse_publish(
                    stream_id,
                    "NetStream.Publish.Idle",
                    "no media for too long",
                );
                self.drain_session(shard, slot);
                self.close(shard, slot, CloseReason::PublishIdle);
            }
            (Role::Pull { .. }, _) if is_silent => {
                self.close(shard, slot, CloseReason::PublishIdle);
            }
            (Role::Waiting { stream_id, since, .. }, Session::Server(session)) => {
                let waited = now.saturating_since(since);
                if !rtmp.play_wait_timeout.is_zero() && waited >= rtmp.play_wait_timeout {
                    session.refuse_play(
                        stream_id,
                        "NetStream.Play.StreamNotFound",
                        "nobody publishes this stream",
                    );
                    self.drain_session(shard, slot);
                    self.close(shard, slot, CloseReason::PlayWaitTimeout);
                }
            }
            _ => {}
        }
    }

    /// Old frames, stalled subscribers, players whose stream does not come back, streams that
    /// nobody needs.
    fn sweep(&mut self, shard: &Rc<Shard>, now: Instant) {
        let mut log_bytes = 0;
        let mut stalled = Vec::new();
        let mut over = Vec::new();
        let mut unwanted = Vec::new();
        let wait = shard.config().rtmp.play_wait_timeout;
        for (index, entry) in &mut self.streams {
            entry.stream.handle_timeout(now);
            entry.forget_batches();
            let copied = entry.stream.bytes_copied();
            let before = std::mem::replace(&mut entry.copied_counted, copied);
            shard.counters.payload_bytes_copied.add(copied - before);
            log_bytes += entry.stream.log_bytes() as u64;
            let keys: Vec<_> = entry.stream.stalled(now).collect();
            let of_key = |key| entry.subscribers.iter().find(|(of, _)| *of == key);
            stalled.extend(keys.into_iter().filter_map(of_key).map(|(_, slot)| *slot));
            let idle = now.saturating_since(entry.idle_since);
            if entry.publication.is_none() && !wait.is_zero() && idle >= wait {
                over.extend(entry.subscribers.iter().map(|(_, slot)| *slot));
            }
            if entry.wants_media() || !entry.remotes.is_empty() {
                entry.wanted_at = now;
            } else if now.saturating_since(entry.wanted_at) >= PULL_IDLE
                && let Some(pull) = entry.pull.take()
            {
                pull.cancel.cancel();
            }
            if !entry.wants_media() {
                unwanted.push(index);
            }
        }
        shard.counters.log_bytes.set(log_bytes);
        for slot in stalled {
            self.cut(shard, slot, CloseReason::SubscriberStalled);
        }
        for slot in over {
            self.end_player(shard, slot, CloseReason::StreamEnded);
        }
        for index in unwanted {
            self.withdraw_interest(shard, index);
            if self.streams.get(index).is_some_and(super::stream::StreamEntry::is_vacant) {
                let entry = self.streams.remove(index);
                self.stream_slots.remove(&entry.key);
                shard.counters.streams.sub(1);
            }
        }
    }

    /// Ends what a client does, tells it so, and closes.
    fn end_player(&mut self, shard: &Rc<Shard>, slot: Slot, reason: CloseReason) {
        let Some(connection) = self.connection(slot) else { return };
        if let Session::Server(session) = &mut connection.session {
            match connection.role {
                Role::Player { stream_id, .. } => session.stream_eof(stream_id),
                Role::Waiting { stream_id, .. } => session.refuse_play(
                    stream_id,
                    "NetStream.Play.Failed",
                    "the server is shutting down",
                ),
                Role::Publisher { stream_id, .. } => session.refuse_publish(
                    stream_id,
                    "NetStream.Publish.BadName",
                    "the server is shutting down",
                ),
                _ => {}
            }
        }
        self.drain_session(shard, slot);
        self.close(shard, slot, reason);
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.connections.iter().map(|(index, it)| Slot { index, id: it.id }).collect()
    }
}

/// Lets nobody in any more, asks clients to go elsewhere, and ends at the deadline or when the last
/// connection is gone.
pub(super) fn drain(shard: &Rc<Shard>, timeout: Duration) {
    if shard.draining.replace(true) {
        return;
    }
    accept::stop(shard);
    let mut state = shard.state.borrow_mut();
    for slot in state.slots() {
        let Some(connection) = state.connection(slot) else { continue };
        match (connection.role, &mut connection.session) {
            (Role::Idle, _) => state.close(shard, slot, CloseReason::Drain),
            (_, Session::Server(session)) => {
                session.request_reconnect(None, "the server is shutting down");
                state.drain_session(shard, slot);
            }
            (_, Session::Client(_)) => {}
        }
    }
    let empty = state.connections.is_empty();
    drop(state);
    shard.urgent.notify_one();
    if empty {
        shard.done.notify_one();
        return;
    }
    let shard = Rc::clone(shard);
    tokio_uring::spawn(async move {
        tokio::time::sleep(timeout).await;
        let mut state = shard.state.borrow_mut();
        for slot in state.slots() {
            state.end_player(&shard, slot, CloseReason::Drain);
        }
        drop(state);
        shard.urgent.notify_one();
    });
}

/// Ends at once.
pub(super) fn stop(shard: &Rc<Shard>) {
    shard.draining.set(true);
    accept::stop(shard);
    let mut state = shard.state.borrow_mut();
    for slot in state.slots() {
        state.cut(shard, slot, CloseReason::Stop);
    }
    drop(state);
    shard.done.notify_one();
}
