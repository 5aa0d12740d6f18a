//! Maps on the rings of McEwen and Wiaux on twice as many rings, where quadrature is exact: each meridian is continued behind the poles and interpolated.
//!
//! Source: J. D. McEwen, Y. Wiaux, "A novel sampling theorem on the sphere", 2011, section III.

use std::f64::consts::PI;

use rustfft::num_complex::Complex;

use super::{Fft, Grid, Sampling, Transform};
use crate::error::Result;

type C = Complex<f64>;

/// Rings continued around the circle and interpolated.
#[derive(Clone, Debug)]
pub(super) struct Finer {
    transform: Transform,
    band: usize,
    /// Along a ring.
    along: Fft,
    /// Along the circle through both poles, of the grid and of the finer one.
    around: Fft,
    finer: Fft,
    /// Where the first ring of the grid lies, in parts of a step.
    shift: f64,
}

impl Finer {
    pub(super) fn new(grid: &Grid) -> Result<Finer> {
        let band = grid.band();
        // As many points along each ring; around the circle 4 L, so that products with the polynomials are known.
        let points = grid.rings().first().map_or(1, |r| r.points);
        let finer = Grid::circle(band, points)?;
        let (around, shift) = if grid.sampling() == Sampling::Mw { (2 * band - 1, 0.5) } else { (2 * band, 0.0) };
        let (along, around, finer_fft) = (Fft::new(points), Fft::new(around), Fft::new(4 * band));
        Ok(Finer { transform: Transform::new(finer)?, band, along, around, finer: finer_fft, shift })
    }
    /// The transforms of the finer grid.
    pub(super) fn transform(&self) -> &Transform {
        &self.transform
    }
    /// A map on the finer grid.
    pub(super) fn real(&self, map: &[f64]) -> Vec<f64> {
        let field: Vec<C> = map.iter().map(|v| C::new(*v, 0.0)).collect();
        self.field(0, &field).iter().map(|v| v.re).collect()
    }
    /// The parts of a field with spin on the finer grid.
    pub(super) fn spin(&self, spin: usize, q: &[f64], u: &[f64]) -> [Vec<f64>; 2] {
        let field: Vec<C> = q.iter().zip(u).map(|(q, u)| C::new(*q, *u)).collect();
        let fine = self.field(spin, &field);
        [fine.iter().map(|v| v.re).collect(), fine.iter().map(|v| v.im).collect()]
    }
    fn field(&self, spin: usize, map: &[C]) -> Vec<C> {
        let (band, n) = (self.band, self.along.len());
        // Orders of each ring.
        let mut lines: Vec<Vec<C>> = map.chunks(n).map(<[C]>::to_vec).collect();
        lines.iter_mut().for_each(|l| self.along.forward(l));
        let (count, many) = (self.around.len(), self.finer.len());
        let mut fine = vec![vec![C::default(); n]; 2 * band + 1];
        for m in (0..band).chain(n + 1 - band..n) {
            // Behind the pole a field goes on half a turn away, and with its axes turned: with the sign (-1)^(m + spin). n - m has the parity of m where n
            // is even, the other where it is odd.
            let order = if m < band { m } else { n - m };
            let sign = if (order + spin).is_multiple_of(2) { 1.0 } else { -1.0 };
            let mut line: Vec<C> = (0..count)
                .map(|t| match t < lines.len() {
                    true => lines[t][m],
                    false => lines[if self.shift > 0.0 { count - 1 - t } else { count - t }][m] * sign,
                })
                .collect();
            self.around.forward(&mut line);
            let mut long = vec![C::default(); many];
            for k in 0..band {
                for negative in [false, true] {
                    if negative && k == 0 {
                        continue;
                    }
                    let (from, to) = if negative { (count - k, many - k) } else { (k, k) };
                    let angle = 2.0 * PI * k as f64 * self.shift / count as f64;
                    let back = C::new(libm::cos(angle), if negative { libm::sin(angle) } else { -libm::sin(angle) });
                    long[to] = line[from] * back / count as f64;
                }
            }
            self.finer.backward(&mut long);
            fine.iter_mut().zip(&long).for_each(|(f, v)| f[m] = *v);
        }
        for line in &mut fine {
            self.along.backward(line);
        }
        fine.into_iter().flatten().map(|v| v / n as f64).collect()
    }
}
