//! One level of a wavelet transform along one axis, many lines at a time.

use super::Mode;
use crate::bits::{widest, Work};
use crate::error::{Error, Result};
use crate::transform::filters::Filters;
use crate::transform::lines::LANES;
use crate::transform::product::{zeros, Lines};

/// One level of one line.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub filters: &'a Filters,
    pub mode: Mode,
    /// Values of the line.
    pub n: usize,
    /// Coefficients of each kind.
    pub m: usize,
    /// Places between the values that a filter's neighbours apply to.
    pub dilation: isize,
    /// Whether coefficients become values.
    pub merge: bool,
}

impl Step<'_> {
    /// The length of lines before and after.
    fn lengths(&self) -> (usize, usize) {
        if self.merge {
            (2 * self.m, self.n)
        } else {
            (self.n, 2 * self.m)
        }
    }
    /// The places that are looked at, of values or, to merge, of the coefficients of one kind: the first, and the one past the last.
    fn reach(&self) -> (isize, isize) {
        let (n, m, length) = (self.n as isize, self.m as isize, self.filters.len() as isize);
        let half = length / 2;
        let (first, last) = match (self.mode, self.merge) {
            (Mode::Stationary, false) => (self.dilation * (1 - half), n - 1 + self.dilation * half),
            (Mode::Stationary, true) => (-self.dilation * half, n - 1 + self.dilation * (half - 1)),
            (Mode::Periodic, false) => (1 - half, 2 * (m - 1) + half),
            (Mode::Periodic, true) => (-half / 2, (n - 1 + half - 1) / 2),
            (_, false) => (2 - length, 2 * m - 1),
            (_, true) => (0, m - 1),
        };
        (first, last + 1)
    }
    /// Which of `count` values, or coefficients of one kind, stands for place `p`; none where it counts as 0.
    fn source(&self, p: isize, count: isize) -> Option<usize> {
        let place = match self.mode {
            Mode::Zero => return usize::try_from(p).ok().filter(|&p| p < count as usize),
            Mode::Symmetric => {
                let p = p.rem_euclid(2 * count);
                p.min(2 * count - 1 - p)
            }
            Mode::Periodic if !self.merge => p.rem_euclid(count + count % 2).min(count - 1),
            Mode::Periodic | Mode::Stationary => p.rem_euclid(count),
        };
        usize::try_from(place).ok()
    }
    /// Continues the lines of `tile`, of which `count` values begin at `before`.
    fn extend<const N: usize>(&self, tile: &mut [[f64; N]], before: usize, count: usize) {
        for i in (0..before).chain(before + count..tile.len()) {
            let source = self.source(i as isize - before as isize, count as isize);
            tile[i] = source.map_or([0.0; N], |s| tile[before + s]);
        }
    }
    /// Makes `out` of the lines of `tile`, which was continued.
    #[inline(always)]
    fn split<const N: usize>(&self, tile: &[[f64; N]], out: &mut [[f64; N]]) {
        let length = self.filters.len();
        let (low, high) = out.split_at_mut(self.m);
        for (out, filter) in [low, high].into_iter().zip(&self.filters.analysis) {
            for (k, o) in out.iter_mut().enumerate() {
                // The place of the last value of the filter is the first that was continued.
                let (start, dilation) = match self.mode {
                    Mode::Stationary => (k, self.dilation as usize),
                    _ => (2 * k, 1),
                };
                let mut sum = [0.0; N];
                for (j, f) in filter.iter().enumerate() {
                    let row = &tile[start + dilation * (length - 1 - j)];
                    for lane in 0..N {
                        sum[lane] += f * row[lane];
                    }
                }
                *o = sum;
            }
        }
    }
    /// The values `out` from both kinds of coefficients, which were continued.
    #[inline(always)]
    fn join<const N: usize>(&self, tiles: [&[[f64; N]]; 2], out: &mut [[f64; N]]) {
        let length = self.filters.len();
        let (first, _) = self.reach();
        for (i, o) in out.iter_mut().enumerate() {
            let mut sum = [0.0; N];
            for (tile, filter) in tiles.iter().zip(&self.filters.synthesis) {
                if self.mode == Mode::Stationary {
                    for (j, f) in filter.iter().enumerate() {
                        let row = &tile[i + self.dilation as usize * (length - 1 - j)];
                        for lane in 0..N {
                            sum[lane] += f * row[lane];
                        }
                    }
                    continue;
                }
                let shift = if self.mode == Mode::Periodic { length / 2 - 1 } else { length - 2 };
                let last = i + shift;
                for j in (last % 2..length).step_by(2) {
                    // Even, and from `2 first` on.
                    let at = (last as isize - j as isize) / 2 - first;
                    let row = &tile[at as usize];
                    for lane in 0..N {
                        sum[lane] += filter[j] * row[lane];
                    }
                }
            }
            if self.mode == Mode::Stationary {
                sum.iter_mut().for_each(|s| *s *= 0.5);
            }
            *o = sum;
        }
    }
}

/// Replaces the lines of `x`, an array of `shape`, along `axis`. Errors: as [`zeros`] and [`Lines::new`].
pub(super) fn along(x: &[f64], shape: &[usize], axis: usize, step: &Step<'_>) -> Result<Vec<f64>> {
    let (n, count) = step.lengths();
    let from = Lines::new(shape, axis, x.len())?;
    let lines = x.len() / n.max(1);
    let mut y = zeros(lines.saturating_mul(count))?;
    let work = Pass { x, from, to: from.with(count), lines, step, y: &mut y };
    // A few lines would leave most lanes idle.
    if lines < LANES / 4 {
        widest(Lanes::<1>(work))?;
    } else {
        widest(Lanes::<LANES>(work))?;
    }
    Ok(y)
}

struct Pass<'a> {
    x: &'a [f64],
    from: Lines,
    to: Lines,
    lines: usize,
    step: &'a Step<'a>,
    y: &'a mut [f64],
}

struct Lanes<'a, const N: usize>(Pass<'a>);

/// Room for `n` rows. Errors: `LimitExceeded`.
fn rows<const N: usize>(n: usize) -> Result<Vec<[f64; N]>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for lines of {n}, found too little")))?;
    v.resize(n, [0.0; N]);
    Ok(v)
}

impl<const N: usize> Work for Lanes<'_, N> {
    type Output = Result<()>;
    #[inline(always)]
    fn run(self) -> Result<()> {
        let Pass { x, from, to, lines, step, y } = self.0;
        let (n, count) = step.lengths();
        let (first, end) = step.reach();
        let before = first.unsigned_abs();
        let kept = if step.merge { step.m } else { n };
        let room = (before + kept).max(before.saturating_add_signed(end));
        let mut out = rows::<N>(count)?;
        let mut whole = rows::<N>(if step.merge { n } else { 0 })?;
        let mut tiles = [rows::<N>(room)?, rows::<N>(if step.merge { room } else { 0 })?];
        for start in (0..lines).step_by(N) {
            let lanes = N.min(lines - start);
            let [low, high] = &mut tiles;
            if step.merge {
                from.load(x, start, lanes, &mut whole);
                for (tile, part) in [&mut *low, high].into_iter().zip(whole.chunks_exact(step.m)) {
                    tile[before..before + kept].copy_from_slice(part);
                    step.extend(tile, before, kept);
                }
                step.join([low, high], &mut out);
            } else {
                from.load(x, start, lanes, &mut low[before..before + kept]);
                step.extend(low, before, kept);
                step.split(low, &mut out);
            }
            to.store(&out, start, lanes, y);
        }
        Ok(())
    }
}
