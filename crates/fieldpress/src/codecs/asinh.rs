//! `asinh`: the inverse hyperbolic sine, linear near 0 and logarithmic far out, for data over many decades.
//!
//! `g(x) = asinh(x / scale)`; Lupton, Gunn and Szalay, "A modified magnitude system that produces well-behaved magnitudes",
//! Astronomical Journal 118 (1999). Far beyond the scale a relative tolerance `r` becomes the absolute one `ln(1 + r)`; far
//! below it an absolute tolerance `a` becomes `a / scale`.
//!
//! # Format
//! Values of type f64; side information as in [`CurveFilter`].

use serde::{Deserialize, Serialize};

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, scaled_exp, scaled_ln, Curve, CurveFilter};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "asinh",
    doc: "Inverse hyperbolic sine: linear near 0, logarithmic far out.",
    params: &[("scale", "nearly linear up to here, in the units of the data; default 0, chosen for each block")],
    make: Make::Filter(|v| Ok(Box::new(CurveFilter::new(parse_config::<Asinh>("asinh", v)?)?))),
    idempotent: false,
    unbounded: true,
};

/// From here on `asinh(r) = ln(2 r)` to the last bit.
const FAR: f64 = 1e9;

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asinh {
    /// The curve is nearly linear up to here; 0: chosen for each block.
    pub scale: f64,
}

impl Curve for Asinh {
    const ID: &'static str = "asinh";

    fn scale(&self) -> f64 {
        self.scale
    }
    #[inline(always)]
    fn forward(m: f64, scale: f64) -> f64 {
        let r = m / scale;
        if r < FAR {
            libm::asinh(r)
        } else {
            scaled_ln(m, scale) + std::f64::consts::LN_2
        }
    }
    #[inline(always)]
    fn inverse(z: f64, scale: f64) -> f64 {
        if z < 20.0 {
            scale * libm::sinh(z)
        } else {
            // exp(-z) is below the last bit; the half goes into the exponent's argument last, where it is exact.
            0.5 * scaled_exp(scale, z)
        }
    }
    fn gap(m: f64, t: f64, scale: f64) -> f64 {
        let (a, b) = ((m + t) / scale, m / scale);
        if a >= 1e150 {
            return if b > FAR { libm::log1p(t / m) } else { Self::forward(m + t, scale) - Self::forward(m, scale) };
        }
        // ln((a + sqrt(1 + a^2)) / (b + sqrt(1 + b^2))), its argument less 1 without cancellation.
        let (ra, rb) = ((1.0 + a * a).sqrt(), (1.0 + b * b).sqrt());
        libm::log1p(t / scale * (1.0 + (a + b) / (ra + rb)) / (b + rb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_invertible() {
        for scale in [1e-300, 1e-15, 0.5, 1e20] {
            for e in -320..308 {
                let m = 1.7 * libm::pow(10.0, f64::from(e));
                let z = Asinh::forward(m, scale);
                let back = Asinh::inverse(z, scale);
                let underflow = scale * f64::MIN_POSITIVE;
                assert!((back - m).abs() <= m * (z + 4.0) * 2.0 * f64::EPSILON + underflow, "{m:e} {scale:e} {back:e}");
            }
        }
        assert!((Asinh::forward(FAR * 0.999_999_999, 1.0) - Asinh::forward(FAR, 1.0)).abs() < 1.1e-9);
        assert!(Asinh::inverse(f64::MAX, 1.0).is_infinite());
    }

    #[test]
    fn gaps_are_differences() {
        for m in [0.0, 0.3, 1.0, 1.5, 1e5, 1e12] {
            for t in [1e-3, 0.5, 2.0, 1e7, 1e155] {
                let exact = Asinh::forward(m + t, 1.0) - Asinh::forward(m, 1.0);
                assert!((Asinh::gap(m, t, 1.0) - exact).abs() < 1e-11 * (1.0 + exact), "{m} {t}");
            }
        }
        assert!((Asinh::gap(1e5, 1e-12, 1.0) / 1e-17 - 1.0).abs() < 1e-9);
        assert!((Asinh::gap(1e160, 1e157, 1.0) / 0.0009995 - 1.0).abs() < 1e-6);
    }
}
