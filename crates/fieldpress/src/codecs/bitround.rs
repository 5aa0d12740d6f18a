//! `bitround`: rounds mantissas to few bits, so that a lossless codec behind finds zeros.
//!
//! Klöwer et al., "Compressing atmospheric data into its real information content", Nature Computational Science 1 (2021).
//! Round to nearest, ties to even; the grids for fewer bits are contained in those for more, so the error of every value
//! falls with the number of bits, and rounding twice under the same absolute tolerance changes nothing.
//!
//! # Format
//! The values rounded, of the same type and shape; no side information.

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::array::{Buffer, DType, Element, Slice};
use crate::bound::{within, Term};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Filter, Filtered, Site, Spec};
use crate::error::{Error, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "bitround",
    doc: "Rounds mantissas to as few bits as the bound allows.",
    params: &[("keepbits", "mantissa bits to keep, 1 to 52; default 0, per block as few as the bound allows")],
    make: Make::Filter(|v| Ok(Box::new(parse_config::<BitRound>("bitround", v)?.checked()?))),
    idempotent: true,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BitRound {
    /// Mantissa bits to keep; 0: as few as the tolerance allows at every value of the block, possibly none.
    pub keepbits: u32,
}

impl BitRound {
    fn checked(self) -> Result<Self> {
        if self.keepbits > 52 {
            return Err(Error::invalid(format!("bitround: expected 0 to 52 bits to keep, found {}", self.keepbits)));
        }
        Ok(self)
    }
}

impl Filter for BitRound {
    fn id(&self) -> &'static str {
        "bitround"
    }
    fn config(&self) -> Value {
        json!({ "keepbits": self.keepbits })
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        if !spec.dtype.is_float() {
            return Err(Error::invalid(format!("expected values of type f32 or f64 to round, found {}", spec.dtype)));
        }
        Ok(*spec)
    }
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered> {
        let values = match x.values {
            Slice::F32(v) => f32::into_buffer(self.rounded(v, x, hint)),
            Slice::F64(v) => f64::into_buffer(self.rounded(v, x, hint)),
            v => return Err(Error::invalid(format!("expected values of type f32 or f64, found {}", v.dtype()))),
        };
        Ok(Filtered { values, side: Vec::new(), hint: Term::EXACT })
    }
    fn is_pointwise(&self) -> bool {
        true
    }
    fn inverse(&self, y: Slice<'_>, _side: &[u8], _spec: &Spec, _site: &Site<'_>) -> Result<Buffer> {
        Ok(y.to_buffer())
    }
}

impl BitRound {
    fn rounded<T: Element>(&self, values: &[T], block: &Block<'_>, hint: &Term) -> Vec<T> {
        let mut keep = self.keepbits;
        if keep == 0 {
            for (i, &x) in values.iter().enumerate() {
                if !block.site.mask.is_some_and(|m| m.is_masked(i)) {
                    while keep < mantissa::<T>() && !within(x, round(x, keep), hint) {
                        keep += 1;
                    }
                }
            }
        }
        values.iter().map(|&x| round(x, keep)).collect()
    }
}

/// Explicit mantissa bits of a float type.
const fn mantissa<T: Element>() -> u32 {
    match T::DTYPE {
        DType::F32 => 23,
        _ => 52,
    }
}

/// `x` to the nearest value with `keep` mantissa bits, ties to even; toward zero where that would be infinite.
#[inline(always)]
fn round<T: Element>(x: T, keep: u32) -> T {
    let drop = mantissa::<T>().saturating_sub(keep);
    if drop == 0 {
        return x;
    }
    let bits = x.to_bits64();
    let low = (1u64 << drop) - 1;
    let y = T::from_bits64((bits + (low >> 1) + ((bits >> drop) & 1)) & !low);
    if y.is_finite() {
        y
    } else {
        T::from_bits64(bits & !low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Mask, Shape};

    fn run<T: Element>(values: &[T], filter: BitRound, hint: Term, mask: Option<&Mask>) -> Vec<T> {
        let shape = Shape::new(&[values.len()]).unwrap();
        let site = Site { mask, ..Site::default() };
        let r = filter.forward(&Block { shape, values: T::wrap(values), site }, &hint).unwrap();
        assert!(r.hint.is_exact() && r.side.is_empty());
        let spec = Spec { dtype: T::DTYPE, shape };
        assert_eq!(filter.output(&spec).unwrap(), spec);
        T::of(filter.inverse(r.values.as_slice(), &[], &spec, &site).unwrap().as_slice()).unwrap().to_vec()
    }

    #[test]
    fn mantissas_round_to_nearest_even() {
        let r = |v: f64, k| run(&[v], BitRound { keepbits: k }, Term::EXACT, None)[0];
        assert_eq!([r(1.25, 1), r(1.75, 1), r(-1.76, 2), r(3.0, 1)], [1.0, 2.0, -1.75, 3.0]);
        assert_eq!([r(0.0, 1), r(0.1, 52), r(1e-310, 52)], [0.0, 0.1, 1e-310]);
        assert!(r(f64::MAX, 3).is_finite());
        assert_eq!(run(&[1.0f32 + f32::EPSILON], BitRound { keepbits: 23 }, Term::EXACT, None)[0], 1.0 + f32::EPSILON);
        assert!(BitRound::default().output(&Spec { dtype: DType::I32, shape: Shape::default() }).is_err());
    }

    #[test]
    fn the_tolerance_decides_how_many_bits_are_kept() {
        let v: Vec<f32> = (0..5000).map(|i| (libm::sin(i as f64 * 0.7) * 300.0) as f32).collect();
        for hint in
            [Term { abs: 0.5, rel: 0.0 }, Term { abs: 0.0, rel: 1e-3 }, Term { abs: 1.0, rel: 0.01 }, Term::EXACT]
        {
            let y = run(&v, BitRound::default(), hint, None);
            assert!(v.iter().zip(&y).all(|(&x, &y)| within(x, y, &hint)));
            // As few as possible: one bit less breaks the bound somewhere.
            let trailing = y.iter().map(|y| y.to_bits().trailing_zeros()).min().unwrap();
            if trailing > 0 {
                assert!(v.iter().any(|&x| !within(x, round(x, 23 - trailing - 1), &hint)), "{hint:?}");
            }
            if hint.rel == 0.0 {
                assert_eq!(run(&y, BitRound::default(), hint, None), y, "rounding twice changes nothing");
            }
        }
        assert_eq!(run(&v, BitRound::default(), Term::EXACT, None), v);
        // Half a percent, relative: the first seven bits are enough everywhere.
        let y = run(&v, BitRound::default(), Term { abs: 0.0, rel: 1.0 / 256.0 }, None);
        assert!(y.iter().all(|y| y.to_bits() & 0xffff == 0));
        // A masked value does not count.
        let mask = Mask::new(vec![false, true]);
        assert_eq!(run(&[1.5f32, 1.3], BitRound::default(), Term { abs: 0.0, rel: 0.01 }, Some(&mask)), [1.5, 1.5]);
    }
}
