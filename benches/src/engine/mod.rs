//! The load generator's loop: one thread, one epoll, every connection.
//!
//! Owns sockets, and moves bytes and time between them and the sans-IO parts. Must not know RTMP, and
//! must not print: it tells a [`Watcher`].

mod arrivals;
mod connection;
mod gathering;
mod phases;
pub mod settings;
pub mod sink;
mod table;
mod timers;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use edgerelay_proto::session::ClientMode;
use edgerelay_proto::time::Instant;

use self::arrivals::{Arrivals, Job};
use self::connection::{Connection, News, Role};
use self::gathering::Gathering;
use self::phases::Phases;
pub use self::phases::{Edge, Measured, Second, Watcher};
use self::settings::{IdleKind, Media, Plan, Settings, StreamKind};
use self::table::Table;
use self::timers::{Due, Timers};
use crate::measure::{Group, Measures};
use crate::net::clock;
use crate::net::poller::{Interest, Poller, Ready};
use crate::net::receive::{READ_BYTES_MAX, ReceiveSlab, Received};
use crate::net::socket;
use crate::player::{Player, Stage};
use crate::population::Populations;
use crate::publisher::Publisher;
use crate::source::Source;

/// Events taken with one call.
const EVENTS_MAX: usize = 1_024;

/// The longest wait for events, so that a signal is noticed.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Who got nothing for longer than this at the end got nothing.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// From read to read of a slow player.
const TRICKLE_INTERVAL: Duration = Duration::from_millis(100);

/// New connections that one turn makes, so that the others are not kept waiting.
const ARRIVALS_PER_TURN_MAX: usize = 64;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The measured window.
    pub course: Measured,
    /// Steady players that got nothing during the last second of the window.
    pub silent: u64,
    /// The most bytes a publisher's connection kept waiting.
    pub outbox_bytes_max: usize,
    /// Distributions and counts.
    pub measures: Measures,
    /// Who was there.
    pub populations: Populations,
}

/// Does a run. `stop` ends it early.
///
/// # Errors
/// The machine does not offer what the loop needs. That servers refuse or break off is counted.
pub fn run(
    settings: &Settings,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> io::Result<Outcome> {
    let mut engine = Engine::new(settings)?;
    while !stop.load(Ordering::Relaxed) && !engine.turn(watcher)? {}
    Ok(engine.finish(watcher))
}

struct Engine<'a> {
    settings: &'a Settings,
    poller: Poller,
    /// Players that are looked at now and then.
    gathering: Gathering,
    slab: ReceiveSlab,
    connections: Table<Connection>,
    timers: Timers,
    arrivals: Arrivals,
    phases: Phases,
    /// Sources of publishers that are not connected.
    sources: Vec<Option<Source>>,
    /// Lost connections that are to come back, in the order of their timers.
    returning: VecDeque<Job>,
    measures: Measures,
    populations: Populations,
    outbox_bytes_max: usize,
    began: Instant,
    ready: Vec<Ready>,
}

impl<'a> Engine<'a> {
    fn new(settings: &'a Settings) -> io::Result<Self> {
        let now = clock::now();
        let sources = (0..settings.streams).map(|stream| new_source(settings, stream)).collect();
        Ok(Self {
            poller: Poller::new(EVENTS_MAX)?,
            gathering: Gathering::new(settings.gather, now)?,
            slab: ReceiveSlab::default(),
            connections: Table::default(),
            timers: Timers::default(),
            arrivals: Arrivals::new(settings),
            phases: Phases::new(&Plan::of_run(settings), now),
            sources,
            returning: VecDeque::new(),
            measures: Measures::default(),
            populations: Populations::default(),
            outbox_bytes_max: 0,
            began: now,
            ready: Vec::new(),
            settings,
        })
    }

    /// One round of the loop; says whether the run is over.
    fn turn(&mut self, watcher: &mut dyn Watcher) -> io::Result<bool> {
        let now = clock::now();
        self.arrive(now);
        self.run_timers(now);
        if self.phases.advance(now, &mut self.measures, &self.populations, watcher) {
            return Ok(true);
        }
        let wait = self.next_due(now).saturating_since(now).min(WAIT_MAX);
        let mut ready = std::mem::take(&mut self.ready);
        self.poller.wait(wait, |event| ready.push(event))?;
        self.gathering.take(clock::now(), |event| ready.push(event))?;
        for event in ready.drain(..) {
            let now = clock::now();
            self.on_ready(now, event);
            if self.timers.next_due().is_some_and(|due| due <= now) {
                self.run_timers(now);
            }
        }
        self.ready = ready;
        Ok(false)
    }

