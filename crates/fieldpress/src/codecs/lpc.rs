//! `lpc`: linear predictive coding of values rounded to multiples of twice the tolerance, the weights fitted by least squares to
//! what lies around, errors entropy coded through mixed models.
//!
//! The prediction and its source are in [`crate::predict::local`], the models in [`crate::entropy::mixing`].
//!
//! Integers narrower than the kernel type (see `DType::kernel`) are widened first and saturate on the way back.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | tolerance t, `f64`; the step is `2 t`, for integers `2 floor(t) + 1` |
//! | varint | zigzag of the offset o of all codes, at most 2^50 |
//! | rest | the codes in C order, as decisions of [`crate::entropy::range`] |
//!
//! A value is `(o + c) * step`. Codes at masked points are not coded. With the prediction `p` and the expected error `e` of
//! [`crate::predict::local`], `b` is `p` rounded to the nearest integer (ties to even; 0 when `|p|` is not below 2^30),
//! `f = p - b`, and `k = max(0, floor(log2 e) - 1)`. The residual `r` is `c - b`, its sign turned when `k = 0` and `f < 0`,
//! modulo 2^32. Coded is `floor((r + h) / 2^k)` with `h = floor(2^k / 2)`, as a leaning value of
//! [`crate::entropy::mixing`], then the `k` low bits of `r + h` as direct bits.
//!
//! Contexts use `q = min(floor(16 |f|), 7)`, 0 when `k > 0`, and the other numbers of [`Guess`] times `2^-k`. `L(v, m, a, n)`
//! counts the powers of two from `2^a` to `v`, with `m` levels an octave (1, 2 or 4, linear in between), below `n`:
//!
//! | table | context | size |
//! |---|---|---|
//! | 0 | `8 L(e, 4, -5, 30) + q` | 240 |
//! | 1 | `16 (8 L(near 0) + L(near 1)) + 4 floor(L(near 2) / 2) + floor(q / 2)`, with `L(v, 1, -3, 8)` | 1024 |
//! | 2 | `12 L(depth, 2, -4, 16) + L(turn, 1, -2, 12)` | 192 |
//! | 3 | `3 (8 L(spread, 2, -1, 20) + L(e, 1, -3, 8)) + floor(q / 3)` | 480 |
//! | weights | `L(e, 1, -5, 8)` | 8 |

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Element, Mask, Shape};
use crate::bits::{widest, ByteReader, Work};
use crate::bound::{within, Term};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Spec};
use crate::entropy::{level, Around, BinaryDecoder, BinaryEncoder, Decisions, MixedModel};
use crate::error::{Error, Result};
use crate::predict::local::{Guess, LocalPredictor};
use crate::quantize::{before_rounding, round_i32, Lattice};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "lpc",
    doc: "Linear prediction with weights fitted by least squares around every value: the best ratios on rough fields.",
    params: &[],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Lpc>("lpc", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration: nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lpc {}

impl Codec for Lpc {
    fn id(&self) -> &'static str {
        "lpc"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(KernelBlocks(BoundLpc { shape: spec.shape })))
    }
}

struct BoundLpc {
    shape: Shape,
}

impl Kernel for BoundLpc {
    fn encode<T: Element>(
        &self,
        x: &[T],
        mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim> {
        let tolerance = before_rounding(tolerance, x);
        let lattice = Lattice::around(tolerance, x)?;
        lattice.write(tolerance, out);
        let masked = |i: usize| mask.is_some_and(|m| m.is_masked(i));
        let mut bounded = true;
        let mut coder = Coder::new(BinaryEncoder::new())?;
        if !x.is_empty() {
            // Another codec may do.
            let predictor = LocalPredictor::new(&self.shape).map_err(|e| Error::invalid(e.message()))?;
            widest(Visit(predictor, |i: usize, guess: &Guess| {
                if masked(i) {
                    return None;
                }
                let c = lattice.code(x[i].to_f64());
                bounded &= within(x[i], lattice.value(c), hint);
                Some(coder.code(c, guess))
            }));
        }
        out.extend(coder.io.finish());
        Ok(if bounded { Claim::Bounded } else { Claim::Unchecked })
    }
    fn decode<T: Element>(&self, bytes: &[u8], mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let lattice = Lattice::read::<T>(&mut r)?;
        let mut coder = Coder::new(BinaryDecoder::new(r.rest()))?;
        if !out.is_empty() {
            widest(Visit(LocalPredictor::new(&self.shape)?, |i: usize, guess: &Guess| {
                if mask.is_some_and(|m| m.is_masked(i)) {
                    return None;
                }
                let c = coder.code(0, guess);
                out[i] = lattice.value(c);
                Some(c)
            }));
        }
        coder.io.finish()
    }
}

/// A visit of all points. The arithmetic of the predictor is worth wide vectors; that of the coder has no use for them.
struct Visit<F>(LocalPredictor, F);

impl<F: FnMut(usize, &Guess) -> Option<i32>> Work for Visit<F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        self.0.visit(self.1);
    }
}

