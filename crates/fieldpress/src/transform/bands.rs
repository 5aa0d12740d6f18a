//! How an array is decomposed by a wavelet axis by axis, and where the coefficients of each kind lie.
//!
//! Two ways of splitting an axis can be combined. *Together*: all such axes are split in turn at each level, and only
//! the part that is low-pass along all of them is split further (S. Mallat, "A theory for multiresolution signal
//! decomposition", 1989). *Alone*: the axis is transformed through all its levels before the others, everywhere. The
//! former suits fields that look alike along all axes, the latter fields that are much smoother along one, such as time.

use super::wavelet::{check_levels, extents, shrink, Wavelet, MAX_LEVELS};
use crate::array::MAX_RANK;
use crate::error::{Error, Result};

/// Most subbands of a decomposition, empty ones included.
pub(super) const MAX_SUBBANDS: usize = 4096;

/// A wavelet, and how each axis is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decomposition {
    /// The wavelet of all axes.
    pub wavelet: Wavelet,
    /// Levels, one entry per axis; an axis with none is left alone.
    pub levels: Vec<u32>,
    /// Bit `k` is set when axis `k` is transformed alone, before those that are split together.
    pub alone: u8,
}

/// A rectangle of coefficients of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subband {
    /// How often each axis was halved; one entry per axis, the rest 0.
    pub depth: [u32; MAX_RANK],
    /// Bit `k` is set when it holds high-pass values along axis `k`.
    pub high: u8,
    /// Index of its first coefficient; one entry per axis, the rest 0.
    pub origin: [usize; MAX_RANK],
    /// Extents; one entry per axis, the rest 1.
    pub extents: [usize; MAX_RANK],
}

/// Coefficients that are coded together: a rectangle, and where to look for what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// Index of its first coefficient; one entry per axis, the rest 0.
    pub origin: [usize; MAX_RANK],
    /// Extents; one entry per axis, the rest 1.
    pub extents: [usize; MAX_RANK],
    /// Bands coded before that cover the same places, and for each axis the number of halvings from here to there.
    pub parents: Vec<(usize, [u32; MAX_RANK])>,
    /// Whether the band before covers the same places at the same scale; its coefficients then count as siblings.
    pub follows: bool,
    /// A class of scale from 0, the finest, to 6; 7 for the coarsest approximation, which comes first.
    pub level: u32,
}

impl Band {
    /// The bands of an array of coefficients that fall off along every axis, but have no mean to be taken off the first band: that
    /// one is empty, and all else is the second.
    pub fn core(extents: &[usize]) -> [Band; 2] {
        let empty =
            Band { origin: [0; MAX_RANK], extents: [0; MAX_RANK], parents: Vec::new(), follows: false, level: 7 };
        let mut all = Band { extents: [1; MAX_RANK], level: 0, ..empty.clone() };
        all.extents.iter_mut().zip(extents).for_each(|(a, e)| *a = *e);
        [empty, all]
    }
    /// Whether it lies in an array of `shape`.
    pub(super) fn is_inside(&self, shape: &[usize]) -> bool {
        let ends = self.origin.iter().zip(&self.extents).map(|(o, e)| o.checked_add(*e));
        ends.zip(shape).all(|(end, &d)| end.is_some_and(|e| e <= d))
    }
    /// Where the row of `index` (its entry for the last axis is not read) begins in an array whose steps are `step`,
    /// unless it lies outside the band. Rows run along the last axis.
    #[inline(always)]
    pub(super) fn row(&self, step: &[usize; MAX_RANK], rank: usize, index: &[usize; MAX_RANK]) -> Option<usize> {
        let mut at = self.origin[rank - 1];
        for k in 0..rank - 1 {
            if index[k] >= self.extents[k] {
                return None;
            }
            at += (self.origin[k] + index[k]) * step[k];
        }
        Some(at)
    }
}

