//! `spatial_delta`: differences along one axis, bit for bit, optionally stored in a narrower integer type.
//!
//! Integers are subtracted modulo 2^bits. Floats are mapped to unsigned integers of the same width that keep their order
//! (sign bit flipped where clear, all bits flipped where set) and then treated alike, so NaN, infinities and -0.0 come
//! back too. Narrowing is checked value by value: what would lose is an error, never silent.
//!
//! # Format
//! Integers of the same shape, no side information. The first value along the axis is stored as it is (mapped), every
//! other one as its difference to the last value before it along the axis that is not kept apart by the bounded stage; in
//! place of values kept apart, 0. The output type has the two's complement low bits; going back, signed types extend
//! the sign and unsigned ones extend with zeros.

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::array::{Buffer, DType, Element, Mask, Shape, Slice};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Filter, Filtered, Site, Spec};
use crate::error::{Error, Result};
use crate::{dispatch, dispatch_dtype};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "spatial_delta",
    doc: "Differences along one axis, lossless.",
    params: &[
        ("axis", "the axis, from the end where negative; default -1"),
        ("astype", "integer type of the differences; default that of the array, signed for floats"),
    ],
    make: Make::Filter(|v| Ok(Box::new(parse_config::<SpatialDelta>("spatial_delta", v)?.checked()?))),
    idempotent: true,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpatialDelta {
    /// The axis along which differences are taken; counted from the end where negative.
    pub axis: i64,
    /// The integer type of the output, no wider than the input. `None`: that of the input; for floats, signed integers of
    /// the same width.
    pub astype: Option<DType>,
}

impl Default for SpatialDelta {
    fn default() -> Self {
        SpatialDelta { axis: -1, astype: None }
    }
}

impl SpatialDelta {
    fn checked(self) -> Result<Self> {
        match self.astype {
            Some(t) if t.is_float() => {
                Err(Error::invalid(format!("spatial_delta: expected an integer type for differences, found {t}")))
            }
            _ => Ok(self),
        }
    }
    /// Lines before, along and inside the axis. Errors: `InvalidArgument` when there is no such axis.
    fn extents(&self, shape: &Shape) -> Result<Extents> {
        let rank = shape.rank() as i64;
        let axis = if self.axis < 0 { self.axis.saturating_add(rank) } else { self.axis };
        let at = usize::try_from(axis).ok().filter(|_| axis < rank);
        let bad = || Error::invalid(format!("expected an axis of {rank} (or from the end), found {}", self.axis));
        let dims = shape.dims();
        let (before, rest) = at.and_then(|a| dims.split_at_checked(a)).ok_or_else(bad)?;
        let (&along, inside) = rest.split_first().ok_or_else(bad)?;
        Ok(Extents { outer: before.iter().product(), along, inner: inside.iter().product() })
    }
}

/// An array seen as lines along one axis.
#[derive(Clone, Copy)]
struct Extents {
    outer: usize,
    along: usize,
    inner: usize,
}

impl Filter for SpatialDelta {
    fn id(&self) -> &'static str {
        "spatial_delta"
    }
    fn config(&self) -> Value {
        match self.astype {
            Some(t) => json!({ "axis": self.axis, "astype": t }),
            None => json!({ "axis": self.axis }),
        }
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        self.extents(&spec.shape)?;
        let same = match spec.dtype {
            DType::F32 => DType::I32,
            DType::F64 => DType::I64,
            d => d,
        };
        let dtype = self.astype.unwrap_or(same);
        if dtype.size() > spec.dtype.size() || dtype.is_float() {
            return Err(Error::invalid(format!(
                "expected an integer type no wider than {} for differences, found {dtype}",
                spec.dtype
            )));
        }
        Ok(Spec { dtype, shape: spec.shape })
    }
    fn forward(&self, x: &Block<'_>, _hint: &Term) -> Result<Filtered> {
        let to = self.output(&x.spec())?.dtype;
        let extents = self.extents(&x.shape)?;
        let values =
            dispatch!(Slice, x.values, v => dispatch_dtype!(to, O => deltas::<_, O>(v, extents, x.site.mask)))?;
        // An error in one difference would be one in every value after it.
        Ok(Filtered { values, side: Vec::new(), hint: Term::EXACT })
    }
    fn inverse(&self, y: Slice<'_>, _side: &[u8], spec: &Spec, site: &Site<'_>) -> Result<Buffer> {
        let extents = self.extents(&spec.shape)?;
        if y.len() != spec.shape.len() {
            return Err(Error::corrupt(format!("expected {} differences, found {}", spec.shape.len(), y.len())));
        }
        dispatch!(Slice, y, d => dispatch_dtype!(spec.dtype, T => sums::<T, _>(d, extents, site.mask)))
    }
}

