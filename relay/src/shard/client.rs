//! What upstreams and origins answer, as the client session reports it.

use std::rc::Rc;

use edgerelay_proto::session::{ClientEvent, ClientOutput};

use super::connection::Role;
use super::state::{Slot, State};
use super::{Shard, leg};
use crate::hub::subscriber::{SubscribeFrom, SubscriberOptions};
use crate::id::LegId;
use crate::message::NodeEvent;
use crate::telemetry::CloseReason;

/// Acts on one output of a connection's session.
pub(super) fn on_output(state: &mut State, shard: &Rc<Shard>, slot: Slot, output: ClientOutput) {
    match output {
        ClientOutput::Send(bytes) => state.send_control(shard, slot, bytes),
        ClientOutput::Event(event) => on_event(state, shard, slot, event),
    }
}

fn on_event(state: &mut State, shard: &Rc<Shard>, slot: Slot, event: ClientEvent) {
    match event {
        ClientEvent::Ready { stream_id } => on_ready(state, shard, slot, stream_id),
        ClientEvent::Media(message) => {
            let Some(connection) = state.connection(slot) else { return };
            let Role::Pull { stream } = connection.role else { return };
            // Some origins accept a play of what they do not have: the stream is there when its
            // first message is.
            state.resume_pull(shard, stream, slot.id);
            state.receive_media(shard, slot, stream, message);
        }
        ClientEvent::Rejected { code, description } => {
            tracing::warn!(connection = %slot.id, code, description, "the far side refused");
            state.close(shard, slot, CloseReason::UpstreamRefused);
        }
        ClientEvent::Report { text } => {
            if let Some(leg) = leg_of(state, slot) {
                shard.tell(NodeEvent::LegReport { leg, text });
            }
        }
        ClientEvent::Eof => state.close(shard, slot, CloseReason::StreamEnded),
        ClientEvent::ReconnectRequest { description, .. } => {
            tracing::info!(connection = %slot.id, description, "the far side asks to reconnect");
            if let Some(leg) = leg_of(state, slot) {
                // A worker keeps the streams that it has.
                shard.tell(NodeEvent::LegLeaving { leg });
            } else {
                // The configured address stays in force; the connection is made anew.
                state.close(shard, slot, CloseReason::UpstreamClosed);
            }
        }
    }
}

/// Which leg a connection is, if it is one.
fn leg_of(state: &mut State, slot: Slot) -> Option<LegId> {
    match state.connection(slot)?.role {
        Role::Push { leg, .. } => leg,
        _ => None,
    }
}

fn on_ready(state: &mut State, shard: &Rc<Shard>, slot: Slot, stream_id: u32) {
    let Some(connection) = state.connection(slot) else { return };
    let address = connection.address;
    match connection.role {
        Role::Push { stream, subscriber: None, leg } => {
            let Some(entry) = state.streams.get_mut(stream) else { return };
            let start = match leg {
                None => shard.start_of_work(SubscribeFrom::LastKeyframe),
                Some(_) => SubscribeFrom::Held,
            };
            let options = SubscriberOptions { message_stream_id: stream_id, start };
            let subscriber = entry.stream.subscribe(shard.now(), options);
            entry.subscribers.push((subscriber, slot));
            match leg {
                None => {
                    shard.counters.push_connected.add(1);
                    tracing::info!(connection = %slot.id, %address, "push established");
                    leg::on_push_ready(shard, entry);
                }
                Some(leg) => {
                    entry.stream.release_hold();
                    tracing::info!(connection = %slot.id, %address, "stream goes to a worker");
                    shard.tell(NodeEvent::LegReady { leg });
                }
            }
            let role = Role::Push { stream, subscriber: Some(subscriber), leg };
            state.set_role(shard, slot, role);
            state.list_connection(slot);
        }
        Role::Pull { .. } => {
            shard.counters.pull_connected.add(1);
            tracing::info!(connection = %slot.id, %address, "pull established");
        }
        _ => {}
    }
}
