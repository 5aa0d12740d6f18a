//! The norms in which errors of fields on elements count: integrals over the domain, not sums over points.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{extents, Geometry};
use crate::array::{Array, Shape};
use crate::error::{Error, Result};

/// An array of values on spectral elements: the names of the arrays with their coordinates; none where nothing is known of the mesh, and every element
/// counts as the reference element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OnElements {
    /// The names, of the first coordinate first.
    pub coordinates: Vec<String>,
}

impl OnElements {
    /// The norm of an array of such a shape. `arrays` are the coordinates by name; `gradient` says whether integrals of gradients will be asked for.
    /// Errors: `InvalidArgument` for shapes that are no elements, coordinates that are missing or do not fit, and elements without a volume.
    pub fn norm(&self, shape: &Shape, arrays: &[(String, Arc<Array>)], gradient: bool) -> Result<Norm> {
        let (elements, points, dimensions) = extents(shape)?;
        if self.coordinates.is_empty() {
            return Ok(Norm { geometry: Geometry::reference(elements, points, dimensions, gradient)? });
        }
        let read = |name: &String| {
            let found = arrays.iter().find(|(n, a)| n == name && a.shape() == *shape);
            let array = found
                .ok_or_else(|| Error::invalid(format!("expected coordinates {name:?} of shape {shape}, found none")))?;
            Ok(array.1.data().to_f64())
        };
        let coordinates = self.coordinates.iter().map(read).collect::<Result<Vec<_>>>()?;
        if coordinates.len() != dimensions {
            return Err(Error::invalid(format!("expected {dimensions} coordinates, found {}", coordinates.len())));
        }
        let slices: Vec<&[f64]> = coordinates.iter().map(Vec::as_slice).collect();
        Ok(Norm { geometry: Geometry::new(&slices, points, gradient)? })
    }
}

/// Integrals of the squares of a field and of its gradient.
#[derive(Clone, Debug)]
pub struct Norm {
    geometry: Geometry,
}

/// What integrals over the domain come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Integrals {
    /// Of the square of the field.
    pub square: f64,
    /// Of the square of its gradient.
    pub gradient: f64,
    /// Of 1.
    pub volume: f64,
}

impl Norm {
    /// The elements.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }
    /// Points of an element.
    pub fn size(&self) -> usize {
        self.geometry.points().pow(self.geometry.dimensions() as u32)
    }
    /// The integral of the square of `field`, on elements from number `first` on.
    pub fn square(&self, first: usize, field: &[f64]) -> f64 {
        let mass = self.geometry.mass().get(first * self.size()..).unwrap_or_default();
        field
            .chunks(self.size())
            .zip(mass.chunks(self.size()))
            .fold(0.0, |sum, (f, m)| sum + f.iter().zip(m).fold(0.0, |s, (f, m)| s + m * (f * f)))
    }
    /// The integral of the square of the gradient of `field`, on elements from number `first` on.
    pub fn gradient(&self, first: usize, field: &[f64]) -> f64 {
        self.geometry.gradient(first, field).iter().fold(0.0, |sum, slopes| sum + self.square(first, slopes))
    }
    /// All integrals of a field on elements from number `first` on.
    pub fn integrals(&self, first: usize, field: &[f64]) -> Integrals {
        let ones = vec![1.0; field.len()];
        Integrals {
            square: self.square(first, field),
            gradient: self.gradient(first, field),
            volume: self.square(first, &ones),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_of_a_plane_wave_on_a_stretched_mesh() {
        let (e, n) = (6usize, 9usize);
        let gll = crate::sem::Gll::new(n).unwrap();
        // Intervals of different lengths along x, together [0, 2 pi]; [0, 1] along y.
        let ends: Vec<f64> = (0..=e).map(|k| std::f64::consts::TAU * libm::pow(k as f64 / e as f64, 2.0)).collect();
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for k in 0..e {
            for p in 0..n * n {
                let (r, s) = (gll.nodes()[p % n], gll.nodes()[p / n]);
                x.push(ends[k] + (ends[k + 1] - ends[k]) * 0.5 * (1.0 + r));
                y.push(0.5 * (1.0 + s));
            }
        }
        let shape = Shape::new(&[e, n, n]).unwrap();
        let array = |v: &[f64]| Arc::new(Array::from_vec(&shape, v.to_vec()).unwrap());
        let arrays = vec![("x".to_string(), array(&x)), ("y".to_string(), array(&y))];
        let on = OnElements { coordinates: vec!["x".into(), "y".into()] };
        let norm = on.norm(&shape, &arrays, true).unwrap();
        let f: Vec<f64> = x.iter().map(|x| libm::sin(2.0 * x)).collect();
        let i = norm.integrals(0, &f);
        let pi = std::f64::consts::PI;
        assert!((i.square - pi).abs() < 1e-3 && (i.gradient - 4.0 * pi).abs() < 0.05, "{i:?}");
        assert!((i.volume - 2.0 * pi).abs() < 1e-12);
        // Parts add up.
        let half = 3 * n * n;
        let parts = norm.square(0, &f[..half]) + norm.square(3, &f[half..]);
        assert!((parts - i.square).abs() < 1e-13);
        assert!(on.norm(&Shape::new(&[e, n, n + 1]).unwrap(), &arrays, true).is_err());
        assert!(OnElements { coordinates: vec!["x".into(), "z".into()] }.norm(&shape, &arrays, true).is_err());
        let unknown = OnElements::default().norm(&shape, &[], false).unwrap();
        assert!((unknown.integrals(0, &f).volume - 4.0 * e as f64).abs() < 1e-12);
    }
}
