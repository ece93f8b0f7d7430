//! A shard's streams: the hub's part of each, who takes part, and the start and end of
//! publications.

use std::ops::Range;
use std::rc::Rc;

use edgerelay_proto::session::MediaMessage;
use edgerelay_proto::time::Instant;
use edgerelay_uring::{BatchPool, SendBatch};

use super::bounds::SHARED_BATCHES_MAX;
use super::connection::{Role, Session};
use super::leg::Placed;
use super::mailbox::Remote;
use super::pull::PullHandle;
use super::push::PushHandle;
use super::state::{Leaving, Slot, State, StreamSlot};
use super::{Shard, leg, push};
use crate::config::AppConfig;
use crate::hub::limits::StreamLimits;
use crate::hub::stream::{Appended, Stream};
use crate::hub::subscriber::{SubscribeFrom, SubscriberKey, SubscriberOptions};
use crate::id::{ConnectionId, StreamKey};
use crate::message::ShardMessage;

/// Where a stream's frames come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A connection of this shard.
    Local(ConnectionId),
    /// The stream's home is another shard.
    Remote,
}

/// A publication as this shard knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publication {
    pub(super) epoch: u64,
    pub(super) source: Source,
}

/// One stream on one shard.
#[derive(Debug)]
pub(super) struct StreamEntry {
    pub(super) key: StreamKey,
    pub(super) stream: Stream,
    pub(super) publication: Option<Publication>,
    /// Since when nobody publishes.
    pub(super) idle_since: Instant,
    /// When somebody last wanted the frames.
    pub(super) wanted_at: Instant,
    pub(super) subscribers: Vec<(SubscriberKey, Slot)>,
    /// Players that wait for a publication.
    pub(super) waiting: Vec<Slot>,
    /// Connections whose role names this entry. It stays while there are any.
    pub(super) users: usize,
    /// Shards to hand frames to, and the frames gathered for them.
    pub(super) remotes: Vec<Remote>,
    pub(super) outbox: Vec<MediaMessage>,
    pub(super) pushes: Vec<PushHandle>,
    /// Workers or pipelines are for it.
    pub(super) placed: Option<Placed>,
    pub(super) pull: Option<PullHandle>,
    /// Registered in the directory as wanting frames.
    pub(super) interested: bool,
    /// Bytes that the log copied, as counted already.
    pub(super) copied_counted: u64,
    pub(super) listed: bool,
    pub(super) handover_listed: bool,
    batches: Vec<(Range<u64>, Rc<SendBatch>)>,
    batch_pool: BatchPool,
}

impl StreamEntry {
    fn new(key: StreamKey, limits: StreamLimits, now: Instant) -> Self {
        Self {
            key,
            stream: Stream::new(limits, now),
            publication: None,
            idle_since: now,
            wanted_at: now,
            subscribers: Vec::new(),
            waiting: Vec::new(),
            users: 0,
            remotes: Vec::new(),
            outbox: Vec::new(),
            pushes: Vec::new(),
            placed: None,
            pull: None,
            interested: false,
            copied_counted: 0,
            listed: false,
            handover_listed: false,
            batches: Vec::new(),
            batch_pool: BatchPool::default(),
        }
    }

    /// The batch of a shared range, made once for all subscribers at that place.
    pub(super) fn batch(&mut self, range: Range<u64>) -> Rc<SendBatch> {
        if let Some((_, batch)) = self.batches.iter().find(|(of, _)| *of == range) {
            return Rc::clone(batch);
        }
        let batch = self.batch_pool.batch(self.stream.shared_slices(&range).cloned());
        if self.batches.len() == SHARED_BATCHES_MAX {
            let (_, oldest) = self.batches.remove(0);
            self.batch_pool.put_back(oldest);
        }
        self.batches.push((range, Rc::clone(&batch)));
        batch
    }

    /// Lets go of batches that nobody is going to ask for.
    pub(super) fn forget_batches(&mut self) {
        for (_, batch) in self.batches.drain(..) {
            self.batch_pool.put_back(batch);
        }
        self.batch_pool.release();
    }

    /// Drops from the list who is no subscriber any more.
    pub(super) fn forget_gone(&mut self) {
        let stream = &self.stream;
        if self.subscribers.len() != stream.subscribers_len() {
            self.subscribers.retain(|(key, _)| stream.subscriber(*key).is_some());
        }
    }

    /// Whether this shard wants the stream's frames.
    pub(super) fn wants_media(&self) -> bool {
        self.stream.subscribers_len() > 0
            || !self.waiting.is_empty()
            || !self.pushes.is_empty()
            || self.placed.is_some()
    }

    /// Whether nothing here needs the entry.
    pub(super) fn is_vacant(&self) -> bool {
        self.publication.is_none() && self.pull.is_none() && self.users == 0 && !self.wants_media()
    }
}

