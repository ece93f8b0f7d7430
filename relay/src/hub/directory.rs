//! Which shard is each stream's home, and which other shards want it. Owns that map; it sends
//! nothing and locks nothing: whoever shares it between shards puts it behind a lock, touched at
//! publish, play and their ends, never per frame.

use std::collections::{BTreeSet, HashMap};

use crate::config::OnDuplicatePublish;
use crate::id::{ConnectionId, ShardId, StreamKey};

/// The answer to [`Directory::claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The name is the claimant's.
    Granted {
        /// Which publication of the stream this is; larger than any before it.
        epoch: u64,
        /// Who held the name until now and is to be closed.
        replaced: Option<(ShardId, ConnectionId)>,
        /// The other shards that are to be told of the publication and sent its frames.
        interested: Vec<ShardId>,
        /// Whether the claimant's shard is to start the pushes. They go on elsewhere otherwise.
        start_pushes: bool,
    },
    /// Another connection holds the name and keeps it.
    Refused,
}

/// Who claims a name, and what that means to one that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// A publisher. It takes the name from a pull, and from another publisher if it may.
    Publisher(OnDuplicatePublish),
    /// A pull. It takes free names alone.
    Pull,
}

/// The publication that holds a name.
#[derive(Clone, Copy, Debug)]
struct Holder {
    home: ShardId,
    connection: ConnectionId,
    claimant: Claimant,
    epoch: u64,
}

impl Holder {
    fn gives_way_to(&self, claimant: Claimant) -> bool {
        match (self.claimant, claimant) {
            (_, Claimant::Pull) => false,
            (Claimant::Pull, Claimant::Publisher(_)) => true,
            (Claimant::Publisher(_), Claimant::Publisher(on_duplicate)) => {
                on_duplicate == OnDuplicatePublish::Replace
            }
        }
    }
}

/// What is known of one name. Present while it has a holder or an interested shard.
#[derive(Debug, Default)]
struct Entry {
    holder: Option<Holder>,
    interested: BTreeSet<ShardId>,
    push_shard: Option<ShardId>,
}

impl Entry {
    /// The shards besides `home` that want the frames.
    fn others(&self, home: ShardId) -> Vec<ShardId> {
        let mut others = self.interested.clone();
        others.extend(self.push_shard);
        others.remove(&home);
        others.into_iter().collect()
    }

    fn is_vacant(&self) -> bool {
        self.holder.is_none() && self.interested.is_empty()
    }
}

/// The map of streams to shards.
#[derive(Debug, Default)]
pub struct Directory {
    entries: HashMap<StreamKey, Entry>,
    epochs: u64,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `connection` on `shard` wants to publish `stream`, or to pull it.
    ///
    /// A connection that claims a name it holds gets a new epoch and replaces nobody.
    pub fn claim(
        &mut self,
        stream: &StreamKey,
        shard: ShardId,
        connection: ConnectionId,
        claimant: Claimant,
    ) -> Claim {
        let entry = self.entries.entry(stream.clone()).or_default();
        let other = entry.holder.filter(|holder| holder.connection != connection);
        if other.is_some_and(|holder| !holder.gives_way_to(claimant)) {
            return Claim::Refused;
        }
        let replaced = other.map(|holder| (holder.home, holder.connection));
        self.epochs += 1;
        let start_pushes = entry.push_shard.is_none();
        entry.push_shard.get_or_insert(shard);
        entry.holder = Some(Holder { home: shard, connection, claimant, epoch: self.epochs });
        let interested = entry.others(shard);
        Claim::Granted { epoch: self.epochs, replaced, interested, start_pushes }
    }

    /// `connection` stops publishing `stream`. The other shards to tell, or `None` when it does
    /// not hold the name (any more): then the stream goes on under its new publisher.
    pub fn release(
        &mut self,
        stream: &StreamKey,
        connection: ConnectionId,
    ) -> Option<Vec<ShardId>> {
        let entry = self.entries.get_mut(stream)?;
        let holder = entry.holder.filter(|holder| holder.connection == connection)?;
        let others = entry.others(holder.home);
        entry.holder = None;
        entry.push_shard = None;
        self.drop_if_vacant(stream);
        Some(others)
    }

