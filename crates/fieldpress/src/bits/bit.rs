//! Bit-wise reading and writing, least significant bit first.

use crate::error::{Error, Result};

/// Writes bits, least significant first, into bytes.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    acc: u64,
    used: u32,
}

impl BitWriter {
    /// An empty writer.
    pub fn new() -> Self {
        BitWriter::default()
    }
    /// Appends the low `n` bits of `v`; `n` is at most 56, and bits of `v` above `n` must be zero.
    #[inline(always)]
    pub fn put(&mut self, v: u64, n: u32) {
        debug_assert!(n <= 56 && v >> n == 0);
        self.acc |= v << self.used;
        self.used += n;
        while self.used >= 8 {
            self.bytes.push(self.acc as u8);
            self.acc >>= 8;
            self.used -= 8;
        }
    }
    /// How many bits were written.
    pub fn len_bits(&self) -> usize {
        self.bytes.len() * 8 + self.used as usize
    }
    /// The bytes; the last one is padded with zero bits.
    pub fn finish(mut self) -> Vec<u8> {
        if self.used > 0 {
            self.bytes.push(self.acc as u8);
        }
        self.bytes
    }
}

/// Reads what [`BitWriter`] wrote. Past the end it yields zeros and remembers that it did: call
/// [`BitReader::finish`] when done.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    acc: u64,
    have: u32,
    overrun: bool,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0, acc: 0, have: 0, overrun: false }
    }
    /// The next `n` bits, `n` at most 56; zeros past the end.
    #[inline(always)]
    pub fn get(&mut self, n: u32) -> u64 {
        debug_assert!(n <= 56);
        if self.have < n {
            self.refill(n);
        }
        let v = self.acc & ((1u64 << n) - 1);
        self.acc >>= n;
        self.have -= n;
        v
    }
    fn refill(&mut self, n: u32) {
        while self.have <= 56 {
            let Some(&b) = self.bytes.get(self.at) else { break };
            self.acc |= u64::from(b) << self.have;
            self.at += 1;
            self.have += 8;
        }
        if self.have < n {
            self.overrun = true;
            self.have = n;
        }
    }
    /// Errors with `Truncated` when bits past the end were asked for.
    pub fn finish(&self) -> Result<()> {
        if self.overrun {
            Err(Error::truncated("expected more bits, found the end of the bit stream"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_round_trip_and_overrun_is_reported() {
        let mut w = BitWriter::new();
        let parts: Vec<(u64, u32)> =
            (0..500u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8, (i % 57) as u32)).collect();
        for &(v, n) in &parts {
            w.put(v & ((1u64 << n) - 1), n);
        }
        let bytes = w.finish();
        let mut r = BitReader::new(&bytes);
        for &(v, n) in &parts {
            assert_eq!(r.get(n), v & ((1u64 << n) - 1));
        }
        assert!(r.finish().is_ok());
        let mut r = BitReader::new(&bytes[..bytes.len() / 2]);
        for &(_, n) in &parts {
            r.get(n);
        }
        assert!(r.finish().is_err());
    }
}
