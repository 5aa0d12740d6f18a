//! How alike two maps are: power by band, distribution of values, Minkowski functionals.
//!
//! Source of the functionals: J. Schmalzing, K. M. Gorski, "Minkowski functionals used in the morphological analysis of cosmic microwave background anisotropy maps", 1998,
//! equations 13 to 20.

use std::f64::consts::PI;

use super::{Grid, Harmonics, Sampling, Transform};
use crate::error::{Error, Result};

/// A band of degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// The first degree.
    pub from: usize,
    /// Degrees are below.
    pub to: usize,
    /// Power of the first map.
    pub power: f64,
    /// Power of the second over that of the first.
    pub ratio: f64,
}

/// How alike two maps are.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeness {
    /// Power by bands of degrees.
    pub bands: Vec<Band>,
    /// The largest difference of the cumulative distributions of values (Kolmogorov and Smirnov), by area.
    pub distribution: f64,
    /// Thresholds of the functionals, in standard deviations of the first map from its mean.
    pub thresholds: Vec<f64>,
    /// Of both maps: the part of the area above each threshold, the length of its border over 16 pi, and what its curvature adds up to over 8 pi^2.
    pub functionals: [[Vec<f64>; 3]; 2],
}

impl Likeness {
    /// The largest distance of the power of a band from that of the first map, relative to it.
    pub fn spectrum(&self) -> f64 {
        self.bands.iter().fold(0.0, |m, b| m.max((b.ratio - 1.0).abs()))
    }
    /// For each functional the largest difference, relative to its largest value.
    pub fn minkowski(&self) -> [f64; 3] {
        let [a, b] = &self.functionals;
        let largest = |v: &mut dyn Iterator<Item = f64>| v.fold(0.0, |m: f64, v| m.max(v.abs()));
        [0, 1, 2].map(|k| {
            let size = largest(&mut a[k].iter().copied());
            largest(&mut a[k].iter().zip(&b[k]).map(|(a, b)| a - b)) / size.max(f64::MIN_POSITIVE)
        })
    }
    /// Of two maps of the same band-limit. Errors: `InvalidArgument` for others.
    pub fn of(first: &Harmonics, second: &Harmonics) -> Result<Likeness> {
        if first.band() != second.band() {
            return Err(Error::invalid(format!("expected a band-limit of {}, found {}", first.band(), second.band())));
        }
        // Between the points of its own grid a map goes on: four times as many rings see where it crosses a threshold.
        let band = (4 * first.band()).min(1024.max(first.band()));
        let transform = Transform::new(Grid::new(Sampling::GaussLegendre, band)?)?;
        let wide = |map: &Harmonics| -> Result<Harmonics> {
            let mut out = Harmonics::zeros(band)?;
            out.add(map);
            Ok(out)
        };
        let (wide_first, wide_second) = (wide(first)?, wide(second)?);
        let maps = [&wide_first, &wide_second];
        let thresholds: Vec<f64> = (-6..=6).map(|i| 0.5 * f64::from(i)).collect();
        let values = transform.synthesis_many(&maps)?;
        let areas: Vec<f64> =
            transform.grid().rings().iter().flat_map(|r| vec![r.weight / (4.0 * PI); r.points]).collect();
        let mean = values[0].iter().zip(&areas).fold(0.0, |s, (v, a)| s + v * a);
        let square = values[0].iter().zip(&areas).fold(0.0, |s, (v, a)| s + (v - mean) * (v - mean) * a);
        let scale = (mean, square.sqrt());
        let of = |k: usize| functionals(&transform, maps[k], &values[k], &areas, scale, &thresholds);
        let functionals = [of(0)?, of(1)?];
        let distribution = kolmogorov(&values[0], &values[1], &areas);
        Ok(Likeness { bands: bands(first, second), distribution, thresholds, functionals })
    }
}

/// About three bands to an octave from degree 8 on, single degrees below.
fn bands(first: &Harmonics, second: &Harmonics) -> Vec<Band> {
    let (a, b) = (first.spectrum(), second.spectrum());
    let mut all = Vec::new();
    let mut from = 1;
    while from < a.len() {
        let to = (from + 1).max(from * 5 / 4).min(a.len());
        let power = |s: &[f64]| (from..to).fold(0.0, |p, l| p + s[l] * (2 * l + 1) as f64);
        let own = power(&a);
        let ratio = if own > 0.0 {
            power(&b) / own
        } else if power(&b) > 0.0 {
            f64::INFINITY
        } else {
            1.0
        };
        all.push(Band { from, to, power: own / (4.0 * PI), ratio });
        from = to;
    }
    all
}

