//! Scattering covariances of a part of the sphere: every point counts with the weight that a mask gives it.
//!
//! Means are over the weighted area, integrals are scaled from it to the whole sphere, and moduli are multiplied with the mask before they are taken apart again. Products with a mask
//! are no polynomials of the fields' degrees, so that here the second layer goes to points.

use std::f64::consts::PI;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::super::legendre::{Orders, Sums, Up, ZERO};
use super::super::recursion::{Lanes, LANES};
use super::super::{Grid, Harmonics, Sampling, Transform};
use super::plan::Scale;
use super::second::{products_of, Square, PARTS};
use super::{Coefficients, Scattering};
use crate::bits::widest;
use crate::error::{Error, Result};

type C = Complex<f64>;

/// The mask on the grid of a scale: for each group of rings and each point along them the north and the south.
pub(super) struct ScaleMask {
    pub(super) groups: Vec<Vec<[Lanes; 2]>>,
    /// The integral of the mask.
    pub(super) area: f64,
}

impl ScaleMask {
    fn new(scale: &Scale, grid: &Grid, mask: &[f64]) -> Result<ScaleMask> {
        let own = Grid::new(Sampling::GaussLegendre, scale.band)?;
        let (rings, points) = (own.rings(), 2 * scale.band - 1);
        let value = |t: usize, p: usize| {
            let ring = rings.get(t)?;
            mask.get(grid.nearest(ring.theta, 2.0 * PI * p as f64 / points as f64)).copied()
        };
        let group = |g: usize| -> Vec<[Lanes; 2]> {
            let point = |p: usize| {
                let north = |l: usize| value(g * LANES + l, p).unwrap_or_default();
                let south = |l: usize| {
                    let t = rings.len().checked_sub(1 + g * LANES + l);
                    t.and_then(|t| value(t, p)).unwrap_or_default()
                };
                [std::array::from_fn(north), std::array::from_fn(south)]
            };
            (0..points).map(point).collect()
        };
        let groups: Vec<Vec<[Lanes; 2]>> = (0..scale.rings.len()).into_par_iter().map(group).collect();
        let mut area = 0.0;
        for (points, weights) in groups.iter().zip(&scale.weights) {
            for point in points {
                for (values, weights) in point.iter().zip(weights) {
                    area += values.iter().zip(weights).fold(0.0, |s, (v, w)| s + v * w);
                }
            }
        }
        Ok(ScaleMask { groups, area })
    }
}

