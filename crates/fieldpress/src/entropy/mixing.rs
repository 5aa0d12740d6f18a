//! Signed integers through mixed models: several contexts predict each decision, and a small online-trained mixture of
//! their predictions is what is coded.
//!
//! Source: M. Mahoney, "Adaptive weighing of context models for lossless data compression", Florida Tech. CS-2005-16,
//! 2005 (logistic mixing); the binarisation is that of [`crate::entropy::adaptive`].
//!
//! # Format
//!
//! A value `v` is these decisions of [`crate::entropy::range`]:
//!
//! | what | decisions |
//! |---|---|
//! | zero | `v == 0`; true ends the value; mixed, node 0 |
//! | sign | `v < 0`: one direct bit; for values that are known to lean, mixed, node 15 |
//! | exponent `e = floor(log2 abs(v))` | for `k` = 0, 1, ...: `e > k`, up to the first false or `k` = 31; `k <= 13` mixed, node `k + 1`; others one plain model each |
//! | highest mantissa bits, for `e <= 20` | the `min(e, 2)` bits below the leading one, highest first; plain models chosen by `e`, the bits before, and whether the selector is below half |
//! | other mantissa bits | direct bits |
//!
//! A mixed decision has four plain models, one in each of four tables, chosen by the caller's context and the node.
//! Arithmetic is in `f32`, each operation rounded, in the order written. The input of a model of probability `p / 2^16` is
//! `s = ln(u / (1 - u))` with `u = (floor(p / 16) + 0.5) / 4096`, the logarithm being that of the `libm` crate. With the
//! weights `w` of the node and the caller's selector, at first all 0.3, `x = (w0 s0 + w1 s1) + (w2 s2 + w3 s3)`. The
//! decision is true with the probability `q / 2^16`, `q` being `65536 / (1 + exp(-(i - 2047.5) / 170))` rounded down and
//! kept within 16..=65520, where `i = trunc(170 x + 2048)` kept within 0..=4095. Afterwards each weight grows by
//! `0.006 s (b - q / 65536)`, `b` being 1 for true and 0 for false, and the four models learn.

use std::sync::LazyLock;

use super::range::{BinaryDecoder, BinaryEncoder, Bit};
use crate::error::{Error, Result};

/// Models that are mixed.
pub const MODELS: usize = 4;
/// Mixed decisions of a value: zero, the first exponents, and the sign.
const NODES: usize = 16;
/// The node of the sign.
const SIGN: usize = NODES - 1;
/// Largest exponent whose mantissa is modelled.
const MODELLED: usize = 20;
const RATE: f32 = 0.006;
const FIRST_WEIGHT: f32 = 0.3;
const SCALE: f32 = 170.0;
const STEPS: usize = 4096;

/// Where decisions go to or come from.
pub trait Decisions {
    /// Codes `bit`, true with probability `p / 2^16`; a decoder ignores `bit`. Returns what was coded.
    fn decide(&mut self, p: u64, bit: bool) -> bool;
    /// Codes `bit` with a model that learns.
    fn learn(&mut self, model: &mut Bit, bit: bool) -> bool;
    /// Codes the low `n` bits of `v`, each equally likely.
    fn direct(&mut self, v: u64, n: u32) -> u64;
}

impl Decisions for BinaryEncoder {
    #[inline(always)]
    fn decide(&mut self, p: u64, bit: bool) -> bool {
        self.encode_with(p, bit);
        bit
    }
    #[inline(always)]
    fn learn(&mut self, model: &mut Bit, bit: bool) -> bool {
        self.encode(model, bit);
        bit
    }
    #[inline(always)]
    fn direct(&mut self, v: u64, n: u32) -> u64 {
        self.encode_direct(v, n);
        v
    }
}

impl Decisions for BinaryDecoder<'_> {
    #[inline(always)]
    fn decide(&mut self, p: u64, _: bool) -> bool {
        self.decode_with(p)
    }
    #[inline(always)]
    fn learn(&mut self, model: &mut Bit, _: bool) -> bool {
        self.decode(model)
    }
    #[inline(always)]
    fn direct(&mut self, _: u64, n: u32) -> u64 {
        self.decode_direct(n)
    }
}

/// A mixed model of signed integers.
#[derive(Clone, Debug)]
pub struct MixedModel {
    models: [Vec<[Bit; NODES]>; MODELS],
    weights: Vec<[[f32; MODELS]; NODES]>,
    exponent: [Bit; 32],
    mantissa: [[[Bit; 4]; MODELLED + 1]; 2],
    tables: &'static Tables,
}