impl State {
    /// The stream's place, made if it has none.
    pub(super) fn stream_slot(
        &mut self,
        shard: &Shard,
        app: &AppConfig,
        key: &StreamKey,
    ) -> StreamSlot {
        if let Some(slot) = self.stream_slots.get(key) {
            return *slot;
        }
        let limits = StreamLimits::new(app, shard.config().rtmp.chunk_size);
        let slot = self.streams.insert(StreamEntry::new(key.clone(), limits, shard.now()));
        self.stream_slots.insert(key.clone(), slot);
        shard.counters.streams.add(1);
        slot
    }

    /// A connection of this shard publishes, under a claim that the directory granted.
    pub(super) fn begin_local_publication(
        &mut self,
        shard: &Rc<Shard>,
        slot: StreamSlot,
        publication: Publication,
        interested: Vec<crate::id::ShardId>,
    ) {
        let Some(entry) = self.streams.get_mut(slot) else { return };
        let key = entry.key.clone();
        entry.outbox.clear();
        for remote in interested {
            if entry.remotes.iter().all(|known| known.shard != remote) {
                entry.remotes.push(Remote::new(remote));
            }
        }
        let remotes: Vec<_> = entry.remotes.iter().map(|remote| remote.shard).collect();
        for remote in remotes {
            let epoch = publication.epoch;
            let stream = key.clone();
            shard.post(remote, ShardMessage::Published { stream, epoch, backlog: Vec::new() });
        }
        self.begin_publication(shard, slot, publication);
        let push_here = shard.directory().push_shard(&key) == Some(shard.id);
        if push_here && self.streams.get(slot).is_some_and(|entry| entry.pushes.is_empty()) {
            push::start_all(self, shard, slot);
        }
        if push_here {
            leg::begin(self, shard, slot, publication.epoch);
        }
    }

    /// A publication starts or is replaced, here or at the stream's home.
    pub(super) fn begin_publication(
        &mut self,
        shard: &Rc<Shard>,
        slot: StreamSlot,
        publication: Publication,
    ) {
        let now = shard.now();
        let Some(entry) = self.streams.get_mut(slot) else { return };
        let before = entry.publication.replace(publication);
        count_home(shard, before, Some(publication));
        entry.stream.on_publish(now);
        let waiting = std::mem::take(&mut entry.waiting);
        let subscribers: Vec<_> = entry.subscribers.iter().map(|(_, slot)| *slot).collect();
        for subscriber in subscribers {
            let Some(connection) = self.connection(subscriber) else { continue };
            let was_leaving = std::mem::take(&mut connection.farewell);
            match (connection.role, &mut connection.session) {
                (Role::Player { stream_id, .. }, Session::Server(session)) if before.is_none() => {
                    session.play_publish_notify(stream_id);
                    self.drain_session(shard, subscriber);
                }
                // What it still lacks of the publication before would hold up the push of this one.
                (Role::Push { .. }, _) if was_leaving => self.end_push(shard, subscriber),
                _ => {}
            }
        }
        for player in waiting {
            self.start_playing(shard, player);
        }
        shard.urgent.notify_one();
    }

    /// A player's stream is there: it becomes a subscriber.
    pub(super) fn start_playing(&mut self, shard: &Rc<Shard>, slot: Slot) {
        let now = shard.now();
        let Some(connection) = self.connections.get_mut(slot.index) else { return };
        let (Role::Waiting { stream, stream_id, .. }, Session::Server(session)) =
            (connection.role, &mut connection.session)
        else {
            return;
        };
        let Some(entry) = self.streams.get_mut(stream) else { return };
        session.accept_play(stream_id);
        let start = shard.start_of_work(SubscribeFrom::Configured);
        let options = SubscriberOptions { message_stream_id: stream_id, start };
        let subscriber = entry.stream.subscribe(now, options);
        leg::on_work_begun(shard, entry);
        entry.subscribers.push((subscriber, slot));
        self.set_role(shard, slot, Role::Player { stream, stream_id, subscriber });
        self.drain_session(shard, slot);
        self.list_connection(slot);
    }

    /// The publisher `connection` goes. Nothing happens to a stream that another has taken over.
    pub(super) fn end_publication(
        &mut self,
        shard: &Rc<Shard>,
        slot: StreamSlot,
        connection: ConnectionId,
        how: Leaving,
    ) {
        let Some(entry) = self.streams.get(slot) else { return };
        let Some(publication) = entry.publication else { return };
        if publication.source != Source::Local(connection) {
            return;
        }
        let stream = entry.key.clone();
        let released = shard.directory().release(&stream, connection);
        match released {
            Some(others) => {
                self.tell_unpublished(shard, slot, others, how);
                self.unpublish(shard, slot, how);
            }
            // Taken over by a publisher of another shard: its news is on the way to whoever
            // subscribes here.
            None => self.suspend_publication(shard, slot),
        }
    }

    /// Tells other shards that the publication is over.
    pub(super) fn tell_unpublished(
        &mut self,
        shard: &Rc<Shard>,
        slot: StreamSlot,
        others: Vec<crate::id::ShardId>,
        how: Leaving,
    ) {
        self.hand_over(shard, slot);
        let Some(entry) = self.streams.get_mut(slot) else { return };
        let Some(Publication { epoch, .. }) = entry.publication else { return };
        entry.remotes.clear();
        for other in others {
            let stream = entry.key.clone();
            let finished = how == Leaving::Finished;
            shard.post(other, ShardMessage::Unpublished { stream, epoch, finished });
        }
    }

