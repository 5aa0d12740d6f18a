//! Symmetric tensors of rank two in velocity space, and what they are about an axis.

use crate::error::{Error, Result};
use crate::linalg::eigenvectors;

/// A symmetric tensor, such as the pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Tensor {
    pub xx: f64,
    pub yy: f64,
    pub zz: f64,
    pub yz: f64,
    pub xz: f64,
    pub xy: f64,
}

/// The part of a pressure tensor that is symmetric about an axis, and how much is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gyrotropic {
    /// Along the axis: `b.P.b`.
    pub parallel: f64,
    /// The mean across the axis: `(tr P - b.P.b) / 2`.
    pub perpendicular: f64,
    /// The agyrotropy Q of Swisdak, "Quantifying gyrotropy in magnetic reconnection", Geophys. Res. Lett. 43 (2016):
    /// `(P12^2 + P13^2 + P23^2) / (P_perp^2 + 2 P_perp P_par)` where axis 3 is parallel and axes 1 and 2 are turned until
    /// `P11 = P22`. 0 for a gyrotropic tensor, at most 1; some papers quote its square root.
    pub agyrotropy: f64,
}

impl Tensor {
    /// `v v`, scaled.
    pub(super) fn square(v: [f64; 3], scale: f64) -> Tensor {
        let [x, y, z] = v;
        Tensor { xx: x * x, yy: y * y, zz: z * z, yz: y * z, xz: x * z, xy: x * y }.times(scale)
    }
    /// The elements, in the order of the fields.
    pub fn elements(&self) -> [f64; 6] {
        [self.xx, self.yy, self.zz, self.yz, self.xz, self.xy]
    }
    /// From the elements, in the order of the fields.
    pub fn from_elements([xx, yy, zz, yz, xz, xy]: [f64; 6]) -> Tensor {
        Tensor { xx, yy, zz, yz, xz, xy }
    }
    /// All elements multiplied by a number.
    #[must_use]
    pub fn times(&self, by: f64) -> Tensor {
        Tensor::from_elements(self.elements().map(|v| v * by))
    }
    /// The difference of two tensors.
    #[must_use]
    pub fn minus(&self, other: &Tensor) -> Tensor {
        let (a, b) = (self.elements(), other.elements());
        Tensor::from_elements(std::array::from_fn(|i| a[i] - b[i]))
    }
    /// The sum of the diagonal.
    pub fn trace(&self) -> f64 {
        self.xx + self.yy + self.zz
    }
    /// The Frobenius norm: the root of the sum of the squares of all nine elements.
    pub fn norm(&self) -> f64 {
        let [xx, yy, zz, yz, xz, xy] = self.elements();
        (xx * xx + yy * yy + zz * zz + 2.0 * (yz * yz + xz * xz + xy * xy)).sqrt()
    }
    /// The product with a vector.
    pub fn apply(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        [
            self.xx * x + self.xy * y + self.xz * z,
            self.xy * x + self.yy * y + self.yz * z,
            self.xz * x + self.yz * y + self.zz * z,
        ]
    }
    /// The principal axes, orthonormal, and the eigenvalues that belong to them, largest first.
    /// Errors: `InvalidArgument` unless all elements are finite.
    pub fn principal(&self) -> Result<([[f64; 3]; 3], [f64; 3])> {
        let Tensor { xx, yy, zz, yz, xz, xy } = *self;
        let rows = eigenvectors(&[xx, xy, xz, xy, yy, yz, xz, yz, zz], 3)?;
        let mut axes = [[0.0; 3]; 3];
        for (axis, row) in axes.iter_mut().zip(rows.chunks_exact(3)) {
            axis.copy_from_slice(row);
        }
        Ok((axes, axes.map(|a| dot(a, self.apply(a)))))
    }
    /// The largest eigenvalue over the smallest; infinite or negative where the tensor is not positive definite.
    /// Errors: as [`Tensor::principal`].
    pub fn anisotropy(&self) -> Result<f64> {
        let (_, [largest, _, smallest]) = self.principal()?;
        Ok(largest / smallest)
    }
    /// The principal axis whose eigenvalue is farthest from the other two: the direction of the magnetic field for a
    /// gyrotropic tensor that is not isotropic. Errors: as [`Tensor::principal`].
    pub fn symmetry_axis(&self) -> Result<[f64; 3]> {
        let ([first, _, last], [a, b, c]) = self.principal()?;
        Ok(if a - b > b - c { first } else { last })
    }
    /// The tensor about an axis, such as the magnetic field; only its direction counts.
    /// Errors: `InvalidArgument` unless the axis is finite and not 0.
    pub fn about(&self, axis: [f64; 3]) -> Result<Gyrotropic> {
        let b = unit(axis)?;
        // Across the axis: first from the coordinate farthest from it.
        let far = (0..3).fold(0, |far, a| if b[a].abs() < b[far].abs() { a } else { far });
        let mut e = [0.0; 3];
        e[far] = 1.0;
        let first = unit(cross(b, e))?;
        let second = cross(b, first);
        let (along, across) = (self.apply(b), self.apply(first));
        let (parallel, p11, p22) = (dot(b, along), dot(first, across), dot(second, self.apply(second)));
        let perpendicular = (p11 + p22) / 2.0;
        // Turning axes 1 and 2 to P11 = P22 moves half their difference into P12.
        let (p12, half) = (dot(second, across), (p11 - p22) / 2.0);
        let (p13, p23) = (dot(first, along), dot(second, along));
        let off = p12 * p12 + half * half + p13 * p13 + p23 * p23;
        let whole = perpendicular * (perpendicular + 2.0 * parallel);
        Ok(Gyrotropic { parallel, perpendicular, agyrotropy: if off == 0.0 { 0.0 } else { off / whole } })
    }
}

