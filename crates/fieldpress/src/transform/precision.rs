//! Which coefficients are kept, and how finely, where parameters say so.

use crate::error::{Error, Result};

/// What parameters ask of coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Precision {
    /// Smaller magnitudes become 0.
    pub threshold: f64,
    /// The step of the quantiser.
    pub step: Option<f64>,
    /// The step as well: the largest magnitude is the largest integer of so many bits, one of which is the sign.
    pub bits: Option<u32>,
    /// Whether threshold and step are in the units of the field; else they are shares of the largest magnitude of a coefficient.
    pub absolute: bool,
}

/// The bits of integers where nothing else says how fine they are.
const BITS: u32 = 16;
/// Most bits of integers.
const MAX_BITS: u32 = 31;

impl Precision {
    /// The parameters of a codec, for its registry entry.
    pub const THRESHOLD: (&'static str, &'static str) =
        ("threshold", "coefficients of a smaller magnitude become 0, as a share of the largest one (default 0)");
    /// As [`Precision::THRESHOLD`].
    pub const STEP: (&'static str, &'static str) = (
        "step",
        "of the quantiser, as a share of the largest magnitude of a coefficient; without it, what suits the bound; without a bound, the threshold",
    );
    /// As [`Precision::THRESHOLD`].
    pub const BITS: (&'static str, &'static str) = (
        "bits",
        "in place of step: of the largest coefficient as an integer, 2 to 31 (without a bound and a threshold 16)",
    );
    /// As [`Precision::THRESHOLD`].
    pub const ABSOLUTE: (&'static str, &'static str) =
        ("absolute", "true: threshold and step are in the units of the field (default false)");

    /// Errors: `InvalidArgument` for what is no threshold, step or number of bits, and for two steps.
    pub fn check(&self) -> Result<()> {
        let step = self.step.is_none_or(|s| s.is_finite() && s > 0.0);
        let bits = self.bits.is_none_or(|b| (2..=MAX_BITS).contains(&b));
        let one = self.step.is_none() || self.bits.is_none();
        if !(self.threshold.is_finite() && self.threshold >= 0.0 && step && bits && one) {
            return Err(Error::invalid(format!(
                "expected a threshold from 0, and a step above 0 or from 2 to {MAX_BITS} bits, found {self:?}"
            )));
        }
        Ok(())
    }

    /// Sets to 0 what is below the threshold, and returns the step that parameters say; `None` where the bound, of which `tolerance` is
    /// what a codec is told, is to say it. Without a bound (`f64::MAX`) there is one always.
    pub fn apply(&self, coefficients: &mut [f64], tolerance: f64) -> Option<f64> {
        let largest = coefficients.iter().fold(0.0, |m: f64, c| m.max(c.abs()));
        let unit = if self.absolute { 1.0 } else { largest };
        let threshold = self.threshold * unit;
        coefficients.iter_mut().filter(|c| c.abs() < threshold).for_each(|c| *c = 0.0);
        let of_bits = |bits: u32| largest / ((1u32 << (bits - 1)) - 1) as f64;
        match (self.step, self.bits) {
            (Some(step), _) => Some(step * unit),
            (None, Some(bits)) => Some(of_bits(bits)),
            (None, None) if tolerance < f64::MAX => None,
            (None, None) if threshold > 0.0 => Some(threshold),
            (None, None) => Some(of_bits(BITS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_say_which_coefficients_are_kept_and_how_finely() {
        let c = [-8.0, 0.5, 3.0, -0.1, 0.0];
        let run = |p: Precision, tolerance: f64| {
            let mut c = c;
            (p.apply(&mut c, tolerance), c)
        };
        let none = Precision::default();
        assert_eq!(run(none, 1.0), (None, c));
        assert_eq!(run(none, f64::MAX), (Some(8.0 / 32767.0), c));
        let relative = Precision { threshold: 0.0625, ..none };
        assert_eq!(run(relative, 1.0), (None, [-8.0, 0.5, 3.0, 0.0, 0.0]));
        assert_eq!(run(relative, f64::MAX).0, Some(0.5));
        let absolute = Precision { threshold: 1.0, step: Some(0.25), absolute: true, ..none };
        assert_eq!(run(absolute, f64::MAX), (Some(0.25), [-8.0, 0.0, 3.0, 0.0, 0.0]));
        assert_eq!(run(Precision { step: Some(0.25), ..none }, 1.0).0, Some(2.0));
        assert_eq!(run(Precision { bits: Some(8), ..none }, 1.0).0, Some(8.0 / 127.0));
        for bad in [
            Precision { threshold: -1.0, ..none },
            Precision { threshold: f64::NAN, ..none },
            Precision { step: Some(0.0), ..none },
            Precision { step: Some(f64::INFINITY), ..none },
            Precision { bits: Some(1), ..none },
            Precision { bits: Some(32), ..none },
            Precision { step: Some(1.0), bits: Some(8), ..none },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        assert!(absolute.check().is_ok() && none.check().is_ok());
    }
}
