//! The codes of velocity blocks, cell after cell, each in contexts of those around it and in the cell before.

use crate::bits::{widest, Work};
use crate::entropy::{level, Around, Bit, Decisions, MixedModel};
use crate::error::{Error, Result};
use crate::predict::faded::{FadedFit, TAPS};
use crate::quantize::{round_i32, ROUNDING};
use crate::vdf::{Layout, BLOCK_CELLS, WID};

/// Velocity cells around a box of blocks that neighbours may reach.
const MARGIN: usize = 2;
/// The most velocity cells, those around counted, of a box in which blocks lie.
const MOST_CELLS: usize = 1 << 25;
/// Kinds of zeros: by how many of their neighbours are not, and those of quiet blocks.
pub(super) const KINDS: usize = 13;
const QUIET_KIND: u8 = KINDS as u8 - 1;
/// Largest magnitude of a code.
pub(super) const MAX_CODE: f64 = (1u32 << 30) as f64;
/// Beyond any error kept.
const MOST_ERROR: f64 = 1e6;

/// What is known of a block of a cell: nothing there, quiet, or neither.
const ABSENT: u8 = 0;
const QUIET: u8 = 1;
const LIVELY: u8 = 2;

/// `sign(q) log2(1 + |q|)`.
#[inline(always)]
fn logarithm(q: i32) -> f32 {
    if q == 0 {
        return 0.0;
    }
    let bits = (1.0 + f64::from(q.unsigned_abs())).to_bits();
    // Mantissas from the root of 2 on count as below 1.
    let exponent = (bits.wrapping_add(0x0009_5f61_9980_0000) >> 52) as i64 - 1023;
    let m = f64::from_bits(bits.wrapping_sub((exponent as u64) << 52));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = LOG2[0] + z * (LOG2[1] + z * (LOG2[2] + z * LOG2[3]));
    let l = exponent as f64 + s * series;
    (if q < 0 { -l } else { l }) as f32
}

/// `sign(l) (2^|l| - 1)`, `|l|` being taken as at most 31.
#[inline(always)]
fn power(l: f64) -> f64 {
    let a = l.abs().min(31.0);
    let n = (a + ROUNDING) - ROUNDING;
    let f = a - n;
    let p = EXP2.iter().rev().fold(0.0, |p, c| c + f * p);
    let v = p * f64::from_bits(((n as i64 + 1023) as u64) << 52) - 1.0;
    if l < 0.0 {
        -v
    } else {
        v
    }
}

/// `2 / ((2 k + 1) ln 2)`.
const LOG2: [f64; 4] = [2.885390081777927, 0.961796693925976, 0.577078016355585, 0.412198583111132];
/// `(ln 2)^k / k!`.
const EXP2: [f64; 7] =
    [1.0, std::f64::consts::LN_2, 0.2402265069591, 0.0555041086648, 0.0096181291076, 0.0013333558146, 0.0001540353039];

/// One cell in a box, with a margin: logarithms of codes, errors of predictions, and what blocks there are.
struct Cell {
    logs: Vec<f32>,
    errors: Vec<f32>,
    blocks: Vec<u8>,
}

/// Strides of a box.
#[derive(Clone, Copy)]
struct Box3 {
    row: usize,
    plane: usize,
    block_row: usize,
    block_plane: usize,
}

impl Box3 {
    #[inline(always)]
    fn block(&self, [x, y, z]: &[usize; 3]) -> usize {
        (z + 1) * self.block_plane + (y + 1) * self.block_row + x + 1
    }
    #[inline(always)]
    fn cell(&self, [x, y, z]: &[usize; 3]) -> usize {
        (WID * z + MARGIN) * self.plane + (WID * y + MARGIN) * self.row + WID * x + MARGIN
    }
}

/// The number of velocity cells around a box of such extents in blocks. Errors: `LimitExceeded`.
pub(super) fn cells_around(blocks: [usize; 3]) -> Result<usize> {
    let wide = |n: usize| n.checked_mul(WID)?.checked_add(2 * MARGIN);
    let all = blocks.iter().try_fold(1usize, |v, n| v.checked_mul(wide(*n)?));
    all.filter(|n| *n <= MOST_CELLS).ok_or_else(|| {
        Error::limit(format!("expected a box of at most {MOST_CELLS} velocity cells, found {blocks:?} blocks"))
    })
}

