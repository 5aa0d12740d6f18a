//! `lattice`: values that were unpacked from integers become those integers again, so that tight bounds, and none at all, cost no
//! more than the integers do.
//!
//! Archives of climate and weather data (CF conventions, section 8.1, "Packed data") hold 16-bit integers with a scale and an
//! offset; unpacked, they lie on `offset + k * scale`. The filter finds both for each block, see [`crate::quantize::Spacing`];
//! values that are not quite there are left to the bounded stage.
//!
//! # Format
//! Values of type i32, of the same shape. A value is `offset + k * step`, both operations rounded in `f64`, cast to the type. Side
//! information:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | the offset, f64, little-endian |
//! | 8 | the step, f64, little-endian |

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Buffer, DType, Element, Slice};
use crate::bits::ByteReader;
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Filter, Filtered, Site, Spec};
use crate::dispatch_dtype;
use crate::error::{Error, Result};
use crate::quantize::Spacing;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "lattice",
    doc: "Values that were unpacked from integers, as those integers.",
    params: &[],
    make: Make::Filter(|v| Ok(Box::new(parse_config::<Lattice>("lattice", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration: nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lattice {}

impl Filter for Lattice {
    fn id(&self) -> &'static str {
        "lattice"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        Ok(Spec { dtype: DType::I32, shape: spec.shape })
    }
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered> {
        let values = x.values.to_f64();
        let valid: Vec<f64> = match x.site.mask {
            Some(m) => values.iter().enumerate().filter(|(i, _)| !m.is_masked(*i)).map(|(_, v)| *v).collect(),
            None => values.clone(),
        };
        let largest = valid.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let rounding = Spacing::rounding(largest, x.values.dtype());
        let spacing = Spacing::find(&valid, rounding)
            .ok_or_else(|| Error::invalid("lattice: expected values that were unpacked from integers, found others"))?;
        let mut inner = Term::EXACT;
        if hint.abs > 0.0 && hint.rel == 0.0 {
            inner.abs = ((hint.abs - 2.0 * rounding) / spacing.step).clamp(0.0, f64::from(1 << 30));
        }
        let side = [spacing.offset.to_le_bytes(), spacing.step.to_le_bytes()].concat();
        let integers = values.iter().map(|v| spacing.integer(*v)).collect();
        Ok(Filtered { values: Buffer::I32(integers), side, hint: inner })
    }
    fn is_pointwise(&self) -> bool {
        true
    }
    fn inverse(&self, y: Slice<'_>, side: &[u8], spec: &Spec, _site: &Site<'_>) -> Result<Buffer> {
        fn run<T: Element>(y: &[i32], spacing: Spacing) -> Result<Buffer> {
            let mut out = Buffer::zeros(T::DTYPE, y.len())?;
            if let Some(out) = T::of_mut(out.as_mut()) {
                out.iter_mut().zip(y).for_each(|(o, &k)| *o = T::from_f64(spacing.value(k)));
            }
            Ok(out)
        }
        let mut r = ByteReader::new(side);
        let spacing = Spacing { offset: r.f64()?, step: r.f64()? };
        r.end()?;
        if !(spacing.offset.is_finite() && spacing.step.is_finite()) {
            return Err(Error::corrupt(format!("expected a finite offset and step, found {spacing:?}")));
        }
        let y =
            i32::of(y).ok_or_else(|| Error::corrupt(format!("expected values of type i32, found {}", y.dtype())))?;
        dispatch_dtype!(spec.dtype, T => run::<T>(y, spacing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Shape;

    #[test]
    fn integers_come_out_and_go_back() {
        let x: Vec<f32> = (0..3000u64).map(|i| (250.0 + 0.01 * ((i * 7919) % 5003) as f64) as f32).collect();
        let shape = Shape::new(&[3000]).unwrap();
        let block = Block { shape, values: Slice::F32(&x), site: Site::default() };
        let f = Lattice {}.forward(&block, &Term { abs: 0.05, rel: 0.0 }).unwrap();
        assert!((4.9..5.1).contains(&f.hint.abs), "{:?}", f.hint);
        let back = Lattice {}.inverse(f.values.as_slice(), &f.side, &block.spec(), &block.site).unwrap();
        let Slice::F32(y) = back.as_slice() else { panic!("expected floats") };
        let same = x.iter().zip(y).filter(|(x, y)| x == y).count();
        assert!(same > 2950, "{same}");
        assert_eq!(Lattice {}.forward(&block, &Term::EXACT).unwrap().hint, Term::EXACT);
        for cut in 0..f.side.len() {
            assert!(Lattice {}.inverse(f.values.as_slice(), &f.side[..cut], &block.spec(), &block.site).is_err());
        }
        // Integers have a step too.
        let x: Vec<i16> = (0..500).map(|i| 7 * (i * 31 % 97) - 300).collect();
        let block = Block { shape: Shape::new(&[500]).unwrap(), values: Slice::I16(&x), site: Site::default() };
        let f = Lattice {}.forward(&block, &Term::EXACT).unwrap();
        assert_eq!(f64::from_le_bytes(f.side[8..].try_into().unwrap()), 7.0);
        let back = Lattice {}.inverse(f.values.as_slice(), &f.side, &block.spec(), &block.site).unwrap();
        assert!(back.as_slice().same_bits(Slice::I16(&x)));
        let bad = [f64::NAN.to_le_bytes(), 1f64.to_le_bytes()].concat();
        assert!(Lattice {}.inverse(f.values.as_slice(), &bad, &block.spec(), &block.site).is_err());
    }
}
