//! Frequency tables: from counts to frequencies that add up to `2^12`, and their place in the header.
//!
//! # Format
//!
//! A table follows the others in the header's range-coded stream. Integers are coded by an `IntModel` shared by all tables
//! (contexts in brackets):
//!
//! | what | how |
//! |---|---|
//! | number of tokens up to the last one used | integer \[0\] |
//! | balance: the token that takes what is left of `2^12` | integer \[1\] |
//! | `q`, kept mantissa bits | integer \[2\] |
//! | for each token up to the last, but not for the balance: size `s`, 0 for frequency 0, else `1 + floor(log2 f)` | `s - g` as an integer \[3 + min(g, 3)\], `g = (2 s1 + s2 + 1) / 3` from the sizes before it (`s1` the nearest, 0 before the first; the balance counts as 12) |
//! | the `min(s - 1, q)` mantissa bits below the leading one, after each size `s > 1` | direct bits |
//!
//! With `h` mantissa bits left out, the highest of them is taken as one and the others as zero.

use super::token::TOKENS;
use crate::entropy::{BinaryDecoder, BinaryEncoder, IntModel};
use crate::error::{Error, Result};

/// Base-2 logarithm of the sum of a table's frequencies.
pub(super) const SCALE_BITS: u32 = 12;
/// The sum of a table's frequencies.
pub(super) const SCALE: u32 = 1 << SCALE_BITS;

/// How often each token occurs.
pub(super) type Counts = [u32; TOKENS];
/// Frequencies that add up to [`SCALE`].
pub(super) type Freqs = [u16; TOKENS];

/// Contexts of the header's integer model.
pub(super) const CONTEXTS: usize = 9;
/// Context of the class map.
pub(super) const MAP_CONTEXT: usize = 7;
/// Context of the number of tables.
pub(super) const COUNT_CONTEXT: usize = 8;

/// `log2(1 + i / 1024)`.
const LOG2: [f64; 1025] = {
    let mut table = [0.0; 1025];
    let mut i = 0;
    while i < 1025 {
        // log2 m = 2 / ln 2 * atanh t with t = (m - 1) / (m + 1), at most 1/3.
        let t = i as f64 / (2048 + i) as f64;
        let (mut power, mut sum, mut k) = (t, 0.0, 1);
        while k < 32 {
            sum += power / k as f64;
            power *= t * t;
            k += 2;
        }
        table[i] = sum * 2.0 * std::f64::consts::LOG2_E;
        i += 1;
    }
    table
};

/// `log2(x)` for normal `x > 0`, to about 2e-7: only the encoder's choices depend on it.
#[inline]
pub(super) fn log2(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let i = (bits >> 42 & 1023) as usize;
    let rest = (bits & ((1 << 42) - 1)) as i64 as f64 * (1.0 / (1u64 << 42) as f64);
    f64::from(exponent) + LOG2[i] + rest * (LOG2[i + 1] - LOG2[i])
}

/// A table ready to be used and written.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) freqs: Freqs,
    balance: usize,
    kept: u32,
}

/// `f` with all but `kept` bits below the leading one replaced by their middle.
fn coarse(f: u32, kept: u32) -> u32 {
    let dropped = f.max(1).ilog2().saturating_sub(kept);
    if dropped == 0 {
        f
    } else {
        f >> dropped << dropped | 1 << (dropped - 1)
    }
}

impl Table {
    /// The table that codes `counts`, header included, in the fewest bits.
    /// At least one count must not be zero.
    pub(super) fn build(counts: &Counts) -> Table {
        let exact = normalise(counts);
        let balance = (0..TOKENS).fold(0, |best, t| if exact[t] > exact[best] { t } else { best });
        let mut best: Option<(Table, f64)> = None;
        for kept in [11, 6, 5, 4, 3, 2, 1] {
            let mut freqs = exact;
            let mut left = SCALE as i32;
            let mut header = 14.0;
            for (t, f) in freqs.iter_mut().enumerate() {
                if *f > 0 && t != balance {
                    *f = coarse(u32::from(*f), kept) as u16;
                    left -= i32::from(*f);
                    header += 2.5 + f64::from(f.ilog2().min(kept));
                }
            }
            if left < 1 {
                continue;
            }
            freqs[balance] = left as u16;
            let bits = header + cost(counts, &freqs);
            if best.as_ref().is_none_or(|b| bits < b.1) {
                best = Some((Table { freqs, balance, kept }, bits));
            }
        }
        // With all bits kept nothing changes, so there is always a best one.
        best.map_or(Table { freqs: exact, balance, kept: 11 }, |b| b.0)
    }

    /// Writes the table.
    pub(super) fn write(&self, enc: &mut BinaryEncoder, model: &mut IntModel) {
        let used = TOKENS - self.freqs.iter().rev().take_while(|f| **f == 0).count();
        model.encode(enc, used as i64, 0);
        model.encode(enc, self.balance as i64, 1);
        model.encode(enc, i64::from(self.kept), 2);
        let mut guess = Guess::default();
        for (t, &f) in self.freqs.iter().enumerate().take(used) {
            if t == self.balance {
                guess.push(SCALE_BITS);
                continue;
            }
            let size = if f == 0 { 0 } else { 1 + f.ilog2() };
            let g = guess.get();
            model.encode(enc, i64::from(size) - i64::from(g), 3 + g.min(3) as usize);
            guess.push(size);
            if size > 1 {
                let n = (size - 1).min(self.kept);
                enc.encode_direct(u64::from(f >> (size - 1 - n)) & ((1 << n) - 1), n);
            }
        }
    }

