//! What filters that compress the range of values are written as: a curve. The adapter makes a filter of it.
//!
//! The tolerance handed inward is the largest one that is sufficient at every value of the block: behind the curve an
//! error of `d` moves a magnitude `m` at most up to `g^-1(g(m) + d)`, because the inverse grows ever faster; so for a
//! tolerance `t` at `m` the largest `d` is `g(m + t) - g(m)`. For a constant `t` that falls with `m`, for `t` proportional
//! to `m` it grows, so it is smallest where the two meet, or at the magnitude in the data nearest to that.
//!
//! # Format
//! Values of type f64, of the same shape. Side information:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | the scale, f64, little-endian: only where the configuration leaves it open |
//! | 0 or 8 | the threshold, f64, little-endian: values of at most this magnitude stand for 0; absent: none |

use std::fmt;

use serde_json::{json, Value};

use super::contract::{Block, Filter, Filtered, Site, Spec};
use crate::array::{Buffer, DType, Element, Slice};
use crate::bits::ByteReader;
use crate::bound::Term;
use crate::dispatch_dtype;
use crate::error::{Error, Result};

/// An odd, increasing function of the value that is concave for positive ones.
pub trait Curve: fmt::Debug + Send + Sync {
    /// The name in the registry.
    const ID: &'static str;
    /// Where the curve bends, in the units of the data; 0: chosen for each block.
    fn scale(&self) -> f64;
    /// `g(m)` for a magnitude `m >= 0` and a scale. Only `+ - * / sqrt mul_add` and `libm`.
    fn forward(m: f64, scale: f64) -> f64;
    /// `g^-1(z)` for `z >= 0`. Total; only `+ - * / sqrt mul_add` and `libm`.
    fn inverse(z: f64, scale: f64) -> f64;
    /// `g(m + t) - g(m)` for `t >= 0`, with a small relative error however small `t` is.
    fn gap(m: f64, t: f64, scale: f64) -> f64;
}

/// A [`Curve`] as a [`Filter`].
#[derive(Debug)]
pub struct CurveFilter<C>(C);

impl<C: Curve> CurveFilter<C> {
    /// Errors: `InvalidArgument` unless the scale is finite and not negative.
    pub fn new(curve: C) -> Result<Self> {
        let scale = curve.scale();
        if !(scale.is_finite() && scale >= 0.0) {
            return Err(Error::invalid(format!("{}: expected a finite scale above 0, found {scale}", C::ID)));
        }
        Ok(CurveFilter(curve))
    }
}

impl<C: Curve> Filter for CurveFilter<C> {
    fn id(&self) -> &'static str {
        C::ID
    }
    fn config(&self) -> Value {
        json!({ "scale": self.0.scale() })
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        Ok(Spec { dtype: DType::F64, shape: spec.shape })
    }
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered> {
        let mut values = x.values.to_f64();
        let seen = Magnitudes::of(&values, x);
        let allowed = Allowed::new(x.values.dtype(), hint);
        let mut side = Vec::new();
        let mut scale = self.0.scale();
        if scale == 0.0 {
            scale = seen.bend(&allowed, hint);
            side.extend_from_slice(&scale.to_le_bytes());
        }
        let mut inner = Term::EXACT;
        if !hint.is_exact() && seen.largest > 0.0 {
            let mut d = seen.sufficient::<C>(&allowed, scale);
            if seen.zeros {
                let at_zero = C::gap(0.0, allowed.at(0.0), scale);
                if at_zero < d {
                    // What is nearer to 0 than to the smallest other value is 0: then zeros ask for less precision.
                    let threshold = 0.5 * C::forward(seen.smallest, scale);
                    let beside = d.min(threshold * (1.0 - 1e-9));
                    if beside > at_zero {
                        side.extend_from_slice(&threshold.to_le_bytes());
                    }
                    d = beside.max(at_zero);
                }
            }
            if d >= f64::MIN_POSITIVE {
                inner.abs = d.min(f64::MAX);
            }
        }
        for v in &mut values {
            *v = C::forward(v.abs(), scale).copysign(*v);
        }
        Ok(Filtered { values: Buffer::F64(values), side, hint: inner })
    }
    fn is_pointwise(&self) -> bool {
        true
    }
    fn inverse(&self, y: Slice<'_>, side: &[u8], spec: &Spec, _site: &Site<'_>) -> Result<Buffer> {
        fn run<C: Curve, T: Element>(y: &[f64], scale: f64, threshold: f64) -> Result<Buffer> {
            let mut out = Buffer::zeros(T::DTYPE, y.len())?;
            if let Some(out) = T::of_mut(out.as_mut()) {
                for (o, &z) in out.iter_mut().zip(y) {
                    let m = z.abs();
                    // A NaN from hostile bytes passes through.
                    *o = if m <= threshold { T::default() } else { T::from_f64(C::inverse(m, scale).copysign(z)) };
                }
            }
            Ok(out)
        }
        let mut r = ByteReader::new(side);
        let scale = if self.0.scale() == 0.0 { r.f64()? } else { self.0.scale() };
        let threshold = if r.remaining() > 0 { r.f64()? } else { 0.0 };
        r.end()?;
        if !(scale.is_finite() && scale > 0.0 && threshold.is_finite() && threshold >= 0.0) {
            return Err(Error::corrupt(format!(
                "expected a finite scale and threshold, found {scale} and {threshold}"
            )));
        }
        let y =
            f64::of(y).ok_or_else(|| Error::corrupt(format!("expected values of type f64, found {}", y.dtype())))?;
        dispatch_dtype!(spec.dtype, T => run::<C, T>(y, scale, threshold))
    }
}