    fn next_due(&self, now: Instant) -> Instant {
        let timers = self.timers.next_due().map(|due| due + self.settings.slack);
        let arrivals = self.arrivals.next_due(self.phases.progress());
        [timers, arrivals, self.gathering.next_due(now)]
            .into_iter()
            .flatten()
            .fold(self.phases.next_due().unwrap_or(now + WAIT_MAX), Instant::min)
    }

    fn arrive(&mut self, now: Instant) {
        for _ in 0..ARRIVALS_PER_TURN_MAX {
            let Some(job) = self.arrivals.poll(now, self.phases.progress()) else { return };
            self.open(now, job);
        }
    }

    fn open(&mut self, now: Instant, job: Job) {
        let Some(role) = self.role(now, job) else { return };
        let group = match job {
            Job::Publish { .. } => None,
            Job::Play { group, .. } => Some(group),
        };
        let population = self.populations.of_mut(group);
        let index = population.attempts;
        population.attempts += 1;
        let opened = socket::connect(self.settings.target.address, self.settings.from, index);
        let token = self.connections.next_token();
        let watched = opened.and_then(|socket| {
            self.poller.add(&socket, token, Interest::BOTH)?;
            Ok(socket)
        });
        match watched {
            Ok(socket) => {
                self.connections.insert(token, Connection::new(socket, token, job, role));
                self.timers.push(now + self.settings.open_timeout, token, Due::OpenDeadline);
            }
            Err(error) => {
                if let (Role::Publisher(publisher), Job::Publish { stream }) = (role, job) {
                    self.keep_source(now, stream, *publisher);
                }
                self.populations.of_mut(group).failed += 1;
                self.populations.on_reason(format!("connect: {error}"));
                self.come_back(now, job);
            }
        }
    }

