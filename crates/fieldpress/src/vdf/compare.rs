//! How far a decoded distribution is from its original, as the literature quotes it.

use super::dense::{Dense, Distribution};
use super::moments::Moments;
use super::sparse::Sparse;
use super::sum;
use super::tensor::{difference, length};
use crate::array::Element;
use crate::bits::Sum;
use crate::error::{Error, Result};

/// How far the moments of a decoded distribution are from those of the original. Everything is a share, not percent, and
/// relative to the original, whose thermal speed is `v_th = sqrt(tr P / (3 n m))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentErrors {
    /// `dn / n`, signed.
    pub density: f64,
    /// `|du| / v_th`.
    pub velocity: f64,
    /// `|dP| / |P|` in the Frobenius norm.
    pub pressure: f64,
    /// The change of the ratio of the largest eigenvalue of the pressure tensor to the smallest, over that ratio; signed.
    pub anisotropy: f64,
    /// `|dq| / (m n v_th^3)`.
    pub heat_flux: f64,
}

impl MomentErrors {
    /// Errors: `InvalidArgument` where a pressure tensor is not finite.
    pub fn between(original: &Moments, decoded: &Moments) -> Result<MomentErrors> {
        let [density, velocity, pressure, heat_flux] = MomentErrors::shares(original, decoded);
        let anisotropy = original.pressure_per_mass.anisotropy()?;
        let change = decoded.pressure_per_mass.anisotropy()? - anisotropy;
        Ok(MomentErrors { density, velocity, pressure, anisotropy: ratio(change, anisotropy), heat_flux })
    }
    /// Those of density, velocity, pressure and heat flux; NaN where they are not defined.
    pub fn shares(original: &Moments, decoded: &Moments) -> [f64; 4] {
        let (o, d) = (original, decoded);
        let thermal = o.thermal_speed();
        let pressure = d.pressure_per_mass.minus(&o.pressure_per_mass).norm();
        let heat_flux = length(difference(d.heat_flux_per_mass, o.heat_flux_per_mass));
        [
            ratio(d.density - o.density, o.density),
            ratio(o.speed_to(d), thermal),
            ratio(pressure, o.pressure_per_mass.norm()),
            ratio(heat_flux, o.density * thermal * thermal * thermal),
        ]
    }
}

/// How far the values `d` of a decoded distribution are from those of the original, `f`. NaN in one makes sums and
/// maxima NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueErrors {
    /// `sum |d - f| / sum |f|`.
    pub l1: f64,
    /// `sqrt(sum (d - f)^2 / sum f^2)`.
    pub l2: f64,
    /// `max |d - f| / max |f|`.
    pub max: f64,
    /// The root mean square of `log10(d / f)` over the cells with f above the threshold, `d` counting as at least a tenth of
    /// the threshold; 0 where there are none.
    pub rms_log10: f64,
    /// How many cells of the original are above the threshold.
    pub above: usize,
    /// How many of these no longer are.
    pub lost: usize,
    /// How many other cells are above the threshold now.
    pub ghost: usize,
    /// How many values of the original are negative.
    pub negative_before: usize,
    /// How many decoded values are negative.
    pub negative_after: usize,
}

impl ValueErrors {
    /// Of values in any one order; `threshold` is the sparsity threshold, in the units of the values.
    /// Errors: `InvalidArgument` unless there are as many of both.
    pub fn between<T: Element>(original: &[T], decoded: &[T], threshold: f64) -> Result<ValueErrors> {
        if original.len() != decoded.len() {
            let (n, found) = (original.len(), decoded.len());
            return Err(Error::invalid(format!("expected {n} decoded values, found {found}")));
        }
        let pairs = || original.iter().zip(decoded).map(|(f, d)| (f.to_f64(), d.to_f64()));
        // Squares in units of the largest value: those of phase-space densities leave the range of `f64` early.
        let largest = pairs().fold(0.0, |m, (f, _)| maximum(m, f.abs()));
        let unit = if largest > 0.0 && largest.is_finite() { largest } else { 1.0 };
        let mut found = ValueErrors {
            l1: ratio(sum(pairs().map(|(f, d)| (d - f).abs())), sum(pairs().map(|(f, _)| f.abs()))),
            l2: ratio(sum(pairs().map(|(f, d)| square((d - f) / unit))), sum(pairs().map(|(f, _)| square(f / unit))))
                .sqrt(),
            max: ratio(pairs().fold(0.0, |m, (f, d)| maximum(m, (d - f).abs())), largest),
            rms_log10: 0.0,
            above: 0,
            lost: 0,
            ghost: 0,
            negative_before: pairs().filter(|(f, _)| *f < 0.0).count(),
            negative_after: pairs().filter(|(_, d)| *d < 0.0).count(),
        };
        let mut logarithms = Sum::default();
        for (f, d) in pairs() {
            match (f > threshold, d > threshold) {
                (true, kept) => {
                    found.above += 1;
                    found.lost += usize::from(!kept);
                    logarithms.add(square(libm::log10(maximum(0.1 * threshold, d) / f)));
                }
                (false, true) => found.ghost += 1,
                (false, false) => {}
            }
        }
        found.rms_log10 = ratio(logarithms.value(), found.above as f64).sqrt();
        Ok(found)
    }
}

