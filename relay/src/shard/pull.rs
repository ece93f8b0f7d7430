//! Pulls: a stream that is played here and published elsewhere is fetched from the first of its
//! application's origins that has it. A pull holds the stream's name as a publisher does, and gives
//! way to every real one.

use std::rc::Rc;

use edgerelay_proto::session::{ClientMode, RtmpUrl};
use tokio::sync::oneshot;

use super::bounds::{BACKOFF_MAX, BACKOFF_MIN, BACKOFF_RESET_AFTER};
use super::connection::{Role, Session};
use super::state::{Leaving, State, StreamSlot};
use super::stream::{Publication, Source};
use super::upstream::{self, Cancel};
use super::{Shard, random};
use crate::config::expand_url;
use crate::hub::backoff::Backoff;
use crate::hub::directory::{Claim, Claimant};
use crate::id::ConnectionId;
use crate::telemetry::CloseReason;

/// A pull that runs.
#[derive(Debug)]
pub(super) struct PullHandle {
    /// Under which the directory knows it: it outlives its connections.
    pub(super) holder: ConnectionId,
    pub(super) cancel: Rc<Cancel>,
}

/// Starts a pull if somebody wants the stream, nobody publishes it, and there is an origin.
pub(super) fn start_if_wanted(state: &mut State, shard: &Rc<Shard>, stream: StreamSlot) {
    let Some(entry) = state.streams.get_mut(stream) else { return };
    let config = shard.config();
    let Some(app) = config.app(&entry.key.app) else { return };
    if entry.publication.is_some() || entry.pull.is_some() || app.origin.is_empty() {
        return;
    }
    state.connections_made += 1;
    let holder = ConnectionId::new(shard.id, state.connections_made);
    // A pull or publisher on another shard has the name: its frames come from there.
    let Claim::Granted { .. } =
        shard.directory().claim(&entry.key, shard.id, holder, Claimant::Pull)
    else {
        return;
    };
    let origins: Vec<_> = app
        .origin
        .iter()
        .filter_map(|origin| RtmpUrl::parse(&expand_url(origin, &entry.key)).ok())
        .collect();
    let cancel = Rc::new(Cancel::default());
    entry.pull = Some(PullHandle { holder, cancel: Rc::clone(&cancel) });
    let key = entry.key.clone();
    let shard = Rc::clone(shard);
    tokio_uring::spawn(async move {
        run(&shard, stream, &origins, &cancel).await;
        let mut state = shard.state.borrow_mut();
        let released = shard.directory().release(&key, holder);
        // The sweep that called it off may have removed the entry, and its place be another stream's.
        let stream = state.stream_slots.get(&key).copied();
        if let (Some(others), Some(stream)) = (released, stream) {
            state.tell_unpublished(&shard, stream, others, Leaving::Lost);
        }
    });
}

/// Keeps the pull up until it is called off, trying the origins in order.
async fn run(shard: &Rc<Shard>, stream: StreamSlot, origins: &[RtmpUrl], cancel: &Cancel) {
    let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
    loop {
        for (index, url) in origins.iter().enumerate() {
            shard.counters.pull_attempts.add(1);
            let connected = tokio::select! {
                connected = upstream::connect(url) => connected,
                () = cancel.cancelled() => return,
            };
            // Only an uncancelled pull may name the stream: it keeps the entry alive.
            if cancel.is_cancelled() {
                return;
            }
            let (socket, address) = match connected {
                Ok(connected) => connected,
                Err(error) => {
                    shard.counters.pull_failures.add(1);
                    tracing::warn!(origin = index, %error, "origin could not be connected to");
                    continue;
                }
            };
            let opened = shard.now();
            let session = upstream::session(shard, url.clone(), ClientMode::Play);
            let (ended, wait) = oneshot::channel();
            let role = Role::Pull { stream };
            let slot = shard.open(socket, address, Session::Client(session), role, Some(ended));
            tokio::select! {
                reason = wait => {
                    shard.counters.pull_failures.add(1);
                    let reason = reason.map_or("unknown", CloseReason::label);
                    tracing::warn!(origin = index, reason, "pull ended, trying the next origin");
                }
                () = cancel.cancelled() => {
                    shard.state.borrow_mut().close(shard, slot, CloseReason::StreamEnded);
                    return;
                }
            }
            if shard.now().saturating_since(opened) >= BACKOFF_RESET_AFTER {
                backoff.reset();
                break;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay(random())) => {}
            () = cancel.cancelled() => return,
        }
    }
}

impl State {
    /// Frames come from an origin: a new publication of the stream begins, if it has not.
    pub(super) fn resume_pull(
        &mut self,
        shard: &Rc<Shard>,
        stream: StreamSlot,
        connection: ConnectionId,
    ) {
        let Some(entry) = self.streams.get(stream) else { return };
        let Some(pull) = &entry.pull else { return };
        if entry.publication.is_some_and(|it| it.source == Source::Local(connection)) {
            return;
        }
        let claim = shard.directory().claim(&entry.key, shard.id, pull.holder, Claimant::Pull);
        if let Claim::Granted { epoch, interested, .. } = claim {
            let publication = Publication { epoch, source: Source::Local(connection) };
            self.begin_local_publication(shard, stream, publication, interested);
        }
    }

    /// A pull's connection is gone; the pull keeps the name and tries again.
    pub(super) fn suspend_pull(
        &mut self,
        shard: &Rc<Shard>,
        stream: StreamSlot,
        connection: ConnectionId,
    ) {
        let Some(entry) = self.streams.get(stream) else { return };
        let source = entry.publication.map(|publication| publication.source);
        if source == Some(Source::Local(connection)) {
            self.suspend_publication(shard, stream);
        }
    }
}
