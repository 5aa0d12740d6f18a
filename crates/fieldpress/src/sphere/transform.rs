//! Harmonic transforms of maps and of fields of any spin: synthesis, its adjoint, and analysis.
//!
//! Sources: as in [`super::grid`] and [`super::twos`]; the order of the sums, first over degrees for each order and ring, then over orders along the ring: M. Reinecke, D. S. Seljebotn,
//! "Libsharp: spherical harmonic transforms revisited", 2013; fields with spin: E. T. Newman, R. Penrose, "Note on the Bondi-Metzner-Sachs group", 1966.
//!
//! # Format
//! The synthesis of a map, as streams need it, to the bit; `fma(a, b, c)` is `a b + c` rounded once, all else is rounded at each step; `cos`, `sin` are those of the `libm` crate.
//!
//! A number *lacking* another is the first part of one of twice the digits: a product `v v'` lacks `fma(v, v', -v v') + (v w' + w v')`, where `v` and `v'` lack `w` and `w'`, and those that lack nothing 0; a sum `s = v + v'` lacks `(v - (s - k)) + (v' - k)`, `k = s - v`.
//!
//! *Rings.* With `n = L`: MW `theta_t = (2t + 1) pi / (2n - 1)`, MWSS `t pi / n`, Driscoll-Healy `(2t + 1) pi / (4n)`, each product from the left, with the cosine of `2 theta`. Gauss-Legendre, the northern half: from `pi (t + 0.75) / (n + 0.5)` three steps
//! `theta -= p_n sin(theta) / (n (cos(theta) p_n - p_(n-1)))`, where `p_(l+1) = ((2l + 1) x p_l - l p_(l-1)) / (l + 1)`, `p_0 = 1`, `p_(-1) = 0`, `x = cos(theta)`, 0 for the middle one. Then `p_n` and `p_(n-1)` with what they lack, from the product `u` of `x p_l` with `2l + 1`, lacking `u'`, and `v` of `p_(l-1)` with `l`, lacking `v'`:
//! `h = u - v`, `k = h - u`, `a = h / (l + 1)`, `b = (fma(-a, l + 1, h) + ((u - (h - k)) - (v + k) + (u' - v'))) / (l + 1)`, `p_(l+1) = a + b`, lacking `b - (p_(l+1) - a)`. With `g = -p_n ((1 - x) (1 + x)) / (n (p_(n-1) - x p_n))` the cosine is `c = x + g`, lacking `d = g - (c - x)`; the sine is `sqrt((1 - c) (1 + c) - 2 c d)`,
//! and the cosine of `2 theta` is `2 ((c c - 1/2) + f)`, with the `f` that the product lacks. The southern half has the cosines negated, and the same sines and cosines of `2 theta`. HEALPix, ring `i` from 1, `k = min(i, 4 nside - i)`: for `k < nside`, `u = k k / (3 nside nside)`, `cos = 1 - u`, `sin = sqrt(u (2 - u))`, `4k` points from
//! `phi = pi / (4k)`; else `cos = 4/3 - 2k / (3 nside)`, `sin = sqrt(1 - cos cos)`, `4 nside` points from `pi / (4 nside)` where `k - nside` is even, else from 0; behind the equator the cosine is negated; the cosine of `2 theta` is `fma(2 cos, cos, -1)`. A cosine is 0 where `2 theta = pi`.
//! The first ring and the last, where their cosines add up to less than 1e-15 and points and `phi` agree, are a pair, and so on; others are alone and count as a pair without a southern ring. Eight pairs from the first on are a group, sixteen groups from the first on a chunk.
//!
//! *Degrees.* They go two at a time, numbered `j` from 0, of which an order `m` has `J = ceil((L - m) / 2)`. With `A = (l - m) (l + m)`, `B = (2l - 1) (2l + 1)`: `r_l = A / B`, lacking `fma(-r_l, B, A) / B`; `t_j = sqrt(p)`, lacking `(fma(-t_j, t_j, p) + p') / (2 t_j)`, with the product `p` of `r_(m+2j)` and `r_(m+2j+1)`, lacking `p'`; `t_0` is 0
//! and lacks nothing. With `K = J + 16`: `s_(K-1) = 1 / sqrt(sqrt(t_(K-1) t_K))`, `s_K = 1 / (s_(K-1) t_K)`, and downwards `s_j = s_(j+2) (t_(j+2) / t_(j+1))`. With the product `v` of `s_(j+1)` and `t_(j+1)`, lacking `v'`, and `w` of `s_(j-1)` and `t_j`, lacking `w'`: `a_j = s_j / v`, lacking `a' = (fma(-a_j, v, s_j) - a_j v') / v`, and `e = ((w - v) + (w' - v')) / v`, for
//! `j = 0` 0. With the sum `r` of `r_(m+2j+1)` and `r_(m+2j+2)`, lacking `r'` and then what each of these lacks, in one sum, and the sum `z` of `f` and `-r`, lacking `z'`: `b = a_j z`, `b' = fma(a_j, z, -b) + (a_j (z' - r') + a' z)`, `b_j = b + (b' - e)` for `f = 1`, `b + b'` for `f = 1/2`, `b + (b' + e)` for `f = 0`.
//! Of these, `f` is 1 with `y = -(sin sin)` in groups where the cosine of `2 theta` is above 1/2 in each pair, 0 with `y = cos cos` where it is below -1/2 in each, else 1/2 with half of it as `y`.
//! `q_(j+1) = fma(fma(a_j, y, b_j), q_j, -q_(j-1))` from `q_(-1) = 0` and `q_0 = (F g) sin^m`, where `F = sqrt(2m + 1) / (sqrt(r_(m+1)) s_0)` and `g` is the root of the product of `(2k - 1) / (2k)` over `k` from 1 to `m`, in this order, negative for odd `m`. With `h = 1 - f` and `S = h - y`, lacking `(h - S) - y`, the power is `S^floor(m / 2)`, by
//! squares, the lowest bit of the exponent first, for odd `m` times `R = sqrt(S)`, lacking what is `(fma(-R, R, S) + S') / (2 R)` with the `S'` that `S` lacks; all as mantissas from 1 to 2 with what they lack, and powers of 2. An `S` below 1e-300 is 1e-300. Where the exponent is below -500, values are scaled by `2^(800 j)` with the least `j` that suffices; after a step at which a scaled value exceeds
//! `2^300` it and the one before are multiplied by `2^-800`, and `j` falls by 1; what is scaled counts as 0. Of a chunk the groups before the first of which not all pairs have `m m > M M`, with `M = (L - 1) sin(theta) + max(0.01 L, 100)`, are left out: their values are 0.
//!
//! *Sums.* With `h_l = sqrt((2l + 1) / (4 pi)) / sqrt(2l + 1)` and coefficients `f_l`, real and imaginary part, those beyond the last 0: `E_j = (sqrt(r_(m+2j+1)) s_j h_(m+2j)) f_(m+2j) + (sqrt(r_(m+2j+2)) s_j h_(m+2j+2)) f_(m+2j+2)`, `O_j = (s_j h_(m+2j+1)) f_(m+2j+1)`, products from the left, weights of degrees beyond the last 0. `e = fma(E_j, q_j, e)` and
//! `d = fma(O_j, q_j, d)` over all `j`. The phase of the northern ring of a pair is `e + cos d`, that of the southern, whether there is one or not, `e - cos d`.
//!
//! *Rings of points.* Phases are multiplied with `e^(i m phi)`, `(a c - b d, a d + b c)` of `(a, b)`, the cosine and sine of `32 floor(m / 32) phi`, and `(c, d)` of `(m mod 32) phi`, where `phi` is not 0. With those of north and south, `x` and `y`, the line of `n` values, at first 0, gets `x_re + i y_re` at 0 for `m = 0`, else
//! `(x_re - y_im) + i (x_im + y_re)` added at `m mod n` and then `(x_re + y_im) + i (y_re - x_im)` at `-m mod n`, order after order. Its Fourier transform with the sign +1, see [`Fft`](super::Fft), has the points of the northern ring as real parts, of the southern as imaginary parts; of a ring alone the imaginary parts are dropped.

