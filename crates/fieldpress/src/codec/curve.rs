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
            if seen.zeros && allowed.abs == 0.0 {
                // Zeros must come back as zeros: what is nearer to 0 than to the smallest other value is 0.
                let threshold = 0.5 * C::forward(seen.smallest, scale);
                d = d.min(threshold * (1.0 - 1e-9));
                side.extend_from_slice(&threshold.to_le_bytes());
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
    /// The largest tolerance behind the curve that is sufficient at all these magnitudes.
    fn sufficient<C: Curve>(&self, allowed: &Allowed, scale: f64) -> f64 {
        // Zeros only count where there is a tolerance for them; else the threshold sees to them.
        let low = if self.zeros && allowed.abs > 0.0 { 0.0 } else { self.smallest };
        let m = allowed.meeting().max(low).min(self.largest);
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