fn zeros<T: Clone + Default>(n: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n)
        .map_err(|_| Error::limit(format!("expected memory for {n} velocity cells, found too little")))?;
    v.resize(n, T::default());
    Ok(v)
}

/// Codes blocks, the same way back and forth.
pub(super) struct Coder<D> {
    pub(super) io: D,
    model: MixedModel,
    quiet: Vec<Bit>,
    still: [Bit; 8],
    fits: [FadedFit; 3],
    pace: Pace,
}

/// What weights follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nothing.
    Fixed,
    /// Values that were not predicted well, the last ones most.
    Fast,
    /// All values.
    Slow,
}

/// What is coded: the codes of blocks, 64 a block, which a decoder fills, and the kinds of those that are 0, which both fill.
pub(super) struct Blocks<'a> {
    pub(super) layout: &'a Layout,
    /// Velocity cells of the box along each axis beyond which blocks have none, in the order of the layout.
    pub(super) limits: [usize; 3],
    pub(super) codes: &'a mut [i32],
    pub(super) kinds: &'a mut [u8],
}

impl<D: Decisions> Coder<D> {
    /// Errors: `LimitExceeded` when the memory cannot be had.
    pub(super) fn new(io: D, pace: Pace) -> Result<Coder<D>> {
        let mut weights = [0.0; TAPS];
        weights[..7].copy_from_slice(&[1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0]);
        Ok(Coder {
            io,
            model: MixedModel::new([30 * 8, 8 * 8 * 16, 16 * 12 * 3, 20 * 8 * 3], 16)?,
            quiet: vec![Bit::new(); 81 * 8],
            still: [Bit::new(); 8],
            fits: std::array::from_fn(|_| FadedFit::new(weights, if pace == Pace::Slow { 0.95 } else { 0.85 })),
            pace,
        })
    }
    /// Codes all blocks. Errors: `LimitExceeded` for a box too large.
    pub(super) fn code(&mut self, blocks: &mut Blocks<'_>) -> Result<()> {
        let [nx, ny, nz] = blocks.layout.around.blocks;
        let n = cells_around([nx, ny, nz])?;
        let (row, block_row) = (WID * nx + 2 * MARGIN, nx + 2);
        let strides = Box3 { row, plane: row * (WID * ny + 2 * MARGIN), block_row, block_plane: block_row * (ny + 2) };
        let cell = || -> Result<Cell> {
            let blocks = zeros(strides.block_plane * (nz + 2))?;
            Ok(Cell { logs: zeros(n)?, errors: zeros(n)?, blocks })
        };
        let (now, before) = (cell()?, cell()?);
        widest(Walk { coder: self, blocks, strides, now, before });
        Ok(())
    }
}

/// A walk over all cells.
struct Walk<'a, 'b, D> {
    coder: &'a mut Coder<D>,
    blocks: &'a mut Blocks<'b>,
    strides: Box3,
    now: Cell,
    before: Cell,
}

impl<D: Decisions> Work for Walk<'_, '_, D> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let (cells, strides) = (&self.blocks.layout.cells, self.strides);
        for (i, cell) in cells.iter().enumerate() {
            if let Some(older) = i.checked_sub(2).and_then(|i| cells.get(i)) {
                self.clear(older);
            }
            cell.iter().for_each(|(place, _)| self.now.blocks[strides.block(place)] = QUIET);
            let lively = self.lively(cell, i == 0);
            let mut planes = lively.chunk_by(|a, b| a.0[2] == b.0[2]);
            planes.by_ref().for_each(|plane| self.plane(plane, i == 0));
            std::mem::swap(&mut self.now, &mut self.before);
        }
    }
}