    /// Reads the frequencies of a table. Errors: `Corrupt` when they do not add up.
    pub(super) fn read(dec: &mut BinaryDecoder<'_>, model: &mut IntModel) -> Result<Freqs> {
        let mut bounded = |ctx, limit: i64| {
            let v = model.decode(dec, ctx);
            if (0..=limit).contains(&v) {
                Ok(v as usize)
            } else {
                Err(Error::corrupt(format!("rans table: expected a number of at most {limit}, found {v}")))
            }
        };
        let used = bounded(0, TOKENS as i64)?;
        let balance = bounded(1, TOKENS as i64 - 1)?;
        let kept = bounded(2, 11)? as u32;
        let mut freqs = [0; TOKENS];
        let mut left = SCALE;
        let mut guess = Guess::default();
        for (t, f) in freqs.iter_mut().enumerate().take(used) {
            if t == balance {
                guess.push(SCALE_BITS);
                continue;
            }
            let g = guess.get();
            let size = match model.decode(dec, 3 + g.min(3) as usize).checked_add(i64::from(g)) {
                Some(s @ 0..=12) => s as u32,
                _ => return Err(Error::corrupt("rans table: expected a frequency below 4096")),
            };
            guess.push(size);
            if size > 0 {
                let n = (size - 1).min(kept);
                let dropped = size - 1 - n;
                let value = (1u32 << n | dec.decode_direct(n) as u32) << dropped | (1 << dropped >> 1);
                *f = value as u16;
                left = match left.checked_sub(value) {
                    Some(left @ 1..) => left,
                    _ => return Err(Error::corrupt("rans table: expected frequencies that add up to 4096")),
                };
            }
        }
        if let Some(f) = freqs.get_mut(balance) {
            *f = left as u16;
        }
        Ok(freqs)
    }
}

/// The expected size of the next frequency, from the two before it.
#[derive(Default)]
struct Guess(u32, u32);

impl Guess {
    fn get(&self) -> u32 {
        (2 * self.0 + self.1 + 1) / 3
    }
    fn push(&mut self, size: u32) {
        *self = Guess(size, self.0);
    }
}

/// Bits that coding `counts` with `freqs` takes.
fn cost(counts: &Counts, freqs: &Freqs) -> f64 {
    let used = counts.iter().zip(freqs).filter(|(c, _)| **c > 0);
    used.map(|(&c, &f)| f64::from(c) * (f64::from(SCALE_BITS) - log2(f64::from(f)))).sum()
}

/// Frequencies in proportion to `counts` that add up to [`SCALE`], at least 1 for each count above 0.
fn normalise(counts: &Counts) -> Freqs {
    let total: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    let mut freqs = [0u16; TOKENS];
    let mut sum = 0;
    for (f, &c) in freqs.iter_mut().zip(counts) {
        if c > 0 {
            let scaled = (u64::from(c) * u64::from(SCALE) + total / 2) / total.max(1);
            *f = scaled.clamp(1, u64::from(SCALE)) as u16;
            sum += u32::from(*f);
        }
    }
    // Give or take single units where it costs least: a unit more saves about count / (f + 1/2) nats.
    while sum != SCALE {
        let grow = sum < SCALE;
        let mut best: Option<(usize, f64)> = None;
        for (t, (&f, &c)) in freqs.iter().zip(counts).enumerate() {
            if c > 0 && (grow || f > 1) {
                let score =
                    if grow { f64::from(c) / (f64::from(f) + 0.5) } else { -f64::from(c) / (f64::from(f) - 0.5) };
                if best.is_none_or(|b| score > b.1) {
                    best = Some((t, score));
                }
            }
        }
        let Some((t, _)) = best else { break };
        if grow {
            freqs[t] += 1;
            sum += 1;
        } else {
            freqs[t] -= 1;
            sum -= 1;
        }
    }
    freqs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_add_up_and_round_trip() {
        let mut s = 7u64;
        let mut enc = BinaryEncoder::new();
        let mut model = IntModel::new(CONTEXTS);
        let mut tables = Vec::new();
        for round in 0..200 {
            let mut counts = [0u32; TOKENS];
            for c in &mut counts {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *c = if (s >> 60) < round % 17 { (s >> 33) as u32 >> (s >> 20 & 31) } else { 0 };
            }
            counts[round as usize % TOKENS] += 1;
            if round == 0 {
                counts = [u32::MAX; TOKENS];
            }
            let table = Table::build(&counts);
            assert_eq!(table.freqs.iter().map(|f| u32::from(*f)).sum::<u32>(), SCALE);
            assert!(counts.iter().zip(&table.freqs).all(|(c, f)| *c == 0 || *f > 0));
            table.write(&mut enc, &mut model);
            tables.push(table);
        }
        let bytes = enc.finish();
        let mut dec = BinaryDecoder::new(&bytes);
        let mut model = IntModel::new(CONTEXTS);
        for table in tables {
            assert_eq!(Table::read(&mut dec, &mut model).unwrap(), table.freqs);
        }
        dec.finish().unwrap();
    }

    #[test]
    fn logarithm_is_close() {
        for i in 1..4000 {
            let x = f64::from(i) * 0.37;
            assert!((log2(x) - libm::log2(x)).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn hostile_tables_err_or_add_up() {
        let mut s = 99u64;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..60)
                .map(|_| {
                    s = s.wrapping_mul(6364136223846793005).wrapping_add(1);
                    (s >> 50) as u8
                })
                .collect();
            let mut dec = BinaryDecoder::new(&bytes);
            if let Ok(freqs) = Table::read(&mut dec, &mut IntModel::new(CONTEXTS)) {
                assert_eq!(freqs.iter().map(|f| u32::from(*f)).sum::<u32>(), SCALE);
            }
        }
    }
}