/// A stored difference as 64 bits: the sign extended for signed types.
#[inline(always)]
fn widened<O: Element>(d: O) -> u64 {
    let shift = 64 - O::BITS;
    match O::DTYPE {
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => (((d.to_bits64() << shift) as i64) >> shift) as u64,
        _ => d.to_bits64(),
    }
}

fn deltas<T: Element, O: Element>(v: &[T], e: Extents, mask: Option<&Mask>) -> Result<Buffer> {
    let width = u64::MAX >> (64 - T::BITS);
    let mut out: Vec<O> = Vec::new();
    out.try_reserve_exact(v.len()).map_err(|_| Error::limit("expected memory for differences, found too little"))?;
    let mut lost = 0;
    let mut before = vec![0u64; e.inner];
    let mut i = 0;
    for plane in v.chunks_exact((e.along * e.inner).max(1)).take(e.outer) {
        before.fill(0);
        for row in plane.chunks_exact(e.inner.max(1)) {
            for (&x, b) in row.iter().zip(&mut before) {
                if mask.is_some_and(|m| m.is_masked(i)) {
                    out.push(O::default());
                } else {
                    let k = x.key();
                    let d = k.wrapping_sub(*b);
                    *b = k;
                    let o = O::from_bits64(d);
                    lost |= (widened(o) ^ d) & width;
                    out.push(o);
                }
                i += 1;
            }
        }
    }
    if lost != 0 {
        return Err(Error::invalid(format!(
            "expected differences that fit type {}, found larger ones (or a large first value)",
            O::DTYPE
        )));
    }
    Ok(O::into_buffer(out))
}

