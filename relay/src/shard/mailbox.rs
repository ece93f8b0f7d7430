//! What shards tell each other: hands over frames of local publications and takes in those of
//! others, in order, within the mailbox's bound.

use std::rc::Rc;

use edgerelay_proto::media::{VideoFrame, inspect_video};
use edgerelay_proto::session::{MediaKind, MediaMessage};
use tokio::sync::mpsc;

use super::bounds::{HANDOVER_FRAMES_MAX, MAILBOX_RESERVED};
use super::state::{Leaving, State, StreamSlot};
use super::stream::{Publication, Source};
use super::{Shard, accept, leg, timers};
use crate::hub::stream::Appended;
use crate::id::{ConnectionId, ShardId, StreamKey};
use crate::message::ShardMessage;
use crate::telemetry::CloseReason;

/// Another shard that gets a stream's frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote {
    pub(super) shard: ShardId,
    /// Its mailbox was full; it is given nothing until the next keyframe.
    pub(super) behind: bool,
}

impl Remote {
    pub(super) const fn new(shard: ShardId) -> Self {
        Self { shard, behind: false }
    }
}

/// Takes in what comes, until the process ends.
pub(super) async fn run(shard: Rc<Shard>, mut mailbox: mpsc::Receiver<ShardMessage>) {
    while let Some(message) = mailbox.recv().await {
        shard.on_message(message);
    }
}

impl Shard {
    /// Puts news in another shard's mailbox. Media leaves room for it; should even that be taken,
    /// it waits its turn there.
    pub(super) fn post(&self, to: ShardId, message: ShardMessage) {
        let Some(mailbox) = self.peers.get(usize::from(to.0)) else { return };
        match mailbox.try_send(message) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(message)) => {
                self.counters.mailbox_full.add(1);
                let mailbox = mailbox.clone();
                tokio_uring::spawn(async move {
                    // A shard that has ended needs no news.
                    let _ended = mailbox.send(message).await;
                });
            }
        }
    }

    fn on_message(self: &Rc<Self>, message: ShardMessage) {
        let mut state = self.state.borrow_mut();
        match message {
            ShardMessage::Media { stream, epoch, waited, batch } => {
                let now = self.now();
                let Some(slot) = state.remote_stream(&stream, epoch) else { return };
                let mut urgent = waited >= self.pace.window();
                for message in batch {
                    urgent |= state.append(now, slot, message) == Appended::Urgent;
                }
                if urgent {
                    self.urgent.notify_one();
                } else {
                    self.on_frames(now);
                }
            }
            ShardMessage::Published { stream, epoch, backlog } => {
                state.on_published(self, &stream, epoch, backlog);
            }
            ShardMessage::Unpublished { stream, epoch, finished } => {
                let how = if finished { Leaving::Finished } else { Leaving::Lost };
                if let Some(slot) = state.remote_stream(&stream, epoch) {
                    state.unpublish(self, slot, how);
                }
            }
            ShardMessage::Interest { stream, shard } => state.on_interest(self, &stream, shard),
            // It may be interested again since, and be known so by a publication that began meanwhile.
            ShardMessage::NoInterest { stream, shard }
                if self.directory().is_interested(&stream, shard) => {}
            ShardMessage::NoInterest { stream, shard } => {
                let slot = state.stream_slots.get(&stream).copied();
                if let Some(entry) = slot.and_then(|slot| state.streams.get_mut(slot)) {
                    entry.remotes.retain(|remote| remote.shard != shard);
                }
            }
            ShardMessage::Evict { connection } => state.evict(self, connection),
            ShardMessage::StartLeg { stream, publication, leg, url } => {
                leg::start(&mut state, self, &stream, publication, leg, &url);
            }
            ShardMessage::EndLeg { stream, leg } => state.end_leg(&stream, leg),
            ShardMessage::GiveUpOn { stream, publication } => {
                state.give_up_on(&stream, publication);
            }
            ShardMessage::Report { stream, text } => state.report(self, &stream, &text),
            ShardMessage::Configure { config, applied } => {
                drop(state);
                self.reconfigure(&config);
                // The node may have stopped waiting.
                let _gone = applied.send(());
            }
            ShardMessage::Snapshot(reply) => {
                let snapshot = state.snapshot(self);
                // Whoever asked may have given up.
                let _gone = reply.send(snapshot);
            }
            ShardMessage::Listen(listeners) => {
                drop(state);
                accept::start(self, listeners);
            }
            ShardMessage::StopListening => accept::stop(self),
            ShardMessage::Drain { timeout } => {
                drop(state);
                timers::drain(self, timeout);
            }
            ShardMessage::Stop => {
                drop(state);
                timers::stop(self);
            }
        }
    }
}

impl State {
    /// The stream's place, if this publication of it comes from another shard.
    fn remote_stream(&self, stream: &StreamKey, epoch: u64) -> Option<StreamSlot> {
        let slot = *self.stream_slots.get(stream)?;
        let publication = self.streams.get(slot)?.publication?;
        (publication.epoch == epoch && publication.source == Source::Remote).then_some(slot)
    }