impl Decomposition {
    fn is_alone(&self, axis: usize) -> bool {
        axis < MAX_RANK && self.alone >> axis & 1 == 1
    }
    /// The levels of the axes that are split together.
    fn together(&self) -> Vec<u32> {
        self.levels.iter().enumerate().map(|(k, &l)| if self.is_alone(k) { 0 } else { l }).collect()
    }
    /// The levels of `axis` if it is transformed alone.
    fn alone(&self, axis: usize) -> Option<Vec<u32>> {
        let levels = *self.levels.get(axis).filter(|&&l| l > 0 && self.is_alone(axis))?;
        let mut l = vec![0; self.levels.len()];
        l[axis] = levels;
        Some(l)
    }

    /// Transforms `data`, an array of `shape` in C order, in place.
    /// Errors: `InvalidArgument` as for [`Wavelet::forward`].
    pub fn forward(&self, data: &mut [f64], shape: &[usize]) -> Result<()> {
        for levels in (0..shape.len()).filter_map(|k| self.alone(k)) {
            self.wavelet.forward(data, shape, &levels)?;
        }
        self.wavelet.forward(data, shape, &self.together())
    }

    /// The inverse of [`Decomposition::forward`].
    pub fn inverse(&self, data: &mut [f64], shape: &[usize]) -> Result<()> {
        self.wavelet.inverse(data, shape, &self.together())?;
        for levels in (0..shape.len()).rev().filter_map(|k| self.alone(k)) {
            self.wavelet.inverse(data, shape, &levels)?;
        }
        Ok(())
    }