    /// `shard` has a push to start for `stream`, which is published already: whether it is to run the
    /// pushes. The shard that did from the beginning is, and else the home, if that shard had none and
    /// keeps nothing of the stream any more.
    pub fn take_pushes(&mut self, stream: &StreamKey, shard: ShardId) -> bool {
        let Some(entry) = self.entries.get_mut(stream) else { return false };
        let Some(holder) = entry.holder else { return false };
        let runs = entry.push_shard.filter(|of| *of == shard || entry.interested.contains(of));
        let takes = match runs {
            Some(runs) => runs == shard,
            None => holder.home == shard,
        };
        if takes {
            entry.push_shard = Some(shard);
            entry.interested.insert(shard);
        }
        takes
    }

    /// `shard` has its first subscriber of `stream`: whose home and epoch that is, if anyone
    /// publishes it now. A home shard registers its own subscribers too, so that they are found
    /// when the next publisher arrives on another shard.
    pub fn add_interest(&mut self, stream: &StreamKey, shard: ShardId) -> Option<(ShardId, u64)> {
        let entry = self.entries.entry(stream.clone()).or_default();
        entry.interested.insert(shard);
        entry.holder.map(|holder| (holder.home, holder.epoch))
    }

    /// `shard` lost its last subscriber of `stream`: the home to tell, if there is one.
    pub fn remove_interest(&mut self, stream: &StreamKey, shard: ShardId) -> Option<ShardId> {
        let entry = self.entries.get_mut(stream)?;
        entry.interested.remove(&shard);
        let home = entry.holder.map(|holder| holder.home);
        self.drop_if_vacant(stream);
        home
    }

    /// Whether `shard` has subscribers of `stream`.
    #[must_use]
    pub fn is_interested(&self, stream: &StreamKey, shard: ShardId) -> bool {
        self.entries.get(stream).is_some_and(|entry| entry.interested.contains(&shard))
    }

    /// Where the pushes of `stream` run: on the shard that its first publisher came to, for as long
    /// as the name stays held, whoever replaces whom.
    #[must_use]
    pub fn push_shard(&self, stream: &StreamKey) -> Option<ShardId> {
        self.entries.get(stream)?.push_shard
    }

    /// Whose home `stream` is now, and which publication.
    #[must_use]
    pub fn home(&self, stream: &StreamKey) -> Option<(ShardId, u64)> {
        let holder = self.entries.get(stream)?.holder?;
        Some((holder.home, holder.epoch))
    }