/// The logarithms of odds of probabilities, and back.
#[derive(Debug)]
struct Tables {
    stretch: [f32; STEPS],
    squash: [u16; STEPS],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let stretch = |i: usize| {
        let u = (i as f32 + 0.5) / STEPS as f32;
        libm::logf(u / (1.0 - u))
    };
    let squash = |i: usize| {
        let x = (i as f64 - 2047.5) / f64::from(SCALE);
        ((65536.0 / (1.0 + libm::exp(-x))) as u16).clamp(16, 65520)
    };
    Tables { stretch: std::array::from_fn(stretch), squash: std::array::from_fn(squash) }
});

impl MixedModel {
    /// A model with so many `contexts` in each table, and so many `selectors` of weights; all at least 1.
    /// Errors: `LimitExceeded` when the memory cannot be had.
    pub fn new(contexts: [usize; MODELS], selectors: usize) -> Result<Self> {
        fn table<T: Clone>(n: usize, value: T) -> Result<Vec<T>> {
            let mut v = Vec::new();
            v.try_reserve_exact(n.max(1))
                .map_err(|_| Error::limit(format!("expected memory for {n} contexts, found too little")))?;
            v.resize(n.max(1), value);
            Ok(v)
        }
        let fresh = [Bit::new(); NODES];
        let [a, b, c, d] = contexts;
        Ok(MixedModel {
            models: [table(a, fresh)?, table(b, fresh)?, table(c, fresh)?, table(d, fresh)?],
            weights: table(selectors, [[FIRST_WEIGHT; MODELS]; NODES])?,
            exponent: [Bit::new(); 32],
            mantissa: [[[Bit::new(); 4]; MODELLED + 1]; 2],
            tables: &TABLES,
        })
    }

    /// Codes `v` (a decoder ignores it) in the contexts `context`, one for each table, with the weights `selector`;
    /// indices beyond the last are taken as the last. Returns what was coded. Any value may come out of bytes that no
    /// encoder wrote.
    #[inline(always)]
    pub fn code<D: Decisions>(&mut self, io: &mut D, v: i32, context: [usize; MODELS], selector: usize) -> i32 {
        self.code_with::<D, false>(io, v, context, selector)
    }
    /// As [`MixedModel::code`], for values whose sign the contexts know something of.
    #[inline(always)]
    pub fn code_leaning<D: Decisions>(&mut self, io: &mut D, v: i32, context: [usize; MODELS], selector: usize) -> i32 {
        self.code_with::<D, true>(io, v, context, selector)
    }
    #[inline(always)]
    fn code_with<D: Decisions, const LEANING: bool>(
        &mut self,
        io: &mut D,
        v: i32,
        context: [usize; MODELS],
        selector: usize,
    ) -> i32 {
        let MixedModel { models, weights, exponent, mantissa, tables } = self;
        let [m0, m1, m2, m3] = models;
        let half = usize::from(selector * 2 >= weights.len());
        let mut nodes = Nodes {
            models: [at(m0, context[0]), at(m1, context[1]), at(m2, context[2]), at(m3, context[3])],
            weights: at(weights, selector),
            tables,
        };
        if nodes.decide(io, 0, v == 0) {
            return 0;
        }
        let magnitude = v.unsigned_abs();
        let true_exponent = 31 - (magnitude | 1).leading_zeros();
        let negative = if LEANING { nodes.decide(io, SIGN, v < 0) } else { io.direct(u64::from(v < 0), 1) != 0 };
        let mut e = 0;
        while e < 31 {
            let more = true_exponent > e;
            let more = match e as usize + 1 {
                node if node < SIGN => nodes.decide(io, node, more),
                _ => io.learn(&mut exponent[e as usize & 31], more),
            };
            if !more {
                break;
            }
            e += 1;
        }
        let mut m = 1u32;
        let mut left = e;
        if let Some(bits) = mantissa[half].get_mut(e as usize) {
            while left > 0 && left + 2 > e {
                left -= 1;
                let bit = io.learn(&mut bits[m as usize & 3], magnitude >> left & 1 != 0);
                m = m << 1 | u32::from(bit);
            }
        }
        let rest = io.direct(u64::from(magnitude) & ((1 << left) - 1), left);
        m = (u64::from(m) << left | rest) as u32;
        if negative {
            (m as i32).wrapping_neg()
        } else {
            m as i32
        }
    }
}

#[inline(always)]
fn at<T>(v: &mut [T], i: usize) -> &mut T {
    let last = v.len() - 1;
    &mut v[i.min(last)]
}

