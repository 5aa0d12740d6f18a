//! Quantities of interest: what may be asked of velocity distributions besides their values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::vdf::{Distribution, MomentErrors, Moments};

/// What [`Bound::Conserve`](crate::Bound::Conserve) allows, relative: what rounding does to sums over a distribution.
pub const CONSERVED: f64 = 1e-14;

/// Limits on the errors of the moments of each distribution; `None` asks nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MomentLimits {
    /// Of the density: `|dn| / n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<f64>,
    /// Of the bulk velocity: `|du| / v_th` with `v_th = sqrt(tr P / (3 n m))`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub u: Option<f64>,
    /// Of the pressure tensor: `|dP| / |P|` in the Frobenius norm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Of the heat flux: `|dq| / (m n v_th^3)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
}

impl MomentLimits {
    fn all(&self) -> [Option<f64>; 4] {
        [self.n, self.u, self.p, self.q]
    }
    /// Errors: `InvalidArgument` for numbers that are negative or not finite, and where there is none.
    pub fn validate(&self) -> Result<()> {
        let mut given = self.all().into_iter().flatten().peekable();
        if given.peek().is_some() && given.all(|v| v.is_finite() && v >= 0.0) {
            return Ok(());
        }
        Err(Error::invalid(format!("expected limits on moments, finite and not negative (n= u= p= q=), found {self}")))
    }
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.all() == [None; 4]
    }
    /// The smaller of both limits on each moment.
    pub fn and(&self, other: &MomentLimits) -> MomentLimits {
        let least = |a: Option<f64>, b: Option<f64>| a.map_or(b, |a| Some(b.map_or(a, |b| a.min(b))));
        MomentLimits {
            n: least(self.n, other.n),
            u: least(self.u, other.u),
            p: least(self.p, other.p),
            q: least(self.q, other.q),
        }
    }
    /// The smallest limit.
    pub fn strictest(&self) -> Option<f64> {
        self.all().into_iter().flatten().reduce(f64::min)
    }
    /// How many orders of moments are limited: 1 with the density alone, 4 with the heat flux.
    pub(crate) fn orders(&self) -> usize {
        self.all().iter().rposition(Option::is_some).map_or(0, |k| k + 1)
    }
    /// Whether errors, in the order n, u, p, q, stay below `share` of the limits.
    pub(crate) fn allow(&self, errors: [f64; 4], share: f64) -> bool {
        self.all().iter().zip(errors).all(|(limit, e)| limit.is_none_or(|l| e.abs() <= l * share))
    }
}

impl FromStr for MomentLimits {
    type Err = Error;
    /// From `n=1e-6,u=1e-5,p=1e-4,q=1e-3`, any of them.
    fn from_str(text: &str) -> Result<MomentLimits> {
        let mut limits = MomentLimits::default();
        for part in text.split(',') {
            let found = part.split_once('=').and_then(|(k, v)| Some((k.trim(), v.trim().parse::<f64>().ok()?)));
            let (name, value) = found
                .ok_or_else(|| Error::invalid(format!("expected limits such as n=1e-6,q=1e-3, found {part:?}")))?;
            *match name {
                "n" => &mut limits.n,
                "u" => &mut limits.u,
                "p" => &mut limits.p,
                "q" => &mut limits.q,
                _ => return Err(Error::invalid(format!("expected a moment (n u p q), found {name:?}"))),
            } = Some(value);
        }
        limits.validate()?;
        Ok(limits)
    }
}

impl fmt::Display for MomentLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = ["n", "u", "p", "q"].into_iter().zip(self.all());
        let text: Vec<String> = given.filter_map(|(k, v)| v.map(|v| format!("{k}={v:e}"))).collect();
        f.write_str(&text.join(","))
    }
}

/// All that is asked of distributions besides their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantities {
    /// Limits on the errors of moments.
    #[serde(default, skip_serializing_if = "MomentLimits::is_empty")]
    pub moments: MomentLimits,
    /// Density, momentum and energy stay as they are, but for rounding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conserve: bool,
}

impl Quantities {
    /// Nothing is asked.
    pub const NONE: Quantities =
        Quantities { moments: MomentLimits { n: None, u: None, p: None, q: None }, conserve: false };
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Quantities::NONE
    }
    /// Whether a decoded distribution has what is asked. Sums depend on their order: with a `share` below 1, that much less is allowed.
    pub fn hold(&self, original: &impl Distribution, decoded: &impl Distribution, share: f64) -> bool {
        self.is_empty() || self.allow(&Moments::of(original), &Moments::of(decoded), share)
    }
    /// As [`Quantities::hold`], for moments.
    pub fn allow(&self, original: &Moments, decoded: &Moments, share: f64) -> bool {
        // Of nothing there are no shares, and nothing may come of it.
        if original.density == 0.0 {
            return decoded.density == 0.0;
        }
        let errors = MomentErrors::shares(original, decoded);
        let trace = original.pressure_per_mass.trace();
        let energy = (decoded.pressure_per_mass.trace() - trace) / trace;
        let conserved = || [errors[0], errors[1], energy].iter().all(|e| e.abs() <= CONSERVED * share);
        self.moments.allow(errors, share) && (!self.conserve || conserved())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vdf::{Dense, Mesh};

    #[test]
    fn limits_are_text_and_json() {
        let limits: MomentLimits = "n=1e-6, q=0.001".parse().unwrap();
        assert_eq!((limits.n, limits.u, limits.p, limits.q), (Some(1e-6), None, None, Some(1e-3)));
        assert_eq!(
            (limits.to_string().as_str(), limits.orders(), limits.strictest()),
            ("n=1e-6,q=1e-3", 4, Some(1e-6))
        );
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(json, r#"{"n":1e-6,"q":0.001}"#);
        assert_eq!(serde_json::from_str::<MomentLimits>(&json).unwrap(), limits);
        let stricter = limits.and(&"u=1,q=1e-4".parse().unwrap());
        assert_eq!(stricter.to_string(), "n=1e-6,u=1e0,q=1e-4");
        for bad in ["", "n", "n=", "n=-1", "q=inf", "t=1", "n=1;u=2"] {
            assert!(bad.parse::<MomentLimits>().is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_are_held_against_each_limit() {
        let mesh = Mesh::unit([6, 5, 4]).unwrap();
        let f: Vec<f64> = (0..120).map(|i| f64::from(i * 37 % 23) + 0.5).collect();
        let dense = |f: &[f64]| Dense::new(mesh, f.to_vec()).unwrap();
        let more: Vec<f64> = f.iter().map(|v| v * 1.001).collect();
        let hold = |text: &str, share| {
            let wanted = Quantities { moments: text.parse().unwrap(), conserve: false };
            wanted.hold(&dense(&f), &dense(&more), share)
        };
        assert!(hold("n=0.0011", 1.0) && !hold("n=0.0011", 0.5) && !hold("n=0.0009", 1.0));
        // The velocity is the same, the pressure is not.
        assert!(hold("u=1e-12", 1.0) && hold("p=0.0011,q=1", 1.0) && !hold("p=0.0009", 1.0));
        let conserve = Quantities { conserve: true, ..Quantities::default() };
        assert!(!conserve.hold(&dense(&f), &dense(&more), 1.0) && conserve.hold(&dense(&f), &dense(&f), 1.0));
        let nothing = dense(&[0.0; 120]);
        assert!(conserve.hold(&nothing, &nothing, 1.0) && !conserve.hold(&nothing, &dense(&f), 1.0));
        assert!(Quantities::default().hold(&nothing, &dense(&f), 1.0));
    }
}
