//! What clients ask for: publish, play and their ends, as the server session reports them.

use std::rc::Rc;
use std::sync::Arc;

use edgerelay_proto::session::{
    ConnectRequest, MediaMessage, PlayRequest, PublishRequest, ServerEvent, ServerOutput,
    ServerSession,
};

use super::connection::{Life, Role, Session, bounded};
use super::state::{Leaving, Slot, State};
use super::stream::{Publication, Source};
use super::{Shard, pull};
use crate::config::{AppConfig, Config};
use crate::hub::directory::{Claim, Claimant};
use crate::id::StreamKey;
use crate::message::ShardMessage;
use crate::telemetry::CloseReason;

/// What clients are told that name an application that there is not.
const NO_SUCH_APPLICATION: &str = "no such application";

/// Why a publish or play is refused, as the client is told.
struct Refusal {
    code: &'static str,
    description: &'static str,
}

/// Acts on one output of a connection's session.
pub(super) fn on_output(state: &mut State, shard: &Rc<Shard>, slot: Slot, output: ServerOutput) {
    match output {
        ServerOutput::Send(bytes) => state.send_control(shard, slot, bytes),
        ServerOutput::Event(event) => on_event(state, shard, slot, event),
    }
}

fn on_event(state: &mut State, shard: &Rc<Shard>, slot: Slot, event: ServerEvent) {
    // Whoever is being closed starts nothing more.
    if !state.connection(slot).is_some_and(|it| matches!(it.life, Life::Open)) {
        return;
    }
    match event {
        ServerEvent::Media { stream_id, message } => {
            on_media(state, shard, slot, stream_id, message);
        }
        ServerEvent::Connect(request) => on_connect(state, shard, slot, &request),
        ServerEvent::Publish(request) => on_publish(state, shard, slot, &request),
        ServerEvent::Play(request) => on_play(state, shard, slot, &request),
        ServerEvent::Pause { stream_id, paused } => {
            let now = shard.now();
            with_subscriber(state, slot, stream_id, |stream, key| {
                stream.set_paused(now, key, paused);
            });
        }
        ServerEvent::ReceiveAudio { stream_id, enabled } => {
            with_subscriber(state, slot, stream_id, |stream, key| {
                stream.set_receive_audio(key, enabled);
            });
        }
        ServerEvent::ReceiveVideo { stream_id, enabled } => {
            with_subscriber(state, slot, stream_id, |stream, key| {
                stream.set_receive_video(key, enabled);
            });
        }
        ServerEvent::Unpublish { stream_id } => {
            let publishes = state.connection(slot).is_some_and(|connection| {
                matches!(connection.role, Role::Publisher { stream_id: own, .. } if own == stream_id)
            });
            if publishes {
                state.leave(shard, slot, Leaving::Finished);
            }
        }
        ServerEvent::StopPlay { stream_id } => {
            let plays = state.connection(slot).is_some_and(|connection| match connection.role {
                Role::Waiting { stream_id: own, .. } | Role::Player { stream_id: own, .. } => {
                    own == stream_id
                }
                _ => false,
            });
            if plays {
                state.leave(shard, slot, Leaving::Finished);
            }
        }
    }
}

fn session(state: &mut State, slot: Slot) -> Option<&mut ServerSession> {
    match &mut state.connection(slot)?.session {
        Session::Server(session) => Some(session),
        Session::Client(_) => None,
    }
}

fn with_subscriber(
    state: &mut State,
    slot: Slot,
    stream_id: u32,
    act: impl FnOnce(&mut crate::hub::stream::Stream, crate::hub::subscriber::SubscriberKey),
) {
    let Some(connection) = state.connection(slot) else { return };
    let Role::Player { stream, stream_id: own, subscriber } = connection.role else { return };
    if own == stream_id
        && let Some(entry) = state.streams.get_mut(stream)
    {
        act(&mut entry.stream, subscriber);
        state.list_connection(slot);
    }
}

fn on_media(
    state: &mut State,
    shard: &Rc<Shard>,
    slot: Slot,
    stream_id: u32,
    message: MediaMessage,
) {
    let Some(connection) = state.connection(slot) else { return };
    let Role::Publisher { stream, stream_id: own } = connection.role else { return };
    if own == stream_id {
        state.receive_media(shard, slot, stream, message);
    }
}

fn on_connect(state: &mut State, shard: &Rc<Shard>, slot: Slot, request: &ConnectRequest) {
    let app = shard.config().app(&request.app).map(|app| Arc::<str>::from(app.name.as_str()));
    let Some(connection) = state.connection(slot) else { return };
    connection.identity.flash_ver = bounded(&request.flash_ver);
    connection.identity.swf_url = bounded(&request.swf_url);
    connection.identity.page_url = bounded(&request.page_url);
    connection.identity.app.clone_from(&app);
    let Some(session) = session(state, slot) else { return };
    if app.is_none() {
        session.refuse_connect(NO_SUCH_APPLICATION);
        tracing::info!(connection = %slot.id, "connect refused: no such application");
        state.close(shard, slot, CloseReason::Refused);
        return;
    }
    if let Err(fault) = session.accept_connect() {
        state.on_fault(shard, slot, &fault);
    }
}

