//! `difference`: what another array of the archive does not already say; for time series, ensembles and restarts.
//!
//! The other array is named by `from`, has the same shape, and is taken as the reader will decode it, at the block's
//! place. So errors do not add up along a series: each step has those of its own bound only. Put it first in a chain:
//! behind a filter that moves values, the places no longer agree.
//!
//! # Format
//! Of the same shape, no side information; `c` is the other array's value, 0 where that is not finite.
//! - Floats, `ordered` false: `x - c` in f64.
//! - Floats, `ordered` true: the difference of the integers in order (sign bit flipped where clear, all bits flipped
//!   where set) modulo 2^bits, as signed integers of the same width; `c` is cast to the type of `x` first.
//! - Integers: `x - c` modulo 2^bits, as signed integers of the same width; both arrays must be of one type.
//!
//! In place of values kept apart by the bounded stage, the last difference before them.

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::array::{Array, Buffer, DType, Element, Region, Shape, Slice};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Filter, Filtered, Site, Spec};
use crate::error::{Error, Result};
use crate::{dispatch, dispatch_dtype};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "difference",
    doc: "The difference to another array of the archive, as decoded.",
    params: &[
        ("from", "the name of the other array; required"),
        ("ordered", "for floats: difference of the integers in order, for lossless chains; default false"),
    ],
    make: Make::Filter(|v| Ok(Box::new(parse_config::<Difference>("difference", v)?.checked()?))),
    idempotent: false,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The name of the other array.
    pub from: String,
    /// For floats: the difference of the integers in order, exact for every value, in place of `x - c`.
    #[serde(default)]
    pub ordered: bool,
}

impl Difference {
    fn checked(self) -> Result<Self> {
        if self.from.is_empty() {
            return Err(Error::invalid("difference: expected the name of an array in \"from\", found none"));
        }
        Ok(self)
    }
    /// The other array's values at the block's place.
    fn other(&self, shape: &Shape, dtype: DType, site: &Site<'_>) -> Result<Buffer> {
        let found = site.companions.iter().find(|(name, _)| *name == self.from);
        let array: &Array =
            found.map(|(_, a)| &**a).ok_or_else(|| Error::invalid(format!("expected companion {:?}", self.from)))?;
        if !dtype.is_float() && array.dtype() != dtype {
            return Err(Error::invalid(format!(
                "expected companion {:?} of type {dtype}, found {}",
                self.from,
                array.dtype()
            )));
        }
        let region =
            Region::new(&array.shape(), site.origin, shape).map_err(|e| e.at(format!("companion {:?}", self.from)))?;
        array.view().gather(&region)
    }
    /// Whether differences are integers.
    fn is_integer(&self, dtype: DType) -> bool {
        !dtype.is_float() || self.ordered
    }
}

impl Filter for Difference {
    fn id(&self) -> &'static str {
        "difference"
    }
    fn config(&self) -> Value {
        json!({ "from": self.from, "ordered": self.ordered })
    }
    fn companions(&self) -> Vec<String> {
        vec![self.from.clone()]
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        let dtype = match (self.is_integer(spec.dtype), spec.dtype.size()) {
            (false, _) => DType::F64,
            (true, 1) => DType::I8,
            (true, 2) => DType::I16,
            (true, 4) => DType::I32,
            (true, _) => DType::I64,
        };
        Ok(Spec { dtype, shape: spec.shape })
    }
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered> {
        let dtype = x.values.dtype();
        let to = self.output(&x.spec())?.dtype;
        let other = self.other(&x.shape, dtype, &x.site)?;
        let (values, tolerance) = match (self.is_integer(dtype), x.values) {
            (false, Slice::F32(v)) => approximate(v, &other, x, hint),
            (false, Slice::F64(v)) => approximate(v, &other, x, hint),
            (_, values) => {
                let bytes = dispatch!(Slice, values, v => exact(v, &other, x));
                // Behind a float's integers in order no tolerance has a meaning.
                let pass = if dtype.is_float() { 0.0 } else { uniform(x, hint) };
                (Buffer::from_le_bytes(to, &bytes)?, pass)
            }
        };
        Ok(Filtered { values, side: Vec::new(), hint: Term { abs: tolerance, rel: 0.0 } })
    }
    fn inverse(&self, y: Slice<'_>, _side: &[u8], spec: &Spec, site: &Site<'_>) -> Result<Buffer> {
        fn sums<T: Element>(d: Slice<'_>, c: &Buffer) -> Result<Buffer> {
            let mut out = Buffer::zeros(T::DTYPE, d.len())?;
            let c = cast::<T>(c);
            if let Some(out) = T::of_mut(out.as_mut()) {
                let pairs = out.iter_mut().zip(&c);
                if let Slice::F64(d) = d {
                    pairs.zip(d).for_each(|((o, c), d)| *o = T::from_f64(c.to_f64() + d));
                } else {
                    let bytes = d.to_le_bytes();
                    let d = bytes.chunks_exact(size_of::<T>()).map(|b| T::get_le(b).to_bits64());
                    pairs.zip(d).for_each(|((o, c), d)| *o = T::from_key(c.key().wrapping_add(d)));
                }
            }
            Ok(out)
        }
        let expected = self.output(spec)?;
        if y.len() != spec.shape.len() || y.dtype() != expected.dtype {
            let (n, t) = (spec.shape.len(), expected.dtype);
            return Err(Error::corrupt(format!("expected {n} {t} differences, found {} {}", y.len(), y.dtype())));
        }
        let other = self.other(&spec.shape, spec.dtype, site)?;
        dispatch_dtype!(spec.dtype, T => sums::<T>(y, &other))
    }
}

