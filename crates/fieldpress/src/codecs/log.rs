//! `log`: the logarithm with its sign and a linear core, for data over many decades.
//!
//! `g(x) = x / scale` for `|x| <= scale`, and `sign(x) (1 + ln(|x| / scale))` beyond; both pieces and their first derivatives
//! meet. A relative tolerance `r` becomes the absolute one `ln(1 + r)` beyond the scale, and an absolute tolerance
//! `a` becomes `a / scale` in the core: with `scale = a / r` the two are nearly the same. This is the symmetric logarithm of
//! plotting libraries with its slope continuous; see Webber, "A bi-symmetric log transformation for wide-range data",
//! Measurement Science and Technology 24 (2013).
//!
//! # Format
//! Values of type f64; side information as in [`CurveFilter`].

use serde::{Deserialize, Serialize};

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, scaled_exp, scaled_ln, Curve, CurveFilter};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "log",
    doc: "Logarithm with sign and linear core: relative bounds become absolute ones.",
    params: &[("scale", "linear up to here, in the units of the data; default 0, chosen for each block")],
    make: Make::Filter(|v| Ok(Box::new(CurveFilter::new(parse_config::<Log>("log", v)?)?))),
    idempotent: false,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The curve is linear up to here; 0: chosen for each block.
    pub scale: f64,
}

impl Curve for Log {
    const ID: &'static str = "log";

    fn scale(&self) -> f64 {
        self.scale
    }
    #[inline(always)]
    fn forward(m: f64, scale: f64) -> f64 {
        if m <= scale {
            m / scale
        } else {
            1.0 + scaled_ln(m, scale)
        }
    }
    #[inline(always)]
    fn inverse(z: f64, scale: f64) -> f64 {
        if z <= 1.0 {
            z * scale
        } else {
            scaled_exp(scale, z - 1.0)
        }
    }
    fn gap(m: f64, t: f64, scale: f64) -> f64 {
        if m >= scale {
            libm::log1p(t / m)
        } else if t <= scale - m {
            t / scale
        } else {
            // The core's part, and what lies beyond.
            let core = scale - m;
            core / scale + libm::log1p((t - core) / scale)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_smooth_and_invertible() {
        for scale in [1e-300, 1e-15, 0.5, 1e20] {
            for e in -320..308 {
                let m = 1.7 * libm::pow(10.0, f64::from(e));
                let z = Log::forward(m, scale);
                let back = Log::inverse(z, scale);
                let underflow = scale * f64::MIN_POSITIVE;
                assert!((back - m).abs() <= m * (z + 4.0) * 2.0 * f64::EPSILON + underflow, "{m:e} {scale:e} {back:e}");
            }
            assert_eq!(Log::forward(scale, scale), 1.0);
            assert!(Log::forward(scale * 1.000_001, scale) - 1.0 < 1.1e-6);
        }
        assert!(Log::inverse(f64::MAX, 1.0).is_infinite());
        assert!(Log::forward(f64::MAX, f64::from_bits(1)).is_finite());
    }

    #[test]
    fn gaps_are_differences() {
        for m in [0.0, 0.3, 0.999, 1.0, 1.5, 1e5] {
            for t in [1e-3, 0.5, 2.0, 1e7] {
                let exact = Log::forward(m + t, 1.0) - Log::forward(m, 1.0);
                assert!((Log::gap(m, t, 1.0) - exact).abs() < 1e-11 * (1.0 + exact), "{m} {t}");
            }
        }
        assert!((Log::gap(1e5, 1e-12, 1.0) / 1e-17 - 1.0).abs() < 1e-9);
    }
}