    /// How often level `level` halves each axis: not more often than the axis was split.
    fn halvings(&self, level: u32) -> impl Iterator<Item = u32> + '_ {
        self.levels.iter().map(move |&l| l.min(level))
    }

    /// The extents of the corner of a transformed array of `shape` that holds level `level`: all that is low-pass along every axis
    /// after so many levels, or after as many as the axis has.
    pub fn corner(&self, shape: &[usize], level: u32) -> Vec<usize> {
        shape.iter().zip(self.halvings(level)).map(|(&d, l)| shrink(d, l)).collect()
    }

    /// The low-pass field of level `level` >= 1 from the coefficients in its [corner](Decomposition::corner), in place, in the units of the
    /// field. Returns how often each axis was halved: point `i` of the result is centred on point `i 2^halvings` of the array.
    /// Errors: as [`Decomposition::inverse`].
    pub fn inverse_level(&self, data: &mut [f64], shape: &[usize], level: u32) -> Result<Vec<u32>> {
        let halvings: Vec<u32> = self.halvings(level).collect();
        let levels = self.levels.iter().zip(&halvings).map(|(l, h)| l - h).collect();
        Decomposition { levels, ..self.clone() }.inverse(data, &self.corner(shape, level))?;
        // A constant grew by sqrt(2) with every split, but for those of a single value, which are none.
        let splits = |(&d, &h): (&usize, &u32)| (0..h).filter(|&l| shrink(d, l) > 1).count();
        let splits: usize = shape.iter().zip(&halvings).map(splits).sum();
        let mut scale = if splits % 2 == 1 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        (0..splits / 2).for_each(|_| scale *= 0.5);
        data.iter_mut().for_each(|x| *x *= scale);
        Ok(halvings)
    }

    /// The subbands of a transformed array of `shape` that are not empty. The coarsest come first, by the sum of
    /// their depths; every coefficient lies in one of them.
    /// Errors: `InvalidArgument` as for [`Wavelet::forward`], and when there would be more than 4096.
    pub fn subbands(&self, shape: &[usize]) -> Result<Vec<Subband>> {
        check_levels(shape, &self.levels, shape.iter().product())?;
        let rank = shape.len();
        let alone =
            (0..rank).filter_map(|k| self.alone(k)).fold(1u64, |n, l| n * (1 + u64::from(l.iter().sum::<u32>())));
        let joint = self.together();
        let details = |level: u32| (1u64 << joint.iter().filter(|&&l| l > level).count()) - 1;
        let count = alone.saturating_mul(1 + (0..MAX_LEVELS).map(details).sum::<u64>());
        if count > MAX_SUBBANDS as u64 {
            return Err(Error::invalid(format!("expected at most {MAX_SUBBANDS} subbands, found {count}")));
        }
        let mut bands = together(shape, &self.together());
        for (axis, levels) in (0..rank).filter_map(|k| Some((k, self.alone(k)?))) {
            let parts = together(shape, &levels);
            bands = parts
                .iter()
                .flat_map(|part| {
                    bands.iter().map(move |band| {
                        let mut b = *band;
                        b.depth[axis] = part.depth[axis];
                        b.origin[axis] = part.origin[axis];
                        b.extents[axis] = part.extents[axis];
                        b.high |= part.high;
                        b
                    })
                })
                .collect();
        }
        bands.retain(|b| !b.extents[..rank].contains(&0));
        bands.sort_by_key(|b| std::cmp::Reverse(b.depth.iter().sum::<u32>()));
        Ok(bands)
    }

    /// The subbands with what is known of each when it is coded. An array of rank 0 has one of a single axis.
    /// Errors: as [`Decomposition::subbands`].
    pub fn bands(&self, shape: &[usize]) -> Result<Vec<Band>> {
        Ok(self.related(&self.subbands(shape)?))
    }

    /// `subbands`, wherever they lie, with what is known of each when it is coded after those before.
    pub(super) fn related(&self, subbands: &[Subband]) -> Vec<Band> {
        let split = self.levels.iter().filter(|&&l| l > 0).count().max(1) as u32;
        let mut bands = Vec::with_capacity(subbands.len());
        let mut before: Option<&Subband> = None;
        for band in subbands {
            let shifts = |i: usize| {
                let mut s = [0; MAX_RANK];
                s.iter_mut().zip(&subbands[i].depth).zip(&band.depth).for_each(|((s, p), d)| *s = p - d);
                (i, s)
            };
            let depth: u32 = band.depth.iter().sum();
            bands.push(Band {
                origin: band.origin,
                extents: band.extents,
                parents: self.parents(band, subbands).into_iter().map(shifts).collect(),
                follows: before.is_some_and(|b| self.are_siblings(b, band)),
                level: if band.high == 0 { 7 } else { (depth.saturating_sub(1) / split).min(6) },
            });
            before = Some(band);
        }
        bands
    }

    /// Where the coefficients of `band` have the same orientation and are coarser by one step: along all axes that are
    /// split together, and along each axis that is split alone. `bands` are those of [`Decomposition::subbands`].
    pub fn parents(&self, band: &Subband, bands: &[Subband]) -> Vec<usize> {
        let rank = self.levels.len();
        let mut wanted = Vec::new();
        let mut coarser = band.depth;
        for k in (0..rank).filter(|&k| !self.is_alone(k)) {
            coarser[k] = (coarser[k] + 1).min(self.levels[k]);
        }
        if band.high & !self.alone != 0 {
            wanted.push(coarser);
        }
        for k in (0..rank).filter(|&k| self.is_alone(k) && band.high >> k & 1 == 1) {
            let mut depth = band.depth;
            depth[k] += 1;
            wanted.push(depth);
        }
        let found = |depth: &[u32; MAX_RANK]| {
            bands.iter().position(|b| b.high == band.high && b.depth == *depth && *depth != band.depth)
        };
        wanted.iter().filter_map(found).collect()
    }

    /// Whether `a` and `b` cover the same places at the same scale in different orientations.
    pub fn are_siblings(&self, a: &Subband, b: &Subband) -> bool {
        let detail = |s: &Subband| s.high & !self.alone != 0;
        a.depth == b.depth && a.high != b.high && detail(a) && detail(b) && (a.high ^ b.high) & self.alone == 0
    }
}

