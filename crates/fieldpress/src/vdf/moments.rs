//! Moments of a velocity distribution: density, bulk velocity, pressure tensor, heat flux; and its entropy.
//!
//! A first pass finds the bulk velocity. A second one sums powers of the velocity about the cell centre nearest to it, and
//! the moments about the bulk velocity itself follow from these by at most half a cell's shift, so that nothing cancels
//! however fast the plasma is. Sums over the rows are compensated.

use super::dense::Distribution;
use super::tensor::{difference, dot, length, Tensor};
use crate::bits::Sum;
use crate::error::Result;

/// The Boltzmann constant in J/K, exact by definition (SI, 2019).
pub const BOLTZMANN: f64 = 1.380649e-23;

/// The moments of a distribution `f`, in SI units or, on a mesh of unit width, in cells. All but the density are not
/// finite where the density is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// `n = sum f dv^3`, in 1/m^3.
    pub density: f64,
    /// The bulk velocity `u = sum v f dv^3 / n`, in m/s.
    pub velocity: [f64; 3],
    /// The pressure tensor over the mass of a particle, `sum w w f dv^3` with `w = v - u`, in 1/(m s^2).
    pub pressure_per_mass: Tensor,
    /// The heat flux vector over the mass of a particle, `1/2 sum |w|^2 w f dv^3`, in 1/s^3.
    pub heat_flux_per_mass: [f64; 3],
}

impl Moments {
    /// The moments of a distribution.
    pub fn of(f: &impl Distribution) -> Moments {
        let mesh = f.mesh();
        let (bulk, width) = (bulk_cell(f), mesh.width());
        let (mut zeroth, mut first, mut second, mut third) =
            (Sum::default(), [Sum::default(); 3], [Sum::default(); 6], [Sum::default(); 3]);
        f.for_each_run(|start, run| {
            // Of whole cells, so that the corner of the mesh rounds nothing.
            let [x0, y, z] = std::array::from_fn(|a| (start[a] as f64 - bulk[a] as f64) * width[a]);
            // Powers of vx alone change along a run.
            let mut s = [0.0; 4];
            for (i, f) in run.iter().enumerate() {
                let x = x0 + i as f64 * width[0];
                let fx = f * x;
                s[0] += f;
                s[1] += fx;
                s[2] += fx * x;
                s[3] += fx * x * x;
            }
            let r = y * y + z * z;
            let square = s[2] + r * s[0];
            zeroth.add(s[0]);
            add(&mut first, [s[1], y * s[0], z * s[0]]);
            add(&mut second, [s[2], y * y * s[0], z * z * s[0], y * z * s[0], z * s[1], y * s[1]]);
            add(&mut third, [s[3] + r * s[1], y * square, z * square]);
        });
        let n = zeroth.value();
        let d = first.map(|s| s.value() / n);
        let second = Tensor::from_elements(second.map(Sum::value));
        let (across, trace) = (second.apply(d), second.trace());
        let third: [f64; 3] =
            std::array::from_fn(|a| third[a].value() - d[a] * trace - 2.0 * across[a] + 2.0 * n * dot(d, d) * d[a]);
        let (volume, centre) = (mesh.cell_volume(), mesh.centre(bulk));
        Moments {
            density: n * volume,
            velocity: std::array::from_fn(|a| centre[a] + d[a]),
            pressure_per_mass: second.minus(&Tensor::square(d, n)).times(volume),
            heat_flux_per_mass: third.map(|q| 0.5 * q * volume),
        }
    }
    /// The pressure tensor in Pa of particles of `mass` kg.
    pub fn pressure(&self, mass: f64) -> Tensor {
        self.pressure_per_mass.times(mass)
    }
    /// The heat flux vector in W/m^2 of particles of `mass` kg.
    pub fn heat_flux(&self, mass: f64) -> [f64; 3] {
        self.heat_flux_per_mass.map(|q| q * mass)
    }
    /// The thermal speed `sqrt(tr P / (3 n m))` in m/s: the standard deviation of a Maxwellian along any axis.
    pub fn thermal_speed(&self) -> f64 {
        (self.pressure_per_mass.trace() / (3.0 * self.density)).sqrt()
    }
    /// The temperature `tr P / (3 n k_B)` in K of particles of `mass` kg.
    pub fn temperature(&self, mass: f64) -> f64 {
        mass * self.pressure_per_mass.trace() / (3.0 * self.density * BOLTZMANN)
    }
    /// The temperatures along and across an axis, in K, of particles of `mass` kg: the magnetic field, or where that is not
    /// known [`Tensor::symmetry_axis`]. Errors: `InvalidArgument` unless the axis is finite and not 0.
    pub fn temperatures(&self, axis: [f64; 3], mass: f64) -> Result<[f64; 2]> {
        let g = self.pressure_per_mass.about(axis)?;
        Ok([g.parallel, g.perpendicular].map(|p| mass * p / (self.density * BOLTZMANN)))
    }
    /// The speed between the bulk velocities of two distributions, in m/s.
    pub(super) fn speed_to(&self, other: &Moments) -> f64 {
        length(difference(other.velocity, self.velocity))
    }
}

