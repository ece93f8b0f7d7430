//! Connections under tokens that the poller and the timers keep. A token of a connection that is gone
//! names nothing, even when its place is taken again.

use std::ops::{Index, IndexMut};

use slab::Slab;

/// Connections by place.
#[derive(Debug)]
pub(super) struct Table<T> {
    slab: Slab<(u64, T)>,
    generation: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slab: Slab::new(), generation: 0 }
    }
}

impl<T> Table<T> {
    /// The token of the next connection [inserted](Self::insert).
    pub(super) fn next_token(&mut self) -> u64 {
        self.generation = self.generation.wrapping_add(1);
        u64::from(self.generation) << 32 | self.slab.vacant_key() as u64
    }

    /// Takes a connection in, under the token that was asked for last.
    pub(super) fn insert(&mut self, token: u64, connection: T) {
        self.slab.insert((token, connection));
    }

    /// Where the connection of a token is.
    pub(super) fn place(&self, token: u64) -> Option<usize> {
        let place = (token & u64::from(u32::MAX)) as usize;
        self.slab.get(place).filter(|(its, _)| *its == token)?;
        Some(place)
    }

    /// The connection at a place, if there is one.
    pub(super) fn at(&mut self, place: usize) -> Option<&mut T> {
        self.slab.get_mut(place).map(|(_, connection)| connection)
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, place: usize) -> T {
        self.slab.remove(place).1
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slab.iter_mut().map(|(_, (_, connection))| connection)
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.slab[place].1
    }
}

impl<T> IndexMut<usize> for Table<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.slab[place].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_connection_and_no_later_one() {
        let mut table = Table::default();
        let first = table.next_token();
        table.insert(first, "first");
        let place = table.place(first).unwrap();
        assert_eq!(table[place], "first");
        assert_eq!(table.remove(place), "first");
        assert_eq!(table.place(first), None);
        let second = table.next_token();
        table.insert(second, "second");
        assert_eq!(table.place(second), Some(place), "the place is taken again");
        assert_eq!(table.place(first), None);
    }
}
