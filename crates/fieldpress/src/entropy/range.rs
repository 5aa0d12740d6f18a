//! Adaptive binary range coder: decisions with learnt probabilities, at a cost close to their entropy.
//!
//! Source: G. N. N. Martin, "Range encoding: an algorithm for removing redundancy from a digitised message", 1979;
//! probabilities adapt at the rate 1/n, the counting estimator with a floor on the rate.
//!
//! # Format
//!
//! The stream is the base-256 expansion, most significant byte first, of a number in the final interval. All arithmetic is
//! on integers. The coder starts with `low = 0`, `range = 2^64 - 1`; `low` and `range` refer to a window of 64 bits that
//! moves down by 32 bits whenever a step leaves `range < 2^32` (then `low` and `range` are shifted left by 32); a carry out of
//! the window goes into the bytes above it.
//!
//! | step | new interval |
//! |---|---|
//! | decision with model `p` | `bound = (range >> 16) * p`; true: `range = bound`; false: `low += bound`, `range -= bound` |
//! | direct bits, in groups of 16, the first group being the `n mod 16` highest bits when that is not 0 | `range >>= k` for a group of `k` bits of value `v`, then `low += v * range` |
//! | end | nothing when no decision was coded; otherwise the least `k` in 1..=5 such that a multiple `m` of `u = 2^(64-8k)` has `low <= m` and `m + u <= low + range`; the stream ends with the `k` highest bytes of the least such `m` |
//!
//! Whatever follows these bytes lies in the same interval, so a stream knows its own length and no stream is a prefix of
//! another with as many decisions. A reader takes bytes past the end as zero.
//!
//! A model is `(q, n)`, at first `(2^23, 0)`; `p = (q >> 8) | 1` is the probability of true in units of `2^-16`. After
//! each decision `q += ((true ? 2^24 : 0) - q) * r[n] >> 16` (arithmetic shift), with `r[n] = floor(65536 / (n + 1.5))`,
//! then `n = min(n + 1, 255)`.

use crate::error::{Error, Result};

/// Most decisions a model counts; the rate of adaptation never falls below `1 / (LIMIT + 1.5)`.
const LIMIT: u32 = 255;

/// `65536 / (n + 1.5)`.
const RATE: [i32; 256] = {
    let mut t = [0; 256];
    let mut n = 0;
    while n < 256 {
        t[n] = (2 * 65536 / (2 * n + 3)) as i32;
        n += 1;
    }
    t
};

/// The adaptive probability of one kind of decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bit(u32);

impl Default for Bit {
    fn default() -> Self {
        Bit::new()
    }
}

impl Bit {
    /// A model that knows nothing: both outcomes are equally likely.
    pub const fn new() -> Self {
        Bit(1 << 31)
    }
    /// The probability of true, in units of `2^-16`, within `1..=65535`.
    #[inline(always)]
    pub(super) fn p(self) -> u64 {
        u64::from(self.0 >> 16 | 1)
    }
    #[inline(always)]
    pub(super) fn update(&mut self, bit: bool) {
        let n = self.0 & 0xff;
        let q = (self.0 >> 8) as i32;
        let target = if bit { 1 << 24 } else { 0 };
        let step = (i64::from(target - q) * i64::from(RATE[n as usize])) >> 16;
        self.0 = (((q + step as i32) as u32) << 8) | (n + u32::from(n < LIMIT));
    }
}

/// Least `k`, and the offset from `low`, of the bytes that end a stream (see the module's format table).
fn ending(low: u64, range: u64) -> (u32, u64) {
    for k in 1..5 {
        let unit = 1u64 << (64 - 8 * k);
        let offset = low.wrapping_neg() & (unit - 1);
        if offset.checked_add(unit).is_some_and(|end| end <= range) {
            return (k, offset);
        }
    }
    (5, low.wrapping_neg() & ((1 << 24) - 1))
}

/// Writes decisions; see the module's documentation for the format.
#[derive(Clone, Debug)]
pub struct BinaryEncoder {
    low: u64,
    range: u64,
    out: Vec<u8>,
}

impl Default for BinaryEncoder {
    fn default() -> Self {
        BinaryEncoder::new()
    }
}

