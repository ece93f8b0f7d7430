//! The payload of a message: slices of receive buffers, in order, never joined.

use core::fmt;
use core::slice;

use bytes::Bytes;

use crate::slice_list::SliceList;

/// An ordered list of byte slices that together are one message's payload.
///
/// Cloning copies reference counts, never bytes. No slice is empty.
#[derive(Clone, Default)]
pub struct Payload {
    slices: Slices,
    len: usize,
}

/// Most messages are one slice; a list costs memory of its own.
#[derive(Clone)]
enum Slices {
    One(Bytes),
    List(SliceList),
}

impl Default for Slices {
    fn default() -> Self {
        Self::List(SliceList::default())
    }
}

impl Slices {
    fn as_slice(&self) -> &[Bytes] {
        match self {
            Self::One(only) => slice::from_ref(only),
            Self::List(list) => list,
        }
    }

    fn push(&mut self, slice: Bytes) {
        match self {
            Self::List(list) if list.is_empty() => *self = Self::One(slice),
            Self::List(list) => list.push(slice),
            Self::One(first) => {
                let mut list = SliceList::default();
                list.push(core::mem::take(first));
                list.push(slice);
                *self = Self::List(list);
            }
        }
    }
}

/// Sizes alone: commands hold stream keys, and media would fill the log.
impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Payload")
            .field("len", &self.len)
            .field("slices", &self.slices().len())
            .finish()
    }
}

impl Payload {
    /// An empty payload.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a slice; an empty one is dropped.
    pub fn push(&mut self, slice: Bytes) {
        if !slice.is_empty() {
            self.len += slice.len();
            self.slices.push(slice);
        }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices, in order.
    #[must_use]
    pub fn slices(&self) -> &[Bytes] {
        self.slices.as_slice()
    }

    /// Copies up to `N` leading bytes out for inspection; returns them and how many there were.
    #[must_use]
    pub fn prefix<const N: usize>(&self) -> ([u8; N], usize) {
        let mut head = [0; N];
        let mut filled = 0;
        for slice in self.slices() {
            let take = slice.len().min(N - filled);
            for (to, from) in head.iter_mut().skip(filled).zip(slice.iter().take(take)) {
                *to = *from;
            }
            filled += take;
            if filled == N {
                break;
            }
        }
        (head, filled)
    }

    /// The part from `start` up to, not including, `end`, both clamped to the length.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        let mut part = Self::new();
        let mut offset = 0;
        for slice in self.slices() {
            let from = start.saturating_sub(offset).min(slice.len());
            let to = end.saturating_sub(offset).min(slice.len());
            if from < to {
                part.push(slice.slice(from..to));
            }
            offset += slice.len();
        }
        part
    }

    /// The payload as one slice. Free when there is one; otherwise the bytes are copied, so this is
    /// for commands and metadata, never for audio or video.
    #[must_use]
    pub fn to_contiguous(&self) -> Bytes {
        match self.slices() {
            [] => Bytes::new(),
            [only] => only.clone(),
            many => many.concat().into(),
        }
    }

    /// A copy in memory of its own, for what is kept long after the receive buffers it came in.
    #[must_use]
    pub fn to_detached(&self) -> Self {
        Bytes::from(self.slices().concat()).into()
    }
}

impl From<Bytes> for Payload {
    fn from(slice: Bytes) -> Self {
        let mut payload = Self::new();
        payload.push(slice);
        payload
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.slices().iter().flatten().eq(other.slices().iter().flatten())
    }
}

impl Eq for Payload {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_prints_as_its_size() {
        let mut payload = Payload::from(Bytes::from_static(b"stream-key"));
        payload.push(Bytes::from_static(b"more"));
        assert_eq!(format!("{payload:?}"), "Payload { len: 14, slices: 2 }");
    }
}