    fn on_published(
        &mut self,
        shard: &Rc<Shard>,
        stream: &StreamKey,
        epoch: u64,
        backlog: Vec<MediaMessage>,
    ) {
        let slot = self.stream_slots.get(stream).copied();
        let Some((slot, known)) = slot.and_then(|slot| {
            let entry = self.streams.get(slot)?;
            entry.interested.then_some((slot, entry.publication))
        }) else {
            decline(shard, stream);
            return;
        };
        match known {
            Some(known) if known.epoch > epoch => return,
            // The same one again: it goes on after a full mailbox.
            Some(known) if known.epoch == epoch => {}
            _ => {
                let publication = Publication { epoch, source: Source::Remote };
                if let Some(entry) = self.streams.get_mut(slot) {
                    entry.remotes.clear();
                }
                self.begin_publication(shard, slot, publication);
            }
        }
        let now = shard.now();
        for message in backlog {
            self.append(now, slot, message);
        }
        shard.urgent.notify_one();
    }

    fn on_interest(&mut self, shard: &Rc<Shard>, stream: &StreamKey, from: ShardId) {
        let Some(slot) = self.stream_slots.get(stream).copied() else { return };
        // What is gathered is part of the backlog, so it must not come after it.
        self.hand_over(shard, slot);
        let Some(entry) = self.streams.get_mut(slot) else { return };
        let publication = entry.publication.filter(|it| it.source != Source::Remote);
        if publication.is_none() && entry.pull.is_none() {
            return;
        }
        if entry.remotes.iter().all(|remote| remote.shard != from) {
            entry.remotes.push(Remote::new(from));
        }
        if let Some(Publication { epoch, .. }) = publication {
            let backlog = entry.stream.backlog();
            let stream = stream.clone();
            shard.post(from, ShardMessage::Published { stream, epoch, backlog });
        }
    }

    /// A newer publisher has the name: the old one goes.
    pub(super) fn evict(&mut self, shard: &Rc<Shard>, connection: ConnectionId) {
        if let Some(slot) = self.find(connection) {
            self.close(shard, slot, CloseReason::Replaced);
            return;
        }
        let pulled = self.streams.iter_mut().find_map(|(_, entry)| {
            entry.pull.as_ref().is_some_and(|pull| pull.holder == connection).then_some(entry)
        });
        if let Some(pull) = pulled.and_then(|entry| entry.pull.take()) {
            pull.cancel.cancel();
        }
    }

    /// Hands over what all streams have gathered.
    pub(super) fn hand_over_all(&mut self, shard: &Rc<Shard>) {
        for slot in std::mem::take(&mut self.handovers_listed) {
            self.hand_over(shard, slot);
        }
    }

    /// Hands what a stream has gathered to every shard that wants it, each batch once.
    pub(super) fn hand_over(&mut self, shard: &Rc<Shard>, slot: StreamSlot) {
        let Some(entry) = self.streams.get_mut(slot) else { return };
        entry.handover_listed = false;
        let mut gathered = std::mem::take(&mut entry.outbox);
        let Some(Publication { epoch, .. }) = entry.publication else { return };
        let waited = shard.pace.window();
        let has_keyframe = gathered.iter().any(is_keyframe);
        for remote in &mut entry.remotes {
            let Some(mailbox) = shard.peers.get(usize::from(remote.shard.0)) else { continue };
            let full = mailbox.capacity() <= MAILBOX_RESERVED;
            if full {
                remote.behind = true;
                shard.counters.mailbox_full.add(1);
            } else if remote.behind {
                // It comes back at a keyframe, or at once where there is no video.
                if has_keyframe || entry.stream.timestamps().1.is_none() {
                    remote.behind = false;
                    let backlog = entry.stream.backlog();
                    let stream = entry.key.clone();
                    shard.post(remote.shard, ShardMessage::Published { stream, epoch, backlog });
                }
            } else {
                for batch in gathered.chunks(HANDOVER_FRAMES_MAX) {
                    let stream = entry.key.clone();
                    let batch = batch.to_vec();
                    shard.post(remote.shard, ShardMessage::Media { stream, epoch, waited, batch });
                }
            }
        }
        gathered.clear();
        entry.outbox = gathered;
    }
}

/// Tells a stream's home that nobody here wants it: interest was withdrawn while the news was on its way, or
/// pushes were to run here once.
fn decline(shard: &Shard, stream: &StreamKey) {
    let home = shard.directory().home(stream);
    if let Some((home, _)) = home.filter(|(home, _)| *home != shard.id) {
        let stream = stream.clone();
        shard.post(home, ShardMessage::NoInterest { stream, shard: shard.id });
    }
}

fn is_keyframe(message: &MediaMessage) -> bool {
    message.kind == MediaKind::Video
        && inspect_video(&message.payload).frame == VideoFrame::Keyframe
}
