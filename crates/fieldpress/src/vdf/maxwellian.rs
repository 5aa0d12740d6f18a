//! The bi-Maxwellian with the moments of a distribution, and how far the distribution is from it.

use super::dense::Distribution;
use super::moments::Moments;
use super::tensor::{difference, dot, unit};
use crate::bits::Sum;
use crate::error::{Error, Result};

/// A bi-Maxwellian: Gaussian along an axis and, of another width, across it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BiMaxwellian {
    /// The density in 1/m^3.
    pub density: f64,
    /// The bulk velocity in m/s.
    pub velocity: [f64; 3],
    /// The axis, of length 1.
    pub axis: [f64; 3],
    /// The variance of the velocity along the axis, `k_B T_par / m`, in m^2/s^2.
    pub parallel: f64,
    /// The variance along any direction across, `k_B T_perp / m`, in m^2/s^2.
    pub perpendicular: f64,
}

impl BiMaxwellian {
    /// The bi-Maxwellian of the same density, bulk velocity and temperatures along and across `field`, the magnetic field;
    /// where that is not known, about the symmetry axis of the pressure tensor.
    /// Errors: `InvalidArgument` for a field that is 0 or not finite, or moments that no bi-Maxwellian has.
    pub fn fitted(moments: &Moments, field: Option<[f64; 3]>) -> Result<BiMaxwellian> {
        let axis = match field {
            Some(b) => unit(b)?,
            None => moments.pressure_per_mass.symmetry_axis()?,
        };
        let g = moments.pressure_per_mass.about(axis)?;
        let [parallel, perpendicular] = [g.parallel, g.perpendicular].map(|p| p / moments.density);
        let possible = |v: f64| v > 0.0 && v.is_finite();
        if ![moments.density, parallel, perpendicular].into_iter().all(possible) {
            return Err(Error::invalid(format!("expected positive density and temperatures, found {moments:?}")));
        }
        Ok(BiMaxwellian { density: moments.density, velocity: moments.velocity, axis, parallel, perpendicular })
    }
    /// The phase-space density at a velocity, in s^3/m^6.
    pub fn value(&self, v: [f64; 3]) -> f64 {
        self.peak() * libm::exp(self.exponent(v))
    }
    fn peak(&self) -> f64 {
        let turn = 2.0 * std::f64::consts::PI;
        self.density / ((turn * self.parallel).sqrt() * turn * self.perpendicular)
    }
    fn exponent(&self, v: [f64; 3]) -> f64 {
        let w = difference(v, self.velocity);
        let along = dot(w, self.axis);
        let across = (dot(w, w) - along * along).max(0.0);
        -0.5 * (along * along / self.parallel + across / self.perpendicular)
    }
}

/// How far `f` is from its bi-Maxwellian `g`, from 0 to 1 where f >= 0: `1/(2n) int |f - g| dv`, the measure of Graham et al.,
/// "Non-Maxwellianity of electron distributions near Earth's magnetopause", J. Geophys. Res. 126 (2021).
///
/// `g` is that of [`BiMaxwellian::fitted`] and counts in full beyond the cells of `f`: the sum is `1/2 + 1/(2n) sum (|f - g| - g)
/// dv^3` over the cells that there are. Errors: as [`BiMaxwellian::fitted`].
pub fn non_maxwellianity(f: &impl Distribution, field: Option<[f64; 3]>) -> Result<f64> {
    let g = BiMaxwellian::fitted(&Moments::of(f), field)?;
    let (mesh, peak) = (f.mesh(), g.peak());
    let mut total = Sum::default();
    f.for_each_run(|start, run| {
        let [x, y, z] = mesh.centre(start);
        let mut sum = 0.0;
        for (i, f) in run.iter().enumerate() {
            let g = peak * libm::exp(g.exponent([x + i as f64 * mesh.width()[0], y, z]));
            sum += (f - g).abs() - g;
        }
        total.add(sum);
    });
    Ok(0.5 + 0.5 * total.value() * mesh.cell_volume() / g.density)
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Mesh};
    use super::*;

    fn fill(f: impl Fn([f64; 3]) -> f64) -> Dense<f64> {
        let mesh = Mesh::new([40; 3], [-1e6; 3], [5e4; 3]).unwrap();
        let cells = (0..64_000).map(|i| [i % 40, i / 40 % 40, i / 1600]);
        Dense::new(mesh, cells.map(|c| f(mesh.centre(c))).collect()).unwrap()
    }
    fn beam(x: f64) -> BiMaxwellian {
        let (parallel, perpendicular) = (1e10, 1.44e10);
        BiMaxwellian { density: 1e6, velocity: [x, 2e4, 0.0], axis: [0.0, 0.0, 1.0], parallel, perpendicular }
    }

    #[test]
    fn a_bi_maxwellian_is_its_own_fit() {
        let g = beam(1e5);
        let f = fill(|v| g.value(v));
        for field in [Some([0.0, 0.0, -2e-9]), None] {
            let found = BiMaxwellian::fitted(&Moments::of(&f), field).unwrap();
            assert!((found.parallel / g.parallel - 1.0).abs() < 1e-6);
            assert!((found.perpendicular / g.perpendicular - 1.0).abs() < 1e-6);
            assert!(non_maxwellianity(&f, field).unwrap().abs() < 1e-6);
        }
        // About another axis it is none.
        assert!(non_maxwellianity(&f, Some([1.0, 0.0, 0.0])).unwrap() > 0.05);
    }

    /// Two beams far apart: half the content of each must move, and what of `g` no cell of `f` holds counts too.
    #[test]
    fn beams_are_far_from_any_maxwellian() {
        let (a, b) = (beam(-5e5), beam(5e5));
        let f = fill(|v| a.value(v) + b.value(v));
        let whole = non_maxwellianity(&f, Some([0.0, 0.0, 1.0])).unwrap();
        assert!((0.4..0.8).contains(&whole), "{whole}");
        let fit = BiMaxwellian::fitted(&Moments::of(&f), Some([0.0, 0.0, 1.0])).unwrap();
        let direct = fill(|v| (a.value(v) + b.value(v) - fit.value(v)).abs());
        let cells = Moments::of(&direct).density;
        let beyond = fit.density - Moments::of(&fill(|v| fit.value(v))).density;
        assert!((whole - (cells + beyond) / (2.0 * fit.density)).abs() < 1e-12, "{whole} {cells} {beyond}");
        let none = Moments::default();
        assert!(BiMaxwellian::fitted(&none, None).is_err() && BiMaxwellian::fitted(&none, Some([0.0; 3])).is_err());
    }
}
