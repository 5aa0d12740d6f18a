//! The numbers, in the order of the package s2scat, and which scale and direction each belongs to.

use super::{Scattering, Settings};
use crate::error::{Error, Result};

/// Scattering covariances of a map.
///
/// With `K` scales and `G = 2N - 1` directions, those of each block one after the other, the last index fastest:
/// - `s1`, `p00`: `[scale][direction]`;
/// - `c01`: for each scale `j1` but the last, `[j2 > j1][direction of the modulus][direction at j1]`;
/// - `c11`: for each scale `j1` but the last, `[j2][j2'][direction of the modulus at j2][at j2'][direction at j1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    pub(super) band: usize,
    pub(super) settings: Settings,
    pub(super) scales: Vec<usize>,
    /// The size of the mean of the map.
    pub mean: f64,
    /// The variance of the map.
    pub variance: f64,
    /// Means of the moduli (S1).
    pub s1: Vec<f64>,
    /// Mean squares (S2).
    pub p00: Vec<f64>,
    /// Integrals of fields with fields of moduli (S3).
    pub c01: Vec<f64>,
    /// Integrals of fields of moduli with each other (S4).
    pub c11: Vec<f64>,
}

/// A block of [`Coefficients`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Means of moduli.
    S1,
    /// Mean squares.
    P00,
    /// One modulus.
    C01,
    /// Two moduli.
    C11,
}

/// What a number belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The block.
    pub block: Block,
    /// The scale at which fields are compared: `j1`.
    pub scale: usize,
    /// The scales whose moduli they are taken from: `j2`, `j2'`.
    pub moduli: Vec<usize>,
    /// The directions of those moduli.
    pub turned: Vec<usize>,
    /// The direction at `scale`; none once it is summed over.
    pub direction: Option<usize>,
}

/// For each scale but the last, how many later ones its second layer has.
fn reached(scales: usize, reach: Option<usize>) -> Vec<usize> {
    (0..scales.saturating_sub(1)).map(|p| (scales - 1 - p).min(reach.unwrap_or(usize::MAX))).collect()
}