/// The other array's values in the type of the block's, 0 in place of those that are not finite. Integers are of that
/// type already.
fn cast<T: Element>(c: &Buffer) -> Vec<T> {
    let finite = |v: T| if v.is_finite() { v } else { T::default() };
    match T::of(c.as_slice()) {
        Some(same) => same.iter().map(|&v| finite(v)).collect(),
        None => c.as_slice().to_f64().into_iter().map(|v| finite(T::from_f64(v))).collect(),
    }
}

/// `x - c` in f64, and what is left of the tolerance after rounding.
fn approximate<T: Element>(v: &[T], c: &Buffer, x: &Block<'_>, hint: &Term) -> (Buffer, f64) {
    let mut last = 0.0;
    let mut largest = (0.0f64, 0.0f64);
    let pairs = v.iter().zip(cast::<T>(c)).enumerate();
    let values = pairs.map(|(i, (x_i, c_i))| {
        if !x.site.mask.is_some_and(|m| m.is_masked(i)) {
            let (a, b) = (x_i.to_f64(), c_i.to_f64());
            largest = (largest.0.max(a.abs()), largest.1.max(b.abs()));
            last = a - b;
            if !f64::is_finite(last) {
                last = 0.0;
            }
        }
        last
    });
    let values = Buffer::F64(values.collect());
    let t = uniform(x, hint);
    let ulp = if T::DTYPE == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rounding = 0.5 * ulp * (largest.0 + t) + f64::EPSILON * (largest.0 + largest.1);
    (values, (t - rounding).max(0.5 * t))
}

/// The differences of the integers that stand for the values, as bytes.
fn exact<T: Element>(v: &[T], c: &Buffer, x: &Block<'_>) -> Vec<u8> {
    let mut last = 0;
    let mut out = Vec::with_capacity(size_of_val(v));
    for (i, (&x_i, c_i)) in v.iter().zip(cast::<T>(c)).enumerate() {
        if !x.site.mask.is_some_and(|m| m.is_masked(i)) {
            last = x_i.key().wrapping_sub(c_i.key());
        }
        out.extend_from_slice(last.to_le_bytes().get(..size_of::<T>()).unwrap_or_default());
    }
    out
}