use std::f64::consts::PI;
use std::sync::OnceLock;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::finer::Finer;
use super::legendre::{aligned, Down, Orders, Sums, Up, ZERO};
use super::recursion::LANES;
use super::rings::{Rings, Scratch};
use super::{Grid, Harmonics, Ring, Sampling};
use crate::bits::widest;
use crate::error::{Error, Result};

type C = Complex<f64>;

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

/// Orders whose sums lie side by side for each group of rings: whoever goes from order to order finds the next ones near.
const TOGETHER: usize = 8;

/// Sums of all orders, columns and groups of rings.
struct Phases {
    /// Some orders each: column by column, group by group, order by order.
    orders: Vec<Vec<Sums>>,
    count: usize,
}

impl Phases {
    #[inline(always)]
    fn at(&self, m: usize, column: usize, group: usize) -> Sums {
        self.orders[m / TOGETHER][(column * self.count + group) * TOGETHER + m % TOGETHER]
    }
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
        self.maps(harmonics, |v| v)
    }
    /// [`Transform::synthesis`] with values in single precision, which are rounded last. Errors: as there.
    pub fn synthesis_f32(&self, harmonics: &Harmonics) -> Result<Vec<f32>> {
        Ok(self.maps(&[harmonics], |v| v as f32)?.pop().unwrap_or_default())
    }
    fn maps<T: Copy + Default + Send>(
        &self,
        harmonics: &[&Harmonics],
        cast: impl Fn(f64) -> T + Sync,
    ) -> Result<Vec<Vec<T>>> {
        for h in harmonics {
            self.fits(h.band(), self.grid.len())?;
        }
        let phases = self.up(0, harmonics);
        let one = |k: usize| {
            let mut map = vec![T::default(); self.grid.len()];
            let group = |scratch: &mut Scratch, (g, mut parts): (usize, Vec<&mut [T]>)| {
                let at = |m: usize| [phases.at(m, k, g), ZERO];
                self.rings.synthesis(g, 0, self.grid.band(), scratch, at, |ring, p, re, _| {
                    parts[ring][p..].iter_mut().zip(re).for_each(|(v, re)| *v = cast(*re));
                });
            };
            self.rings.split(&mut map).into_par_iter().enumerate().for_each_init(Scratch::default, group);
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
    /// [`Transform::analysis`] of a map in single precision, summed up in double. Errors: as there.
    pub fn analysis_f32(&self, map: &[f32]) -> Result<Harmonics> {
        self.analysis(&map.iter().map(|v| f64::from(*v)).collect::<Vec<_>>())
    }
    /// [`Transform::analysis`] of many maps, which share the work on the rotation matrices. Errors: as there.
    pub fn analysis_many(&self, maps: &[&[f64]]) -> Result<Vec<Harmonics>> {
        for map in maps {
            self.fits(self.grid.band(), map.len())?;
        }
        let Some(finer) = self.finer()? else { return self.weighted(maps, |r| r.weight) };
        finer.real(maps, &self.norms)
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
        // - (Q - i U).
        let mut field = vec![C::default(); self.grid.len()];
        let group = |scratch: &mut Scratch, (g, mut parts): (usize, Vec<&mut [C]>)| {
            let at = |m: usize| [phases[0].at(m, 0, g), phases[1].at(m, 0, g)];
            self.rings.synthesis(g, spin, self.grid.band(), scratch, at, |ring, p, re, im| {
                let values = re.iter().zip(im).map(|(re, im)| C::new(*re, *im));
                parts[ring][p..].iter_mut().zip(values).for_each(|(v, new)| *v = new);
            });
        };
        self.rings.split(&mut field).into_par_iter().enumerate().for_each_init(Scratch::default, group);
        Ok([field.iter().map(|v| -v.re).collect(), field.iter().map(|v| v.im).collect()])
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
        spin_fits(spin)?;
        let part = |v: &[f64], i: usize| v.get(i).copied().unwrap_or_default();
        halved(finer.spin(spin, |i| C::new(-part(q, i), part(u, i)), &self.norms)?)
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
    /// The sums over degrees of every column, `d^l_mn` being taken; for a spin those of the two columns, of electric and magnetic kind, together.
    fn up(&self, n: i64, columns: &[&Harmonics]) -> Phases {
        let (band, count) = (self.grid.band(), self.rings.len());
        let some = |first: usize| {
            let fields = if n == 0 { columns.len() } else { 1 };
            let mut all = vec![ZERO; fields * count * TOGETHER];
            let mut sums = aligned(columns.len() * count);
            let sums = sums.as_chunks_mut().0;
            for m in first..band.min(first + TOGETHER) {
                let columns: Vec<&[C]> = columns.iter().map(|h| h.order(m)).collect();
                let orders = Orders { m, n, band, weights: &self.norms };
                widest(Up { orders, places: &self.rings.places, columns: &columns, sums });
                if n != 0 {
                    let (electric, magnetic) = sums.split_at_mut(count);
                    electric.iter_mut().zip(magnetic).for_each(|(e, b)| join(e, b, n));
                }
                all.iter_mut().skip(m - first).step_by(TOGETHER).zip(&*sums).for_each(|(a, s)| *a = *s);
            }
            all
        };
        Phases { orders: (0..band).into_par_iter().step_by(TOGETHER).map(some).collect(), count }
    }
    /// The sums over colatitudes: `fields[k][g]` holds those of each order of field `k`; for a spin there is one field, and `g` goes on with those for its negative: it gives the column of
    /// electric kind and that of magnetic kind.
    fn down(&self, spin: usize, fields: &[Vec<Vec<Sums>>]) -> Result<Vec<Harmonics>> {
        let band = self.grid.band();
        let count = if spin == 0 { fields.len() } else { 2 };
        let order = |m: usize| {
            let mut columns = vec![vec![C::default(); band - m]; count];
            for (s, n) in [spin as i64, -(spin as i64)].into_iter().enumerate().take(if spin == 0 { 1 } else { 2 }) {
                let groups = self.rings.len();
                let mut sums = aligned(count * groups);
                let sums: &mut [Sums] = sums.as_chunks_mut().0;
                for (sum, g) in sums.iter_mut().zip(fields.iter().flatten()) {
                    *sum = g[s * band + m];
                }
                if spin > 0 {
                    let (electric, more) = sums.split_at_mut(groups);
                    more.iter_mut().zip(electric).for_each(|(b, e)| *b = magnetic(e, n));
                }
                let orders = Orders { m, n, band, weights: &self.norms };
                let mut columns: Vec<&mut [C]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
                widest(Down { orders, places: &self.rings.places, sums, columns: &mut columns });
            }
            columns
        };
        let orders: Vec<Vec<Vec<C>>> = (0..band).into_par_iter().map(order).collect();
        let mut all = vec![Harmonics::zeros(band)?; count];
        for (m, columns) in orders.iter().enumerate() {
            all.iter_mut().zip(columns).for_each(|(h, c)| h.order_mut(m).copy_from_slice(c));
        }
        Ok(all)
    }
    fn weighted(&self, maps: &[&[f64]], weight: impl Fn(&Ring) -> f64 + Sync) -> Result<Vec<Harmonics>> {
        let field = |map: &&[f64]| -> Vec<Vec<Sums>> {
            let group = |scratch: &mut Scratch, g: usize| {
                self.rings.adjoint(g, 0, self.grid.band(), scratch, |r, p, re, _| {
                    let weight = weight(r);
                    re.iter_mut().zip(&map[r.first + p..]).for_each(|(re, v)| *re = v * weight);
                })
            };
            (0..self.rings.len()).into_par_iter().map_init(Scratch::default, group).collect()
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
        // - (Q - i U) gives 2 E and 2 B; half of both where an order stands for its negative as well.
        let get = |r: &Ring, p: usize, re: &mut [f64], im: &mut [f64]| {
            let (weight, at) = (weight(r), r.first + p);
            for ((re, im), (q, u)) in re.iter_mut().zip(im).zip(q[at..].iter().zip(&u[at..])) {
                (*re, *im) = (-q * weight, u * weight);
            }
        };
        let group = |scratch: &mut Scratch, g: usize| self.rings.adjoint(g, spin, self.grid.band(), scratch, get);
        let field: Vec<Vec<Sums>> = (0..self.rings.len()).into_par_iter().map_init(Scratch::default, group).collect();
        halved(self.down(spin, &[field])?)
    }
}

/// To the sums of electric kind adds those of magnetic kind. A field of `i` times the coefficients is `i` times the field where an order goes its own way, at even and odd numbers alike, and `-i` times it
/// where its conjugate goes the other way; so that in the sums for a spin even and odd change places.
#[inline(always)]
fn join(electric: &mut Sums, magnetic: &Sums, n: i64) {
    let sign = if n > 0 { 1.0 } else { -1.0 };
    for parity in 0..2 {
        let [re, im] = &magnetic[1 - parity];
        for l in 0..LANES {
            electric[parity][0][l] += sign * im[l];
            electric[parity][1][l] -= sign * re[l];
        }
    }
}

/// What sums for a spin are to the coefficients of magnetic kind: the transpose of [`join`], but for the sign of both.
#[inline(always)]
pub(super) fn magnetic(sums: &Sums, n: i64) -> Sums {
    let sign = if n > 0 { 1.0 } else { -1.0 };
    let mut out = ZERO;
    for parity in 0..2 {
        let [re, im] = &sums[1 - parity];
        for l in 0..LANES {
            out[parity][0][l] = -sign * im[l];
            out[parity][1][l] = sign * re[l];
        }
    }
    out
}

/// Each order stands for its negative as well, and has been counted twice.
fn halved(found: Vec<Harmonics>) -> Result<[Harmonics; 2]> {
    let whole = |mut h: Harmonics| {
        h.order_mut(0).iter_mut().for_each(|v| v.im = 0.0);
        (1..h.band()).for_each(|m| h.order_mut(m).iter_mut().for_each(|v| *v *= 0.5));
        h
    };
    let [e, b] = <[Harmonics; 2]>::try_from(found).map_err(|_| Error::invalid("expected two columns"))?;
    Ok([whole(e), whole(b)])
}

fn spin_fits(spin: usize) -> Result<()> {
    if spin == 0 || spin > 64 {
        return Err(Error::invalid(format!("expected a spin from 1 to 64, found {spin}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