impl Coefficients {
    pub(super) fn zeros(plan: &Scattering) -> Coefficients {
        Coefficients::blank(plan.band, plan.settings, plan.scales())
    }
    fn blank(band: usize, settings: Settings, scales: Vec<usize>) -> Coefficients {
        let g = 2 * settings.directions - 1;
        let later = reached(scales.len(), settings.reach);
        let single = vec![0.0; scales.len() * g];
        let c01 = vec![0.0; later.iter().map(|a| a * g * g).sum()];
        let c11 = vec![0.0; later.iter().map(|a| a * a * g * g * g).sum()];
        Coefficients { band, settings, scales, mean: 0.0, variance: 0.0, s1: single.clone(), p00: single, c01, c11 }
    }
    /// The band-limit of the map.
    pub fn band(&self) -> usize {
        self.band
    }
    /// What was asked for.
    pub fn settings(&self) -> Settings {
        self.settings
    }
    /// The scales `j`.
    pub fn scales(&self) -> &[usize] {
        &self.scales
    }
    pub(super) fn alike(&self, other: &Coefficients) -> bool {
        self.blocks().map(<[f64]>::len) == other.blocks().map(<[f64]>::len)
    }
    fn directions(&self) -> usize {
        2 * self.settings.directions - 1
    }
    /// The four blocks.
    pub fn blocks(&self) -> [&[f64]; 4] {
        [&self.s1, &self.p00, &self.c01, &self.c11]
    }
    /// For each scale `j1` but the last: how many scales `j2`, and where its numbers of `C01` and of `C11` begin.
    pub(super) fn parts(&self) -> Vec<(usize, usize, usize)> {
        let g = self.directions();
        let (mut c01, mut c11) = (0, 0);
        let part = |a: usize| {
            let at = (a, c01, c11);
            c01 += a * g * g;
            c11 += a * a * g * g * g;
            at
        };
        reached(self.scales.len(), self.settings.reach).into_iter().map(part).collect()
    }
    /// What each number belongs to: those of `s1`, then `p00`, `c01`, `c11`.
    pub fn index(&self) -> Vec<Entry> {
        let g = self.directions();
        let mut all = Vec::new();
        for block in [Block::S1, Block::P00] {
            for scale in &self.scales {
                let entry = |n| Entry { block, scale: *scale, moduli: vec![], turned: vec![], direction: Some(n) };
                all.extend((0..g).map(entry));
            }
        }
        let parts = self.parts();
        for (p, (later, _, _)) in parts.iter().enumerate() {
            for (a, j, n) in product([*later, g, g]) {
                let (scale, moduli) = (self.scales[p], vec![self.scales[p + 1 + a]]);
                all.push(Entry { block: Block::C01, scale, moduli, turned: vec![j], direction: Some(n) });
            }
        }
        for (p, (later, _, _)) in parts.iter().enumerate() {
            for (a, b, j) in product([*later, *later, g]) {
                for (k, n, _) in product([g, g, 1]) {
                    let moduli = vec![self.scales[p + 1 + a], self.scales[p + 1 + b]];
                    let (scale, turned) = (self.scales[p], vec![j, k]);
                    all.push(Entry { block: Block::C11, scale, moduli, turned, direction: Some(n) });
                }
            }
        }
        all
    }
    /// Divided by what `reference` has of power in the directions at scale `j1`, as s2scat does: `S1` and `C01` by square roots of `P00`, `P00` by itself. Where there
    /// is no power, numbers stay as they are. Errors:
    /// `InvalidArgument` for other settings.
    pub fn normalised(&self, reference: &Coefficients) -> Result<Coefficients> {
        self.fits(reference)?;
        let mut out = self.clone();
        out.scale_by(&reference.p00);
        Ok(out)
    }
    /// The same for derivatives: what is divided is divided again. Errors: as [`Coefficients::normalised`].
    fn scale_by(&mut self, power: &[f64]) {
        let g = self.directions();
        // A scale may have no degree below the band-limit.
        let power: Vec<f64> = power.iter().map(|p| if *p > 0.0 { *p } else { 1.0 }).collect();
        for (s, p) in self.s1.iter_mut().zip(&power) {
            *s /= p.sqrt();
        }
        for (s, p) in self.p00.iter_mut().zip(&power) {
            *s /= p;
        }
        for (scale, (later, c01, c11)) in self.parts().into_iter().enumerate() {
            let root = |n: usize| power[scale * g + n].sqrt();
            for (a, j, n) in product([later, g, g]) {
                self.c01[c01 + (a * g + j) * g + n] /= root(j) * root(n);
            }
            for (ab, j, k) in product([later * later, g, g]) {
                let at = c11 + ((ab * g + j) * g + k) * g;
                self.c11[at..at + g].iter_mut().for_each(|v| *v /= root(j) * root(k));
            }
        }
    }
    fn fits(&self, other: &Coefficients) -> Result<()> {
        if (self.settings, &self.scales) != (other.settings, &other.scales) {
            return Err(Error::invalid("expected coefficients of the same settings and scales"));
        }
        Ok(())
    }
    /// `C01` and `C11` without directions: summed over them all, as s2scat does, or their means.
    pub fn isotropic(&self, mean: bool) -> (Vec<f64>, Vec<f64>) {
        let g = self.directions();
        let sums = |v: &[f64], count: usize| -> Vec<f64> {
            let factor = if mean { 1.0 / count as f64 } else { 1.0 };
            v.chunks(count).map(|c| c.iter().fold(0.0, |s, v| s + v) * factor).collect()
        };
        (sums(&self.c01, g * g), sums(&self.c11, g * g * g))
    }
    /// The places in `c11` of numbers that do not follow from others: `C11[j2, j2', j, k, n] = C11[j2', j2, k, j, n]`.
    pub fn distinct(&self) -> Vec<usize> {
        let g = self.directions();
        let mut all = Vec::new();
        for (later, _, first) in self.parts() {
            for (a, b, j) in product([later, later, g]) {
                for (k, n, _) in product([g, g, 1]) {
                    if (a, j) <= (b, k) {
                        all.push(first + (((a * later + b) * g + j) * g + k) * g + n);
                    }
                }
            }
        }
        all
    }
    /// All numbers but those of `c11` that follow from others: mean, variance, `s1`, `p00`, `c01`, then the [`Coefficients::distinct`] ones.
    pub fn compact(&self) -> Vec<f64> {
        let mut all = vec![self.mean, self.variance];
        all.extend(self.s1.iter().chain(&self.p00).chain(&self.c01));
        all.extend(self.distinct().iter().map(|i| self.c11[*i]));
        all
    }
    /// From what [`Coefficients::compact`] gave. Errors: `InvalidArgument` for another number of values or settings that [`Scattering::new`] refuses.
    pub fn expand(band: usize, settings: Settings, values: &[f64]) -> Result<Coefficients> {
        let scales: Vec<usize> = super::plan::scales(band, settings)?;
        let mut out = Coefficients::blank(band, settings, scales);
        let distinct = out.distinct();
        let expected = 2 + out.s1.len() + out.p00.len() + out.c01.len() + distinct.len();
        if values.len() != expected {
            return Err(Error::invalid(format!("expected {expected} numbers, found {}", values.len())));
        }
        let mut rest = values.iter().copied();
        let mut next = || rest.next().unwrap_or_default();
        (out.mean, out.variance) = (next(), next());
        for block in [&mut out.s1, &mut out.p00, &mut out.c01] {
            block.iter_mut().for_each(|v| *v = next());
        }
        distinct.iter().for_each(|i| out.c11[*i] = next());
        let g = out.directions();
        for (later, _, first) in out.parts() {
            for (a, b, j) in product([later, later, g]) {
                for (k, n, _) in product([g, g, 1]) {
                    if (a, j) > (b, k) {
                        let at = |a, b, j, k| first + (((a * later + b) * g + j) * g + k) * g + n;
                        out.c11[at(a, b, j, k)] = out.c11[at(b, a, k, j)];
                    }
                }
            }
        }
        Ok(out)
    }
    /// How far another set is: the sum over mean, variance and the four blocks of the mean square of the differences, the loss of s2scat; and its derivatives by the numbers
    /// of `self`. With a reference, of normalised ones. Errors: as [`Coefficients::normalised`].
    pub fn loss(&self, target: &Coefficients, reference: Option<&Coefficients>) -> Result<(f64, Coefficients)> {
        self.fits(target)?;
        let (mut own, mut other) = (self.clone(), target.clone());
        if let Some(r) = reference {
            (own, other) = (own.normalised(r)?, other.normalised(r)?);
        }
        let mut slopes = own.clone();
        let one = |a: f64, b: f64| ((a - b) * (a - b), 2.0 * (a - b));
        let (mut loss, slope) = one(own.mean, other.mean);
        slopes.mean = slope;
        let (more, slope) = one(own.variance, other.variance);
        slopes.variance = slope;
        loss += more;
        let blocks = [&mut slopes.s1, &mut slopes.p00, &mut slopes.c01, &mut slopes.c11];
        for (slopes, other) in blocks.into_iter().zip(other.blocks()) {
            let count = slopes.len().max(1) as f64;
            let mut sum = 0.0;
            for (s, o) in slopes.iter_mut().zip(other) {
                let (more, slope) = one(*s, *o);
                sum += more;
                *s = slope / count;
            }
            loss += sum / count;
        }
        if let Some(r) = reference {
            slopes.scale_by(&r.p00);
        }
        Ok((loss, slopes))
    }
}

/// All triples of numbers below these, the last fastest.
fn product([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |x| (0..b).flat_map(move |y| (0..c).map(move |z| (x, y, z))))
}
