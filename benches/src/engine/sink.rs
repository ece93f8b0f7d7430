//! The sink: a server that takes publications and checks them. One thread, one epoll, as the load's
//! own loop.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use edgerelay_proto::time::Instant;

use super::phases::Phases;
use super::settings::{Course, Plan};
use super::table::Table;
use super::{EVENTS_MAX, Outcome, SILENCE_MAX, WAIT_MAX, Watcher};
use crate::check::Expect;
use crate::measure::Measures;
use crate::net::outbox::Outbox;
use crate::net::poller::{Interest, Poller, Ready};
use crate::net::receive::{READ_BYTES_MAX, ReceiveSlab, Received};
use crate::net::{clock, socket};
use crate::player::Stage;
use crate::population::Populations;
use crate::receiver::{GROUP, Receiver};

/// The listener's token: no connection has generation zero.
const LISTENER: u64 = 0;

/// Connections taken with one look at the listener.
const ACCEPTS_MAX: usize = 64;

/// A sink.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Publications that have to be there before the course goes on.
    pub streams: usize,
    /// What is known of them.
    pub expect: Expect,
    /// Its course.
    pub course: Course,
}

/// Takes publications until the course is over. `stop` ends it early. `on_listening` is told the
/// address once it is bound.
///
/// # Errors
/// The address cannot be had.
pub fn run(
    settings: &SinkSettings,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
    on_listening: impl FnOnce(SocketAddr),
) -> io::Result<Outcome> {
    let mut sink = Sink::new(settings)?;
    on_listening(sink.listener.local_addr()?);
    while !stop.load(Ordering::Relaxed) && !sink.turn(watcher)? {}
    Ok(sink.finish(watcher))
}

struct Connection {
    socket: TcpStream,
    token: u64,
    receiver: Receiver,
    outbox: Outbox,
    present: bool,
}

struct Sink {
    listener: TcpListener,
    expect: Expect,
    poller: Poller,
    slab: ReceiveSlab,
    connections: Table<Connection>,
    phases: Phases,
    measures: Measures,
    populations: Populations,
    ready: Vec<Ready>,
}

impl Sink {
    fn new(settings: &SinkSettings) -> io::Result<Self> {
        let listener = socket::listen(settings.listen)?;
        let poller = Poller::new(EVENTS_MAX)?;
        poller.add(&listener, LISTENER, Interest::READ)?;
        let plan = Plan::of_sink(settings.streams, settings.course);
        Ok(Self {
            listener,
            expect: settings.expect,
            poller,
            slab: ReceiveSlab::default(),
            connections: Table::default(),
            phases: Phases::new(&plan, clock::now()),
            measures: Measures::default(),
            populations: Populations::default(),
            ready: Vec::new(),
        })
    }

    /// One round of the loop; says whether the run is over.
    fn turn(&mut self, watcher: &mut dyn Watcher) -> io::Result<bool> {
        let now = clock::now();
        if self.phases.advance(now, &mut self.measures, &self.populations, watcher) {
            return Ok(true);
        }
        let due = self.phases.next_due().unwrap_or(now + WAIT_MAX);
        let mut ready = std::mem::take(&mut self.ready);
        self.poller.wait(due.saturating_since(now).min(WAIT_MAX), |event| ready.push(event))?;
        for event in ready.drain(..) {
            let now = clock::now();
            if event.token == LISTENER {
                self.accept(now);
            } else if let Some(place) = self.connections.place(event.token) {
                if event.readable {
                    self.read(now, place);
                }
                if event.writable {
                    self.flush(place);
                }
            }
        }
        self.ready = ready;
        Ok(false)
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_MAX {
            let Ok((socket, _)) = self.listener.accept() else { return };
            let population = self.populations.of_mut(Some(GROUP));
            population.attempts += 1;
            let token = self.connections.next_token();
            let prepared = socket
                .set_nonblocking(true)
                .and_then(|()| socket.set_nodelay(true))
                .and_then(|()| self.poller.add(&socket, token, Interest::READ));
            if prepared.is_err() {
                population.failed += 1;
                continue;
            }
            let receiver = Receiver::new(self.expect, now, clock::seed());
            let outbox = Outbox::default();
            let connection = Connection { socket, token, receiver, outbox, present: false };
            self.connections.insert(token, connection);
        }
    }

    fn read(&mut self, now: Instant, place: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        match self.slab.read(&connection.socket, READ_BYTES_MAX) {
            Ok(Received::Bytes(bytes)) => {
                let outcome =
                    connection.receiver.handle_input(now, bytes.clone(), &mut self.measures);
                self.slab.give_back(bytes);
                match outcome {
                    Ok(()) => self.on_progress(place),
                    Err(fault) => {
                        self.lose(place, format!("the client broke the protocol: {fault}"));
                    }
                }
            }
            Ok(Received::Nothing) => {}
            Ok(Received::End) => self.lose(place, "closed by the client".to_owned()),
            Err(error) => self.lose(place, format!("broken: {error}")),
        }
    }

    fn on_progress(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        let present = connection.receiver.stage() == Stage::Watching;
        if present != connection.present {
            connection.present = present;
            let population = self.populations.of_mut(Some(GROUP));
            population.present = population.present + u64::from(present) - u64::from(!present);
        }
        while let Some(bytes) = connection.receiver.poll_send() {
            connection.outbox.push(bytes);
        }
        self.flush(place);
    }

    fn flush(&mut self, place: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        let waited = !connection.outbox.is_empty();
        let outcome = connection.outbox.flush(&connection.socket).and_then(|()| {
            let waits = !connection.outbox.is_empty();
            if waits || waited {
                let interest = if waits { Interest::BOTH } else { Interest::READ };
                self.poller.modify(&connection.socket, connection.token, interest)?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            self.lose(place, format!("broken: {error}"));
        }
    }

    fn lose(&mut self, place: usize, reason: String) {
        let connection = self.connections.remove(place);
        let population = self.populations.of_mut(Some(GROUP));
        population.present -= u64::from(connection.present);
        // For a sink, the far side is the client.
        match connection.receiver.stage() {
            Stage::Opening => population.failed += 1,
            _ => population.ended += 1,
        }
        self.populations.on_reason(reason);
    }

    fn finish(mut self, watcher: &mut dyn Watcher) -> Outcome {
        let now = clock::now();
        let is_silent = |connection: &Connection| {
            let heard = connection.receiver.last_frame().unwrap_or_default();
            connection.present && now.saturating_since(heard) > SILENCE_MAX
        };
        let silent = self.connections.iter_mut().filter(|connection| is_silent(connection)).count();
        let course = self.phases.finish(now, &self.measures, &self.populations, watcher);
        Outcome {
            course,
            silent: silent as u64,
            outbox_bytes_max: 0,
            measures: self.measures,
            populations: self.populations,
        }
    }
}