/// The subbands of a transform that splits all axes together, empty ones included.
fn together(shape: &[usize], levels: &[u32]) -> Vec<Subband> {
    let top = levels.iter().copied().max().unwrap_or(0);
    let rank = shape.len();
    let depth = |level: u32| {
        let mut d = [0; MAX_RANK];
        d.iter_mut().zip(levels).for_each(|(d, &l)| *d = level.min(l));
        d
    };
    let origin = [0; MAX_RANK];
    let mut out = vec![Subband { depth: depth(top), high: 0, origin, extents: extents(shape, levels, top) }];
    for level in (0..top).rev() {
        let (whole, low) = (extents(shape, levels, level), extents(shape, levels, level + 1));
        let split = (0..rank).filter(|&k| levels[k] > level).fold(0u8, |m, k| m | 1 << k);
        for high in (1..=u8::MAX).filter(|h| h & !split == 0) {
            let mut band = Subband { depth: depth(level + 1), high, origin, extents: low };
            for k in (0..rank).filter(|k| high >> k & 1 == 1) {
                band.origin[k] = low[k];
                band.extents[k] = whole[k] - low[k];
            }
            out.push(band);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(levels: &[u32]) -> impl Iterator<Item = Decomposition> + '_ {
        (0..1u8 << levels.len()).map(|alone| Decomposition { wavelet: Wavelet::Cdf97, levels: levels.to_vec(), alone })
    }

    #[test]
    fn subbands_cover_everything_once() {
        for (shape, levels) in [
            (vec![17, 9], vec![2, 1]),
            (vec![5, 38, 7], vec![0, 3, 1]),
            (vec![1, 4], vec![2, 2]),
            (vec![], vec![]),
            (vec![6], vec![0]),
            (vec![3, 0], vec![1, 1]),
        ] {
            for d in all(&levels) {
                let mut seen = vec![0; shape.iter().product()];
                let step = super::super::lines::strides(&shape);
                let bands = d.subbands(&shape).unwrap();
                for b in &bands {
                    let n: usize = b.extents[..shape.len()].iter().product();
                    for i in 0..n {
                        let (mut at, mut rest) = (0, i);
                        for k in (0..shape.len()).rev() {
                            at += (b.origin[k] + rest % b.extents[k]) * step[k];
                            rest /= b.extents[k];
                        }
                        seen[at] += 1;
                    }
                }
                assert!(seen.iter().all(|&n| n == 1), "{shape:?} {d:?}");
            }
        }
    }

    #[test]
    fn decompositions_are_reversible_and_alone_means_everywhere() {
        let shape = [6, 19, 16];
        let x: Vec<f64> = (0..shape.iter().product()).map(|i: usize| ((i * i) % 977) as f64).collect();
        for d in all(&[1, 2, 3]) {
            let mut y = x.clone();
            d.forward(&mut y, &shape).unwrap();
            d.inverse(&mut y, &shape).unwrap();
            assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-9));
        }
        // Constant along axis 1: transformed alone, everything but its low-pass part vanishes.
        let mut x: Vec<f64> = (0..16 * 8).map(|i| ((i % 8) * (i % 8) % 5) as f64).collect();
        let d = Decomposition { wavelet: Wavelet::Cdf97, levels: vec![4, 1], alone: 1 };
        d.forward(&mut x, &[16, 8]).unwrap();
        assert!(x[..8].iter().any(|v| v.abs() > 1.0) && x[8..].iter().all(|v| v.abs() < 1e-9));
    }

    #[test]
    fn parents_are_coarser_and_come_first() {
        for d in all(&[3, 2, 0]) {
            let bands = d.subbands(&[24, 19, 5]).unwrap();
            for (i, b) in bands.iter().enumerate() {
                for p in d.parents(b, &bands) {
                    assert!(p < i && bands[p].high == b.high);
                    let coarser =
                        (0..3).all(|k| bands[p].depth[k] == b.depth[k] || bands[p].depth[k] == b.depth[k] + 1);
                    assert!(coarser, "{b:?} {:?}", bands[p]);
                }
            }
            let with_parent = bands.iter().filter(|b| !d.parents(b, &bands).is_empty()).count();
            assert!(with_parent >= 3, "{d:?} {with_parent}");
        }
        assert!(all(&[32; 8]).all(|d| d.subbands(&[2; 8]).is_err()));
        let d = Decomposition { wavelet: Wavelet::Cdf53, levels: vec![2, 2], alone: 0 };
        let bands = d.subbands(&[16, 16]).unwrap();
        let siblings = |b: &Subband| bands.iter().filter(|s| d.are_siblings(b, s)).count();
        assert_eq!(bands.iter().map(siblings).collect::<Vec<_>>(), [0, 2, 2, 2, 2, 2, 2]);
    }
}
