//! Magnitudes of a band with zeros around them, so that every neighbour is at a fixed distance; and sums over neighbours,
//! row by row.

use super::bands::Band;
use crate::array::MAX_RANK;
use crate::error::{Error, Result};

/// Axes, at most the last three but that of the rows, whose neighbours are looked at.
const AXES: usize = 3;
/// Zeros between lines along such an axis: as far as one looks.
const BORDER: usize = 2;

/// The values of a band, rows along the last axis.
#[derive(Debug, Default)]
pub(super) struct Padded<T> {
    values: Vec<T>,
    /// For each row, those around the band too, whether it holds something else than zeros.
    loud: Vec<bool>,
    /// Values from one row to the next.
    length: usize,
    extents: [usize; MAX_RANK],
    rank: usize,
    step: [usize; MAX_RANK],
    first: usize,
    /// Axes with neighbours: longer than 1.
    axes: [usize; AXES],
    count: usize,
}

impl<T: Copy + Default + PartialEq> Padded<T> {
    /// Zeros for bands of `extents`, `rank` of them, at least one. Errors: `LimitExceeded` when the memory cannot be had.
    pub(super) fn new(extents: &[usize; MAX_RANK], rank: usize) -> Result<Padded<T>> {
        let mut p = Padded::default();
        p.restart(extents, rank)?;
        Ok(p)
    }
    /// Begins anew.
    pub(super) fn restart(&mut self, extents: &[usize; MAX_RANK], rank: usize) -> Result<()> {
        let last = rank.saturating_sub(1);
        (self.extents, self.rank, self.count) = (*extents, rank, 0);
        let mut size = extents.get(last).copied().unwrap_or(1).saturating_add(1);
        (self.step, self.length) = ([1; MAX_RANK], size);
        for k in (0..last).rev() {
            self.step[k] = size;
            let near = k + AXES >= last && extents[k] > 1;
            if near {
                self.axes[self.count] = k;
                self.count += 1;
            }
            size = size.saturating_mul(extents[k].saturating_add(if near { BORDER } else { 0 }));
        }
        // The first of `axes` is the outermost.
        self.axes[..self.count].reverse();
        let reach = self.axes().first().map_or(0, |&k| self.step[k]);
        self.first = BORDER * reach + 1;
        let size = size.saturating_add(self.first).saturating_add(BORDER * reach + 1);
        self.values.clear();
        self.values
            .try_reserve_exact(size)
            .map_err(|_| Error::limit(format!("expected memory for {size} values, found too little")))?;
        self.values.resize(size, T::default());
        let rows = size.div_ceil(self.length.max(1));
        self.loud.clear();
        self.loud
            .try_reserve_exact(rows)
            .map_err(|_| Error::limit(format!("expected memory for {rows} rows, found too little")))?;
        self.loud.resize(rows, false);
        Ok(())
    }
    fn axes(&self) -> &[usize] {
        &self.axes[..self.count]
    }
    /// Length of the rows.
    pub(super) fn width(&self) -> usize {
        self.extents[self.rank.saturating_sub(1)]
    }
    /// Where the row of `index` begins; indices beyond the last are taken as the last.
    pub(super) fn row(&self, index: &[usize; MAX_RANK]) -> usize {
        let inner = self.rank.saturating_sub(1);
        let steps = index.iter().zip(&self.extents).zip(&self.step).take(inner);
        self.first + steps.map(|((&i, &e), s)| i.min(e.saturating_sub(1)) * s).sum::<usize>()
    }
    /// Whether the row that begins at `at` holds something else than zeros.
    #[inline(always)]
    pub(super) fn is_loud(&self, at: usize) -> bool {
        self.loud[at / self.length]
    }
    /// Notes that the row that begins at `at` is loud, if one of its first `n` values is not zero. It stays so: bands that share a
    /// grid are not all as wide as their rows.
    pub(super) fn mark(&mut self, at: usize, n: usize) {
        let zero = T::default();
        self.loud[at / self.length] |= self.part(at, n).iter().fold(false, |l, v| l | (*v != zero));
    }
    /// Whether the row that begins at `at` or one beside it along an axis is loud.
    fn is_loud_around(&self, at: usize) -> bool {
        self.is_loud(at)
            || self.axes().iter().any(|&k| self.is_loud(at - self.step[k]) || self.is_loud(at + self.step[k]))
    }
    /// `n` values from `at`.
    #[inline(always)]
    pub(super) fn part(&self, at: usize, n: usize) -> &[T] {
        &self.values[at..at + n]
    }
    /// `n` values from `at`.
    #[inline(always)]
    pub(super) fn part_mut(&mut self, at: usize, n: usize) -> &mut [T] {
        &mut self.values[at..at + n]
    }
}