impl Scattering {
    /// The coefficients of a map under a mask: weights from 0 to 1 at the points of `grid`. Each point of the grids that fields are on has the weight of the nearest one. A mask of 1
    /// everywhere gives [`Scattering::coefficients`]. What is hidden should be filled smoothly: wavelets see it from outside. Errors: `InvalidArgument` for another band-limit,
    /// for weights outside 0 to 1, another number of them, and where nothing is seen.
    pub fn masked(&self, map: &Harmonics, grid: &Grid, mask: &[f64]) -> Result<Coefficients> {
        self.fits(map)?;
        if mask.len() != grid.len() {
            return Err(Error::invalid(format!("expected {} weights of a mask, found {}", grid.len(), mask.len())));
        }
        if let Some(v) = mask.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            return Err(Error::invalid(format!("expected weights of a mask from 0 to 1, found {v}")));
        }
        let masks = self.scales.iter().map(|s| ScaleMask::new(s, grid, mask)).collect::<Result<Vec<_>>>()?;
        if masks.iter().any(|m| m.area <= 0.0) {
            return Err(Error::invalid("expected a mask that shows something at every scale, found none"));
        }
        let mut out = Coefficients::zeros(self);
        (out.mean, out.variance) = self.moments(map, grid, mask)?;
        let (g, mut layers) = (self.directions(), Vec::new());
        for (place, mask) in masks.iter().enumerate() {
            let layer = self.first_layer(place, map, false, Some(mask))?;
            out.s1[place * g..(place + 1) * g].copy_from_slice(&layer.s1);
            out.p00[place * g..(place + 1) * g].copy_from_slice(&layer.p00);
            layers.push(layer.moduli);
        }
        let moduli: Vec<&[Harmonics]> = layers.iter().map(Vec::as_slice).collect();
        for (place, (later, c01, c11)) in out.parts().into_iter().enumerate() {
            let square = self.products_at_points(place, &self.sources(place, map, &moduli), &masks[place]);
            let (c01, c11) = (c01..c01 + later * g * g, c11..c11 + later * later * g * g * g);
            self.extract(&square, (0, 0), later, &mut out.c01[c01], &mut out.c11[c11]);
        }
        Ok(out)
    }
    /// Size of the mean, and variance, of a map under a mask.
    fn moments(&self, map: &Harmonics, grid: &Grid, mask: &[f64]) -> Result<(f64, f64)> {
        let own = Grid::new(Sampling::GaussLegendre, self.band)?;
        let values = Transform::new(own.clone())?.synthesis(map)?;
        let (mut sum, mut square, mut area) = (0.0, 0.0, 0.0);
        for ring in own.rings() {
            for p in 0..ring.points {
                let phi = 2.0 * PI * p as f64 / ring.points as f64;
                let weight = ring.weight * mask.get(grid.nearest(ring.theta, phi)).copied().unwrap_or_default();
                let v = values.get(ring.first + p).copied().unwrap_or_default();
                (sum, square, area) = (sum + weight * v, square + weight * v * v, area + weight);
            }
        }
        if area <= 0.0 {
            return Err(Error::invalid("expected a mask that shows something, found none"));
        }
        let mean = sum / area;
        Ok((mean.abs(), (square / area - mean * mean).max(0.0)))
    }
    /// The sums over the masked sphere of the products of all basis fields, scaled to the whole.
    fn products_at_points(&self, place: usize, sources: &[&Harmonics], mask: &ScaleMask) -> Square {
        let scale = &self.scales[place];
        let (count, fields) = (scale.rings.len(), self.settings.directions);
        let side = sources.len() * fields;
        let mut phases: Vec<Vec<Vec<Sums>>> = Vec::new();
        for (i, spin) in self.spins.iter().enumerate() {
            let one = |n: i64| {
                let mut all = vec![ZERO; scale.band * sources.len() * count];
                all.par_chunks_mut(sources.len() * count).enumerate().for_each(|(m, sums)| {
                    let columns: Vec<&[C]> = sources.iter().map(|h| h.order(m)).collect();
                    let orders = Orders { m, n, band: scale.band, weights: &scale.wavelets[i] };
                    widest(Up { orders, places: &scale.rings.places, columns: &columns, sums });
                });
                all
            };
            phases.push(Scattering::signed(*spin).into_iter().map(one).collect());
        }
        // Points of the north and of the south of each basis field.
        let rows = |g: usize| {
            let mut rows: Vec<Vec<Lanes>> = Vec::with_capacity(side);
            for s in 0..sources.len() {
                for (i, spin) in self.spins.iter().enumerate() {
                    let at = |m: usize| {
                        let of =
                            |sign: usize| phases[i].get(sign).map_or(ZERO, |p| p[(m * sources.len() + s) * count + g]);
                        [of(0), of(1)]
                    };
                    let lines = scale.rings.lines(*spin, scale.band, at);
                    match lines.as_slice() {
                        [line] => rows.push(line.iter().flatten().copied().collect()),
                        lines => {
                            for part in 0..2 {
                                let both = lines[0].iter().zip(lines[1].iter());
                                rows.push(both.flat_map(|(north, south)| [north[part], south[part]]).collect());
                            }
                        }
                    }
                }
            }
            rows
        };
        let counts = |g: usize| -> Vec<Lanes> {
            let weights = &scale.weights[g];
            let point = |p: &[Lanes; 2]| [0, 1].map(|half| std::array::from_fn(|l| p[half][l] * weights[half][l]));
            mask.groups[g].iter().flat_map(point).collect()
        };
        let part = |first: usize| {
            let mut sums = vec![[0.0; LANES]; side * side];
            (first..count).step_by(PARTS).for_each(|g| products_of(&rows(g), &counts(g), &mut sums));
            sums
        };
        let parts: Vec<Vec<Lanes>> = (0..PARTS).into_par_iter().map(part).collect();
        let mut square = Square::of(&parts, side, fields);
        square.values.iter_mut().for_each(|v| *v *= 4.0 * PI / mask.area);
        square
    }
}