/// How far a decoded distribution is from its original.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// In its moments.
    pub moments: MomentErrors,
    /// In its values.
    pub values: ValueErrors,
}

impl Comparison {
    /// Two distributions on one mesh; `threshold` is the sparsity threshold.
    /// Errors: `InvalidArgument` for two meshes; as [`MomentErrors::between`].
    pub fn of<T: Element>(original: &Dense<T>, decoded: &Dense<T>, threshold: f64) -> Result<Comparison> {
        same(original, decoded)?;
        Ok(Comparison {
            moments: MomentErrors::between(&Moments::of(original), &Moments::of(decoded))?,
            values: ValueErrors::between(original.values(), decoded.values(), threshold)?,
        })
    }
    /// Two sparse distributions on one mesh, which may keep different blocks: those that only one keeps hold 0 in the other.
    /// Errors: as [`Comparison::of`]; `LimitExceeded`.
    pub fn of_sparse<T: Element>(original: &Sparse<T>, decoded: &Sparse<T>, threshold: f64) -> Result<Comparison> {
        same(original, decoded)?;
        let part = original.bounds().union(&decoded.bounds());
        Comparison::of(&original.to_dense(&part)?, &decoded.to_dense(&part)?, threshold)
    }
}

/// Errors: `InvalidArgument` unless both are on one mesh.
pub(super) fn same(original: &impl Distribution, decoded: &impl Distribution) -> Result<()> {
    let (a, b) = (original.mesh(), decoded.mesh());
    if a != b {
        return Err(Error::invalid(format!("expected a decoded distribution on {a:?}, found {b:?}")));
    }
    Ok(())
}

/// `a / b`, 0 for 0 / 0.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if a == 0.0 {
        0.0
    } else {
        a / b
    }
}

pub(super) fn square(v: f64) -> f64 {
    v * v
}

