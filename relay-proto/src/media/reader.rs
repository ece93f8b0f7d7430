//! A forward cursor over a payload's slices, for headers. Must not copy the payload.

use crate::payload::Payload;

/// Reads big-endian integers from the front of a payload.
#[derive(Clone, Debug)]
pub(crate) struct PayloadReader<'a> {
    payload: &'a Payload,
    slice: usize,
    within: usize,
    position: usize,
}

impl<'a> PayloadReader<'a> {
    pub(crate) const fn new(payload: &'a Payload) -> Self {
        Self { payload, slice: 0, within: 0, position: 0 }
    }

    /// Bytes read so far.
    pub(crate) const fn position(&self) -> usize {
        self.position
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.payload.len().saturating_sub(self.position)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let slice = self.payload.slices().get(self.slice)?;
        let byte = *slice.get(self.within)?;
        self.position += 1;
        self.within += 1;
        if self.within == slice.len() {
            self.slice += 1;
            self.within = 0;
        }
        Some(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut array = [0; N];
        for byte in &mut array {
            *byte = self.u8()?;
        }
        Some(array)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Option<u32> {
        let [high, middle, low] = self.array()?;
        Some(u32::from_be_bytes([0, high, middle, low]))
    }

    pub(crate) fn i24(&mut self) -> Option<i32> {
        let [high, middle, low] = self.array()?;
        // Shifting back down from the top extends the sign.
        Some(i32::from_be_bytes([high, middle, low, 0]) >> 8)
    }

    /// Steps over `count` bytes, or returns `None` when there are fewer.
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        if self.remaining() < count {
            return None;
        }
        let mut left = count;
        while left > 0 {
            let slice = self.payload.slices().get(self.slice)?;
            let step = left.min(slice.len() - self.within);
            self.within += step;
            self.position += step;
            left -= step;
            if self.within == slice.len() {
                self.slice += 1;
                self.within = 0;
            }
        }
        Some(())
    }
}