impl BinaryEncoder {
    /// An encoder that has coded nothing.
    pub fn new() -> Self {
        BinaryEncoder { low: 0, range: u64::MAX, out: Vec::new() }
    }
    /// Codes `bit` with the probability of `model`, which learns from it.
    #[inline(always)]
    pub fn encode(&mut self, model: &mut Bit, bit: bool) {
        self.encode_with(model.p(), bit);
        model.update(bit);
    }
    /// Codes `bit`, which is true with the probability `p` in units of `2^-16`, within `1..=65535`.
    #[inline(always)]
    pub(super) fn encode_with(&mut self, p: u64, bit: bool) {
        let bound = (self.range >> 16) * p;
        self.range = if bit { bound } else { self.range - bound };
        self.advance(if bit { 0 } else { bound });
    }
    /// Codes the low `n` bits of `v`, each equally likely, highest first; `n` is at most 64.
    #[inline(always)]
    pub fn encode_direct(&mut self, v: u64, n: u32) {
        let mut left = n.min(64);
        while left > 0 {
            let k = (left - 1) % 16 + 1;
            left -= k;
            self.range >>= k;
            self.advance(((v >> left) & ((1 << k) - 1)) * self.range);
        }
    }
    #[inline(always)]
    fn advance(&mut self, by: u64) {
        let (low, carry) = self.low.overflowing_add(by);
        self.low = low;
        if carry {
            self.carry();
        }
        if self.range < 1 << 32 {
            self.out.extend_from_slice(&((self.low >> 32) as u32).to_be_bytes());
            self.low <<= 32;
            self.range <<= 32;
        }
    }
    #[cold]
    fn carry(&mut self) {
        for b in self.out.iter_mut().rev() {
            *b = b.wrapping_add(1);
            if *b != 0 {
                break;
            }
        }
    }
    /// Ends the stream and returns its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if self.out.is_empty() && self.range == u64::MAX {
            return self.out;
        }
        let (k, offset) = ending(self.low, self.range);
        let (last, carry) = self.low.overflowing_add(offset);
        if carry {
            self.carry();
        }
        self.out.extend(last.to_be_bytes().iter().take(k as usize));
        self.out
    }
}

/// Reads what [`BinaryEncoder`] wrote. Past the end it reads zeros; [`BinaryDecoder::finish`] tells.
#[derive(Clone, Debug)]
pub struct BinaryDecoder<'a> {
    bytes: &'a [u8],
    /// Bytes taken into the window, those past the end included.
    at: usize,
    /// The window's code minus `low`.
    value: u64,
    range: u64,
    /// The code fell between the intervals of direct bits, where no encoder goes.
    gap: bool,
}