/// What the tolerance comes to before the rounding to the element type: at a magnitude `m`, the larger of `abs` and
/// `rel * m - less`, less what rounding may add.
struct Allowed {
    abs: f64,
    rel: f64,
    /// A half for integers, whose relative tolerance is rounded down while rounding to the nearest forgives a half.
    less: f64,
    /// Half a unit in the last place, relative and absolute.
    rounding: (f64, f64),
}

impl Allowed {
    fn new(dtype: DType, hint: &Term) -> Allowed {
        let half = 0.5;
        match dtype {
            DType::F32 => Allowed {
                abs: hint.abs,
                rel: hint.rel,
                less: 0.0,
                rounding: (half * f64::from(f32::EPSILON), half * f64::from(f32::from_bits(1))),
            },
            DType::F64 => Allowed { abs: hint.abs, rel: hint.rel, less: 0.0, rounding: (half * f64::EPSILON, 0.0) },
            // A hair less than a half, which would round away.
            _ => Allowed { abs: hint.abs.floor() + 0.499_999, rel: hint.rel, less: half, rounding: (0.0, 0.0) },
        }
    }
    /// The magnitude from which on the relative tolerance is the larger one; infinite when there is none.
    fn meeting(&self) -> f64 {
        if self.rel > 0.0 {
            (self.abs + self.less) / self.rel
        } else {
            f64::INFINITY
        }
    }
    fn at(&self, m: f64) -> f64 {
        let t = self.abs.max(self.rel * m - self.less).min(f64::MAX);
        // Near the precision of the type nothing is sufficient: half the tolerance is a compromise.
        (t - ((m + t) * self.rounding.0 + self.rounding.1)).max(0.5 * t)
    }
}

/// The magnitudes that occur in a block at points that are not masked.
struct Magnitudes {
    zeros: bool,
    /// The smallest that is not 0; infinite when there is none.
    smallest: f64,
    largest: f64,
}

impl Magnitudes {
    fn of(values: &[f64], block: &Block<'_>) -> Magnitudes {
        let mut s = Magnitudes { zeros: false, smallest: f64::INFINITY, largest: 0.0 };
        for (i, v) in values.iter().enumerate() {
            if block.site.mask.is_some_and(|m| m.is_masked(i)) {
                continue;
            }
            let m = v.abs();
            if m > 0.0 {
                s.smallest = s.smallest.min(m);
                s.largest = s.largest.max(m);
            } else {
                s.zeros = true;
            }
        }
        s
    }
    /// A scale for these values: where the relative tolerance takes over, or the smallest magnitude.
    fn bend(&self, allowed: &Allowed, hint: &Term) -> f64 {
        let smallest = if self.smallest.is_finite() { self.smallest } else { 1.0 };
        let meeting = allowed.meeting();
        if hint.rel > 0.0 && meeting.is_finite() && meeting > 0.0 {
            smallest.max(meeting)
        } else {
            smallest
        }
    }
    /// The largest tolerance behind the curve that is sufficient at all these magnitudes but 0.
    fn sufficient<C: Curve>(&self, allowed: &Allowed, scale: f64) -> f64 {
        let m = allowed.meeting().max(self.smallest).min(self.largest);
        let d = C::gap(m, allowed.at(m), scale);
        // The rounding of the curve, of its inverse and of what lies between them.
        let error = (C::forward(self.largest, scale) + 4.0) * 2.0 * f64::EPSILON;
        (d - error).max(0.5 * d)
    }
}

