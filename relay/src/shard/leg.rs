//! Legs: a stream on its way to a worker. Which stream goes to which worker is decided elsewhere;
//! here one connection is made when asked for, carries the stream from what is held for it, and its
//! end is told. The same streams are announced on a node that is a worker, for its pipelines.

use std::rc::Rc;

use edgerelay_proto::session::{ClientMode, RtmpUrl};
use tokio::sync::{mpsc, oneshot};

use super::Shard;
use super::connection::{Role, Session};
use super::state::{State, StreamSlot};
use super::stream::{Source, StreamEntry};
use super::upstream::{self, Cancel};
use crate::config::Role as NodeRole;
use crate::hub::subscriber::SubscribeFrom;
use crate::id::{LegId, StreamKey};
use crate::message::{LegEnd, NodeEvent};
use crate::telemetry::CloseReason;

/// A publication that was announced.
#[derive(Debug)]
pub(super) struct Placed {
    /// As it was announced: a publisher that takes over does not change it.
    publication: u64,
    leg: Option<Leg>,
}

#[derive(Debug)]
struct Leg {
    id: LegId,
    cancel: Rc<Cancel>,
}

impl Shard {
    /// Tells of a stream. News that finds no place waits its turn.
    pub(super) fn tell(&self, event: NodeEvent) {
        let Some(events) = &self.events else { return };
        match events.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(event)) => {
                let events = events.clone();
                tokio_uring::spawn(async move {
                    // Nobody listens any more: the node stops.
                    let _ended = events.send(event).await;
                });
            }
        }
    }

    /// Where a push or a player starts that the node's own pipelines are for: on a worker frames are
    /// held for these, on other nodes for legs alone.
    pub(super) fn start_of_work(&self, otherwise: SubscribeFrom) -> SubscribeFrom {
        match self.config().node.role {
            NodeRole::Worker => SubscribeFrom::Held,
            NodeRole::Edge | NodeRole::Standalone => otherwise,
        }
    }
}

/// Announces a publication that begins, if it is one for workers or pipelines.
pub(super) fn begin(state: &mut State, shard: &Shard, stream: StreamSlot, publication: u64) {
    let Some(entry) = state.streams.get_mut(stream) else { return };
    if shard.events.is_none() || entry.placed.is_some() || !shard.config().works_on(&entry.key.app)
    {
        return;
    }
    entry.placed = Some(Placed { publication, leg: None });
    entry.stream.hold();
    let (stream_key, shard_id) = (entry.key.clone(), shard.id);
    shard.tell(NodeEvent::StreamBegan { stream: stream_key, shard: shard_id, publication });
    state.register_interest(shard, stream);
}

/// The publication is over. A leg brings what is left of it.
pub(super) fn end(shard: &Shard, entry: &mut StreamEntry) {
    let Some(placed) = entry.placed.take() else { return };
    entry.stream.release_hold();
    if let Some(leg) = placed.leg {
        leg.cancel.cancel();
    }
    let publication = placed.publication;
    shard.tell(NodeEvent::StreamEnded { stream: entry.key.clone(), publication });
}

/// A push or a player of the stream got through that frames may have been held for.
pub(super) fn on_work_begun(shard: &Shard, entry: &mut StreamEntry) {
    if shard.config().node.role == NodeRole::Worker {
        entry.stream.release_hold();
    }
}

/// An ordinary push of the stream got through.
pub(super) fn on_push_ready(shard: &Shard, entry: &mut StreamEntry) {
    on_work_begun(shard, entry);
    if entry.placed.is_some() {
        shard.tell(NodeEvent::PushReady { stream: entry.key.clone() });
    }
}

/// Begins to bring a stream to a worker, in place of a leg that it may have.
pub(super) fn start(
    state: &mut State,
    shard: &Rc<Shard>,
    key: &StreamKey,
    publication: u64,
    leg: LegId,
    url: &str,
) {
    let Some((stream, placed)) = state.placed(key, publication) else {
        // It ended meanwhile, which was told.
        return;
    };
    if let Some(before) = placed.leg.take() {
        before.cancel.cancel_at_once();
    }
    match RtmpUrl::parse(url) {
        Ok(url) => {
            let cancel = Rc::new(Cancel::default());
            placed.leg = Some(Leg { id: leg, cancel: Rc::clone(&cancel) });
            tokio_uring::spawn(run(Rc::clone(shard), stream, leg, url, cancel));
        }
        Err(error) => {
            let end = LegEnd::Unreachable(error.to_string());
            shard.tell(NodeEvent::LegLost { leg, end });
        }
    }
}

