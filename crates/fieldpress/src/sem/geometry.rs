//! Elements in space: volumes, quadrature over the domain, and derivatives of fields.
//!
//! Source: M. O. Deville, P. F. Fischer, E. H. Mund, "High-Order Methods for Incompressible Fluid Flow", 2002, chapter 4: isoparametric elements, with the
//! points of the quadrature those of the field.

use super::{Gll, Tensor};
use crate::error::{Error, Result};

/// Extents of an array of elements: how many, their points along an axis, and their axes.
/// Errors: `InvalidArgument` unless `shape` is `[elements, n, n]` or `[elements, n, n, n]` with 2 to 32 points.
pub fn extents(shape: &[usize]) -> Result<(usize, usize, usize)> {
    match *shape {
        [e, a, b] if a == b && Gll::new(a).is_ok() => Ok((e, a, 2)),
        [e, a, b, c] if a == b && b == c && Gll::new(a).is_ok() => Ok((e, a, 3)),
        _ => Err(Error::invalid(format!(
            "expected elements, [count, n, n] or [count, n, n, n] with 2 to 32 points along an axis, found {shape:?}"
        ))),
    }
}

/// How large elements are, from their corners: the mean over the corners of the parallelogram or parallelepiped that the edges there span, over that of a
/// reference element. Exact where edges are parallel.
pub fn corner_volumes(coordinates: &[&[f64]], n: usize) -> Vec<f64> {
    let d = coordinates.len();
    let size = n.pow(d as u32);
    let first = coordinates.first().map_or(0, |c| c.len());
    let offset = |c: usize| (0..d).filter(|a| c >> a & 1 == 1).map(|a| (n - 1) * n.pow(a as u32)).sum::<usize>();
    let corners: Vec<usize> = (0..1 << d).map(offset).collect();
    let volume = |e: usize| {
        let at =
            |c: usize, k: usize| coordinates.get(k).and_then(|v| v.get(e * size + corners[c])).copied().unwrap_or(0.0);
        let mut sum = 0.0;
        for c in 0..1usize << d {
            let mut edges = [[0.0; 3]; 3];
            for (a, edge) in edges.iter_mut().enumerate().take(d) {
                let sign = if c >> a & 1 == 1 { -0.5 } else { 0.5 };
                (0..d).for_each(|k| edge[k] = sign * (at(c ^ 1 << a, k) - at(c, k)));
            }
            sum += determinant(&edges, d).abs();
        }
        sum / corners.len() as f64
    };
    (0..first / size.max(1)).map(volume).collect()
}

#[inline(always)]
fn determinant(m: &[[f64; 3]; 3], d: usize) -> f64 {
    match d {
        2 => m[0][0] * m[1][1] - m[0][1] * m[1][0],
        _ => {
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
                + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        }
    }
}

/// Elements where they lie.
#[derive(Clone, Debug)]
pub struct Geometry {
    points: usize,
    dimensions: usize,
    derivative: Tensor,
    /// The diagonal mass matrix.
    mass: Vec<f64>,
    /// For each point the derivatives of the reference coordinates along space: `[a][k]` is d(reference a) / d(space k).
    inverse: Vec<[[f64; 3]; 3]>,
}

