//! The floor's players and the ring that sends to them.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use edgerelay_uring::{RingWaiter, SendBatch, SendRing, SocketKey, ZeroCopy};
use tokio_uring::net::TcpStream;

use super::feed::Piece;

/// Pieces that wait for one player; one that is further behind is let out.
const BACKLOG_MAX: usize = 1_024;

pub(super) struct House {
    state: RefCell<State>,
}

struct State {
    ring: SendRing,
    players: HashMap<SocketKey, Player>,
}

#[derive(Default)]
struct Player {
    /// It was sent a keyframe, and is sent everything since.
    begun: bool,
    busy: bool,
    backlog: VecDeque<Rc<SendBatch>>,
}

impl House {
    pub(super) fn new(entries: u32) -> io::Result<(Self, RingWaiter)> {
        let ring = SendRing::new(entries).map_err(io::Error::other)?;
        let waiter = ring.waiter()?;
        Ok((Self { state: RefCell::new(State { ring, players: HashMap::new() }) }, waiter))
    }

    /// From the next keyframe on it is sent everything.
    pub(super) fn let_in(&self, stream: Rc<TcpStream>) -> SocketKey {
        let mut state = self.state.borrow_mut();
        let key = state.ring.add_socket(stream, ZeroCopy::Off);
        state.players.insert(key, Player::default());
        key
    }

    pub(super) fn let_out(&self, key: SocketKey) {
        let mut state = self.state.borrow_mut();
        state.players.remove(&key);
        state.ring.remove_socket(key);
    }

    /// Sends a piece to everybody.
    pub(super) fn send(&self, piece: &Piece, opening: &[Bytes]) {
        let State { ring, players } = &mut *self.state.borrow_mut();
        let for_all = Rc::new(SendBatch::new(piece.slices.iter().cloned()));
        let mut for_new = None;
        for (key, player) in players.iter_mut() {
            let batch = match piece.keyframe_at {
                _ if player.begun => Rc::clone(&for_all),
                None => continue,
                Some(from) => {
                    player.begun = true;
                    let tail = piece.slices.get(from..).unwrap_or_default();
                    Rc::clone(for_new.get_or_insert_with(|| {
                        Rc::new(SendBatch::new(opening.iter().chain(tail).cloned()))
                    }))
                }
            };
            if player.busy {
                player.backlog.push_back(batch);
            } else {
                player.busy = ring.send(*key, batch).is_ok();
            }
        }
        let behind = |player: &Player| player.backlog.len() > BACKLOG_MAX;
        for (key, _) in players.extract_if(|_, player| behind(player)) {
            ring.remove_socket(key);
        }
        // What cannot be submitted now goes with the next piece.
        let _ = ring.submit();
        Self::reap_all(ring, players);
    }

    /// Takes what completed, and sends those that were busy what they missed meanwhile.
    pub(super) fn reap(&self) {
        let State { ring, players } = &mut *self.state.borrow_mut();
        Self::reap_all(ring, players);
    }

    fn reap_all(ring: &mut SendRing, players: &mut HashMap<SocketKey, Player>) {
        loop {
            let mut free = Vec::new();
            let taken = ring.completions(|completion| {
                if let Some(player) = players.get_mut(&completion.key) {
                    player.busy = completion.outcome.is_err();
                    if !player.busy && !player.backlog.is_empty() {
                        free.push(completion.key);
                    }
                }
            });
            let mut sent = 0;
            for key in free {
                let Some(player) = players.get_mut(&key) else { continue };
                let Some(batch) = player.backlog.pop_front() else { continue };
                player.busy = ring.send(key, batch).is_ok();
                sent += 1;
            }
            // As above.
            let _ = ring.submit();
            if taken.is_err() || sent == 0 {
                return;
            }
        }
    }
}
