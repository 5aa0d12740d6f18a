//! Signed integers through adaptive binary models: a zero flag, a sign, and an Elias-gamma magnitude with learnt bits.
//!
//! Source: P. Elias, "Universal codeword sets and representations of the integers", 1975, each bit of the code given to the
//! range coder with its own probability, as in the residual coders of lossless image coding.
//!
//! # Format
//!
//! A value `v` in context `c` is these decisions of [`crate::entropy::range`], each with a model of its own:
//!
//! | what | decisions |
//! |---|---|
//! | zero | `v == 0`; true ends the value |
//! | sign | `v < 0` |
//! | exponent `e = floor(log2 abs(v))` | for `k` = 0, 1, ... : `e > k`, up to the first false or `k` = 62 |
//! | highest mantissa bits, for `e <= 20` | the `min(e, 3)` bits below the leading one, highest first; the model is chosen by `e` and the bits before |
//! | other mantissa bits | direct bits |

use super::range::{BinaryDecoder, BinaryEncoder, Bit};

/// Largest exponent whose mantissa is modelled.
const MODELLED: usize = 20;

#[derive(Clone, Debug)]
struct Context {
    zero: Bit,
    sign: Bit,
    exponent: [Bit; 63],
    mantissa: [[Bit; 8]; MODELLED + 1],
}

/// An adaptive model of signed integers in a number of contexts; covers all of `i64`.
#[derive(Clone, Debug)]
pub struct IntModel(Vec<Context>);

impl IntModel {
    /// A model with `contexts` contexts (at least one), all knowing nothing.
    pub fn new(contexts: usize) -> Self {
        let new = Bit::new();
        let context = Context { zero: new, sign: new, exponent: [new; 63], mantissa: [[new; 8]; MODELLED + 1] };
        IntModel(vec![context; contexts.max(1)])
    }
    /// Codes `v` in context `ctx`; contexts beyond the last are taken as the last.
    #[inline]
    pub fn encode(&mut self, enc: &mut BinaryEncoder, v: i64, ctx: usize) {
        let last = self.0.len() - 1;
        let c = &mut self.0[ctx.min(last)];
        enc.encode(&mut c.zero, v == 0);
        if v == 0 {
            return;
        }
        enc.encode(&mut c.sign, v < 0);
        let m = v.unsigned_abs();
        let e = 63 - m.leading_zeros();
        for (k, model) in c.exponent.iter_mut().enumerate() {
            let more = e as usize > k;
            enc.encode(model, more);
            if !more {
                break;
            }
        }
        let mut left = e;
        if let Some(models) = c.mantissa.get_mut(e as usize) {
            let mut node = 1;
            while left > 0 && left + 3 > e {
                left -= 1;
                let bit = m >> left & 1;
                enc.encode(&mut models[node & 7], bit != 0);
                node = node << 1 | bit as usize;
            }
        }
        enc.encode_direct(m & ((1 << left) - 1), left);
    }
    /// The next value in context `ctx`. Any value may come out of bytes that no encoder wrote.
    #[inline]
    pub fn decode(&mut self, dec: &mut BinaryDecoder<'_>, ctx: usize) -> i64 {
        let last = self.0.len() - 1;
        let c = &mut self.0[ctx.min(last)];
        if dec.decode(&mut c.zero) {
            return 0;
        }
        let negative = dec.decode(&mut c.sign);
        let mut e = 0u32;
        for model in &mut c.exponent {
            if !dec.decode(model) {
                break;
            }
            e += 1;
        }
        let mut m = 1u64;
        let mut left = e;
        if let Some(models) = c.mantissa.get_mut(e as usize) {
            while left > 0 && left + 3 > e {
                left -= 1;
                let bit = dec.decode(&mut models[m as usize & 7]);
                m = m << 1 | u64::from(bit);
            }
        }
        m = m << left | dec.decode_direct(left);
        if negative {
            (m as i64).wrapping_neg()
        } else {
            m as i64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn encode(values: &[i64], contexts: usize) -> Vec<u8> {
        let mut enc = BinaryEncoder::new();
        let mut model = IntModel::new(contexts);
        for (i, &v) in values.iter().enumerate() {
            model.encode(&mut enc, v, i % contexts);
        }
        enc.finish()
    }
    fn decode<'a>(bytes: &'a [u8], n: usize, contexts: usize) -> (Vec<i64>, BinaryDecoder<'a>) {
        let mut dec = BinaryDecoder::new(bytes);
        let mut model = IntModel::new(contexts);
        ((0..n).map(|i| model.decode(&mut dec, i % contexts)).collect(), dec)
    }
    fn values() -> Vec<i64> {
        let mut v = vec![0, i64::MIN, i64::MAX, i64::MIN + 1];
        for s in 0..63 {
            v.extend([
                1i64 << s,
                -(1i64 << s),
                (1 << s) - 1,
                -((1 << s) + 1),
                (1i64 << s) ^ (0x5555_5555_5555_5555 >> (63 - s)),
            ]);
        }
        v
    }

    #[test]
    fn all_of_i64_round_trips_and_every_prefix_is_truncated() {
        for contexts in [1, 2, 7] {
            let v = values();
            let bytes = encode(&v, contexts);
            let (got, dec) = decode(&bytes, v.len(), contexts);
            assert_eq!(got, v);
            assert_eq!(dec.finish(), Ok(()));
            for cut in 0..bytes.len() {
                let (_, dec) = decode(&bytes[..cut], v.len(), contexts);
                assert_eq!(dec.finish().unwrap_err().kind(), ErrorKind::Truncated);
            }
        }
    }

    #[test]
    fn a_geometric_source_costs_its_entropy_and_contexts_are_apart() {
        // v = number of trailing ones of a random word: probability 2^-(v+1), entropy 2 bits.
        let mut s = 88172645463325252u64;
        let v: Vec<i64> = (0..100_000)
            .map(|i| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                if i % 2 == 0 {
                    i64::from(s.trailing_ones())
                } else {
                    5
                }
            })
            .collect();
        let bits = encode(&v, 2).len() as f64 * 8.0 / 50_000.0;
        assert!(bits < 2.02 && bits > 1.98, "{bits}");
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let bytes = encode(&values(), 3);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                let (_, dec) = decode(&bad, 400, 3);
                let _ = dec.finish();
            }
        }
        for b in 0..=255 {
            decode(&[b; 64], 500, 2);
        }
    }

    /// A change of these is a change of the format.
    #[test]
    fn bytes_are_those_of_the_format() {
        let bytes = encode(&values(), 3);
        assert_eq!((bytes.len(), crate::bits::crc32c(&bytes)), (1565, 0xa419_2086));
    }
}