/// The larger of both, NaN where one is.
fn maximum(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() {
        b
    } else {
        a
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BlockBox, Mesh};
    use super::*;

    #[test]
    fn values_are_counted_on_both_sides_of_the_threshold() {
        let f = [1e-12f64, 1e-13, 2e-15, 5e-16, -1e-20, 0.0];
        let d = [1e-12, 1e-14, -1e-15, 2e-15, 3e-15, -1e-21];
        let e = ValueErrors::between(&f, &d, 1e-15).unwrap();
        assert_eq!((e.above, e.lost, e.ghost, e.negative_before, e.negative_after), (3, 1, 2, 1, 2));
        let log = libm::log10(20.0); // 2e-15 against a tenth of the threshold
        assert!((e.rms_log10 - ((1.0 + log * log) / 3.0).sqrt()).abs() < 1e-12);
        assert!((e.max - 0.09).abs() < 1e-12);
        assert!((e.l1 - (9e-14 + 3e-15 + 1.5e-15 + 3e-15) / 1.1025e-12).abs() < 1e-6, "{}", e.l1);
        assert!((e.l2 - 0.09 / 1.01f64.sqrt()).abs() < 2e-3 * e.l2, "{}", e.l2);
        assert_eq!(ValueErrors::between(&f, &f, 1e-15).unwrap().l2, 0.0);
        assert!(ValueErrors::between(&f, &d[1..], 1e-15).is_err());
        let hole = ValueErrors::between(&f, &[1e-12, f64::NAN, 0.0, 0.0, 0.0, 0.0], 1e-15).unwrap();
        assert!(hole.l1.is_nan() && hole.l2.is_nan() && hole.max.is_nan() && hole.lost == 2);
    }

    /// The denominator of L2 is the original: losing everything is an error of 1, doubling everything too.
    #[test]
    fn norms_are_relative_to_the_original() {
        let f = [3e-200f64, 4e-200];
        for d in [[0.0, 0.0], [6e-200, 8e-200]] {
            let e = ValueErrors::between(&f, &d, 1e-300).unwrap();
            assert_eq!((e.l1, e.l2, e.max), (1.0, 1.0, 1.0));
        }
        let nothing = ValueErrors::between(&[0f32; 2], &[0.0; 2], 0.0).unwrap();
        assert_eq!((nothing.l1, nothing.l2, nothing.max, nothing.rms_log10), (0.0, 0.0, 0.0, 0.0));
        assert_eq!(ValueErrors::between(&[0f32; 2], &[0.0, 1.0], 2.0).unwrap().l1, f64::INFINITY);
    }

    #[test]
    fn moments_are_compared_in_thermal_units() {
        let mesh = Mesh::new([3, 3, 3], [-15.0, 85.0, -15.0], [10.0; 3]).unwrap();
        let f: Vec<f64> =
            (0..27).map(|i| [1.0, 4.0, 1.0][i % 3] * [1.0, 2.0, 1.0][i / 3 % 3] * [1.0, 1.0, 1.0][i / 9]).collect();
        let original = Dense::new(mesh, f.clone()).unwrap();
        // More of the same: density and pressure grow by a tenth, nothing else changes but the heat flux, which is 0.
        let more = Dense::new(mesh, f.iter().map(|f| f * 1.1).collect()).unwrap();
        let e = Comparison::of(&original, &more, 0.0).unwrap().moments;
        assert!((e.density - 0.1).abs() < 1e-12 && (e.pressure - 0.1).abs() < 1e-12, "{e:?}");
        assert!(e.velocity < 1e-12 && e.anisotropy.abs() < 1e-12 && e.heat_flux < 1e-12, "{e:?}");
        // One cell to the side along vx: the same but for a velocity of one cell. Variances 100/3, 50, 200/3.
        let aside = Dense::new(Mesh::new([3; 3], [-5.0, 85.0, -15.0], [10.0; 3]).unwrap(), f).unwrap();
        assert!(Comparison::of(&original, &aside, 0.0).is_err());
        let e = MomentErrors::between(&Moments::of(&original), &Moments::of(&aside)).unwrap();
        assert!((e.velocity - 10.0 / 50f64.sqrt()).abs() < 1e-12 && e.pressure < 1e-12, "{e:?}");
        assert!((Moments::of(&original).pressure_per_mass.anisotropy().unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn sparse_ones_may_keep_different_blocks() {
        let mesh = Mesh::unit([16, 8, 8]).unwrap();
        let values = |n: usize| (0..64 * n).map(|i| 1.0 + (i % 7) as f32).collect::<Vec<f32>>();
        let both = Sparse::new(mesh, vec![5, 2], values(2)).unwrap();
        let one = Sparse::new(mesh, vec![2], both.values()[64..].to_vec()).unwrap();
        let e = Comparison::of_sparse(&both, &one, 0.5).unwrap();
        assert_eq!((e.values.above, e.values.lost, e.values.ghost), (128, 64, 0));
        let back = Comparison::of_sparse(&one, &both, 0.5).unwrap().values;
        assert_eq!((back.lost, back.ghost), (0, 64));
        let whole = BlockBox { origin: [0; 3], blocks: mesh.blocks() };
        let dense = |s: &Sparse<f32>| s.to_dense(&whole).unwrap();
        let expected = Comparison::of(&dense(&both), &dense(&one), 0.5).unwrap();
        assert!((e.moments.heat_flux - expected.moments.heat_flux).abs() < 1e-12 && e.values == expected.values);
        let sorted = Comparison::of_sparse(&both, &both.sorted(), 0.5).unwrap();
        assert_eq!((sorted.values.l1, sorted.moments.pressure), (0.0, 0.0));
    }
}
