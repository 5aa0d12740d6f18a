//! Integers coded as distances from real predictions: how `lpc` and `vlasov` do it alike.

use super::mixing::{Decisions, MixedModel};

/// A prediction: the nearest integer, and what of it goes into contexts.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    base: i32,
    /// The lowest bits that are coded without a model.
    low: u32,
    turned: bool,
    /// `2^-k`, what errors are multiplied by before they become contexts.
    pub scale: f32,
    /// How far the prediction is from its integer, in parts of 16, below 8; 0 where errors are large.
    pub fraction: usize,
}

impl Around {
    /// From the nearest integer, what the prediction is more than that, and the error that is expected.
    #[inline(always)]
    pub fn new(base: i32, fraction: f64, expected: f32) -> Around {
        let low = (expected.to_bits() >> 23).saturating_sub(128).min(24);
        Around {
            base,
            low,
            turned: low == 0 && fraction < 0.0,
            scale: f32::from_bits((127 - low) << 23),
            fraction: if low == 0 { ((16.0 * fraction.abs()) as usize).min(7) } else { 0 },
        }
    }
    /// Whether the sign of the distance is turned, so that the nearer side comes first.
    #[inline(always)]
    pub fn is_turned(&self) -> bool {
        self.turned
    }
    /// Codes `code` (a decoder ignores it) and returns what was coded.
    #[inline(always)]
    pub fn code<D: Decisions>(
        &self,
        model: &mut MixedModel,
        io: &mut D,
        code: i32,
        context: [usize; 4],
        selector: usize,
    ) -> i32 {
        let turn = |r: i32| if self.turned { r.wrapping_neg() } else { r };
        let half = i64::from((1i32 << self.low) >> 1);
        let lifted = i64::from(turn(code.wrapping_sub(self.base))) + half;
        let high = model.code_leaning(io, (lifted >> self.low) as i32, context, selector);
        let low = io.direct(lifted as u64 & ((1 << self.low) - 1), self.low) as i64;
        self.base.wrapping_add(turn(((i64::from(high) << self.low) + low - half) as i32))
    }
}

/// Levels from `2^lowest` up to `v`, `each` (1, 2 or 4) an octave, below `count`. Not-a-number is at the top.
#[inline(always)]
pub fn level(v: f32, each: u32, lowest: i32, count: usize) -> usize {
    let m = each.trailing_zeros();
    let base = ((127 + lowest) as u32) << m;
    let steps = ((v.to_bits() & 0x7fff_ffff) >> (23 - m)) + 1;
    (steps.saturating_sub(base) as usize).min(count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_powers_of_two_in_parts() {
        let all: Vec<usize> =
            [0.0, 0.1, 0.124, 0.125, 0.24, 1.0, 1.9, 2.0, 1e9].iter().map(|v| level(*v, 1, -3, 8)).collect();
        assert_eq!(all, [0, 0, 0, 1, 1, 4, 4, 5, 7]);
        assert_eq!([1.0, 1.24, 1.25, 1.5, 1.75, 2.0].map(|v| level(v, 4, 0, 30)), [1, 1, 2, 3, 4, 5]);
        assert_eq!(level(f32::NAN, 2, -4, 16), 15);
    }
}