    /// The stream has no publisher any more. Pushes end when they have brought the rest. Players are
    /// told if that is for good, and wait.
    pub(super) fn unpublish(&mut self, shard: &Rc<Shard>, slot: StreamSlot, how: Leaving) {
        self.suspend_publication(shard, slot);
        let Some(entry) = self.streams.get_mut(slot) else { return };
        for push in entry.pushes.drain(..) {
            push.cancel.cancel();
        }
        leg::end(shard, entry);
        let subscribers: Vec<_> = entry.subscribers.iter().map(|(_, slot)| *slot).collect();
        for subscriber in subscribers {
            let Some(connection) = self.connection(subscriber) else { continue };
            if how == Leaving::Finished || matches!(connection.role, Role::Push { .. }) {
                connection.farewell = true;
                self.list_connection(subscriber);
            }
        }
    }

    /// No frames for now; subscribers, pushes and a pull stay.
    pub(super) fn suspend_publication(&mut self, shard: &Rc<Shard>, slot: StreamSlot) {
        // What the publisher sent last is offered before its publication ends.
        self.offer_stream(shard, slot);
        let now = shard.now();
        let Some(entry) = self.streams.get_mut(slot) else { return };
        let before = entry.publication.take();
        count_home(shard, before, None);
        entry.stream.on_unpublish(now);
        entry.idle_since = now;
        shard.urgent.notify_one();
    }

    /// A message from the connection that publishes here or is pulled from.
    pub(super) fn receive_media(
        &mut self,
        shard: &Shard,
        slot: Slot,
        stream: StreamSlot,
        message: MediaMessage,
    ) {
        let now = shard.now();
        if let Some(connection) = self.connection(slot) {
            connection.last_media = now;
        }
        shard.counters.payload_bytes_in.add(message.payload.len() as u64);
        shard.counters.frames_in.add(1);
        match self.append(now, stream, message) {
            Appended::Urgent => shard.urgent.notify_one(),
            Appended::Relayed => shard.on_frames(now),
            Appended::Withheld | Appended::Unpublished => {}
        }
    }

    /// A message of the publication, from a connection here or from the stream's home.
    pub(super) fn append(
        &mut self,
        now: Instant,
        slot: StreamSlot,
        message: MediaMessage,
    ) -> Appended {
        let Some(entry) = self.streams.get_mut(slot) else { return Appended::Unpublished };
        if !entry.remotes.is_empty() {
            entry.outbox.push(message.clone());
            if !std::mem::replace(&mut entry.handover_listed, true) {
                self.handovers_listed.push(slot);
            }
        }
        entry.forget_batches();
        let appended = entry.stream.append(now, message);
        if !std::mem::replace(&mut entry.listed, true) {
            self.streams_listed.push(slot);
        }
        appended
    }

    pub(super) fn remove_waiting(&mut self, stream: StreamSlot, slot: Slot) {
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.waiting.retain(|waiting| *waiting != slot);
        }
    }

    pub(super) fn remove_subscriber(&mut self, stream: StreamSlot, subscriber: SubscriberKey) {
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.stream.unsubscribe(subscriber);
            entry.subscribers.retain(|(key, _)| *key != subscriber);
        }
    }

    /// Makes sure that the frames of a stream with subscribers come here.
    pub(super) fn register_interest(&mut self, shard: &Shard, slot: StreamSlot) {
        let Some(entry) = self.streams.get_mut(slot) else { return };
        if std::mem::replace(&mut entry.interested, true) {
            return;
        }
        let home = shard.directory().add_interest(&entry.key, shard.id);
        if let Some((home, _)) = home.filter(|(home, _)| *home != shard.id) {
            shard.post(home, ShardMessage::Interest { stream: entry.key.clone(), shard: shard.id });
        }
    }

    /// The counterpart of [`Self::register_interest`]. Nobody tells this shard any more how the
    /// publication goes on at its home, so here it is over.
    pub(super) fn withdraw_interest(&mut self, shard: &Rc<Shard>, slot: StreamSlot) {
        let Some(entry) = self.streams.get_mut(slot) else { return };
        if !std::mem::replace(&mut entry.interested, false) {
            return;
        }
        let home = shard.directory().remove_interest(&entry.key, shard.id);
        if let Some(home) = home.filter(|home| *home != shard.id) {
            shard.post(
                home,
                ShardMessage::NoInterest { stream: entry.key.clone(), shard: shard.id },
            );
        }
        if entry.publication.is_some_and(|it| it.source == Source::Remote) {
            self.suspend_publication(shard, slot);
        }
    }
}

/// Counts the streams whose home is here.
fn count_home(shard: &Shard, before: Option<Publication>, after: Option<Publication>) {
    let home = |publication: Option<Publication>| {
        publication.is_some_and(|publication| publication.source != Source::Remote)
    };
    match (home(before), home(after)) {
        (false, true) => shard.counters.streams_active.add(1),
        (true, false) => shard.counters.streams_active.sub(1),
        _ => {}
    }
}