/// `scale * exp(e)` without overflow on the way.
pub fn scaled_exp(scale: f64, e: f64) -> f64 {
    if e < 700.0 {
        scale * libm::exp(e)
    } else {
        let quarter = libm::exp(0.25 * e);
        scale * quarter * quarter * quarter * quarter
    }
}

/// `ln(m / scale)` without overflow on the way.
pub fn scaled_ln(m: f64, scale: f64) -> f64 {
    let r = m / scale;
    if r.is_finite() {
        libm::log(r)
    } else {
        libm::log(m) - libm::log(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::{compress, decompress, Bound, Options};

    const DIMS: [usize; 3] = [24, 40, 50];

    /// Smooth over many decades, both signs, with zeros: a shell of exact zeros, and the planes where the sign changes.
    fn field(decades: f64) -> Vec<f64> {
        let mut seed = 88_172_645_463_325_252u64;
        let mut noise = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        let place = |i: usize, n: usize| i as f64 / n as f64 - 0.5;
        (0..DIMS.iter().product())
            .map(|i| {
                let (z, y, x) = (
                    place(i / (DIMS[1] * DIMS[2]), DIMS[0]),
                    place(i / DIMS[2] % DIMS[1], DIMS[1]),
                    place(i % DIMS[2], DIMS[2]),
                );
                let r = (x * x + y * y + z * z) * 4.0;
                let sign = if libm::sin(9.0 * x + 4.0 * y) < -0.4 { -1.0 } else { 1.0 };
                if r > 2.0 || (i / 7) % 61 == 0 {
                    return 0.0;
                }
                sign * libm::exp10(2.0 - decades * r / 2.0) * (1.0 + 0.02 * noise())
            })
            .collect()
    }

    /// Compresses and returns (corrected points, points, compression ratio) after checking every point.
    fn check<T: Element>(values: &[T], bound: Bound, chain: &str) -> (u64, u64, f64) {
        let (abs, rel) = match bound {
            Bound::Abs(a) => (a, 0.0),
            Bound::PwRel(r) => (0.0, r),
            Bound::AbsOrRel { abs, rel } => (abs, rel),
            _ => unreachable!(),
        };
        let options = Options::new(bound).with_chain(chain).unwrap();
        let (bytes, report) = compress(&View::new(&DIMS, values).unwrap(), options).unwrap();
        let back = decompress(&bytes).unwrap();
        for (x, y) in values.iter().zip(back.as_typed::<T>().unwrap()) {
            let (x, y) = (x.to_f64(), y.to_f64());
            let allowed = abs.max(rel * x.abs());
            assert!((x - y).abs() <= allowed * (1.0 + 2e-16), "{chain}: {x:e} became {y:e}, allowed {allowed:e}");
            assert!(abs > 0.0 || x != 0.0 || y == 0.0, "{chain}: 0 became {y:e}");
        }
        println!(
            "{} {chain} {}: ratio {:.2}, corrected {}",
            T::DTYPE,
            report.header.bound,
            report.ratio(),
            report.corrected
        );
        (report.corrected, values.len() as u64, report.ratio())
    }

    /// Returns the compression ratio.
    fn few<T: Element>(values: &[T], bound: Bound, chain: &str) -> f64 {
        let (corrected, points, ratio) = check(values, bound, chain);
        assert!(corrected * 1000 < points, "{chain}: {corrected} of {points} corrected");
        ratio
    }

    #[test]
    fn relative_bounds_hold_with_few_corrections() {
        let wide = field(25.0);
        let single: Vec<f32> = wide.iter().map(|&v| v as f32).collect();
        for rel in [0.3, 1e-2, 1e-4] {
            for codec in ["lorenzo", "interp", "pco"] {
                for curve in ["log", "asinh"] {
                    let both = Bound::AbsOrRel { abs: 1e-15, rel };
                    let suited = format!("{curve}:scale={:e}+{codec}", 1e-15 / rel);
                    let ratios = [
                        few(&wide, Bound::PwRel(rel), &format!("{curve}+{codec}")),
                        few(&single, Bound::PwRel(rel), &format!("{curve}+{codec}")),
                        few(&wide, both.clone(), &suited),
                        few(&single, both.clone(), &format!("{curve}+{codec}")),
                        // A scale that does not suit the bound costs bytes, not corrections.
                        few(&single, both, &format!("{curve}:scale=1e-12+{codec}")),
                    ];
                    // A lossless codec does not pay behind a curve, the others do.
                    assert!(codec == "pco" || ratios.iter().all(|&r| r > 2.0), "{curve}+{codec}: {ratios:?}");
                }
            }
        }
        few(&single, Bound::Abs(1e-3), "asinh:scale=1+interp");
        few(&single, Bound::PwRel(1e-6), "log+lorenzo");
        few(&wide, Bound::PwRel(1e-9), "log+lorenzo");
    }

    #[test]
    fn integers_keep_relative_bounds() {
        let wide = field(6.0);
        let counts: Vec<i32> = wide.iter().map(|&v| (v * 1e5) as i32).collect();
        let bytes: Vec<u8> = wide.iter().map(|&v| (v.abs() * 2.0) as u8).collect();
        let long: Vec<i64> = wide.iter().map(|&v| (v * 1e16) as i64).collect();
        for chain in ["log+lorenzo", "asinh+interp"] {
            few(&counts, Bound::PwRel(0.05), chain);
            few(&counts, Bound::AbsOrRel { abs: 7.0, rel: 0.01 }, chain);
            few(&bytes, Bound::PwRel(0.1), chain);
            few(&long, Bound::PwRel(1e-3), chain);
        }
    }

    #[test]
    fn logarithms_pay_for_wide_ranges() {
        let wide: Vec<f32> = field(25.0).iter().map(|&v| v as f32).collect();
        let bound = Bound::AbsOrRel { abs: 1e-15, rel: 1e-2 };
        assert!(check(&wide, bound, "log+lorenzo").2 > 8.0);
    }

    #[test]
    fn every_decade_of_the_type_is_reached() {
        let mut v: Vec<f64> = (0..48_000).map(|i| libm::exp10(f64::from(i - 24_000) / 78.0)).collect();
        v[0] = f64::from_bits(1);
        v[1] = -f64::MIN_POSITIVE;
        v[47_999] = f64::MAX;
        v[47_998] = f64::MIN;
        for chain in ["log+lorenzo", "log:scale=5e-324+interp", "asinh+lorenzo", "log+pco"] {
            few(&v, Bound::PwRel(1e-3), chain);
        }
        // Scales far from what suits: linear where the bound is relative, logarithmic where it is absolute.
        check(&v, Bound::PwRel(1e-3), "log:scale=1e-300+lorenzo");
        check(&v, Bound::Abs(1e290), "log:scale=1e290+lorenzo");
    }

    #[test]
    fn side_information_is_not_trusted() {
        let f = |scale| CurveFilter::new(crate::codecs::log::Log { scale }).unwrap();
        let spec = Spec { dtype: DType::F32, shape: crate::Shape::new(&[3]).unwrap() };
        let y = [0.5, f64::NAN, -1e308];
        let inverse = |scale, side: &[u8]| f(scale).inverse(Slice::F64(&y), side, &spec, &Site::default());
        let back = inverse(2.0, &[]).unwrap();
        assert_eq!(f32::of(back.as_slice()).map(|b| (b[0], b[2])), Some((1.0, f32::NEG_INFINITY)));
        assert_eq!(f32::of(inverse(2.0, &0.6f64.to_le_bytes()).unwrap().as_slice()).map(|b| b[0]), Some(0.0));
        assert!(inverse(0.0, &2f64.to_le_bytes()).is_ok());
        for bad in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
            assert!(inverse(0.0, &bad.to_le_bytes()).is_err());
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(inverse(1.0, &bad.to_le_bytes()).is_err());
        }
        for cut in 1..8 {
            assert!(inverse(0.0, &[0; 8][..cut]).is_err() && inverse(1.0, &[0; 8][..cut]).is_err());
        }
        assert!(inverse(1.0, &[0; 9]).is_err());
        assert!(f(1.0).inverse(Slice::I32(&[1]), &[], &spec, &Site::default()).is_err());
        for bad in ["-1", "1e999", "\"a\""] {
            assert!(crate::Chain::parse(&format!("log:scale={bad}")).is_err(), "{bad}");
        }
    }
}