/// Sums over what is known around the places of a row; names as in the format of [`super::coefficients`].
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// `4N + 2D`, `N`, `F`, `4P + Q`, `P`, `4S + T`, `S`, `M`.
    pub local: Vec<u32>,
    pub near: Vec<u32>,
    pub far: Vec<u32>,
    pub parents: Vec<u32>,
    pub parent: Vec<u32>,
    pub siblings: Vec<u32>,
    pub sibling: Vec<u32>,
    pub mean: Vec<u32>,
    /// A parent's row and its neighbours.
    coarse: Vec<u32>,
    around: Vec<u32>,
    /// Which of what is known of the band, its averages, its parents, and the siblings is not zero all along the row.
    band: bool,
    averages: bool,
    above: bool,
    kin: bool,
}

impl Sums {
    /// Zeros for rows of `width`. Errors: `LimitExceeded`.
    pub(super) fn restart(&mut self, width: usize) -> Result<()> {
        let Sums { local, near, far, parents, parent, siblings, sibling, mean, .. } = self;
        for v in [local, near, far, parents, parent, siblings, sibling, mean] {
            v.clear();
            v.try_reserve(width).map_err(|_| Error::limit("expected memory for a row, found too little"))?;
            v.resize(width, 0);
        }
        (self.band, self.averages, self.above, self.kin) = (false, false, false, false);
        Ok(())
    }

    /// What is known of the row that begins at `at` from the band itself: magnitudes `m`, and averages in the same places.
    pub(super) fn of_band(&mut self, m: &Padded<u16>, means: &Padded<u32>, at: usize) {
        let n = self.local.len();
        let (was, had) = (self.band, self.averages);
        let pairs = |i: usize, k: usize| {
            let at = at - m.step[k];
            m.axes()[i + 1..].iter().any(|&j| m.is_loud(at - m.step[j]) || m.is_loud(at + m.step[j]))
        };
        let loud = |(i, &k): (usize, &usize)| m.is_loud(at - m.step[k]) || m.is_loud(at - 2 * m.step[k]) || pairs(i, k);
        self.band = m.axes().iter().enumerate().any(loud);
        self.averages = m.axes().iter().any(|&k| means.is_loud(at - m.step[k]));
        // Most rows of a smooth field are zero, and so is what is around them.
        if !(self.band || self.averages || was || had) {
            return;
        }
        let (local, near, far, mean) =
            (&mut self.local[..n], &mut self.near[..n], &mut self.far[..n], &mut self.mean[..n]);
        let row = |at: usize| m.part(at, n);
        for (i, &k) in m.axes().iter().enumerate() {
            let s = m.step[k];
            let (left, back, right) = (row(at - s - 1), row(at - s), row(at - s + 1));
            let (behind, average) = (row(at - 2 * s), means.part(at - s, n));
            // The first axis overwrites what the row before left.
            if i == 0 {
                for x in 0..n {
                    let b = u32::from(back[x]);
                    near[x] = b;
                    far[x] = u32::from(behind[x]);
                    mean[x] = average[x];
                    local[x] = 4 * b + 2 * (u32::from(left[x]) + u32::from(right[x]));
                }
            } else {
                for x in 0..n {
                    let b = u32::from(back[x]);
                    near[x] += b;
                    far[x] += u32::from(behind[x]);
                    mean[x] += average[x];
                    local[x] += 4 * b + 2 * (u32::from(left[x]) + u32::from(right[x]));
                }
            }
        }
        for (i, &k) in m.axes().iter().enumerate() {
            for &j in &m.axes()[i + 1..] {
                let at = at - m.step[k];
                let (before, after) = (row(at - m.step[j]), row(at + m.step[j]));
                for x in 0..n {
                    local[x] += 2 * (u32::from(before[x]) + u32::from(after[x]));
                }
            }
        }
    }