fn kolmogorov(a: &[f64], b: &[f64], areas: &[f64]) -> f64 {
    let sorted = |v: &[f64], sign: f64| v.iter().zip(areas).map(move |(v, a)| (*v, sign * a)).collect::<Vec<_>>();
    let mut all = sorted(a, 1.0);
    all.extend(sorted(b, -1.0));
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut sum, mut largest) = (0.0f64, 0.0f64);
    let mut all = all.iter().peekable();
    while let Some((v, area)) = all.next() {
        sum += area;
        // Equal values come together.
        if all.peek().is_none_or(|n| n.0 > *v) {
            largest = largest.max(sum.abs());
        }
    }
    largest
}

/// The three functionals at each threshold. Derivatives are fields of spin 1 and 2.
fn functionals(
    t: &Transform,
    map: &Harmonics,
    values: &[f64],
    areas: &[f64],
    (mean, deviation): (f64, f64),
    thresholds: &[f64],
) -> Result<[Vec<f64>; 3]> {
    let raised = |factor: fn(f64) -> f64| {
        let mut out = map.clone();
        for m in 0..map.band() {
            out.order_mut(m).iter_mut().enumerate().for_each(|(i, v)| *v *= factor((m + i) as f64));
        }
        out
    };
    let none = Harmonics::zeros(map.band())?;
    let slope = raised(|l| (l * (l + 1.0)).sqrt());
    let curved = raised(|l| if l < 2.0 { 0.0 } else { ((l - 1.0) * l * (l + 1.0) * (l + 2.0)).sqrt() });
    let trace = t.synthesis(&raised(|l| -l * (l + 1.0)))?;
    let [u, v] = t.synthesis_spin(1, [&slope, &none])?;
    let [q, w] = t.synthesis_spin(2, [&curved, &none])?;
    let width = 0.5;
    let mut out = [0, 1, 2].map(|_| vec![0.0; thresholds.len()]);
    for i in 0..values.len() {
        let x = (values[i] - mean) / deviation;
        let square = u[i] * u[i] + v[i] * v[i];
        let size = square.sqrt() / deviation;
        // Second derivatives: half the trace, and of spin 2.
        let (d, c) = (-0.5 * q[i], -0.5 * w[i]);
        let bent = -0.5 * trace[i] * square + d * (u[i] * u[i] - v[i] * v[i]) + 2.0 * c * u[i] * v[i];
        for (k, nu) in thresholds.iter().enumerate() {
            if x > *nu {
                out[0][k] += areas[i];
            }
            // Instead of a delta function a window.
            if (x - nu).abs() < 0.5 * width {
                out[1][k] += 0.25 * size * areas[i] / width;
                if square > 0.0 {
                    out[2][k] += bent / (square * deviation) * areas[i] / (2.0 * PI * width);
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functionals_of_a_dipole_are_those_of_caps() {
        // Above a threshold there is a cap around the pole: border 2 pi sin, curvature 2 pi cos.
        let mut h = Harmonics::zeros(64).unwrap();
        h.order_mut(0)[1].re = (4.0 * PI / 3.0f64).sqrt();
        let found = Likeness::of(&h, &h).unwrap();
        assert!(found.spectrum() < 1e-12 && found.distribution < 1e-12 && found.minkowski() == [0.0; 3]);
        let deviation = (1.0f64 / 3.0).sqrt();
        // A quadrupole about the axis, whose second derivatives have a part of spin 2: two caps of cosine c where (3 c^2 - 1) / 2 is above.
        let mut h = Harmonics::zeros(64).unwrap();
        h.order_mut(0)[2].re = (4.0 * PI / 5.0f64).sqrt();
        let two = Likeness::of(&h, &h).unwrap();
        for (k, nu) in two.thresholds.iter().enumerate().filter(|(_, nu)| (-0.5..=1.5).contains(*nu)) {
            let c = ((2.0 * nu * (1.0 / 5.0f64).sqrt() + 1.0) / 3.0).sqrt();
            let expected = [1.0 - c, 4.0 * PI * (1.0 - c * c).sqrt() / (16.0 * PI), 4.0 * PI * c / (8.0 * PI * PI)];
            for (f, e) in two.functionals[0].iter().zip(expected) {
                assert!((f[k] - e).abs() < 0.1 * e.abs(), "{nu}: {} {e}", f[k]);
            }
        }
        for (k, nu) in found.thresholds.iter().enumerate().filter(|(_, nu)| nu.abs() <= 1.0) {
            let c = nu * deviation;
            let s = (1.0 - c * c).sqrt();
            let expected = [0.5 * (1.0 - c), 2.0 * PI * s / (16.0 * PI), 2.0 * PI * c / (8.0 * PI * PI)];
            for (f, e) in found.functionals[0].iter().zip(expected) {
                assert!((f[k] - e).abs() < 0.02, "{nu}: {} {e}", f[k]);
            }
        }
    }
}
