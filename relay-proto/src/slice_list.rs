//! Lists of slices that take the memory of earlier ones, so that messages in several slices, which
//! come with every large frame, allocate nothing in a steady state.

use core::fmt;
use core::ops::Deref;
use std::cell::RefCell;

use bytes::Bytes;

/// Lists that a thread keeps for later: those of some hundred streams' groups of pictures, which
/// come free together at a keyframe.
const SPARE_LISTS_MAX: usize = 8 * 1024;
/// Room of a new list.
const LIST_SLICES: usize = 4;
/// Lists with more room are not kept: 512 bytes each.
const SPARE_LIST_SLICES_MAX: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Vec<Bytes>>> = const { RefCell::new(Vec::new()) };
}

/// A list of slices.
#[derive(Default)]
pub struct SliceList(Vec<Bytes>);

impl SliceList {
    /// Appends a slice.
    pub fn push(&mut self, slice: Bytes) {
        if self.0.capacity() == 0 {
            let spare = SPARE.with_borrow_mut(Vec::pop);
            self.0 = spare.unwrap_or_else(|| Vec::with_capacity(LIST_SLICES));
        }
        self.0.push(slice);
    }
}

impl Deref for SliceList {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.0
    }
}

impl From<Bytes> for SliceList {
    fn from(slice: Bytes) -> Self {
        let mut list = Self::default();
        list.push(slice);
        list
    }
}

impl Clone for SliceList {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        self.0.iter().cloned().for_each(|slice| clone.push(slice));
        clone
    }
}

/// How many, as a payload.
impl fmt::Debug for SliceList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SliceList").field(&self.0.len()).finish()
    }
}

impl Drop for SliceList {
    fn drop(&mut self) {
        if !(1..=SPARE_LIST_SLICES_MAX).contains(&self.0.capacity()) {
            return;
        }
        let mut list = core::mem::take(&mut self.0);
        list.clear();
        // At the end of its thread there is nowhere to keep it.
        let _kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_LISTS_MAX {
                spare.push(list);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(slices: usize) -> SliceList {
        let mut list = SliceList::default();
        (0..slices).for_each(|_| list.push(Bytes::from_static(b"x")));
        list
    }

    fn spare() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn a_list_takes_the_memory_of_one_that_is_gone() {
        let first = list_of(9);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(list_of(2).as_ptr(), place);
        assert_eq!(spare(), 1);
    }

    #[test]
    fn few_and_short_lists_are_kept() {
        drop(list_of(0));
        drop(list_of(SPARE_LIST_SLICES_MAX + 1));
        assert_eq!(spare(), 0);
        drop((0..=SPARE_LISTS_MAX).map(|_| list_of(1)).collect::<Vec<_>>());
        assert_eq!(spare(), SPARE_LISTS_MAX);
    }
}