/// Codes in contexts, the same way back and forth.
struct Coder<D> {
    io: D,
    model: MixedModel,
}

impl<D: Decisions> Coder<D> {
    fn new(io: D) -> Result<Coder<D>> {
        Ok(Coder { io, model: MixedModel::new([30 * 8, 8 * 8 * 16, 16 * 12, 20 * 8 * 3], 8)? })
    }
    /// Codes `c` (a decoder ignores it) and returns what was coded.
    #[inline(always)]
    fn code(&mut self, c: i32, guess: &Guess) -> i32 {
        let inside = guess.value.abs() < f64::from(1 << 30);
        let base = if inside { round_i32(guess.value) } else { 0 };
        let fraction = if inside { guess.value - f64::from(base) } else { 0.0 };
        let around = Around::new(base, fraction, guess.error);
        let (scale, q) = (around.scale, around.fraction);
        let error = guess.error * scale;
        let [left, above, behind] = guess.near.map(|v| level(v * scale, 1, -3, 8));
        let depth = level(guess.depth * scale, 2, -4, 16);
        let turn = level(guess.turn * scale, 1, -2, 12);
        let spread = level(guess.spread * scale, 2, -1, 20);
        let context = [
            level(error, 4, -5, 30) * 8 + q,
            (left * 8 + above) * 16 + behind / 2 * 4 + q / 2,
            depth * 12 + turn,
            (spread * 8 + level(error, 1, -3, 8)) * 3 + q / 3,
        ];
        let selector = level(error, 1, -5, 8);
        around.code(&mut self.model, &mut self.io, c, context, selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn field() -> Vec<f32> {
        (0..6 * 20 * 50)
            .map(|i| libm::sinf((i % 50) as f32 * 0.2) + (i / 50) as f32 * 0.01 + (i * 7919 % 101) as f32 * 1e-3)
            .collect()
    }
    fn encoded(x: &[f32], tolerance: f64) -> (BoundLpc, Vec<u8>, Claim) {
        let codec = BoundLpc { shape: Shape::new(&[6, 20, 50]).unwrap() };
        let hint = Term { abs: tolerance, rel: 0.0 };
        let mut bytes = Vec::new();
        let claim = codec.encode(x, None, tolerance, &hint, &mut bytes).unwrap();
        (codec, bytes, claim)
    }

    #[test]
    fn errors_stay_below_the_tolerance_and_prefixes_are_truncated() {
        let x = field();
        // From fractions of a bit a value to many bits.
        for tolerance in [0.3, 1e-2, 1e-3, 1e-5] {
            let (codec, bytes, claim) = encoded(&x, tolerance);
            assert_eq!(claim, Claim::Bounded);
            let mut y = vec![0f32; x.len()];
            codec.decode(&bytes, None, &mut y).unwrap();
            assert!(x.iter().zip(&y).all(|(x, y)| (f64::from(*x) - f64::from(*y)).abs() <= tolerance));
            for cut in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
                let e = codec.decode(&bytes[..cut], None, &mut y).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Truncated, "{tolerance} {cut}");
            }
        }
    }

    #[test]
    fn masked_points_cost_nothing() {
        let x = field();
        let codec = BoundLpc { shape: Shape::new(&[6, 20, 50]).unwrap() };
        let hint = Term { abs: 1e-2, rel: 0.0 };
        let size = |mask: Option<&Mask>| {
            let mut bytes = Vec::new();
            codec.encode(&x, mask, 1e-2, &hint, &mut bytes).unwrap();
            let mut y = vec![0f32; x.len()];
            codec.decode(&bytes, mask, &mut y).unwrap();
            let valid = |i: &usize| !mask.is_some_and(|m| m.is_masked(*i));
            assert!((0..x.len()).filter(valid).all(|i| (x[i] - y[i]).abs() < 0.0101));
            bytes.len()
        };
        let all = Mask::new((0..x.len()).map(|i| i % 50 >= 10).collect());
        assert!(size(Some(&all)) * 3 < size(None));
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let (codec, bytes, _) = encoded(&field(), 1e-2);
        let mut y = vec![0f32; 6 * 20 * 50];
        for at in (0..bytes.len()).step_by(97) {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let _ = codec.decode(&bad, None, &mut y);
        }
        for b in 0..=255 {
            let _ = codec.decode(&[b; 500], None, &mut y);
        }
    }
}