/// What takes part in the mixed decisions of one value.
struct Nodes<'a> {
    models: [&'a mut [Bit; NODES]; MODELS],
    weights: &'a mut [[f32; MODELS]; NODES],
    tables: &'static Tables,
}

impl Nodes<'_> {
    #[inline(always)]
    fn decide<D: Decisions>(&mut self, io: &mut D, node: usize, bit: bool) -> bool {
        let node = node % NODES;
        let mut s = [0.0f32; MODELS];
        for (s, m) in s.iter_mut().zip(&self.models) {
            *s = self.tables.stretch[(m[node].p() >> 4) as usize % STEPS];
        }
        let w = &mut self.weights[node];
        let x = (w[0] * s[0] + w[1] * s[1]) + (w[2] * s[2] + w[3] * s[3]);
        let i = ((SCALE * x + 2048.0) as i32).clamp(0, STEPS as i32 - 1);
        let p = self.tables.squash[i as usize % STEPS];
        let bit = io.decide(u64::from(p), bit);
        let error = RATE * (f32::from(u8::from(bit)) - f32::from(p) / 65536.0);
        for (w, s) in w.iter_mut().zip(&s) {
            *w += error * s;
        }
        for m in &mut self.models {
            m[node].update(bit);
        }
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn contexts(i: usize, last: i32) -> ([usize; MODELS], usize) {
        ([i % 3, last.unsigned_abs().min(6) as usize, i % 5, 0], i % 2)
    }
    fn model() -> MixedModel {
        MixedModel::new([3, 7, 5, 1], 2).unwrap()
    }
    fn encode(values: &[i32]) -> Vec<u8> {
        let (mut enc, mut m, mut last) = (BinaryEncoder::new(), model(), 0);
        for (i, &v) in values.iter().enumerate() {
            let (c, s) = contexts(i, last);
            assert_eq!(m.code(&mut enc, v, c, s), v);
            last = v;
        }
        enc.finish()
    }
    fn decode(bytes: &[u8], n: usize) -> (Vec<i32>, Result<()>) {
        let (mut dec, mut m, mut last) = (BinaryDecoder::new(bytes), model(), 0);
        let values = (0..n)
            .map(|i| {
                let (c, s) = contexts(i, last);
                last = m.code(&mut dec, 0, c, s);
                last
            })
            .collect();
        (values, dec.finish())
    }
    fn values() -> Vec<i32> {
        let mut v = vec![0, i32::MIN, i32::MAX, i32::MIN + 1];
        for s in 0..31 {
            v.extend([1i32 << s, -(1i32 << s), (1i32 << s) - 1, -((1i32 << s) - 1), 0x5555_5555 >> s]);
        }
        v
    }

    #[test]
    fn all_of_i32_round_trips_and_every_prefix_is_truncated() {
        let v = values();
        let bytes = encode(&v);
        let (got, end) = decode(&bytes, v.len());
        assert_eq!(got, v);
        assert_eq!(end, Ok(()));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], v.len()).1.unwrap_err().kind(), ErrorKind::Truncated);
        }
    }

    #[test]
    fn mixing_finds_the_context_that_knows() {
        // Context 2 of the four tells the value, the others are noise; so zero and exponent are free. Seven of eight
        // values have a sign; two have one bit below the leading one, four have two, and these bits see no context.
        let mut s = 88172645463325252u64;
        let (mut enc, mut m) = (BinaryEncoder::new(), MixedModel::new([8, 8, 8, 1], 1).unwrap());
        let n = 40_000;
        for _ in 0..n {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            let v = (s % 8) as i32;
            m.code(&mut enc, v, [(s >> 8) as usize % 8, (s >> 16) as usize % 8, v as usize, 0], 0);
        }
        let bits = enc.finish().len() as f64 * 8.0 / f64::from(n);
        assert!(bits > 17.0 / 8.0 && bits < 17.0 / 8.0 + 0.02, "{bits}");
        // A source that no context knows costs its entropy.
        let mut enc = BinaryEncoder::new();
        for _ in 0..n {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            m.code(&mut enc, s.trailing_ones() as i32, [0, 0, 0, 0], 0);
        }
        let bits = enc.finish().len() as f64 * 8.0 / f64::from(n);
        assert!(bits > 2.45 && bits < 2.55, "{bits}");
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let bytes = encode(&values());
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let _ = decode(&bad, 300);
        }
        for b in 0..=255 {
            let _ = decode(&[b; 64], 500);
        }
    }
}