fn sums<T: Element, O: Element>(d: &[O], e: Extents, mask: Option<&Mask>) -> Result<Buffer> {
    let mut out: Vec<T> = Vec::new();
    out.try_reserve_exact(d.len()).map_err(|_| Error::limit("expected memory for values, found too little"))?;
    let mut sum = vec![0u64; e.inner];
    let mut i = 0;
    for plane in d.chunks_exact((e.along * e.inner).max(1)).take(e.outer) {
        sum.fill(0);
        for row in plane.chunks_exact(e.inner.max(1)) {
            for (&d, s) in row.iter().zip(&mut sum) {
                if !mask.is_some_and(|m| m.is_masked(i)) {
                    *s = s.wrapping_add(widened(d));
                }
                out.push(T::from_key(*s));
                i += 1;
            }
        }
    }
    Ok(T::into_buffer(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::{compress, decompress, Bound, Options};

    fn run<T: Element>(v: &[T], dims: &[usize], axis: i64, astype: Option<DType>) -> Result<Buffer> {
        let shape = Shape::new(dims).unwrap();
        let f = SpatialDelta { axis, astype };
        let spec = Spec { dtype: T::DTYPE, shape };
        let r = f.forward(&Block { shape, values: T::wrap(v), site: Site::default() }, &Term { abs: 1.0, rel: 0.0 })?;
        assert!(r.hint.is_exact());
        assert_eq!(r.values.dtype(), f.output(&spec)?.dtype);
        let back = f.inverse(r.values.as_slice(), &[], &spec, &Site::default())?;
        assert!(back.as_slice().same_bits(T::wrap(v)));
        Ok(r.values)
    }

    #[test]
    fn differences_run_along_the_axis() {
        let v = [1i32, 2, 4, 10, 20, 40];
        assert_eq!(run(&v, &[2, 3], -1, None).unwrap(), Buffer::I32(vec![1, 1, 2, 10, 10, 20]));
        assert_eq!(run(&v, &[2, 3], 0, None).unwrap(), Buffer::I32(vec![1, 2, 4, 9, 18, 36]));
        assert_eq!(run(&v, &[3, 2, 1], 1, None).unwrap(), Buffer::I32(vec![1, 1, 4, 6, 20, 20]));
        assert_eq!(run(&v, &[2, 3], -2, None).unwrap(), run(&v, &[2, 3], 0, None).unwrap());
        for (axis, dims) in [(2, vec![2, 3]), (-3, vec![2, 3]), (0, vec![]), (-1, vec![]), (i64::MIN, vec![6])] {
            assert!(run(&v[..dims.iter().product()], &dims, axis, None).is_err(), "axis {axis} of {dims:?}");
        }
        assert!(run::<i32>(&[], &[0, 3], 1, None).is_ok() && run::<i32>(&[], &[3, 0], 1, None).is_ok());
        assert!(run(&[5u8], &[1], 0, None).is_ok());
    }

    #[test]
    fn integers_wrap_and_come_back() {
        assert_eq!(run(&[255u8, 0, 255, 1], &[4], 0, None).unwrap(), Buffer::U8(vec![255, 1, 255, 2]));
        run(&[i64::MIN, i64::MAX, 0, -1], &[4], 0, None).unwrap();
        run(&[u64::MAX, 0, 1, u64::MAX / 2], &[2, 2], 0, None).unwrap();
        run(&[i8::MIN, i8::MAX, 0, -1], &[4], 0, None).unwrap();
        // Truth values, and dates as i64 with the lowest number for none.
        assert_eq!(run(&[0u8, 1, 1, 0], &[4], 0, None).unwrap(), Buffer::U8(vec![0, 1, 0, 255]));
        run(&[i64::MIN, 19_000, 19_001, i64::MIN], &[4], 0, None).unwrap();
    }

    #[test]
    fn floats_come_back_bit_for_bit() {
        let v = [1.0f32, 1e20, 1.0, f32::NAN, -0.0, 3e38, -3e38, f32::INFINITY, f32::from_bits(0xffc0_1234), 1e-45];
        run(&v, &[10], 0, None).unwrap();
        run(&v, &[5, 2], 0, Some(DType::U32)).unwrap();
        run(&v.map(f64::from), &[2, 5], -1, None).unwrap();
        // Neighbours in order are 1 apart, across zero too.
        let d = run(&[0.0f64, 5e-324, 1.0, 1.0f64.next_up()], &[4], 0, None).unwrap();
        assert_eq!(i64::of(d.as_slice()).map(|d| (d[1], d[3])), Some((1, 1)));
    }

    #[test]
    fn narrowing_that_loses_is_an_error() {
        let v = [100i32, 110, 90, 100];
        assert_eq!(run(&v, &[4], 0, Some(DType::I8)).unwrap(), Buffer::I8(vec![100, 10, -20, 10]));
        assert!(run(&[300i32, 301, 302], &[3], 0, Some(DType::I8)).is_err(), "the first value");
        assert!(run(&[0i32, 300, 302], &[3], 0, Some(DType::I8)).is_err(), "a difference");
        assert!(run(&[1i16, 0], &[2], 0, Some(DType::U8)).is_err(), "a negative difference in an unsigned type");
        run(&[0u64, 200, 400, 655], &[4], 0, Some(DType::U8)).unwrap();
        // Modulo 2^16 a step down of 1 is 65535, which i8 holds as -1.
        run(&[1u16, 0, 65_535], &[3], 0, Some(DType::I8)).unwrap();
        assert!(run(&[1u8, 2], &[2], 0, Some(DType::I16)).is_err(), "wider than the input");
        assert!(crate::Chain::parse("spatial_delta:astype=f32").is_err());
        assert!(crate::Chain::parse("spatial_delta:axis=1.5").is_err());
        let chain = crate::Chain::parse("spatial_delta:axis=-2,astype=i8+zstd").unwrap();
        assert_eq!(crate::Chain::from_json(&chain.to_json()).unwrap().to_json(), chain.to_json());
    }

    #[test]
    fn values_kept_apart_do_not_enter_differences() {
        let mut v: Vec<f32> = (0..600).map(|i| 280.0 + (i % 30) as f32 * 0.25).collect();
        v[..5].fill(1e20);
        v[77] = f32::NAN;
        v[300..420].fill(1e20);
        for chain in ["spatial_delta+zstd", "spatial_delta:axis=0+zstd"] {
            let mut options = Options::new(Bound::Lossless).with_chain(chain).unwrap();
            options.fill = Some(1e20);
            let (bytes, report) = compress(&View::new(&[20, 30], &v).unwrap(), options).unwrap();
            assert_eq!((report.outcomes[0].0.as_str(), report.corrected), ("spatial_delta+zstd", 0));
            assert!(decompress(&bytes).unwrap().data().same_bits(Slice::F32(&v)));
        }
        // What an inner codec puts at masked points does not matter.
        let mask = Mask::new(vec![false, true, false]);
        let site = Site { mask: Some(&mask), ..Site::default() };
        let shape = Shape::new(&[3]).unwrap();
        let f = SpatialDelta::default();
        let mut r = f.forward(&Block { shape, values: Slice::I16(&[5, 99, 7]), site }, &Term::EXACT).unwrap();
        assert_eq!(r.values, Buffer::I16(vec![5, 0, 2]));
        r.values = Buffer::I16(vec![5, -1234, 2]);
        let back = f.inverse(r.values.as_slice(), &[], &Spec { dtype: DType::I16, shape }, &site).unwrap();
        assert_eq!(i16::of(back.as_slice()).map(|b| (b[0], b[2])), Some((5, 7)));
    }
}