    fn role(&mut self, now: Instant, job: Job) -> Option<Role> {
        let seed = clock::seed();
        let target = &self.settings.target;
        match job {
            Job::Publish { stream } => {
                let source = self.sources.get_mut(stream)?.take()?;
                let publishing = self.settings.publishing.as_ref()?;
                let mut config =
                    target.config(ClientMode::Publish, stream, StreamKind::Published).ok()?;
                config.chunk_size = publishing.chunk_size;
                Some(Role::Publisher(Box::new(Publisher::new(config, source, now, seed))))
            }
            Job::Play { group, stream } => {
                let kind = match group {
                    Group::Idle => StreamKind::Unpublished,
                    _ => StreamKind::Published,
                };
                let config = target.config(ClientMode::Play, stream, kind).ok()?;
                let mut player = Player::new(config, group, self.settings.expect, now, seed);
                if group == Group::Idle && self.settings.idle == IdleKind::Connect {
                    player.ask_for_nothing();
                }
                Some(Role::Player(Box::new(player)))
            }
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some((token, due)) = self.timers.pop(now) {
            if due == Due::Return {
                if let Some(job) = self.returning.pop_front() {
                    self.open(now, job);
                }
                continue;
            }
            let Some(place) = self.connections.place(token) else { continue };
            match due {
                Due::Message => self.send_messages(now, place),
                Due::Trickle => self.trickle(now, place),
                Due::Leave => self.leave(place),
                Due::OpenDeadline if !self.connections[place].is_open() => {
                    self.lose(now, place, "not accepted in time".to_owned());
                }
                Due::OpenDeadline | Due::Return => {}
            }
        }
    }

    fn send_messages(&mut self, now: Instant, place: usize) {
        let connection = &mut self.connections[place];
        let Role::Publisher(publisher) = &mut connection.role else { return };
        publisher.handle_timeout(now, &mut self.measures);
        let next_due = publisher.next_due();
        if !connection.present {
            connection.present = true;
            self.populations.publishers.present += 1;
        }
        connection.collect();
        self.flush(now, place);
        if let (Some(connection), Some(due)) = (self.connections.at(place), next_due) {
            self.timers.push(due, connection.token, Due::Message);
        }
    }

    fn trickle(&mut self, now: Instant, place: usize) {
        let per_read = self.settings.slow_bits / 8.0 * TRICKLE_INTERVAL.as_secs_f64();
        self.read(now, place, per_read.max(1.0) as usize);
        if let Some(connection) = self.connections.at(place) {
            self.timers.push(now + TRICKLE_INTERVAL, connection.token, Due::Trickle);
        }
    }

    fn on_ready(&mut self, now: Instant, event: Ready) {
        let Some(place) = self.connections.place(event.token) else { return };
        let connection = &mut self.connections[place];
        if connection.connecting {
            match socket::outcome(&connection.socket) {
                Ok(()) => connection.connecting = false,
                Err(error) => return self.lose(now, place, format!("connect: {error}")),
            }
        }
        if event.writable {
            self.flush(now, place);
        }
        match self.connections.at(place) {
            Some(connection) if connection.withdrawn && event.hung_up => {
                self.lose(now, place, "closed by the server".to_owned());
            }
            Some(connection) if event.readable && connection.discards => self.discard(now, place),
            Some(connection) if event.readable && !connection.withdrawn => {
                self.read(now, place, READ_BYTES_MAX);
            }
            _ => {}
        }
    }

    fn read(&mut self, now: Instant, place: usize, bytes_max: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        match self.slab.read(&connection.socket, bytes_max) {
            Ok(Received::Bytes(bytes)) => {
                let outcome = connection.handle_input(now, bytes.clone(), &mut self.measures);
                self.slab.give_back(bytes);
                match outcome {
                    Ok(news) => self.on_news(now, place, news),
                    Err(ending) => self.lose(now, place, ending.to_string()),
                }
            }
            Ok(Received::Nothing) => {}
            Ok(Received::End) => self.lose(now, place, "closed by the server".to_owned()),
            Err(error) => self.lose(now, place, format!("broken: {error}")),
        }
    }

    fn discard(&mut self, now: Instant, place: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        match self.slab.discard(&connection.socket) {
            Ok(Some(0)) => self.lose(now, place, "closed by the server".to_owned()),
            Ok(Some(len)) => {
                connection.handle_discarded(now, len, &mut self.measures);
                self.flush(now, place);
            }
            Ok(None) => {}
            Err(error) => self.lose(now, place, format!("broken: {error}")),
        }
    }

    fn on_news(&mut self, now: Instant, place: usize, news: News) {
        let connection = &mut self.connections[place];
        match news {
            News::Nothing => {}
            News::MayPublish(stream_id) => self.begin_publishing(now, place, stream_id),
            News::Advanced { from, to } => {
                let group = connection.group();
                let there =
                    if group == Some(Group::Idle) { Stage::Connected } else { Stage::Watching };
                if from < there && to >= there {
                    connection.present = true;
                    self.populations.of_mut(group).present += 1;
                    self.on_present(now, place, group);
                }
            }
        }
        self.flush(now, place);
    }

    fn begin_publishing(&mut self, now: Instant, place: usize, stream_id: u32) {
        let connection = &mut self.connections[place];
        let (Role::Publisher(publisher), Job::Publish { stream }) =
            (&mut connection.role, connection.job)
        else {
            return;
        };
        let phase = match self.settings.publishing.as_ref().map(|publishing| &publishing.media) {
            Some(Media::Synthetic(templates)) => {
                templates.pattern().phase(stream, self.settings.streams)
            }
            _ => Duration::ZERO,
        };
        publisher.begin(stream_id, now.max(self.began + phase));
        if let Some(due) = publisher.next_due() {
            self.timers.push(due, connection.token, Due::Message);
        }
        connection.collect();
    }

    /// A player has its picture: those that are not to watch stop doing so.
    fn on_present(&mut self, now: Instant, place: usize, group: Option<Group>) {
        let connection = &mut self.connections[place];
        match group {
            Some(Group::Churn) => {
                let leave = now + self.settings.churn.stay;
                self.timers.push(leave, connection.token, Due::Leave);
            }
            Some(Group::Slow) => {
                connection.withdrawn = true;
                self.timers.push(now + TRICKLE_INTERVAL, connection.token, Due::Trickle);
            }
            Some(Group::Stalled) => connection.withdrawn = true,
            Some(Group::Steady) => {
                let others = self.populations.players(Group::Steady).present - 1;
                let check_every = self.settings.check_every;
                connection.discards = !others.is_multiple_of(check_every);
                let prompt_every = check_every * self.settings.latency_of;
                if self.gathering.is_on() && !others.is_multiple_of(prompt_every) {
                    return self.gather(now, place);
                }
            }
            _ => {}
        }
        // A failure shows at the next flush.
        let _ = self.connections[place].watch(&self.poller);
    }

    /// From now on a player is looked at with many others.
    fn gather(&mut self, now: Instant, place: usize) {
        let connection = &mut self.connections[place];
        let (socket, token) = (&connection.socket, connection.token);
        let moved = self
            .poller
            .remove(socket)
            .and_then(|()| self.gathering.add(socket, token, connection.interest()));
        match moved {
            Ok(()) => connection.become_gathered(),
            Err(error) => self.lose(now, place, format!("broken: {error}")),
        }
    }

    fn flush(&mut self, now: Instant, place: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        let gathered = connection.gathered;
        let poller = if gathered { self.gathering.poller() } else { &self.poller };
        let outcome = connection.flush(poller);
        self.outbox_bytes_max = self.outbox_bytes_max.max(connection.outbox_bytes());
        if let Err(error) = outcome {
            self.lose(now, place, format!("broken: {error}"));
        }
    }

    /// We end a connection.
    fn leave(&mut self, place: usize) {
        let connection = self.connections.remove(place);
        let population = self.populations.of_mut(connection.group());
        population.left += 1;
        population.present -= u64::from(connection.present);
    }

    /// A connection ended, or never came to be.
    fn lose(&mut self, now: Instant, place: usize, reason: String) {
        let connection = self.connections.remove(place);
        if connection.gathered {
            self.gathering.forget_one();
        }
        let population = self.populations.of_mut(connection.group());
        population.present -= u64::from(connection.present);
        if connection.is_open() {
            population.ended += 1;
        } else {
            population.failed += 1;
        }
        self.populations.on_reason(reason);
        let job = connection.job;
        if let (Role::Publisher(publisher), Job::Publish { stream }) = (connection.role, job) {
            self.keep_source(now, stream, *publisher);
        }
        self.come_back(now, job);
    }

    fn keep_source(&mut self, now: Instant, stream: usize, publisher: Publisher) {
        if let Some(source) = self.sources.get_mut(stream) {
            *source = Some(publisher.into_source(now));
        }
    }

    fn come_back(&mut self, now: Instant, job: Job) {
        let churning = matches!(job, Job::Play { group: Group::Churn, .. });
        if let (Some(delay), false) = (self.settings.reconnect_after, churning) {
            self.returning.push_back(job);
            self.timers.push(now + delay, u64::MAX, Due::Return);
        }
    }

    fn finish(mut self, watcher: &mut dyn Watcher) -> Outcome {
        let now = clock::now();
        let silent = self
            .connections
            .iter_mut()
            .filter(|connection| match &connection.role {
                Role::Player(player) => {
                    let heard = player.last_frame().unwrap_or_default();
                    player.group() == Group::Steady && now.saturating_since(heard) > SILENCE_MAX
                }
                Role::Publisher(_) => false,
            })
            .count() as u64;
        for connection in self.connections.iter_mut() {
            if let Role::Publisher(publisher) = &mut connection.role {
                publisher.close();
                connection.collect();
                // The run is over: who does not take the goodbye sees the end of the connection.
                let _ = connection.flush(&self.poller);
            }
        }
        let course = self.phases.finish(now, &self.measures, &self.populations, watcher);
        Outcome {
            course,
            silent,
            outbox_bytes_max: self.outbox_bytes_max,
            measures: self.measures,
            populations: self.populations,
        }
    }
}

fn new_source(settings: &Settings, stream: usize) -> Option<Source> {
    settings.publishing.as_ref().map(|publishing| match &publishing.media {
        Media::Synthetic(templates) => Source::synthetic(templates.clone(), stream as u32),
        Media::File(file) => Source::file(file.clone()),
    })
}