/// The application and key of a request, or why it is refused.
fn key_of<'a>(
    state: &mut State,
    config: &'a Config,
    slot: Slot,
    name: &str,
) -> Result<(&'a AppConfig, StreamKey), &'static str> {
    let app = state.connection(slot).and_then(|it| it.identity.app.clone());
    // It may have been taken out of the configuration since the connection was accepted.
    let app = app.and_then(|app| config.app(&app)).ok_or(NO_SUCH_APPLICATION)?;
    if name.is_empty() {
        return Err("the stream has no name");
    }
    Ok((app, StreamKey::new(&app.name, name)))
}

fn on_publish(state: &mut State, shard: &Rc<Shard>, slot: Slot, request: &PublishRequest) {
    if let Err(refusal) = publish(state, shard, slot, request) {
        shard.counters.publish_refused.add(1);
        tracing::info!(connection = %slot.id, why = refusal.description, "publish refused");
        if let Some(session) = session(state, slot) {
            session.refuse_publish(request.stream_id, refusal.code, refusal.description);
        }
        state.close(shard, slot, CloseReason::Refused);
    }
}

fn publish(
    state: &mut State,
    shard: &Rc<Shard>,
    slot: Slot,
    request: &PublishRequest,
) -> Result<(), Refusal> {
    let refusal = |description| Refusal { code: "NetStream.Publish.BadName", description };
    if shard.draining.get() {
        return Err(refusal("the server is shutting down"));
    }
    let idle = state.connection(slot).is_some_and(|it| matches!(it.role, Role::Idle));
    if !idle {
        return Err(refusal("one stream per connection"));
    }
    let config = shard.config();
    let (app, key) = key_of(state, &config, slot, &request.name).map_err(refusal)?;
    let claimant = Claimant::Publisher(app.on_duplicate_publish);
    let claim = shard.directory().claim(&key, shard.id, slot.id, claimant);
    let Claim::Granted { epoch, replaced, interested, .. } = claim else {
        return Err(refusal("the stream is already being published"));
    };
    let stream = state.stream_slot(shard, app, &key);
    let stream_id = request.stream_id;
    let now = shard.now();
    if let Some(connection) = state.connection(slot) {
        connection.last_media = now;
    }
    state.set_role(shard, slot, Role::Publisher { stream, stream_id });
    let publication = Publication { epoch, source: Source::Local(slot.id) };
    state.begin_local_publication(shard, stream, publication, interested);
    if let Some((home, ghost)) = replaced {
        shard.counters.publisher_replaced.add(1);
        tracing::info!(connection = %slot.id, replaced = %ghost, app = app.name, "publisher replaced");
        if home == shard.id {
            state.evict(shard, ghost);
        } else {
            shard.post(home, ShardMessage::Evict { connection: ghost });
        }
    }
    shard.counters.publishes.add(1);
    tracing::info!(connection = %slot.id, app = app.name, "publishing");
    if let Some(session) = session(state, slot)
        && let Err(fault) = session.accept_publish(stream_id)
    {
        state.on_fault(shard, slot, &fault);
    }
    Ok(())
}

fn on_play(state: &mut State, shard: &Rc<Shard>, slot: Slot, request: &PlayRequest) {
    if let Err(refusal) = play(state, shard, slot, request) {
        shard.counters.play_refused.add(1);
        tracing::info!(connection = %slot.id, why = refusal.description, "play refused");
        if let Some(session) = session(state, slot) {
            session.refuse_play(request.stream_id, refusal.code, refusal.description);
        }
        state.close(shard, slot, CloseReason::Refused);
    }
}

fn play(
    state: &mut State,
    shard: &Rc<Shard>,
    slot: Slot,
    request: &PlayRequest,
) -> Result<(), Refusal> {
    let refusal = |description| Refusal { code: "NetStream.Play.Failed", description };
    if shard.draining.get() {
        return Err(refusal("the server is shutting down"));
    }
    match state.connection(slot).map(|connection| connection.role) {
        Some(Role::Idle) => {}
        Some(Role::Waiting { .. } | Role::Player { .. }) => {
            state.leave(shard, slot, Leaving::Finished);
        }
        _ => return Err(refusal("one stream per connection")),
    }
    let config = shard.config();
    let (app, key) = key_of(state, &config, slot, &request.name).map_err(refusal)?;
    let stream = state.stream_slot(shard, app, &key);
    let waiting = Role::Waiting { stream, stream_id: request.stream_id, since: shard.now() };
    state.set_role(shard, slot, waiting);
    shard.counters.plays.add(1);
    tracing::info!(connection = %slot.id, app = app.name, "playing");
    let published = state.streams.get(stream).is_some_and(|entry| entry.publication.is_some());
    if published {
        state.start_playing(shard, slot);
    } else if let Some(entry) = state.streams.get_mut(stream) {
        entry.waiting.push(slot);
    }
    state.register_interest(shard, stream);
    pull::start_if_wanted(state, shard, stream);
    Ok(())
}