/// The hint as one absolute tolerance; relative ones are relative to the value, not to the difference.
fn uniform(x: &Block<'_>, hint: &Term) -> f64 {
    if hint.rel > 0.0 {
        x.uniform_tolerance(hint)
    } else {
        hint.abs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::{Chain, Limits};
    use crate::container::{Archive, ArchiveWriter, ArrayOptions, ArrayReport, Plan, Role};
    use crate::Bound;
    use std::sync::Arc;

    fn options<'a>(plan: &'a Plan, chain: &str, companions: Vec<(String, String)>) -> ArrayOptions<'a> {
        ArrayOptions {
            velocities: None,
            plan,
            chains: vec![Chain::parse(chain).unwrap()],
            block: Some(vec![16, 50]),
            measure: true,
            elements: None,
            progressive: false,
            role: Role::Field,
            attributes: Default::default(),
            companions,
            keep: true,
            progress: None,
        }
    }

    /// Writes `series` as arrays "0", "1", ..., each the difference to the one before, and reads them back.
    fn series<T: Element>(series: &[Vec<T>], bound: Bound, chain: &str) -> (Vec<ArrayReport>, Vec<Vec<T>>) {
        let mut writer = ArchiveWriter::new(Vec::new()).unwrap();
        let mut reports = Vec::new();
        for (i, v) in series.iter().enumerate() {
            let view = View::new(&[48, 100], v).unwrap();
            let plan = Plan::new(&view, &bound, None, false).unwrap();
            let (chain, companions) = match i {
                0 => ("zstd", vec![]),
                _ => (chain, vec![("last".to_string(), (i - 1).to_string())]),
            };
            reports.push(writer.put_array(&i.to_string(), &view, options(&plan, chain, companions)).unwrap());
        }
        let bytes = writer.finish().unwrap();
        let archive = Archive::open(Arc::new(bytes), Limits::default()).unwrap();
        let read = |i: usize| archive.read(&i.to_string()).unwrap().as_typed::<T>().unwrap().to_vec();
        (reports, (0..series.len()).map(read).collect())
    }

    fn wave(i: usize, t: f64) -> f64 {
        100.0 + 20.0 * libm::sin(0.05 * (i % 100) as f64 + 0.08 * (i / 100) as f64 + t)
    }

    #[test]
    fn a_series_of_steps_keeps_its_bound_without_drift() {
        let steps: Vec<Vec<f32>> =
            (0..4).map(|t| (0..4800).map(|i| wave(i, t as f64 * 0.01) as f32).collect()).collect();
        let (reports, back) = series(&steps, Bound::Abs(0.01), "difference:from=last+bitround+zstd");
        for (t, (x, y)) in steps.iter().zip(&back).enumerate() {
            assert!(x.iter().zip(y).all(|(x, y)| (f64::from(*x) - f64::from(*y)).abs() <= 0.01), "step {t}");
        }
        assert!(reports[1..].iter().all(|r| r.corrected == 0 && r.bytes * 3 < r.raw_bytes), "{reports:?}");
    }

    #[test]
    fn integers_and_ordered_floats_are_exact() {
        let steps: Vec<Vec<f64>> = (0..3).map(|t| (0..4800).map(|i| wave(i, f64::from(t) * 1e-9)).collect()).collect();
        let (reports, back) = series(&steps, Bound::Lossless, "difference:from=last,ordered=true+zstd");
        assert_eq!(back, steps);
        assert!(reports[1].outcomes[0].0 == "difference+zstd" && reports[1].corrected == 0, "{reports:?}");
        assert!(reports[1].bytes * 2 < reports[0].bytes);
        let steps: Vec<Vec<u16>> = (0..3).map(|t| (0..4800).map(|i| (i * 7919 + t * 3) as u16).collect()).collect();
        let (reports, back) = series(&steps, Bound::Lossless, "difference:from=last+zstd");
        assert_eq!(back, steps);
        assert!(reports[2].bytes * 10 < reports[2].raw_bytes);
    }

    #[test]
    fn values_kept_apart_on_either_side_do_no_harm() {
        let mut steps: Vec<Vec<f32>> =
            (0..3).map(|t| (0..4800).map(|i| wave(i, t as f64 * 0.01) as f32).collect()).collect();
        steps[0][100..300].fill(f32::NAN);
        steps[1][200..500].fill(f32::NAN);
        steps[1][0] = f32::INFINITY;
        steps[1][1] = f32::MAX;
        steps[2][1] = f32::MIN;
        let (_, back) = series(&steps, Bound::Abs(0.01), "difference:from=last+bitround+zstd");
        for (x, y) in steps.iter().flatten().zip(back.iter().flatten()) {
            let near = (f64::from(*x) - f64::from(*y)).abs() <= 0.01;
            assert!(near || x.to_bits() == y.to_bits(), "{x} {y}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let f = Difference { from: "a".into(), ordered: false };
        let shape = Shape::new(&[4]).unwrap();
        let named = |a: Array| [("a".to_string(), Arc::new(a))];
        let check = |companions: &[(String, Arc<Array>)], origin: &[usize]| {
            let site = Site { mask: None, origin, companions, mean_square: false };
            let block = Block { shape, values: Slice::I32(&[1, 2, 3, 4]), site };
            let back = f.inverse(Slice::I32(&[0; 4]), &[], &Spec { dtype: DType::I32, shape }, &site);
            (f.forward(&block, &Term::EXACT).is_ok(), back.is_ok())
        };
        let right = named(Array::from_vec(&[6], vec![1i32; 6]).unwrap());
        assert_eq!(check(&right, &[2]), (true, true));
        assert_eq!(check(&right, &[3]), (false, false), "outside");
        assert_eq!(check(&right, &[]), (false, false), "another rank");
        assert_eq!(check(&[], &[0]), (false, false), "no companion");
        assert_eq!(check(&named(Array::from_vec(&[6], vec![1i64; 6]).unwrap()), &[0]), (false, false), "another type");
        assert!(Chain::parse("difference").is_err() && Chain::parse("difference:from=").is_err());
        let chain = Chain::parse("difference:from=\"rho, old\"+zstd").unwrap();
        assert_eq!(chain.companions(), ["rho, old"]);
    }
}