impl<'a> BinaryDecoder<'a> {
    /// A decoder at the start of `bytes`, which may be longer than the stream if [`BinaryDecoder::end`] is used.
    pub fn new(bytes: &'a [u8]) -> Self {
        BinaryDecoder { bytes, at: 8, value: window(bytes, 0), range: u64::MAX, gap: false }
    }
    /// The next decision; `model` learns from it.
    #[inline(always)]
    pub fn decode(&mut self, model: &mut Bit) -> bool {
        let bit = self.decode_with(model.p());
        model.update(bit);
        bit
    }
    /// The next decision, which is true with the probability `p`, as in [`BinaryEncoder::encode_with`].
    #[inline(always)]
    pub(super) fn decode_with(&mut self, p: u64) -> bool {
        let bound = (self.range >> 16) * p;
        let bit = self.value < bound;
        self.range = if bit { bound } else { self.range - bound };
        self.value -= if bit { 0 } else { bound };
        self.renormalise();
        bit
    }
    /// The next `n` equally likely bits, at most 64, as written by [`BinaryEncoder::encode_direct`].
    #[inline(always)]
    pub fn decode_direct(&mut self, n: u32) -> u64 {
        let mut left = n.min(64);
        let mut v = 0;
        while left > 0 {
            let k = (left - 1) % 16 + 1;
            left -= k;
            self.range >>= k;
            let mut part = self.value / self.range;
            if part >> k != 0 {
                self.gap = true;
                part = 0;
                self.value = 0;
            }
            self.value -= part * self.range;
            v |= part << left;
            self.renormalise();
        }
        v
    }
    #[inline(always)]
    fn renormalise(&mut self) {
        if self.range < 1 << 32 {
            let word = match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
                Some(b) => u32::from_be_bytes(*b),
                None => self.last_word(),
            };
            self.at = self.at.saturating_add(4);
            self.value = (self.value << 32) | u64::from(word);
            self.range <<= 32;
        }
    }
    #[cold]
    fn last_word(&self) -> u32 {
        (window(self.bytes, self.at) >> 32) as u32
    }
    /// Whether the bytes given, whatever might follow them, suffice for all that was decoded so far.
    pub fn is_determined(&self) -> bool {
        let start = self.at - 8;
        if start == 0 && self.range == u64::MAX {
            return true;
        }
        let known = self.bytes.len().saturating_sub(start).min(8) as u32;
        let unit = 1u128 << (64 - 8 * known);
        !self.gap && u128::from(self.value) + unit <= u128::from(self.range)
    }
    /// How many of the bytes given have been looked at: what was decoded so far is the same without the others.
    pub fn taken(&self) -> usize {
        self.at.min(self.bytes.len())
    }
    /// Where the stream ends: its length in bytes, when everything coded has been decoded.
    /// Errors: `Truncated` when it needs more bytes than there are, `Corrupt` when no encoder wrote it.
    pub fn end(&self) -> Result<usize> {
        let start = self.at - 8;
        if start == 0 && self.range == u64::MAX {
            return Ok(0);
        }
        if !self.is_determined() && self.bytes.len() < self.at {
            return Err(Error::truncated("expected more bytes, found the end of the range-coded stream"));
        }
        let code = window(self.bytes, start);
        let (k, offset) = ending(code.wrapping_sub(self.value), self.range);
        if self.gap || (code.wrapping_sub(self.value).wrapping_add(offset) ^ code) >> (64 - 8 * k) != 0 {
            return Err(Error::corrupt("expected the end of a range-coded stream, found other bytes"));
        }
        Ok(start.saturating_add(k as usize))
    }
    /// Checks that everything coded has been decoded and the bytes end there. Errors: `Truncated` for every strict prefix of
    /// a stream, `Corrupt` when bytes are left over or no encoder wrote them.
    pub fn finish(&self) -> Result<()> {
        let end = self.end()?;
        if end == self.bytes.len() {
            Ok(())
        } else {
            Err(Error::corrupt(format!("expected {end} range-coded bytes, found {}", self.bytes.len())))
        }
    }
}