    /// What is known of the row of `index` of `band` from its parents, whose magnitudes are among `known`.
    pub(super) fn of_parents(&mut self, band: &Band, index: &[usize; MAX_RANK], rank: usize, known: &[Padded<u16>]) {
        if std::mem::take(&mut self.above) {
            self.parents.fill(0);
            self.parent.fill(0);
        }
        let Sums { parents, parent, coarse, around, above, .. } = self;
        for (which, shift) in &band.parents {
            let Some(p) = known.get(*which) else { continue };
            let mut place = *index;
            for k in 0..rank - 1 {
                place[k] >>= shift[k].min(1);
            }
            let (at, n) = (p.row(&place), p.width());
            if !p.is_loud_around(at) {
                continue;
            }
            *above = true;
            coarse.clear();
            coarse.extend(p.part(at, n).iter().map(|&v| u32::from(v)));
            around.clear();
            let (left, right) = (p.part(at - 1, n), p.part(at + 1, n));
            let beside = coarse.iter().zip(left).zip(right);
            around.extend(beside.map(|((&c, &l), &r)| 4 * c + u32::from(l) + u32::from(r)));
            add_both(around, p, at);
            let half = shift[rank - 1] > 0;
            expand(parent, coarse, half);
            expand(parents, around, half);
        }
    }

    /// What is known of the row that begins at `at` of `sums`, the magnitudes of siblings.
    pub(super) fn of_siblings(&mut self, sums: &Padded<u16>, at: usize) {
        let n = self.siblings.len();
        let was = std::mem::replace(&mut self.kin, sums.is_loud_around(at));
        if !(self.kin || was) {
            return;
        }
        let (here, left, right) = (sums.part(at, n), sums.part(at - 1, n), sums.part(at + 1, n));
        let (siblings, sibling) = (&mut self.siblings[..n], &mut self.sibling[..n]);
        for x in 0..n {
            sibling[x] = u32::from(here[x]);
            siblings[x] = 4 * sibling[x] + u32::from(left[x]) + u32::from(right[x]);
        }
        add_both(siblings, sums, at);
    }

    /// Whether all averages around the row are known to be zero.
    pub(super) fn no_averages(&self) -> bool {
        !self.averages
    }

    /// Whether nothing around the row is known but zeros.
    pub(super) fn are_zero(&self) -> bool {
        if !(self.band || self.above || self.kin) {
            return true;
        }
        [&self.local, &self.far, &self.parents, &self.siblings].iter().all(|v| v.iter().fold(0, |o, &x| o | x) == 0)
    }
}

/// Adds the neighbours on both sides along all axes but that of the rows.
fn add_both(to: &mut [u32], p: &Padded<u16>, at: usize) {
    let n = to.len();
    for &k in p.axes() {
        let (before, after) = (p.part(at - p.step[k], n), p.part(at + p.step[k], n));
        for x in 0..n {
            to[x] += u32::from(before[x]) + u32::from(after[x]);
        }
    }
}

/// Adds the values of a coarser row, each standing for two if `half`; the last one stands for all that follow.
fn expand(to: &mut [u32], from: &[u32], half: bool) {
    let Some(&end) = from.last() else { return };
    let last = to.len();
    if half {
        for (t, f) in to.chunks_mut(2).zip(from) {
            t.iter_mut().for_each(|t| *t += f);
        }
    } else {
        to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
    }
    let reached = (from.len() << u32::from(half)).min(last);
    to[reached..].iter_mut().for_each(|t| *t += end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_loud_beyond_the_width_of_later_bands() {
        let mut extents = [1; MAX_RANK];
        extents[..2].copy_from_slice(&[4, 3]);
        let mut grid = Padded::<u16>::new(&extents, 2).unwrap();
        let at = grid.row(&[1, 0, 0, 0, 0, 0, 0, 0]);
        grid.part_mut(at, 3)[2] = 5;
        grid.mark(at, 3);
        grid.mark(at, 2);
        assert!(grid.is_loud(at) && grid.is_loud_around(at + grid.step[0]) && !grid.is_loud(at + 2 * grid.step[0]));
        let mut sums = Sums::default();
        sums.restart(2).unwrap();
        sums.of_siblings(&grid, at);
        assert!(sums.siblings == [0, 5] && !sums.are_zero());
    }
}