/// `-sum f ln f dv^3` over the cells with f > 0, in 1/m^3: the entropy density over k_B, up to the unit of `f`.
pub fn entropy(f: &impl Distribution) -> f64 {
    let mut total = Sum::default();
    f.for_each_run(|_, run| {
        for &f in run.iter().filter(|f| **f > 0.0) {
            total.add(-f * libm::log(f));
        }
    });
    total.value() * f.mesh().cell_volume()
}

fn add<const N: usize>(sums: &mut [Sum; N], terms: [f64; N]) {
    sums.iter_mut().zip(terms).for_each(|(s, t)| s.add(t));
}

/// The cell in which the bulk velocity lies, or one at the edge; the middle one where that is not defined.
fn bulk_cell(f: &impl Distribution) -> [usize; 3] {
    let (mut zeroth, mut first) = (Sum::default(), [Sum::default(); 3]);
    f.for_each_run(|[x, y, z], run| {
        let (mut s, mut along) = (0.0, 0.0);
        for (i, f) in run.iter().enumerate() {
            s += f;
            along += f * (x + i) as f64;
        }
        zeroth.add(s);
        add(&mut first, [along, y as f64 * s, z as f64 * s]);
    });
    let n = zeroth.value();
    std::array::from_fn(|a| {
        let (last, mean) = (f.mesh().cells()[a].saturating_sub(1), first[a].value() / n);
        if mean.is_finite() {
            (mean.round().max(0.0) as usize).min(last)
        } else {
            last / 2
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::maxwellian::BiMaxwellian;
    use super::super::tensor::unit;
    use super::super::{Dense, Mesh};
    use super::*;

    /// Cells of 20 km/s, much faster than they are hot, and not alike along the axes.
    fn mesh() -> Mesh {
        Mesh::new([80, 60, 72], [-1.45e6, 2.1e5, -9e5], [2e4, 2.5e4, 2.2e4]).unwrap()
    }
    fn fill(f: impl Fn([f64; 3]) -> f64) -> Dense<f64> {
        let mesh = mesh();
        let [nx, ny, nz] = mesh.cells();
        let cells = (0..nz).flat_map(|k| (0..ny).flat_map(move |j| (0..nx).map(move |i| [i, j, k])));
        Dense::new(mesh, cells.map(|c| f(mesh.centre(c))).collect()).unwrap()
    }
    fn close(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} {b}");
    }

    /// The trapezoidal rule is exact to rounding for a Gaussian twice as wide as a cell, six sigma from any edge.
    #[test]
    fn a_bi_maxwellian_about_a_tilted_field() {
        let mass = 1.67262192e-27;
        let b = [3e-9, -2e-9, 5e-9];
        let g = BiMaxwellian {
            density: 5e6,
            velocity: [-6.5e5, 9.4e5, -1.2e5],
            axis: unit(b).unwrap(),
            parallel: 8.1e4 * 8.1e4,
            perpendicular: 6.3e4 * 6.3e4,
        };
        let m = Moments::of(&fill(|v| g.value(v)));
        close(m.density, g.density, 1e-7 * g.density);
        (0..3).for_each(|a| close(m.velocity[a], g.velocity[a], 1e-2));
        let per_n = m.pressure_per_mass.times(1.0 / m.density);
        let mut expected = Tensor::square(g.axis, g.parallel - g.perpendicular);
        expected.xx += g.perpendicular;
        expected.yy += g.perpendicular;
        expected.zz += g.perpendicular;
        assert!(per_n.minus(&expected).norm() < 1e-6 * expected.norm(), "{per_n:?} {expected:?}");
        let [parallel, perpendicular] = m.temperatures(b, mass).unwrap();
        close(parallel, mass * g.parallel / BOLTZMANN, 1e-6 * parallel);
        close(perpendicular, mass * g.perpendicular / BOLTZMANN, 1e-6 * perpendicular);
        close(m.temperature(mass), (parallel + 2.0 * perpendicular) / 3.0, 1e-9 * parallel);
        assert!(m.pressure_per_mass.about(b).unwrap().agyrotropy < 1e-12);
        let thermal = m.thermal_speed();
        let q = length(m.heat_flux_per_mass) / (m.density * thermal * thermal * thermal);
        assert!(q < 1e-6, "{q}");
        // What a Maxwellian has: n (3/2 (1 + ln 2 pi) + ln(s_par s_perp^2) - ln n).
        let gaussian = 1.5 * (1.0 + libm::log(2.0 * std::f64::consts::PI))
            + 0.5 * libm::log(g.parallel)
            + libm::log(g.perpendicular)
            - libm::log(g.density);
        close(entropy(&fill(|v| g.value(v))), g.density * gaussian, 1e-5 * g.density * gaussian.abs());
    }

    /// `f = n G(w) (1 + a He3(w_x / s) / 6 + c (w_x / s) (w_y^2 / s^2 - 1) / 2)`: the third cumulants along x are
    /// `a n s^3` and `c n s^3`, so that `q_x = (a + c) n s^3 / 2` and density, velocity, pressure are those of the Gaussian.
    #[test]
    fn a_drifting_skewed_distribution_has_its_heat_flux() {
        let (n, u, s) = (2e6, [-6.3e5, 9.6e5, -1.0e5], 7e4);
        let (a, c) = (0.3, -0.12);
        let g = BiMaxwellian { density: n, velocity: u, axis: [1.0, 0.0, 0.0], parallel: s * s, perpendicular: s * s };
        let m = Moments::of(&fill(|v| {
            let [x, y, _] = difference(v, u).map(|w| w / s);
            g.value(v) * (1.0 + a * x * (x * x - 3.0) / 6.0 + c * x * (y * y - 1.0) / 2.0)
        }));
        close(m.density, n, 1e-6 * n);
        (0..3).for_each(|k| close(m.velocity[k], u[k], 1e-5 * s));
        close(m.thermal_speed(), s, 1e-5 * s);
        let unit = n * s * s * s;
        let expected = [(a + c) / 2.0, 0.0, 0.0];
        (0..3).for_each(|k| close(m.heat_flux_per_mass[k] / unit, expected[k], 1e-4));
        assert_eq!(m.heat_flux(2.0)[0], 2.0 * m.heat_flux_per_mass[0]);
    }

    /// Two cells of equal content, wherever they lie and whatever surrounds them.
    #[test]
    fn two_beams_have_exact_moments() {
        let mesh = Mesh::new([1000, 1, 2], [1e8, 0.0, 0.0], [1.0, 1.0, 4.0]).unwrap();
        let mut f = Dense::<f32>::zeros(mesh).unwrap();
        f.values_mut()[100] = 3.0;
        f.values_mut()[106] = 1.0;
        let m = Moments::of(&f);
        // Mean 101.5: deviations -1.5 (3 of 4) and 4.5 (1 of 4).
        assert_eq!((m.density, m.velocity), (16.0, [1e8 + 102.0, 0.5, 2.0]));
        assert_eq!(m.pressure_per_mass, Tensor { xx: 4.0 * (3.0 * 2.25 + 20.25), ..Tensor::default() });
        assert_eq!(m.heat_flux_per_mass, [0.5 * 4.0 * (4.5 * 4.5 * 4.5 - 3.0 * 1.5 * 1.5 * 1.5), 0.0, 0.0]);
    }

    #[test]
    fn nothing_and_nonsense_do_no_harm() {
        let none = Moments::of(&Dense::<f32>::zeros(mesh()).unwrap());
        assert!(none.density == 0.0 && none.velocity[0].is_nan());
        assert_eq!(Moments::of(&Dense::new(Mesh::unit([0, 4, 4]).unwrap(), vec![0f64; 0]).unwrap()).density, 0.0);
        let values = vec![1.0, f64::NAN, f64::INFINITY, -1e308];
        assert!(Moments::of(&Dense::new(Mesh::unit([4, 1, 1]).unwrap(), values).unwrap()).density.is_nan());
        let negative = Dense::new(Mesh::unit([3, 1, 1]).unwrap(), vec![-1.0, 4.0, -1.0]).unwrap();
        let m = Moments::of(&negative);
        assert_eq!((m.density, m.velocity, m.pressure_per_mass.xx), (2.0, [1.0, 0.0, 0.0], -2.0));
        assert_eq!(entropy(&negative), -4.0 * libm::log(4.0));
    }
}