impl Geometry {
    /// From the coordinates of all points, one array for each dimension; `slopes` says whether gradients will be asked for, which takes 72 bytes a point.
    /// Errors: `InvalidArgument` for lengths that are no whole elements, coordinates that are not numbers, and elements without a volume somewhere.
    pub fn new(coordinates: &[&[f64]], n: usize, slopes: bool) -> Result<Geometry> {
        let d = coordinates.len();
        let gll = Gll::new(n)?;
        let size = n.pow(d as u32);
        let total = coordinates.first().map_or(0, |c| c.len());
        if !(2..=3).contains(&d) || !total.is_multiple_of(size) || coordinates.iter().any(|c| c.len() != total) {
            return Err(Error::invalid(format!(
                "expected 2 or 3 coordinates of whole elements of {n} points along an axis"
            )));
        }
        let derivative = Tensor::new(&gll.derivative());
        let (mut mass, mut inverse) = (Vec::with_capacity(total), Vec::new());
        let mut scratch = vec![0.0; size];
        let mut along = vec![vec![0.0; size]; d * d];
        for e in 0..total / size {
            for (k, c) in coordinates.iter().enumerate() {
                for a in 0..d {
                    let s = &mut along[k * d + a];
                    s.copy_from_slice(&c[e * size..(e + 1) * size]);
                    derivative.apply(a, s, &mut scratch);
                }
            }
            for p in 0..size {
                let mut m = [[0.0; 3]; 3];
                for (i, slopes) in along.iter().enumerate() {
                    m[i / d][i % d] = slopes[p];
                }
                let jacobian = determinant(&m, d);
                if !jacobian.is_finite() || jacobian == 0.0 {
                    return Err(Error::invalid(format!(
                        "expected elements with a volume, found one without: number {e}"
                    )));
                }
                let weight = (0..d).fold(1.0, |w, a| w * gll.weights()[p / n.pow(a as u32) % n]);
                mass.push(weight * jacobian.abs());
                if slopes {
                    inverse.push(inverted(&m, d, jacobian));
                }
            }
        }
        Ok(Geometry { points: n, dimensions: d, derivative, mass, inverse })
    }
    /// The reference element, as often as `elements`: where nothing is known of the mesh.
    /// Errors: `InvalidArgument` for too few or too many points.
    pub fn reference(elements: usize, n: usize, d: usize, slopes: bool) -> Result<Geometry> {
        let gll = Gll::new(n)?;
        let one: Vec<f64> =
            (0..n.pow(d as u32)).map(|p| (0..d).fold(1.0, |w, a| w * gll.weights()[p / n.pow(a as u32) % n])).collect();
        let mut identity = [[0.0; 3]; 3];
        (0..d).for_each(|a| identity[a][a] = 1.0);
        Ok(Geometry {
            points: n,
            dimensions: d,
            derivative: Tensor::new(&gll.derivative()),
            inverse: if slopes { vec![identity; one.len() * elements] } else { Vec::new() },
            mass: one.repeat(elements),
        })
    }
    /// Points along an axis of an element.
    pub fn points(&self) -> usize {
        self.points
    }
    /// 2 or 3.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }
    /// The diagonal mass matrix: what each point of each element counts in an integral over the domain.
    pub fn mass(&self) -> &[f64] {
        &self.mass
    }
    /// The derivatives along the coordinates of a field, if slopes were asked for: else 0, on elements from number `first` on, one array for each dimension.
    pub fn gradient(&self, first: usize, field: &[f64]) -> Vec<Vec<f64>> {
        let (n, d) = (self.points, self.dimensions);
        let size = n.pow(d as u32);
        let mut out = vec![vec![0.0; field.len()]; d];
        let mut scratch = vec![0.0; size];
        let mut slopes = vec![vec![0.0; size]; d];
        for (e, element) in field.chunks_exact(size).enumerate() {
            for (a, s) in slopes.iter_mut().enumerate() {
                s.copy_from_slice(element);
                self.derivative.apply(a, s, &mut scratch);
            }
            for p in 0..size {
                let Some(inverse) = self.inverse.get((first + e) * size + p) else { continue };
                for (k, o) in out.iter_mut().enumerate() {
                    o[e * size + p] = (0..d).fold(0.0, |s, a| s + slopes[a][p] * inverse[a][k]);
                }
            }
        }
        out
    }
}