impl<D: Decisions> Walk<'_, '_, D> {
    /// Forgets the cell before the one before.
    fn clear(&mut self, cell: &[([usize; 3], usize)]) {
        for (place, _) in cell {
            self.now.blocks[self.strides.block(place)] = ABSENT;
            let first = self.strides.cell(place);
            for i in 0..WID * WID {
                let at = first + i / WID * self.strides.plane + i % WID * self.strides.row;
                self.now.logs[at..at + WID].fill(0.0);
                self.now.errors[at..at + WID].fill(0.0);
            }
        }
    }
    /// Codes which blocks are quiet: all of their codes are 0. Returns the others.
    #[inline(always)]
    fn lively(&mut self, cell: &[([usize; 3], usize)], first: bool) -> Vec<([usize; 3], usize)> {
        let (s, before) = (self.strides, &self.before.blocks);
        let mut lively = Vec::with_capacity(cell.len());
        for (place, i) in cell {
            let own = i * BLOCK_CELLS..(i + 1) * BLOCK_CELLS;
            let (at, now) = (s.block(place), &self.now.blocks);
            let known = now[at - 1] * 9 + now[at - s.block_row] * 3 + now[at - s.block_plane];
            let later = [at + 1, at + s.block_row, at + s.block_plane];
            let around = match first {
                true => later.iter().filter(|k| now[**k] != ABSENT).count(),
                false => 4 + later.iter().filter(|k| before[**k] == LIVELY).count(),
            };
            let context = (usize::from(known) * 3 + usize::from(before[at])) * 8 + around;
            let quiet = self.blocks.codes.get(own.clone()).is_some_and(|c| c.iter().all(|c| *c == 0));
            if self.coder.io.learn(&mut self.coder.quiet[context], quiet) {
                self.blocks.kinds.get_mut(own).unwrap_or_default().fill(QUIET_KIND);
            } else {
                self.now.blocks[at] = LIVELY;
                lively.push((*place, *i));
            }
        }
        lively
    }
    /// Codes the values of lively blocks of one plane, row by row.
    #[inline(always)]
    fn plane(&mut self, blocks: &[([usize; 3], usize)], first: bool) {
        let s = self.strides;
        let inside =
            |axis: usize, place: &[usize; 3]| self.blocks.limits[axis].saturating_sub(WID * place[axis]).min(WID);
        let depth = blocks.first().map_or(0, |(place, _)| inside(2, place));
        let widths: Vec<usize> = blocks.iter().map(|(place, _)| inside(0, place)).collect();
        let heights: Vec<usize> = blocks.iter().map(|(place, _)| inside(1, place)).collect();
        for z in 0..depth {
            let mut from = 0;
            for row in blocks.chunk_by(|a, b| a.0[1] == b.0[1]) {
                for y in 0..heights[from] {
                    for ((place, i), width) in row.iter().zip(&widths[from..]) {
                        let at = s.cell(place) + z * s.plane + y * s.row;
                        let own = i * BLOCK_CELLS + WID * WID * z + WID * y;
                        for k in 0..*width {
                            let (Some(code), Some(kind)) =
                                (self.blocks.codes.get_mut(own + k), self.blocks.kinds.get_mut(own + k))
                            else {
                                return;
                            };
                            (*code, *kind) = self.coder.value(&mut self.now, &self.before, at + k, s, first, *code);
                        }
                    }
                }
                from += row.len();
            }
        }
    }
}

