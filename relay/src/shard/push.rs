//! Pushes: each stream to each of its application's upstreams, for as long as it is published. A
//! push has its own connection and its own place in the log, so it delays nobody.

use std::rc::Rc;

use edgerelay_proto::session::{ClientMode, RtmpUrl};
use tokio::sync::oneshot;

use super::bounds::{BACKOFF_MAX, BACKOFF_MIN, BACKOFF_RESET_AFTER};
use super::connection::{Role, Session};
use super::state::{Slot, State, StreamSlot};
use super::stream::StreamEntry;
use super::upstream::{self, Cancel};
use super::{Shard, random};
use crate::config::{PushConfig, expand_url, redact_url};
use crate::hub::backoff::Backoff;
use crate::telemetry::CloseReason;

/// A push that runs.
#[derive(Debug)]
pub(super) struct PushHandle {
    /// The template that it is configured by.
    url: String,
    pub(super) cancel: Rc<Cancel>,
}

/// Starts every push that the stream's application has.
pub(super) fn start_all(state: &mut State, shard: &Rc<Shard>, stream: StreamSlot) {
    let Some(entry) = state.streams.get_mut(stream) else { return };
    let config = shard.config();
    let Some(app) = config.app(&entry.key.app) else { return };
    for push in &app.push {
        start(shard, stream, entry, &push.url);
    }
    state.register_interest(shard, stream);
}

/// Has the pushes that run for a stream be those `wanted`: others end at once, the missing ones start,
/// and those that are right are not touched.
pub(super) fn adjust(
    state: &mut State,
    shard: &Rc<Shard>,
    stream: StreamSlot,
    wanted: &[PushConfig],
) {
    let Some(entry) = state.streams.get_mut(stream) else { return };
    let mut missing: Vec<&str> = wanted.iter().map(|push| push.url.as_str()).collect();
    entry.pushes.retain(|push| {
        let known = missing.iter().position(|url| *url == push.url);
        match known {
            Some(known) => drop(missing.remove(known)),
            None => push.cancel.cancel_at_once(),
        }
        known.is_some()
    });
    if missing.is_empty() || !shard.directory().take_pushes(&entry.key, shard.id) {
        return;
    }
    for url in missing {
        start(shard, stream, entry, url);
    }
    state.register_interest(shard, stream);
}

fn start(shard: &Rc<Shard>, stream: StreamSlot, entry: &mut StreamEntry, template: &str) {
    let redacted: Rc<str> = redact_url(template).into();
    match RtmpUrl::parse(&expand_url(template, &entry.key)) {
        Ok(url) => {
            let cancel = Rc::new(Cancel::default());
            let handle = PushHandle { url: template.to_owned(), cancel: Rc::clone(&cancel) };
            entry.pushes.push(handle);
            tokio_uring::spawn(run(Rc::clone(shard), stream, url, redacted, cancel));
        }
        Err(error) => {
            shard.counters.push_failures.add(1);
            tracing::warn!(url = %redacted, %error, "this stream cannot be pushed there");
        }
    }
}

/// Keeps one push up until it is called off.
async fn run(
    shard: Rc<Shard>,
    stream: StreamSlot,
    url: RtmpUrl,
    template: Rc<str>,
    cancel: Rc<Cancel>,
) {
    let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
    while !cancel.is_cancelled() {
        shard.counters.push_attempts.add(1);
        shard.counters.push_resolutions.add(1);
        let connected = tokio::select! {
            connected = upstream::connect(&url) => connected,
            () = cancel.cancelled() => return,
        };
        // Only an uncancelled push may name the stream: it keeps the entry alive.
        if cancel.is_cancelled() {
            return;
        }
        match connected {
            Ok((socket, address)) => {
                let opened = shard.now();
                let session = upstream::session(&shard, url.clone(), ClientMode::Publish);
                let (ended, wait) = oneshot::channel();
                let role = Role::Push { stream, subscriber: None, leg: None };
                let session = Session::Client(session);
                let slot = shard.open(socket, address, session, role, Some(ended));
                tokio::select! {
                    reason = wait => {
                        shard.counters.push_failures.add(1);
                        let reason = reason.map_or("unknown", CloseReason::label);
                        tracing::warn!(url = %template, reason, "push lost, trying again");
                    }
                    () = cancel.cancelled() => {
                        if cancel.is_at_once() {
                            shard.state.borrow_mut().end_push(&shard, slot);
                            shard.urgent.notify_one();
                        } else {
                            shard.call_off(slot);
                        }
                        return;
                    }
                }
                if shard.now().saturating_since(opened) >= BACKOFF_RESET_AFTER {
                    backoff.reset();
                }
            }
            Err(error) => {
                shard.counters.push_failures.add(1);
                tracing::warn!(url = %template, %error, "push could not connect, trying again");
            }
        }
        let delay = backoff.next_delay(random());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = cancel.cancelled() => return,
        }
    }
}

impl Shard {
    /// The publication of a push is over: what is left of it goes out first, if the upstream has
    /// accepted it at all.
    pub(super) fn call_off(self: &Rc<Self>, slot: Slot) {
        let mut state = self.state.borrow_mut();
        let Some(connection) = state.connection(slot) else { return };
        match connection.role {
            Role::Push { subscriber: Some(_), .. } => {
                connection.farewell = true;
                state.list_connection(slot);
            }
            Role::Push { subscriber: None, .. } => state.end_push(self, slot),
            _ => {}
        }
        drop(state);
        self.urgent.notify_one();
    }
}

impl State {
    /// Ends a push in order: the upstream is told that the stream is over.
    pub(super) fn end_push(&mut self, shard: &Rc<Shard>, slot: Slot) {
        if let Some(connection) = self.connection(slot)
            && let Session::Client(session) = &mut connection.session
        {
            session.close();
        }
        self.drain_session(shard, slot);
        self.close(shard, slot, CloseReason::StreamEnded);
    }
}