/// The inverse of the upper left `d` by `d` part.
fn inverted(m: &[[f64; 3]; 3], d: usize, determinant: f64) -> [[f64; 3]; 3] {
    let mut r = [[0.0; 3]; 3];
    if d == 2 {
        r[0] = [m[1][1] / determinant, -m[0][1] / determinant, 0.0];
        r[1] = [-m[1][0] / determinant, m[0][0] / determinant, 0.0];
        return r;
    }
    for (i, row) in r.iter_mut().enumerate() {
        for (j, v) in row.iter_mut().enumerate() {
            // The cofactor of the transposed place.
            let (a, b, c, e) = ((j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3);
            *v = (m[a][c] * m[b][e] - m[a][e] * m[b][c]) / determinant;
        }
    }
    r
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The points of `elements` along x, each bent by `bend`, on `[0, 1]^d`.
    fn points(elements: usize, n: usize, d: usize, bend: impl Fn([f64; 3]) -> [f64; 3]) -> Vec<Vec<f64>> {
        let gll = Gll::new(n).unwrap();
        let mut all = vec![Vec::new(); d];
        for e in 0..elements {
            for p in 0..n.pow(d as u32) {
                let mut x = [0.0; 3];
                for (a, v) in x.iter_mut().enumerate().take(d) {
                    let r = 0.5 * (1.0 + gll.nodes()[p / n.pow(a as u32) % n]);
                    *v = if a == 0 { (e as f64 + r) / elements as f64 } else { r };
                }
                all.iter_mut().zip(bend(x)).for_each(|(c, v)| c.push(v));
            }
        }
        all
    }
    fn slices(c: &[Vec<f64>]) -> Vec<&[f64]> {
        c.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn integrals_and_gradients_of_curved_elements() {
        // A quarter of a ring between the radii 1 and 2, one high.
        let ring = |x: [f64; 3]| {
            let (s, c) = (std::f64::consts::FRAC_PI_2 * x[0]).sin_cos();
            [(1.0 + x[1]) * c, (1.0 + x[1]) * s, x[2]]
        };
        for d in [2, 3] {
            let c = points(3, 12, d, ring);
            let g = Geometry::new(&slices(&c), 12, true).unwrap();
            let area: f64 = g.mass().iter().sum();
            assert!((area - 0.75 * std::f64::consts::PI).abs() < 1e-12, "{d}: {area}");
            // The integral of x^2 + y^2, the polar moment.
            let moment: f64 =
                g.mass().iter().enumerate().map(|(i, m)| m * (c[0][i] * c[0][i] + c[1][i] * c[1][i])).sum();
            assert!((moment - 15.0 / 4.0 * std::f64::consts::FRAC_PI_2).abs() < 1e-10, "{d}: {moment}");
            let f: Vec<f64> =
                (0..c[0].len()).map(|i| c[0][i] * c[1][i] + c.get(2).map_or(0.0, |z| 2.0 * z[i])).collect();
            let slopes = g.gradient(0, &f);
            for i in 0..f.len() {
                assert!((slopes[0][i] - c[1][i]).abs() < 1e-7 && (slopes[1][i] - c[0][i]).abs() < 1e-7, "{d} {i}");
                assert!(d == 2 || (slopes[2][i] - 2.0).abs() < 1e-7);
            }
            // The same from elements in the middle.
            let size = 12usize.pow(d as u32);
            let part = g.gradient(1, &f[size..2 * size]);
            assert_eq!(part[0], slopes[0][size..2 * size]);
        }
    }

    #[test]
    fn volumes_of_straight_elements_are_exact() {
        for (d, expected) in [(2, 0.5 * 3.0 / 4.0 / 4.0), (3, 0.5 * 3.0 * 2.0 / 4.0 / 8.0)] {
            let c = points(4, 5, d, |x| [0.5 * x[0] + 0.1 * x[1], 3.0 * x[1], 2.0 * x[2] + x[0]]);
            for v in corner_volumes(&slices(&c), 5) {
                assert!((v - expected).abs() < 1e-14, "{d} {v} {expected}");
            }
            let g = Geometry::new(&slices(&c), 5, false).unwrap();
            let size = 5usize.pow(d as u32);
            let one: f64 = g.mass()[..size].iter().sum();
            assert!((one - expected * f64::from(1u32 << d)).abs() < 1e-14);
        }
        let unit = Geometry::reference(3, 4, 3, false).unwrap();
        assert!((unit.mass().iter().sum::<f64>() - 24.0).abs() < 1e-13);
        assert!(Geometry::new(&[&[0.0; 8], &[0.0; 8], &[0.0; 8]], 2, true).is_err());
        assert!(Geometry::new(&[&[0.0; 9], &[0.0; 9], &[0.0; 9]], 2, true).is_err());
    }

    #[test]
    fn shapes_of_elements() {
        assert_eq!(extents(&[5, 8, 8, 8]), Ok((5, 8, 3)));
        assert_eq!(extents(&[5, 6, 6]), Ok((5, 6, 2)));
        for bad in [&[5, 8, 8, 7][..], &[5, 1, 1], &[5, 33, 33], &[8, 8], &[1, 2, 2, 2, 2]] {
            assert!(extents(bad).is_err());
        }
    }
}