    /// Names with a publisher or an interested shard.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no name has either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn drop_if_vacant(&mut self, stream: &StreamKey) {
        if self.entries.get(stream).is_some_and(Entry::is_vacant) {
            self.entries.remove(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPLACE: Claimant = Claimant::Publisher(OnDuplicatePublish::Replace);
    const REFUSE: Claimant = Claimant::Publisher(OnDuplicatePublish::Refuse);

    fn key(name: &str) -> StreamKey {
        StreamKey::new("live", name)
    }

    fn connection(shard: u16, count: u64) -> ConnectionId {
        ConnectionId::new(ShardId(shard), count)
    }

    #[test]
    fn a_ghost_publisher_is_replaced_and_its_late_release_changes_nothing() {
        let mut directory = Directory::new();
        let stream = key("cam");
        let (ghost, fresh) = (connection(0, 1), connection(1, 1));
        directory.claim(&stream, ShardId(0), ghost, REPLACE);
        directory.add_interest(&stream, ShardId(2));
        let claim = directory.claim(&stream, ShardId(1), fresh, REPLACE);
        assert_eq!(
            claim,
            Claim::Granted {
                epoch: 2,
                replaced: Some((ShardId(0), ghost)),
                // Shard 0 has no subscriber but runs the pushes.
                interested: vec![ShardId(0), ShardId(2)],
                start_pushes: false,
            }
        );
        assert_eq!(directory.push_shard(&stream), Some(ShardId(0)));
        assert_eq!(directory.release(&stream, ghost), None);
        assert_eq!(directory.home(&stream), Some((ShardId(1), 2)));
        assert_eq!(directory.release(&stream, fresh), Some(vec![ShardId(0), ShardId(2)]));
    }

    #[test]
    fn a_second_publisher_is_refused_where_configured() {
        let mut directory = Directory::new();
        let stream = key("cam");
        directory.claim(&stream, ShardId(0), connection(0, 1), REFUSE);
        let second = directory.claim(&stream, ShardId(0), connection(0, 2), REFUSE);
        assert_eq!(second, Claim::Refused);
        assert_eq!(directory.home(&stream), Some((ShardId(0), 1)));
    }

    #[test]
    fn a_pull_gives_way_to_any_publisher_and_takes_no_name() {
        for claimant in [REPLACE, REFUSE] {
            let mut directory = Directory::new();
            let stream = key("cam");
            let (pull, publisher) = (connection(0, 1), connection(1, 1));
            directory.claim(&stream, ShardId(0), pull, Claimant::Pull);
            let claim = directory.claim(&stream, ShardId(1), publisher, claimant);
            let Claim::Granted { replaced, .. } = claim else { panic!("refused by a pull") };
            assert_eq!(replaced, Some((ShardId(0), pull)));
            // Its origin answers late.
            let late = directory.claim(&stream, ShardId(0), pull, Claimant::Pull);
            assert_eq!(late, Claim::Refused);
            assert_eq!(directory.home(&stream), Some((ShardId(1), 2)));
        }
    }

    #[test]
    fn a_player_before_the_publisher_is_found_by_it() {
        let mut directory = Directory::new();
        let stream = key("cam");
        assert_eq!(directory.add_interest(&stream, ShardId(3)), None);
        let claim = directory.claim(&stream, ShardId(1), connection(1, 1), REFUSE);
        let Claim::Granted { interested, start_pushes, .. } = claim else {
            panic!("refused with nobody there")
        };
        assert_eq!((interested, start_pushes), (vec![ShardId(3)], true));
    }

    #[test]
    fn pushes_that_come_late_start_where_the_others_run() {
        let mut directory = Directory::new();
        let stream = key("cam");
        assert!(!directory.take_pushes(&stream, ShardId(0)), "nobody publishes");
        directory.claim(&stream, ShardId(0), connection(0, 1), REPLACE);
        directory.add_interest(&stream, ShardId(0));
        directory.claim(&stream, ShardId(1), connection(1, 1), REPLACE);
        for (shard, takes) in [(1, false), (2, false), (0, true)] {
            assert_eq!(directory.take_pushes(&stream, ShardId(shard)), takes, "{shard}");
        }
    }

    #[test]
    fn pushes_that_come_late_start_at_home_when_the_first_shard_forgot_the_stream() {
        let mut directory = Directory::new();
        let stream = key("cam");
        directory.claim(&stream, ShardId(0), connection(0, 1), REPLACE);
        directory.claim(&stream, ShardId(1), connection(1, 1), REPLACE);
        for (shard, takes) in [(2, false), (1, true), (0, false), (1, true)] {
            assert_eq!(directory.take_pushes(&stream, ShardId(shard)), takes, "{shard}");
        }
        assert_eq!(directory.push_shard(&stream), Some(ShardId(1)));
        // The shard that gets there first has them, if it still knows the stream.
        let stream = key("other");
        directory.claim(&stream, ShardId(0), connection(0, 2), REPLACE);
        directory.claim(&stream, ShardId(1), connection(1, 2), REPLACE);
        for (shard, takes) in [(0, true), (1, false)] {
            assert_eq!(directory.take_pushes(&stream, ShardId(shard)), takes, "{shard}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Claim { name: u8, shard: u16, count: u64, claimant: Claimant },
        Release { name: u8, shard: u16, count: u64 },
        AddInterest { name: u8, shard: u16 },
        RemoveInterest { name: u8, shard: u16 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = (0_u8..3, 0_u16..3, 0_u64..3);
        let claimant = prop::sample::select(vec![REPLACE, REFUSE, Claimant::Pull]);
        prop_oneof![
            (place.clone(), claimant).prop_map(|((name, shard, count), claimant)| {
                Step::Claim { name, shard, count, claimant }
            }),
            place.clone().prop_map(|(name, shard, count)| Step::Release { name, shard, count }),
            place.clone().prop_map(|(name, shard, _)| Step::AddInterest { name, shard }),
            place.prop_map(|(name, shard, _)| Step::RemoveInterest { name, shard }),
        ]
    }

    /// What the directory knows, as three flat lists.
    #[derive(Default)]
    struct Model {
        holders: Vec<(u8, u16, ConnectionId, u64)>,
        pulled: BTreeSet<u8>,
        interests: BTreeSet<(u8, u16)>,
        pushes: Vec<(u8, u16)>,
        epochs: u64,
    }

    impl Model {
        fn holder(&self, name: u8) -> Option<(u8, u16, ConnectionId, u64)> {
            self.holders.iter().copied().find(|holder| holder.0 == name)
        }

        fn others(&self, name: u8, home: u16) -> Vec<ShardId> {
            let wants = |shard: u16| {
                self.interests.contains(&(name, shard)) || self.pushes.contains(&(name, shard))
            };
            (0..3).filter(|shard| *shard != home && wants(*shard)).map(ShardId).collect()
        }

        fn claim(&mut self, name: u8, shard: u16, by: ConnectionId, who: Claimant) -> Claim {
            let before = self.holder(name).filter(|holder| holder.2 != by);
            let takes = who == REPLACE || who == REFUSE && self.pulled.contains(&name);
            if before.is_some() && !takes {
                return Claim::Refused;
            }
            if who == Claimant::Pull {
                self.pulled.insert(name);
            } else {
                self.pulled.remove(&name);
            }
            self.epochs += 1;
            self.holders.retain(|holder| holder.0 != name);
            self.holders.push((name, shard, by, self.epochs));
            let start_pushes = !self.pushes.iter().any(|push| push.0 == name);
            if start_pushes {
                self.pushes.push((name, shard));
            }
            Claim::Granted {
                epoch: self.epochs,
                replaced: before.map(|(_, shard, by, _)| (ShardId(shard), by)),
                interested: self.others(name, shard),
                start_pushes,
            }
        }

        fn release(&mut self, name: u8, by: ConnectionId) -> Option<Vec<ShardId>> {
            let (_, home, ..) = self.holder(name).filter(|holder| holder.2 == by)?;
            let others = self.others(name, home);
            self.holders.retain(|holder| holder.0 != name);
            self.pushes.retain(|push| push.0 != name);
            Some(others)
        }
    }

    proptest! {
        #[test]
        fn the_directory_agrees_with_flat_lists(steps in prop::collection::vec(step(), 0..120)) {
            let mut directory = Directory::new();
            let mut model = Model::default();
            let stream = |name: u8| key(&name.to_string());
            for step in steps {
                match step {
                    Step::Claim { name, shard, count, claimant } => {
                        let by = connection(shard, count);
                        let claim = directory.claim(&stream(name), ShardId(shard), by, claimant);
                        prop_assert_eq!(claim, model.claim(name, shard, by, claimant));
                    }
                    Step::Release { name, shard, count } => {
                        let by = connection(shard, count);
                        let told = directory.release(&stream(name), by);
                        prop_assert_eq!(told, model.release(name, by));
                    }
                    Step::AddInterest { name, shard } => {
                        let home = directory.add_interest(&stream(name), ShardId(shard));
                        model.interests.insert((name, shard));
                        prop_assert!(directory.is_interested(&stream(name), ShardId(shard)));
                        let expected =
                            model.holder(name).map(|(_, home, _, epoch)| (ShardId(home), epoch));
                        prop_assert_eq!(home, expected);
                    }
                    Step::RemoveInterest { name, shard } => {
                        let home = directory.remove_interest(&stream(name), ShardId(shard));
                        let known = model.holder(name).map(|holder| ShardId(holder.1));
                        model.interests.remove(&(name, shard));
                        prop_assert!(!directory.is_interested(&stream(name), ShardId(shard)));
                        prop_assert_eq!(home, known);
                    }
                }
                let present = (0..3)
                    .filter(|name| {
                        model.holder(*name).is_some()
                            || model.interests.iter().any(|interest| interest.0 == *name)
                    })
                    .count();
                prop_assert_eq!(directory.len(), present);
            }
        }
    }
}
