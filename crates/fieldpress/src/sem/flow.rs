//! What is made of a velocity on elements: vorticity, the Q criterion, dissipation; and how far those of two velocities differ.
//!
//! Sources: J. C. R. Hunt, A. A. Wray, P. Moin, "Eddies, streams, and convergence zones in turbulent flows", 1988 (Q); S. B. Pope, "Turbulent Flows", 2000.

use super::Geometry;
use crate::error::{Error, Result};

/// Elements whose gradients are in memory at a time.
const AT_ONCE: usize = 64;

/// What is made of a velocity at one point, from its gradient `g[i][j]`, the derivative of component `i` along coordinate `j`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Derived {
    /// The curl of the velocity; in two dimensions its last component alone is not 0.
    pub vorticity: [f64; 3],
    /// `(|W|^2 - |S|^2) / 2` with the antisymmetric part `W` of the gradient and the symmetric part `S`: above 0 where rotation is more than strain.
    pub q: f64,
    /// `2 S:S`, the dissipation over the viscosity.
    pub dissipation: f64,
}

impl Derived {
    /// From the gradient of a velocity; in two dimensions the third row and column are 0.
    pub fn of(g: &[[f64; 3]; 3]) -> Derived {
        let (mut strain, mut product) = (0.0, 0.0);
        for (i, row) in g.iter().enumerate() {
            for (v, across) in row.iter().zip(g.iter().map(|r| r[i])) {
                let s = 0.5 * (v + across);
                strain += s * s;
                product += v * across;
            }
        }
        Derived {
            vorticity: [g[2][1] - g[1][2], g[0][2] - g[2][0], g[1][0] - g[0][1]],
            q: -0.5 * product,
            dissipation: 2.0 * strain,
        }
    }
}

/// How far what is made of a velocity is from that of the original, over the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowErrors {
    /// Relative L2 error of the velocity.
    pub velocity: f64,
    /// Relative L2 error of its gradient.
    pub gradient: f64,
    /// Relative L2 error of the vorticity.
    pub vorticity: f64,
    /// Relative L2 error of Q.
    pub q: f64,
    /// The relative error of the dissipation of the whole domain, with its sign.
    pub dissipation: f64,
}

impl FlowErrors {
    /// Of the velocity `v` against the original `u`, one array for each dimension.
    /// Errors: `InvalidArgument` for other than as many components as dimensions, as long as the mesh.
    pub fn new(geometry: &Geometry, u: &[&[f64]], v: &[&[f64]]) -> Result<FlowErrors> {
        let (d, total) = (geometry.dimensions(), geometry.mass().len());
        if u.len() != d || v.len() != d || u.iter().chain(v).any(|c| c.len() != total) {
            return Err(Error::invalid(format!("expected {d} components of a velocity of {total} values each")));
        }
        let size = geometry.points().pow(d as u32);
        let (mut errors, mut all) = ([0.0; 4], [0.0; 4]);
        let mut dissipation = [0.0; 2];
        for first in (0..total / size).step_by(AT_ONCE) {
            let range = first * size..total.min((first + AT_ONCE) * size);
            let slopes = |c: &[&[f64]]| -> Vec<Vec<Vec<f64>>> {
                c.iter().map(|c| geometry.gradient(first, &c[range.clone()])).collect()
            };
            let (of_u, of_v) = (slopes(u), slopes(v));
            for (p, m) in range.clone().zip(&geometry.mass()[range.clone()]) {
                let at = |slopes: &[Vec<Vec<f64>>]| {
                    let mut g = [[0.0; 3]; 3];
                    for (i, row) in g.iter_mut().enumerate().take(d) {
                        (0..d).for_each(|j| row[j] = slopes[i][j][p - range.start]);
                    }
                    g
                };
                let (a, b) = (at(&of_u), at(&of_v));
                let (x, y) = (Derived::of(&a), Derived::of(&b));
                let mut add = |k: usize, x: f64, y: f64| {
                    errors[k] += m * (x - y) * (x - y);
                    all[k] += m * x * x;
                };
                for i in 0..3 {
                    (0..3).for_each(|j| add(1, a[i][j], b[i][j]));
                    add(2, x.vorticity[i], y.vorticity[i]);
                }
                (0..d).for_each(|i| add(0, u[i][p], v[i][p]));
                add(3, x.q, y.q);
                dissipation[0] += m * x.dissipation;
                dissipation[1] += m * y.dissipation;
            }
        }
        let part = |k: usize| if errors[k] == 0.0 { 0.0 } else { (errors[k] / all[k]).sqrt() };
        let [before, after] = dissipation;
        let dissipation = if before == after { 0.0 } else { (after - before) / before };
        Ok(FlowErrors { velocity: part(0), gradient: part(1), vorticity: part(2), q: part(3), dissipation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sem::testing::Mesh;

    #[test]
    fn a_vortex_has_its_vorticity_strain_and_dissipation() {
        // Rigid rotation, and plain shear.
        let rotation = Derived::of(&[[0.0, -2.0, 0.0], [2.0, 0.0, 0.0], [0.0; 3]]);
        assert_eq!(rotation, Derived { vorticity: [0.0, 0.0, 4.0], q: 4.0, dissipation: 0.0 });
        let shear = Derived::of(&[[0.0, 3.0, 0.0], [0.0; 3], [0.0; 3]]);
        assert_eq!(shear, Derived { vorticity: [0.0, 0.0, -3.0], q: 0.0, dissipation: 9.0 });
    }

    #[test]
    fn errors_of_a_velocity_that_is_too_fast_are_known() {
        let turn = std::f64::consts::TAU;
        for (d, counts) in [(2, [4, 4, 1]), (3, [3, 3, 3])] {
            let mesh = Mesh::of_box(counts, d, 9, true, |x| [x[0] + 0.05 * libm::sin(3.0 * x[1]), x[1], x[2]]);
            let geometry = Geometry::new(&mesh.slices(), 9, true).unwrap();
            let u = mesh.values(|x| libm::sin(turn * x[0]) * libm::cos(turn * x[1]) * (1.0 + x[2]));
            let v = mesh.values(|x| -libm::cos(turn * x[0]) * libm::sin(turn * x[1]) * (1.0 + x[2]));
            let w = mesh.values(|x| 0.3 * x[0]);
            let all = [u, v, w];
            let faster: Vec<Vec<f64>> = all.iter().map(|c| c.iter().map(|v| 1.01 * v).collect()).collect();
            let a: Vec<&[f64]> = all[..d].iter().map(Vec::as_slice).collect();
            let b: Vec<&[f64]> = faster[..d].iter().map(Vec::as_slice).collect();
            let e = FlowErrors::new(&geometry, &a, &b).unwrap();
            for (found, expected) in
                [(e.velocity, 0.01), (e.gradient, 0.01), (e.vorticity, 0.01), (e.q, 0.0201), (e.dissipation, 0.0201)]
            {
                assert!((found - expected).abs() < 1e-10, "{d}: {e:?}");
            }
            assert_eq!(FlowErrors::new(&geometry, &a, &a).unwrap(), FlowErrors::default());
            assert!(FlowErrors::new(&geometry, &a[1..], &b[1..]).is_err());
        }
    }
}