/// Eight bytes from `at`, most significant first; zeros past the end.
fn window(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    (0..8).fold(0, |v, i| v << 8 | u64::from(rest.get(i).copied().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A xorshift generator: the tests' source of chance.
    struct Rng(u64);
    impl Rng {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
    }

    /// `n` operations: true with probability `p / 256` in one of 4 contexts, now and then direct bits.
    fn operations(seed: u64, n: usize, p: u64, direct: bool) -> Vec<(u64, u32)> {
        let mut rng = Rng(seed | 1);
        (0..n)
            .map(|_| {
                let r = rng.next();
                if direct && r.is_multiple_of(7) {
                    let bits = (r >> 8) % 65;
                    (if bits == 0 { 0 } else { rng.next() >> (64 - bits) }, 100 + bits as u32)
                } else {
                    (u64::from((r >> 16) % 256 < p), (r % 4) as u32)
                }
            })
            .collect()
    }
    fn encode(ops: &[(u64, u32)]) -> Vec<u8> {
        let mut enc = BinaryEncoder::new();
        let mut models = [Bit::new(); 4];
        for &(v, kind) in ops {
            match kind {
                0..=3 => enc.encode(&mut models[kind as usize], v != 0),
                _ => enc.encode_direct(v, kind - 100),
            }
        }
        enc.finish()
    }
    fn decode<'a>(bytes: &'a [u8], ops: &[(u64, u32)]) -> (Vec<u64>, BinaryDecoder<'a>) {
        let mut dec = BinaryDecoder::new(bytes);
        let mut models = [Bit::new(); 4];
        let got = ops
            .iter()
            .map(|&(_, kind)| match kind {
                0..=3 => u64::from(dec.decode(&mut models[kind as usize])),
                _ => dec.decode_direct(kind - 100),
            })
            .collect();
        (got, dec)
    }

    #[test]
    fn round_trips_and_every_prefix_is_truncated() {
        for (i, p) in [0u64, 1, 3, 30, 128, 200, 255, 256].into_iter().enumerate() {
            for n in [0, 1, 2, 3, 17, 100, 2000] {
                for direct in [false, true] {
                    let ops = operations(i as u64 * 977 + n as u64, n, p, direct);
                    let bytes = encode(&ops);
                    let (got, dec) = decode(&bytes, &ops);
                    assert!(got.iter().zip(&ops).all(|(g, o)| *g == o.0), "p {p} n {n}");
                    assert_eq!(dec.finish(), Ok(()));
                    assert!(dec.is_determined());
                    for cut in 0..bytes.len() {
                        let (_, dec) = decode(&bytes[..cut], &ops);
                        assert_eq!(dec.finish().unwrap_err().kind(), ErrorKind::Truncated, "p {p} n {n} cut {cut}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_stream_knows_its_length_whatever_follows() {
        for tail in [[0u8; 12], [0xff; 12], [0x80; 12]] {
            for n in 0..200 {
                let ops = operations(n as u64 + 5, n, 40, n % 2 == 0);
                let mut bytes = encode(&ops);
                let len = bytes.len();
                bytes.extend(tail);
                let (got, dec) = decode(&bytes, &ops);
                assert!(got.iter().zip(&ops).all(|(g, o)| *g == o.0));
                assert_eq!(dec.end(), Ok(len));
                if len > 0 {
                    assert_eq!(dec.finish().unwrap_err().kind(), ErrorKind::Corrupt);
                }
            }
        }
    }

    #[test]
    fn carries_run_through_all_written_bytes() {
        // All-ones direct bits keep `low` just under a power of two; the last step pushes it over.
        for n in 0..40 {
            let mut ops: Vec<(u64, u32)> = vec![(u64::MAX >> 32, 132); n];
            ops.extend([(0, 0), (0, 0), (1, 0), (0, 1)]);
            let bytes = encode(&ops);
            let (got, dec) = decode(&bytes, &ops);
            assert!(got.iter().zip(&ops).all(|(g, o)| *g == o.0));
            assert_eq!(dec.finish(), Ok(()));
        }
    }

    #[test]
    fn costs_the_entropy_and_uniform_input_costs_nothing() {
        let n = 200_000;
        for p in [5u64, 26, 77, 128] {
            let mut rng = Rng(p + 99);
            let bits: Vec<bool> = (0..n).map(|_| (rng.next() >> 20) % 256 < p).collect();
            let mut enc = BinaryEncoder::new();
            let mut model = Bit::new();
            for &b in &bits {
                enc.encode(&mut model, b);
            }
            let q = bits.iter().filter(|b| **b).count() as f64 / n as f64;
            let entropy = -(q * libm::log2(q) + (1.0 - q) * libm::log2(1.0 - q)) * n as f64 / 8.0;
            let len = enc.finish().len() as f64;
            assert!(len < entropy * 1.015 + 8.0 && len > entropy * 0.995, "p {p}: {len} against {entropy}");
        }
        let ops = vec![(0, 0); 100_000];
        assert!(encode(&ops).len() <= 4, "{}", encode(&ops).len());
        let ops = vec![(1, 0); 100_000];
        assert!(encode(&ops).len() <= 4, "{}", encode(&ops).len());
    }

    #[test]
    fn hostile_bytes_never_panic_and_flips_are_mostly_noticed() {
        let ops = operations(3, 600, 30, true);
        let bytes = encode(&ops);
        let mut rng = Rng(77);
        for _ in 0..3000 {
            let mut bad = bytes.clone();
            let at = rng.next() as usize % bad.len();
            bad[at] ^= 1 << (rng.next() % 8);
            let (got, dec) = decode(&bad, &ops);
            assert!(dec.finish().is_err() || got.iter().zip(&ops).any(|(g, o)| *g != o.0));
            let noise: Vec<u8> = (0..rng.next() % 40).map(|_| rng.next() as u8).collect();
            let _ = decode(&noise, &ops).1.finish();
        }
    }

    /// A change of these is a change of the format.
    #[test]
    fn bytes_are_those_of_the_format() {
        let bytes = encode(&operations(1, 2000, 40, true));
        assert_eq!((bytes.len(), crate::bits::crc32c(&bytes)), (1229, 0x2819_c02a));
    }
}