impl<D: Decisions> Coder<D> {
    /// Codes `code` (a decoder ignores it) for the velocity cell at `at`. Returns what was coded, and its kind should it be 0.
    #[inline(always)]
    fn value(&mut self, now: &mut Cell, before: &Cell, at: usize, s: Box3, first: bool, code: i32) -> (i32, u8) {
        let (l, b, row, plane) = (&now.logs, &before.logs, s.row, s.plane);
        let taps: [f32; TAPS] = [
            l[at - 1],
            l[at - row],
            l[at - plane],
            l[at - 1 - row],
            l[at - 1 - plane],
            l[at - row - plane],
            l[at - 1 - row - plane],
            l[at - row + 1],
            l[at - plane + 1],
            l[at - plane + row],
            l[at - plane - row + 1],
            l[at - plane + row - 1],
            l[at - plane + row + 1],
            l[at - 2],
            l[at - 2 * row],
            l[at - 2 * plane],
            b[at],
            b[at - 1],
            b[at + 1],
            b[at - row],
            b[at + row],
            b[at - plane],
            b[at + plane],
            1.0,
        ];
        let sign = |k: usize| u8::from(taps[k] != 0.0);
        let near = sign(0) + sign(1) + sign(2);
        let kind = if first { near } else { 4 + near + sign(16) + sign(18) + sign(20) + sign(22) };
        let (e, o) = (&now.errors, &before.errors);
        let (left, above, behind) = (e[at - 1], e[at - row], e[at - plane]);
        if taps[..TAPS - 1].iter().all(|t| *t == 0.0) {
            let still = &mut self.still[usize::from(first) * 4 + level((left + above) + behind, 1, -4, 4)];
            if self.io.learn(still, code == 0) {
                return (0, kind);
            }
            let c = self.model.code_leaning(&mut self.io, code, [239, 1023, 0, 479], 15);
            now.logs[at] = logarithm(c);
            now.errors[at] = f64::from(c).abs().min(MOST_ERROR) as f32;
            return (c, kind);
        }
        let known = |k: usize| f64::from(taps[k]);
        let size = (taps[0].abs() + taps[1].abs()) + taps[2].abs();
        let fit = &mut self.fits[usize::from(size >= 9.0) + usize::from(size >= 21.0)];
        let guess = match self.pace {
            // What the first weights give: all but seven are 0.
            Pace::Fixed => ((known(0) + known(1)) + (known(2) - known(3))) + ((-known(4) - known(5)) + known(6)),
            Pace::Fast | Pace::Slow => fit.predict(&std::array::from_fn(known)),
        };
        let value = power(guess);

        let sides = (e[at - row + 1] + e[at - row - 1]) + (e[at - plane + 1] + e[at - plane - 1]);
        let around =
            2.0 * ((left + above) + behind) + e[at - 2] + (sides + (e[at - plane + row] + e[at - plane - row]));
        let around = around * (1.0 / 13.0);
        let depth = (2.0 * o[at] + o[at + 1] + o[at + row] + o[at + plane]) * 0.2;
        let expected = if first { around } else { 0.6 * around + 0.4 * depth };

        let inside = value.abs() < MAX_CODE;
        let base = if inside { round_i32(value) } else { 0 };
        let fraction = if inside { (value - f64::from(base)) as f32 } else { 0.0 };
        let coding = Around::new(base, f64::from(fraction), expected);
        let (scale, q) = (coding.scale, coding.fraction);
        let [a, b, c] = [left, above, behind].map(|v| level(v * scale, 1, -3, 8));
        // Whether the cell before would have more, or less.
        let apart = taps[16] - guess as f32;
        let lean = match () {
            () if first || apart.abs() * (value as f32).abs() * scale < 0.25 => 0,
            () if (apart > 0.0) != coding.is_turned() => 1,
            () => 2,
        };
        let selector = level(expected * scale, 1, -5, 8);
        let context = [
            level(expected * scale, 4, -5, 30) * 8 + q,
            (a * 8 + b) * 16 + c / 2 * 4 + q / 2,
            (level(depth * scale, 2, -4, 16) * 12 + level(value as f32, 1, -3, 12)) * 3 + lean,
            (level(size, 2, 0, 20) * 8 + level(expected * scale, 1, -3, 8)) * 3 + q / 3,
        ];
        let c = coding.code(&mut self.model, &mut self.io, code, context, selector);

        let log = logarithm(c);
        let error = (f64::from(c) - value).abs().min(MOST_ERROR) as f32;
        now.logs[at] = log;
        now.errors[at] = error;
        if self.pace == Pace::Slow || self.pace == Pace::Fast && error > 0.3 {
            let size = 1.0 + c.unsigned_abs() as f32;
            let count = size * size / ((expected + 0.7) * (0.5 * (expected + error) + 0.7));
            fit.learn(&std::array::from_fn(known), f64::from(log), f64::from(count));
        }
        (c, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_and_powers_are_close_to_those_of_the_library() {
        for q in (0..31).flat_map(|e| [(1i32 << e) - 1, 1 << e, (1 << e) + (1 << e) / 3]) {
            let exact = libm::log2(1.0 + f64::from(q));
            assert!((f64::from(logarithm(q)) - exact).abs() < 2e-6, "{q} {}", logarithm(q));
            assert_eq!(logarithm(-q), -logarithm(q));
            let back = power(exact);
            assert!((back - f64::from(q)).abs() <= 1e-6 * (1.0 + f64::from(q)), "{q} {back}");
        }
        assert!(power(f64::NAN).is_finite() && power(f64::INFINITY) < 2.2e9 && power(-1e300) > -2.2e9);
        assert!(logarithm(i32::MIN) == -31.0 + 0.0 || logarithm(i32::MIN) < -30.9);
    }
}
