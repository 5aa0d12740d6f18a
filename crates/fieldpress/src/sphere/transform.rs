//! Harmonic transforms of maps and of fields of any spin: synthesis, its adjoint, and analysis.
//!
//! Sources: as in [`super::grid`]; the order of the sums, first over degrees for each order and ring, then over orders along the ring: M. Reinecke, D. S. Seljebotn,
//! "Libsharp: spherical harmonic transforms revisited", 2013; fields with spin: E. T. Newman, R. Penrose, "Note on the Bondi-Metzner-Sachs group", 1966.
//!
//! # Format
//! The synthesis of a map, as streams need it, to the bit; `fma(a, b, c)` is `a b + c` rounded once, all else is rounded at each step; `cos`, `sin` are those of the `libm` crate.
//!
//! *Rings.* With `n = L`: MW `theta_t = (2t + 1) pi / (2n - 1)`, MWSS `t pi / n`, Driscoll-Healy `(2t + 1) pi / (4n)`, each product from the left. Gauss-Legendre, the northern half: from `pi (t + 0.75) / (n + 0.5)` eight steps
//! `theta -= p_n / q`, with `p_(l+1) = ((2l + 1) x p_l - l p_(l-1)) / (l + 1)`, `p_0 = 1`, `x = cos(theta)`, `q = n (x p_n - p_(n-1)) / sin(theta)`; the middle one is `pi / 2`; the southern half is `pi - theta`
//! with the cosine negated and the same sine. HEALPix, ring `i` from 1, `k = min(i, 4 nside - i)`: for `k < nside`, `u = k k / (3 nside nside)`, `cos = 1 - u`, `sin = sqrt(u (2 - u))`, `4k` points from
//! `phi = pi / (4k)`; else `cos = 4/3 - 2k / (3 nside)`, `sin = sqrt(1 - cos cos)`, `4 nside` points from `pi / (4 nside)` where `k - nside` is even, else from 0; behind the equator the cosine is negated. A cosine is 0 where `2 theta = pi`.
//! The first ring and the last, where their cosines add up to less than 1e-15 and points and `phi` agree, are a pair, and so on; others are alone and count as a pair without a southern ring. Eight pairs from the first on are a group, sixteen groups from the first on a chunk.
//!
//! *Degrees.* For each order `m`, with `r_l = sqrt((l l - m m) (l l))`, `o_l = (l + 1) / r_(l+1)`, `a_l = o_l (2l + 1)`, `c_l = o_l r_l / max(l, 1)`, `s_m = s_(m+1) = 1`, `s_(l+1) = c_l s_(l-1)`,
//! `b_l = a_l (s_l / s_(l+1))`: `q_(l+1) = fma(b_l cos(theta), q_l, -q_(l-1))` from `q_(m-1) = 0` and `q_m = f sin(theta)^m`, where `f` is the root of the product of `(2k - 1) / (2k)` over `k` from 1 to `m`, in this order, negative for odd `m`. The power is taken by
//! squares, the lowest bit of `m` first, as a mantissa and a power of 2; sines below 1e-300 are 1e-300. Where the exponent is below -500, values are scaled by `2^(800 j)` with the least `j` that suffices; after a step at which a scaled value exceeds
//! `2^300` it and the one before are multiplied by `2^-800`, and `j` falls by 1; what is scaled counts as 0. Of a chunk the groups before the first of which not all pairs have `m m > M M`, with `M = (L - 1) sin(theta) + max(0.01 L, 100)`, are left out: their values are 0.
//!
//! *Sums.* With `g_l = f_lm (s_l sqrt((2l + 1) / (4 pi)))`, real and imaginary part: `e = fma(g_l, q_l, e)` over the degrees with even `l - m`, `d` over those with odd. The phase of the northern ring of a pair is `e + d`, that of the southern, whether there is one or not, `e - d`.
//!
//! *Rings of points.* Phases are multiplied with `e^(i m phi)`, `(a c - b d, a d + b c)` of `(a, b)`, the cosine and sine of `32 floor(m / 32) phi`, and `(c, d)` of `(m mod 32) phi`, where `phi` is not 0. With those of north and south, `x` and `y`, the line of `n` values, at first 0, gets `x_re + i y_re` at 0 for `m = 0`, else
//! `(x_re - y_im) + i (x_im + y_re)` added at `m mod n` and then `(x_re + y_im) + i (y_re - x_im)` at `-m mod n`, order after order. Its Fourier transform with the sign +1, see [`Fft`](super::Fft), has the points of the northern ring as real parts, of the southern as imaginary parts; of a ring alone the imaginary parts are dropped.