/// The inner product.
pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The Euclidean length.
pub(super) fn length(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

/// `a - b`.
pub(super) fn difference(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| a[i] - b[i])
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The vector of length 1 in this direction, whatever its length.
pub(super) fn unit(v: [f64; 3]) -> Result<[f64; 3]> {
    let largest = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let scaled = v.map(|x| x / largest);
    let norm = length(scaled);
    if norm.is_finite() {
        return Ok(scaled.map(|x| x / norm));
    }
    Err(Error::invalid(format!("expected a direction, found {v:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `perp 1 + (par - perp) b b`.
    fn gyrotropic(par: f64, perp: f64, b: [f64; 3]) -> Tensor {
        let one = Tensor { xx: 1.0, yy: 1.0, zz: 1.0, ..Tensor::default() };
        one.times(perp).minus(&Tensor::square(unit(b).unwrap(), perp - par))
    }

    #[test]
    fn gyrotropic_tensors_are_recognised_about_any_axis() {
        for b in [[0.0, 0.0, 1e-9], [3.0, -1.0, 2.0], [1e-170, 2e-170, 0.0], [-1e200, 1e200, 1e200]] {
            for (par, perp) in [(5.0, 2.0), (0.5, 3.0)] {
                let p = gyrotropic(par, perp, b);
                let g = p.about(b).unwrap();
                assert!((g.parallel - par).abs() < 1e-14 && (g.perpendicular - perp).abs() < 1e-14, "{g:?}");
                assert!(g.agyrotropy < 1e-30, "{g:?}");
                assert!((dot(p.symmetry_axis().unwrap(), unit(b).unwrap()).abs() - 1.0).abs() < 1e-14);
                assert!((p.anisotropy().unwrap() - par.max(perp) / par.min(perp)).abs() < 1e-13);
            }
        }
        for bad in [[0.0; 3], [f64::NAN, 0.0, 1.0], [f64::INFINITY, 0.0, 0.0]] {
            assert!(gyrotropic(1.0, 2.0, [1.0; 3]).about(bad).is_err(), "{bad:?}");
        }
    }

    /// Against the invariants of Swisdak (2016): `Q = 1 - 4 I2 / ((I1 - P_par) (I1 + 3 P_par))`.
    #[test]
    fn agyrotropy_has_the_published_invariants() {
        let p = Tensor { xx: 3.0, yy: 2.0, zz: 4.0, yz: 0.5, xz: -0.25, xy: 1.0 };
        let minors = p.xx * p.yy + p.xx * p.zz + p.yy * p.zz - p.yz * p.yz - p.xz * p.xz - p.xy * p.xy;
        for b in [[1.0, 0.0, 0.0], [1.0, 2.0, -1.0]] {
            let g = p.about(b).unwrap();
            let expected = 1.0 - 4.0 * minors / ((p.trace() - g.parallel) * (p.trace() + 3.0 * g.parallel));
            assert!((g.agyrotropy - expected).abs() < 1e-14 && expected > 0.01);
        }
        // A rod or a disc seen across its axis is as agyrotropic as can be.
        let rod = Tensor { xx: 1.0, ..Tensor::default() };
        assert_eq!(rod.about([0.0, 0.0, 1.0]).unwrap().agyrotropy, 1.0);
    }

    #[test]
    fn norms_and_products() {
        let p = Tensor { xx: 1.0, yy: 2.0, zz: 3.0, yz: 4.0, xz: 5.0, xy: 6.0 };
        assert_eq!((p.trace(), p.norm()), (6.0, 168f64.sqrt()));
        assert_eq!(p.apply([1.0, 10.0, 100.0]), [561.0, 426.0, 345.0]);
        assert_eq!(p.minus(&p.times(2.0)), p.times(-1.0));
        assert!(Tensor { xx: f64::NAN, ..p }.anisotropy().is_err());
    }
}