/// One connection to a worker, from its beginning to its end.
async fn run(shard: Rc<Shard>, stream: StreamSlot, leg: LegId, url: RtmpUrl, cancel: Rc<Cancel>) {
    let end = carry(&shard, stream, leg, url, &cancel).await;
    // A leg that is not called off is known to its stream, which keeps the entry alive.
    if cancel.is_cancelled() {
        if !cancel.is_at_once() {
            shard.tell(NodeEvent::LegFlushed { leg });
        }
        return;
    }
    let mut state = shard.state.borrow_mut();
    if let Some(entry) = state.streams.get_mut(stream)
        && let Some(placed) = &mut entry.placed
    {
        placed.leg = None;
        entry.stream.hold();
    }
    drop(state);
    if let Some(end) = end {
        shard.tell(NodeEvent::LegLost { leg, end });
    }
}

/// Brings the stream to the worker. Why that ended, unless it was called off.
async fn carry(
    shard: &Rc<Shard>,
    stream: StreamSlot,
    leg: LegId,
    url: RtmpUrl,
    cancel: &Cancel,
) -> Option<LegEnd> {
    let connected = tokio::select! {
        connected = upstream::connect(&url) => connected,
        () = cancel.cancelled() => return None,
    };
    if cancel.is_cancelled() {
        return None;
    }
    let (socket, address) = match connected {
        Ok(connected) => connected,
        Err(error) => return Some(LegEnd::Unreachable(error.to_string())),
    };
    let session = Session::Client(upstream::session(shard, url, ClientMode::Publish));
    let (ended, mut wait) = oneshot::channel();
    let role = Role::Push { stream, subscriber: None, leg: Some(leg) };
    let slot = shard.open(socket, address, session, role, Some(ended));
    tokio::select! {
        reason = &mut wait => Some(match reason {
            Ok(CloseReason::UpstreamRefused) => LegEnd::Refused,
            Ok(CloseReason::UpstreamUnreachable) => LegEnd::Unreachable("no answer".to_owned()),
            reason => LegEnd::Lost(reason.map_or("unknown", CloseReason::label)),
        }),
        () = cancel.cancelled() => {
            if cancel.is_at_once() {
                shard.state.borrow_mut().end_push(shard, slot);
                shard.urgent.notify_one();
            } else {
                shard.call_off(slot);
                let _reason = wait.await;
            }
            None
        }
    }
}

impl State {
    /// A stream that was announced with this publication.
    fn placed(&mut self, key: &StreamKey, publication: u64) -> Option<(StreamSlot, &mut Placed)> {
        let stream = *self.stream_slots.get(key)?;
        let placed = self.streams.get_mut(stream)?.placed.as_mut()?;
        (placed.publication == publication).then_some((stream, placed))
    }

    /// The worker is not to have the stream any more, though it goes on.
    pub(super) fn end_leg(&mut self, key: &StreamKey, leg: LegId) {
        let Some(stream) = self.stream_slots.get(key).copied() else { return };
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Some(placed) = &mut entry.placed else { return };
        if let Some(ended) = placed.leg.take_if(|known| known.id == leg) {
            ended.cancel.cancel_at_once();
            entry.stream.hold();
        }
    }

    /// Holds nothing any more for a worker that does not come.
    pub(super) fn give_up_on(&mut self, key: &StreamKey, publication: u64) {
        if let Some((stream, _)) = self.placed(key, publication)
            && let Some(entry) = self.streams.get_mut(stream)
        {
            entry.stream.release_hold();
        }
    }

    /// Tells whoever publishes a stream here how it fares.
    pub(super) fn report(&mut self, shard: &Rc<Shard>, key: &StreamKey, text: &str) {
        let Some(stream) = self.stream_slots.get(key).copied() else { return };
        let publication = self.streams.get(stream).and_then(|entry| entry.publication);
        let Some(Source::Local(connection)) = publication.map(|it| it.source) else {
            // Its publisher moved to another shard: it is asked in the same breath.
            return;
        };
        let Some(slot) = self.find(connection) else { return };
        let Some(connection) = self.connection(slot) else { return };
        if let (Role::Publisher { stream_id, .. }, Session::Server(session)) =
            (connection.role, &mut connection.session)
        {
            session.report(stream_id, text);
            self.drain_session(shard, slot);
            shard.urgent.notify_one();
        }
    }
}