use std::f64::consts::PI;
use std::sync::OnceLock;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::finer::Finer;
use super::legendre::{Down, Orders, Sums, Up};
use super::rings::Rings;
use super::{Grid, Harmonics, Ring, Sampling};
use crate::bits::widest;
use crate::error::{Error, Result};

type C = Complex<f64>;

const ZERO: Sums = [[[0.0; super::recursion::LANES]; 2]; 2];

/// The transforms of a grid, made ready.
#[derive(Clone, Debug)]
pub struct Transform {
    grid: Grid,
    rings: Rings,
    /// `sqrt((2l + 1) / 4 pi)`.
    norms: Vec<f64>,
    /// What analysis goes through where the weights of the grid itself are not exact: twice as many rings; made when it is first needed.
    finer: OnceLock<Box<Finer>>,
}

impl Transform {
    /// For a grid.
    pub fn new(grid: Grid) -> Result<Transform> {
        let norms = (0..grid.band()).map(|l| ((2 * l + 1) as f64 / (4.0 * PI)).sqrt()).collect();
        Ok(Transform { rings: Rings::new(&grid), norms, grid, finer: OnceLock::new() })
    }
    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
    /// The map with these coefficients. Errors: `InvalidArgument` for another band-limit.
    pub fn synthesis(&self, harmonics: &Harmonics) -> Result<Vec<f64>> {
        Ok(self.synthesis_many(&[harmonics])?.pop().unwrap_or_default())
    }
    /// [`Transform::synthesis`] of many maps, which share the work on the rotation matrices. Errors: as there.
    pub fn synthesis_many(&self, harmonics: &[&Harmonics]) -> Result<Vec<Vec<f64>>> {
        for h in harmonics {
            self.fits(h.band(), self.grid.len())?;
        }
        let phases = self.up(0, harmonics);
        let count = self.rings.len();
        let one = |k: usize| {
            let mut map = vec![0.0; self.grid.len()];
            self.rings.split(&mut map).into_par_iter().enumerate().for_each(|(g, mut parts)| {
                let at = |m: usize| [phases[(m * harmonics.len() + k) * count + g], ZERO];
                self.rings.synthesis(g, 0, self.grid.band(), at, |ring, p, v| parts[ring][p] = v.re);
            });
            map
        };
        Ok((0..harmonics.len()).map(one).collect())
    }
    /// The adjoint of [`Transform::synthesis`]: `sum f(theta, phi) conj(Y_lm)` over all points of a map, each as often as it is there.
    /// Errors: `InvalidArgument` for a map of another length.
    pub fn adjoint(&self, map: &[f64]) -> Result<Harmonics> {
        Ok(self.weighted(&[map], |_| 1.0)?.pop().unwrap_or(Harmonics::zeros(self.grid.band())?))
    }
    /// The coefficients of a map by quadrature: exact for maps that have none of degree `L` or more, but on HEALPix, where errors are some parts in a thousand
    /// and [`Transform::iterated`] does better. Errors: `InvalidArgument` for a map of another length.
    pub fn analysis(&self, map: &[f64]) -> Result<Harmonics> {
        Ok(self.analysis_many(&[map])?.pop().unwrap_or(Harmonics::zeros(self.grid.band())?))
    }
    /// [`Transform::analysis`] of many maps, which share the work on the rotation matrices. Errors: as there.
    pub fn analysis_many(&self, maps: &[&[f64]]) -> Result<Vec<Harmonics>> {
        for map in maps {
            self.fits(self.grid.band(), map.len())?;
        }
        let Some(finer) = self.finer()? else { return self.weighted(maps, |r| r.weight) };
        let fine: Vec<Vec<f64>> = maps.iter().map(|m| finer.real(m)).collect();
        finer.transform().analysis_many(&fine.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
    /// [`Transform::analysis`], then `times` the same of what the synthesis leaves of the map. Errors: as [`Transform::analysis`].
    pub fn iterated(&self, map: &[f64], times: usize) -> Result<Harmonics> {
        let mut all = self.analysis(map)?;
        for _ in 0..times {
            let back = self.synthesis(&all)?;
            let rest: Vec<f64> = map.iter().zip(&back).map(|(m, b)| m - b).collect();
            all.add(&self.analysis(&rest)?);
        }
        Ok(all)
    }
    /// The field of a spin above 0 with these coefficients of electric and magnetic kind, as real and imaginary part: `Q + i U = - sum (E_lm + i B_lm) _sY_lm`, HEALPix's
    /// convention; for spin 2 the Stokes parameters. Errors: `InvalidArgument` for another band-limit or a spin of 0.
    pub fn synthesis_spin(&self, spin: usize, [e, b]: [&Harmonics; 2]) -> Result<[Vec<f64>; 2]> {
        self.fits(e.band(), self.grid.len())?;
        self.fits(b.band(), self.grid.len())?;
        spin_fits(spin)?;
        let phases = [1, -1].map(|sign| self.up(sign * spin as i64, &[e, b]));
        let count = self.rings.len();
        // Each column alone is a field F; - (Q - i U) is F of E less i times F of B.
        let mut field = vec![C::default(); self.grid.len()];
        for k in 0..2 {
            let factor = [C::new(-1.0, 0.0), C::new(0.0, 1.0)][k];
            self.rings.split(&mut field).into_par_iter().enumerate().for_each(|(g, mut parts)| {
                let at = |m: usize| [0, 1].map(|s| phases[s][(m * 2 + k) * count + g]);
                self.rings.synthesis(g, spin, self.grid.band(), at, |ring, p, v| parts[ring][p] += v * factor);
            });
        }
        Ok([field.iter().map(|v| v.re).collect(), field.iter().map(|v| -v.im).collect()])
    }
    /// The adjoint of [`Transform::synthesis_spin`], each point as often as it is there. Errors: `InvalidArgument` for maps of another length or a spin of 0.
    pub fn adjoint_spin(&self, spin: usize, [q, u]: [&[f64]; 2]) -> Result<[Harmonics; 2]> {
        self.weighted_spin(spin, [q, u], |_| 1.0)
    }
    /// The coefficients of a field with spin by quadrature, as [`Transform::analysis`]. Errors: `InvalidArgument` for maps of another length or a spin of 0.
    pub fn analysis_spin(&self, spin: usize, [q, u]: [&[f64]; 2]) -> Result<[Harmonics; 2]> {
        let Some(finer) = self.finer()? else { return self.weighted_spin(spin, [q, u], |r| r.weight) };
        self.fits(self.grid.band(), q.len())?;
        self.fits(self.grid.band(), u.len())?;
        let [q, u] = finer.spin(spin, q, u);
        finer.transform().analysis_spin(spin, [&q, &u])
    }
    fn finer(&self) -> Result<Option<&Finer>> {
        if !matches!(self.grid.sampling(), Sampling::Mw | Sampling::Mwss) {
            return Ok(None);
        }
        if self.finer.get().is_none() {
            let made = Box::new(Finer::new(&self.grid)?);
            return Ok(Some(self.finer.get_or_init(|| made)));
        }
        Ok(self.finer.get().map(Box::as_ref))
    }
    fn fits(&self, band: usize, len: usize) -> Result<()> {
        if band != self.grid.band() || len != self.grid.len() {
            let (b, n) = (self.grid.band(), self.grid.len());
            return Err(Error::invalid(format!("expected {n} points and a band-limit of {b}, found {len} and {band}")));
        }
        Ok(())
    }
    /// The sums over degrees of every column, `d^l_mn` being taken: by order, column, group.
    fn up(&self, n: i64, columns: &[&Harmonics]) -> Vec<Sums> {
        let (band, count) = (self.grid.band(), self.rings.len());
        let mut phases = vec![ZERO; band * columns.len() * count];
        phases.par_chunks_mut(columns.len() * count).enumerate().for_each(|(m, sums)| {
            let columns: Vec<&[C]> = columns.iter().map(|h| h.order(m)).collect();
            let orders = Orders { m, n, band, weights: &self.norms };
            widest(Up { orders, places: &self.rings.places, columns: &columns, sums });
        });
        phases
    }
    /// The sums over colatitudes: `fields[k][g][m]` holds those of column `k`, for both signs of the spin.
    fn down(&self, spin: usize, fields: &[Vec<Vec<[Sums; 2]>>]) -> Result<Vec<Harmonics>> {
        let band = self.grid.band();
        let order = |m: usize| {
            let mut columns = vec![vec![C::default(); band - m]; fields.len()];
            for (s, n) in [spin as i64, -(spin as i64)].into_iter().enumerate().take(if spin == 0 { 1 } else { 2 }) {
                let sums: Vec<Sums> = fields.iter().flat_map(|f| f.iter().map(|g| g[m][s])).collect();
                let orders = Orders { m, n, band, weights: &self.norms };
                let mut columns: Vec<&mut [C]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
                widest(Down { orders, places: &self.rings.places, sums: &sums, columns: &mut columns });
            }
            columns
        };
        let orders: Vec<Vec<Vec<C>>> = (0..band).into_par_iter().map(order).collect();
        let mut all = vec![Harmonics::zeros(band)?; fields.len()];
        for (m, columns) in orders.iter().enumerate() {
            all.iter_mut().zip(columns).for_each(|(h, c)| h.order_mut(m).copy_from_slice(c));
        }
        Ok(all)
    }
    fn weighted(&self, maps: &[&[f64]], weight: impl Fn(&Ring) -> f64 + Sync) -> Result<Vec<Harmonics>> {
        let field = |map: &&[f64]| -> Vec<Vec<[Sums; 2]>> {
            let group = |g: usize| {
                self.rings.adjoint(g, 0, self.grid.band(), |r, p| {
                    C::new(map.get(r.first + p).map_or(0.0, |v| v * weight(r)), 0.0)
                })
            };
            (0..self.rings.len()).into_par_iter().map(group).collect()
        };
        for map in maps {
            self.fits(self.grid.band(), map.len())?;
        }
        self.down(0, &maps.iter().map(field).collect::<Vec<_>>())
    }
    fn weighted_spin(
        &self,
        spin: usize,
        [q, u]: [&[f64]; 2],
        weight: impl Fn(&Ring) -> f64 + Sync,
    ) -> Result<[Harmonics; 2]> {
        self.fits(self.grid.band(), q.len())?;
        self.fits(self.grid.band(), u.len())?;
        spin_fits(spin)?;
        // P = - (Q - i U) gives 2 E, and i P gives 2 B; half of both where an order stands for its negative as well.
        let field = |k: usize| -> Vec<Vec<[Sums; 2]>> {
            let factor = [C::new(1.0, 0.0), C::new(0.0, 1.0)][k];
            let value = |r: &Ring, p: usize| match (q.get(r.first + p), u.get(r.first + p)) {
                (Some(q), Some(u)) => C::new(-q, *u) * factor * weight(r),
                _ => C::default(),
            };
            (0..self.rings.len())
                .into_par_iter()
                .map(|g| self.rings.adjoint(g, spin, self.grid.band(), value))
                .collect()
        };
        let found = self.down(spin, &[field(0), field(1)])?;
        let whole = |mut h: Harmonics| {
            h.order_mut(0).iter_mut().for_each(|v| v.im = 0.0);
            (1..h.band()).for_each(|m| h.order_mut(m).iter_mut().for_each(|v| *v *= 0.5));
            h
        };
        let [e, b] = <[Harmonics; 2]>::try_from(found).map_err(|_| Error::invalid("expected two columns"))?;
        Ok([whole(e), whole(b)])
    }
}

fn spin_fits(spin: usize) -> Result<()> {
    if spin == 0 || spin > 64 {
        return Err(Error::invalid(format!("expected a spin from 1 to 64, found {spin}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
