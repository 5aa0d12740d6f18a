//! The bits of a ZFP stream: 64-bit little-endian words, filled from the least significant bit.

use crate::error::{Error, Result};

/// Appends bits to bytes, a word at a time.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where the stream begins in `out`, and where `word` will go; what lies behind is of no account.
    start: usize,
    at: usize,
    word: u64,
    /// Bits of `word` in use, less than 64.
    used: u32,
}

impl<'a> Writer<'a> {
    /// A writer of a stream that begins at the end of `out`.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Writer { out, start, at: start, word: 0, used: 0 }
    }
    /// Appends the low `n` bits of `v`; `n` is at most 64, and bits of `v` above them must be zero.
    #[inline(always)]
    pub(super) fn put(&mut self, v: u64, n: u32) {
        debug_assert!(n <= 64 && (n == 64 || v >> n == 0));
        self.word |= v << self.used;
        self.used += n;
        if self.used >= 64 {
            self.store();
            self.used -= 64;
            // In two steps, since all 64 bits may have fitted.
            self.word = v >> 1 >> (n - self.used - 1);
        }
    }
    /// Puts the word to its place. There is room for many at a time, since a vector that grows by words is slow.
    #[inline(always)]
    fn store(&mut self) {
        match self.out.get_mut(self.at..).and_then(|b| b.first_chunk_mut()) {
            Some(eight) => *eight = self.word.to_le_bytes(),
            None => self.grow(),
        }
        self.at += 8;
    }
    #[cold]
    fn grow(&mut self) {
        self.out.truncate(self.at);
        self.out.extend_from_slice(&self.word.to_le_bytes());
        self.out.resize((self.at + self.at / 2).max(self.at + 4096), 0);
    }
    /// Appends `n` zero bits.
    #[inline(always)]
    pub(super) fn pad(&mut self, mut n: u32) {
        while n > 0 {
            let some = n.min(64);
            self.put(0, some);
            n -= some;
        }
    }
    /// Bits written.
    #[inline(always)]
    pub(super) fn bits(&self) -> usize {
        8 * (self.at - self.start) + self.used as usize
    }
    /// Takes back all but the first `bits` bits.
    pub(super) fn truncate(&mut self, bits: usize) {
        if bits >= self.bits() {
            return;
        }
        let whole = self.start + bits / 64 * 8;
        if whole < self.at {
            self.word = self.out.get(whole..).and_then(|w| w.first_chunk()).map_or(0, |w| u64::from_le_bytes(*w));
            self.at = whole;
        }
        self.used = (bits % 64) as u32;
        self.word &= (1 << self.used) - 1;
    }
    /// Ends the stream: the last word is filled with zero bits.
    pub(super) fn finish(mut self) {
        if self.used > 0 {
            self.store();
        }
        self.out.truncate(self.at);
    }
}

/// Reads bits of untrusted bytes. Past the end it yields zeros and remembers that it did: call [`Reader::finish`] when done.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The first byte of which not all bits are in `word`.
    at: usize,
    /// The bits that come next, `have` of them known to be all there are; those above are either the ones that follow or zero.
    word: u64,
    have: u32,
}

impl<'a> Reader<'a> {
    /// A reader at the first bit of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0, word: 0, have: 0 }
    }
    /// The next 64 bits, none of which is consumed; at least 56 of them may be.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u64 {
        let next = match self.bytes.get(self.at..).and_then(|b| b.first_chunk()) {
            Some(eight) => u64::from_le_bytes(*eight),
            None => self.tail(),
        };
        self.word |= next << self.have;
        self.at += ((63 - self.have) >> 3) as usize;
        self.have |= 56;
        self.word
    }
    #[cold]
    fn tail(&self) -> u64 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().rev().fold(0, |w, &b| w << 8 | u64::from(b))
    }
    /// Consumes `n` bits, at most those that a [`peek`](Reader::peek) left.
    #[inline(always)]
    pub(super) fn consume(&mut self, n: u32) {
        debug_assert!(n <= self.have);
        self.word >>= n;
        self.have -= n;
    }
    /// The next `n` bits, `n` at most 64.
    #[inline(always)]
    pub(super) fn get(&mut self, n: u32) -> u64 {
        if n > 56 {
            let low = self.peek() & 0xffff_ffff;
            self.consume(32);
            let high = self.peek() & ((1 << (n - 32)) - 1);
            self.consume(n - 32);
            return low | high << 32;
        }
        let v = self.peek() & ((1 << n) - 1);
        self.consume(n);
        v
    }
    /// Consumes `n` bits unseen.
    pub(super) fn skip(&mut self, n: u32) {
        let to = self.bits() + n as usize;
        (self.at, self.word, self.have) = (to / 8, 0, 0);
        self.get((to % 8) as u32);
    }
    /// Bits consumed.
    pub(super) fn bits(&self) -> usize {
        8 * self.at - self.have as usize
    }
    /// Errors: `Truncated` when bits past the end were consumed.
    pub(super) fn finish(&self) -> Result<()> {
        let (found, used) = (8 * self.bytes.len(), self.bits());
        if used > found {
            return Err(Error::truncated(format!("expected a stream of at least {used} bits, found {found}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back_whatever_their_number() {
        let value = |i: u32| {
            (u64::from(i) * 0x9E37_79B9_7F4A_7C15).rotate_left(i) & (u64::MAX.checked_shr(64 - i % 65).unwrap_or(0))
        };
        let mut bytes = vec![1, 2, 3];
        let mut w = Writer::new(&mut bytes);
        (0..500).for_each(|i| w.put(value(i), i % 65));
        w.pad(131);
        let bits = (0..500).map(|i| i % 65).sum::<u32>() as usize + 131;
        assert_eq!(w.bits(), bits);
        w.finish();
        assert_eq!(bytes.len(), 3 + bits.div_ceil(64) * 8);
        let mut r = Reader::new(&bytes[3..]);
        for i in 0..500 {
            assert_eq!(r.get(i % 65), value(i), "{i}");
        }
        r.skip(131);
        assert_eq!(r.bits(), bits);
        r.finish().unwrap();
        r.skip((bits.div_ceil(64) * 64 - bits) as u32);
        r.finish().unwrap();
        assert_eq!(r.get(1), 0);
        assert!(r.finish().is_err());
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        for keep in 0..300 {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let (mut w, mut v) = (Writer::new(&mut a), Writer::new(&mut b));
            (0..300).for_each(|_| w.put(1, 1));
            (0..keep).for_each(|_| v.put(1, 1));
            w.truncate(keep);
            assert_eq!(w.bits(), keep);
            w.put(2, 2);
            v.put(2, 2);
            w.finish();
            v.finish();
            assert_eq!(a, b, "{keep}");
        }
    }
}
