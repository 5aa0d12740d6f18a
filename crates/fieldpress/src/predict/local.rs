//! Linear prediction from the neighbours already known, with weights fitted where the value is.
//!
//! X. Li, M. T. Orchard, "Edge-directed prediction for lossless image compression", IEEE Transactions on Image Processing 10, 2001
//! (weights by least squares from a causal window), in three dimensions, with the sums of the window kept and faded per stretch of
//! a row, so that a value costs a few hundred operations.
//!
//! # Format
//!
//! All arithmetic is in `f64` unless said otherwise, each operation rounded, sums from 0 in the order given.
//!
//! Axes of extent 1 are left out; the last three of the others are planes, rows and values, and what is before them is joined to
//! slabs. The first plane of a slab is *flat*: it knows its own values alone. The others are *deep*: they know the two planes
//! before them, the second of them being the first plane again where there is no other. Around a plane lie: to the left of a row
//! the value above its first, to the right its last value; above a deep plane the first row of the plane before it, above a flat
//! one zeros; below a plane its last row.
//!
//! A row is cut into stretches of 8 values, or of the least multiple of 8 that leaves at most 1024 of them; when there is only one
//! row, always of 8. Eight stretches of a row form a group.
//!
//! | neighbours, as planes back, rows down, values to the right | |
//! |---|---|
//! | one row | `(0, 0, -2)` to `(0, 0, -25)` |
//! | flat | `(0, 0, -2)` to `-4`; `(0, -1, -3)` to `4`; `(0, -2, -3)` to `3`; `(0, -3, -2)` to `2`; `(0, -4, 0)` |
//! | deep | `(0, 0, -2)`, `-3`; `(0, -1, -2)` to `2`; `(0, -2, -1)` to `1`; `(1, -2, 0)`; `(1, -1, -1)` to `1`; `(1, 0, -2)` to `2`; `(1, 1, -1)` to `1`; `(1, 2, 0)`; `(2, 0, 0)` |
//!
//! With `x` the value before a point and `n_t` its neighbours in that order, the prediction from weights `w_t` is `sum(w_t n_t)`
//! over those of other rows, plus each `w_t n_t` of the row itself, plus `(1 - sum(w_t)) x`. Should the sum of the weights not be
//! finite, all are taken as 0.
//!
//! Weights are solved before each group, but in rows of fewer than 32 values after the first only when the number of the row is a
//! multiple of `floor(32 / values)` (see [`super::least_squares`]), from where they were for the stretch in the row before, at
//! first 0. The sums they come from are: in the first row that is flat or deep, for all stretches of the group, those of the
//! stretches so far, which are faded by 0.95 before each is added, and weights start from those of the group before; later
//! `r + (l + r') / 2` with the sums `r` of the stretch and `l`, `r'` of those to its left and right, if any; for deep ones plus
//! `c * (2 / rows)` with the sums `c` of the cell and the rows of a cell.
//!
//! After a group the sums of each of its stretches are added to its `r`, faded by 0.8 first, and if deep to its cell. A cell is 4
//! rows of one stretch, or the least multiple of 4 by a power of two that leaves at most 2048 cells or one row of them. The cells
//! used are those of the planes before: after a deep plane they are faded by 0.4 and those of the plane added. Flat and deep planes
//! have sums of their own.
//!
//! In the sums of a stretch a point has the neighbours `n_t - x` and the target `v - x`, `v` being its value, and counts
//! `1 / (e e + 0.5)`. Points that are not coded count 0, take the value `x`, and have the error `e`.
//!
//! The expected error `e` is in `f32`. With the errors `abs(v - p)` of points, at most 1e6, cast to `f32`, around a plane as values
//! are: `a` before, `b` two before, `c` above, `d` and `d'` beside `c`, and in the plane before `m` at the place and `l`, `r`, `u`,
//! `o` left, right, above and below it, `s = 2 c + (d + d')`; for deep ones then `s = s + (2 m + 0.5 ((l + r) + (u + o)))`;
//! `e = ((s + 2 a) + b) k` with `k = 1/7`, for deep ones `1/11`. The depth is `0.5 (d + d')`, for deep ones
//! `(2 m + ((l + r) + (u + o))) (1/6)`; near are `a`, `c` and `b`, or `m` for deep ones; the turn is the distance of the prediction
//! from `x + v' - v''` with the values `v'` above and `v''` left of that, the spread the range of the three values above (left,
//! middle, right) and the three before, both cast to `f32`.

use super::least_squares::{gather, solve, Lanes, EIGHT, SUMS, TAPS};
use super::planes::{eight_of, Planes};
use super::taps::{Extents, Tap};
use crate::array::Shape;
use crate::error::Result;

/// A neighbour in memory: planes back, and the distance.
type Place = (usize, isize);

/// What is expected of a value, all in units of the integers; see the module's documentation for how it is computed.
#[derive(Clone, Copy, Debug)]
pub struct Guess {
    /// The prediction.
    pub value: f64,
    /// The error expected: a weighted mean of the errors nearby.
    pub error: f32,
    /// The errors before, above, and in the plane before; if flat, in place of the last that of two before.
    pub near: [f32; 3],
    /// Mean error in the plane before; if flat, of the two beside the one above.
    pub depth: f32,
    /// How far the prediction is from that of a parallelogram.
    pub turn: f32,
    /// The range of six values nearby.
    pub spread: f32,
}

/// A field of integers as far as it is known, and the sums its weights come from.
#[derive(Debug)]
pub struct LocalPredictor {
    slabs: usize,
    planes: usize,
    rows: usize,
    length: usize,
    values: Planes<f64>,
    errors: Planes<f32>,
    /// Values in a stretch, and stretches in a row.
    stretch: usize,
    stretches: usize,
    /// Rows of a cell.
    cell: usize,
    /// Sums of cells, of the planes before and of this one: row of cells, then sum, then cell.
    cells: Vec<f64>,
    next_cells: Vec<f64>,
    /// Sums that are flat, and deep.
    history: [History; 2],
}

#[derive(Clone, Debug)]
struct History {
    /// Where the neighbours lie: planes back, and how far from the point.
    places: [Place; TAPS],
    /// How many of the taps are of the row itself.
    own: usize,
    /// Sums of each stretch: sum, then stretch, with room for one before the first. Empty when there is one row.
    rows: Vec<f64>,
    /// Stretches from one sum to the next.
    width: usize,
    /// Weights: group, then tap.
    weights: Vec<[Lanes; TAPS]>,
    /// Whether a row is complete; until then, the sums so far.
    begun: bool,
    first: Box<[f64; SUMS]>,
}

impl History {
    fn new(taps: &[Tap; TAPS], stride: usize, stretches: usize) -> History {
        let own = taps.iter().take_while(|t| t.0 == 0 && t.1 == 0).count();
        let places = taps.map(|(plane, y, x)| (plane, y * stride as isize + x));
        let groups = stretches.div_ceil(EIGHT);
        let width = groups * EIGHT + 2;
        History {
            places,
            own,
            rows: vec![0.0; if stretches > 0 { SUMS * width } else { 0 }],
            width,
            weights: vec![[[0.0; EIGHT]; TAPS]; groups.max(1)],
            begun: false,
            first: Box::new([0.0; SUMS]),
        }
    }
    /// Adds the sums of the stretches of a group, and to those of their cells if there are any, of which there are so many side by side.
    #[inline(always)]
    fn add(&mut self, group: usize, new: &[[f64; SUMS]; EIGHT], n: usize, cells: Option<(&mut [f64], usize)>) {
        if !self.begun {
            for n in &new[..n] {
                self.first.iter_mut().zip(n).for_each(|(f, n)| *f = *f * 0.95 + n);
            }
        }
        if self.rows.is_empty() {
            return;
        }
        let at = group * EIGHT;
        let rows = self.rows.chunks_exact_mut(self.width).map(|row| &mut row[1 + at..1 + at + EIGHT]);
        let across = |e: usize| -> Lanes { std::array::from_fn(|l| new[l][e]) };
        match cells {
            Some((cells, width)) => {
                let cells = cells.chunks_exact_mut(width).map(|row| &mut row[at..at + EIGHT]);
                for (e, (row, cell)) in rows.zip(cells).enumerate() {
                    let new = across(e);
                    for ((r, c), n) in row.iter_mut().zip(cell).zip(new) {
                        *r = *r * 0.8 + n;
                        *c += n;
                    }
                }
            }
            None => {
                for (e, row) in rows.enumerate() {
                    row.iter_mut().zip(across(e)).for_each(|(r, n)| *r = *r * 0.8 + n);
                }
            }
        }
    }
}

/// What is the same for eight values: sums over other rows.
struct Eight {
    sum: [f64; EIGHT],
    high: [f64; EIGHT],
    low: [f64; EIGHT],
    error: [f32; EIGHT],
    depth: [f32; EIGHT],
}

impl LocalPredictor {
    /// For arrays of `shape`, none of whose extents is 0. Errors: `LimitExceeded` for large arrays of rows so short that the room
    /// around them would take many times what they take themselves.
    pub fn new(shape: &Shape) -> Result<LocalPredictor> {
        let extents = Extents::new(shape);
        let Extents { slabs, planes, rows, length } = extents;
        let stretch = if rows > 1 { length.div_ceil(1024).next_multiple_of(EIGHT) } else { EIGHT };
        let stretches = length.div_ceil(stretch);
        let across = stretches.next_multiple_of(EIGHT);
        let mut cell = 4;
        while rows.div_ceil(cell) * stretches > 2048 && cell < rows {
            cell *= 2;
        }
        let deep = planes > 1;
        let cells = vec![0.0; if deep { rows.div_ceil(cell) * SUMS * across } else { 0 }];
        let values: Planes<f64> = extents.room(3)?;
        let stride = values.stride();
        // In one dimension there is one row, and nothing to keep for the next.
        let flat = History::new(extents.taps(false), stride, if rows > 1 { stretches } else { 0 });
        Ok(LocalPredictor {
            slabs,
            planes,
            rows,
            length,
            values,
            errors: extents.room(2)?,
            stretch,
            stretches,
            cell,
            next_cells: cells.clone(),
            cells,
            history: [flat, History::new(extents.taps(true), stride, if deep { stretches } else { 0 })],
        })
    }
    /// Visits all points in C order. `code` is told the index of a point and what is expected of its value, and returns the
    /// value; `None` where it is not coded.
    #[inline(always)]
    pub fn visit(&mut self, mut code: impl FnMut(usize, &Guess) -> Option<i32>) {
        let mut at = 0;
        for plane in 0..self.slabs * self.planes {
            let number = plane % self.planes;
            let deep = number > 0;
            self.values.next_plane(number);
            self.errors.next_plane(number);
            for y in 0..self.rows {
                self.values.begin_row(y);
                self.errors.begin_row(y);
                for group in 0..self.stretches.div_ceil(EIGHT) {
                    self.one_group(deep, y, group, at, &mut code);
                }
                self.history[usize::from(deep)].begun = true;
                at += self.length;
                self.values.end_row(y);
                self.errors.end_row(y);
            }
            if deep {
                for (old, new) in self.cells.iter_mut().zip(&mut self.next_cells) {
                    *old = *old * 0.4 + *new;
                    *new = 0.0;
                }
            }
        }
    }
    /// Cells side by side, with room for a last group.
    fn across(&self) -> usize {
        self.stretches.next_multiple_of(EIGHT)
    }
    /// Solves the weights of a group anew and returns where they are.
    #[inline(always)]
    fn solve(&mut self, deep: bool, y: usize, group: usize) -> usize {
        let across = self.across();
        let h = &mut self.history[usize::from(deep)];
        let mut sums = [[0.0; EIGHT]; SUMS];
        if !h.begun {
            // The groups before have one set of weights among them.
            let last = group.saturating_sub(1).min(h.weights.len() - 1);
            let group = group.min(h.weights.len() - 1);
            h.weights[group] = h.weights[last].map(|w| [w[EIGHT - 1]; EIGHT]);
            sums.iter_mut().zip(h.first.iter()).for_each(|(s, f)| *s = [*f; EIGHT]);
            solve(&mut sums, &mut h.weights[group]);
            return group;
        }
        for (s, row) in sums.iter_mut().zip(h.rows.chunks_exact(h.width)) {
            let row = &row[group * EIGHT..group * EIGHT + EIGHT + 2];
            for (l, s) in s.iter_mut().enumerate() {
                *s = row[l + 1] + 0.5 * (row[l] + row[l + 2]);
            }
        }
        if deep {
            let factor = 2.0 / self.cell as f64;
            let from = y / self.cell * across * SUMS + group * EIGHT;
            for (s, row) in sums.iter_mut().zip(self.cells[from..].chunks(across)) {
                for (s, c) in s.iter_mut().zip(&row[..EIGHT]) {
                    *s += factor * c;
                }
            }
        }
        solve(&mut sums, &mut h.weights[group]);
        group
    }
    #[inline(always)]
    fn one_group(
        &mut self,
        deep: bool,
        y: usize,
        group: usize,
        at: usize,
        code: &mut impl FnMut(usize, &Guess) -> Option<i32>,
    ) {
        // In short rows it would take more time than all else.
        let often = (32 / self.length).max(1);
        let old = self.history[usize::from(deep)].begun && !y.is_multiple_of(often);
        let solved = if old { group } else { self.solve(deep, y, group) };
        let first = group * EIGHT;
        let n = (self.stretches - first).min(EIGHT);
        let mut sums = [[0.0; SUMS]; EIGHT];
        for (lane, sums) in sums[..n].iter_mut().enumerate() {
            let h = &self.history[usize::from(deep)];
            let mut weights = h.weights[solved].map(|w| w[lane]);
            let mut total: f64 = weights.iter().sum();
            if !total.is_finite() {
                (weights, total) = ([0.0; TAPS], 0.0);
            }
            self.one_stretch(deep, y, first + lane, at, &weights, total, sums, code);
        }
        let across = self.across();
        let cells = deep.then(|| (&mut self.next_cells[y / self.cell * across * SUMS..], across));
        self.history[usize::from(deep)].add(group, &sums, n, cells);
    }
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn one_stretch(
        &mut self,
        deep: bool,
        y: usize,
        stretch: usize,
        at: usize,
        weights: &[f64; TAPS],
        total: f64,
        sums: &mut [f64; SUMS],
        code: &mut impl FnMut(usize, &Guess) -> Option<i32>,
    ) {
        let (row, stride) = (self.values.row(y), self.values.stride());
        let h = &self.history[usize::from(deep)];
        let (places, own) = (h.places, h.own);
        let first = stretch * self.stretch;
        let end = (first + self.stretch).min(self.length);
        for from in (first..end).step_by(EIGHT) {
            let n = (end - from).min(EIGHT);
            let o = row + from;
            let eight = self.eight(deep, o, &places[own..], &weights[own..]);
            let mut count = [0.0; EIGHT];
            for (k, count) in count[..n].iter_mut().enumerate() {
                let o = o + k;
                let now = self.values.back(0);
                let x = now[o - 1];
                let mut value = eight.sum[k];
                for (d, w) in weights[..own].iter().enumerate() {
                    value += w * now[o - 2 - d];
                }
                value += (1.0 - total) * x;
                let errors = self.errors.back(0);
                let (left, above) = (errors[o - 1], errors[o - stride]);
                let sum = eight.error[k] + 2.0 * left + errors[o - 2];
                let error = sum * if deep { 1.0 / 11.0 } else { 1.0 / 7.0 };
                let high = eight.high[k].max(x).max(now[o - 2]).max(now[o - 3]);
                let low = eight.low[k].min(x).min(now[o - 2]).min(now[o - 3]);
                let corner = x + now[o - stride] - now[o - stride - 1];
                let behind = if deep { self.errors.back(1)[o] } else { errors[o - 2] };
                let guess = Guess {
                    value,
                    error,
                    near: [left, above, behind],
                    depth: eight.depth[k],
                    turn: (value - corner).abs() as f32,
                    spread: (high - low) as f32,
                };
                match code(at + from + k, &guess) {
                    Some(v) => {
                        let v = f64::from(v);
                        self.values.set(o, v);
                        self.errors.set(o, (v - value).abs().min(1e6) as f32);
                        let e = f64::from(error);
                        *count = 1.0 / (e * e + 0.5);
                    }
                    None => {
                        self.values.set(o, x);
                        self.errors.set(o, error);
                    }
                }
            }
            let (known, target) = self.samples(o, &places);
            gather(sums, &known, &target, &count);
        }
    }
    #[inline(always)]
    fn eight(&self, deep: bool, o: usize, places: &[Place], weights: &[f64]) -> Eight {
        let mut sum = [0.0; EIGHT];
        for (&(plane, distance), w) in places.iter().zip(weights) {
            let v = eight_of(self.values.back(plane), o.wrapping_add_signed(distance));
            for (s, v) in sum.iter_mut().zip(&v) {
                *s += w * v;
            }
        }
        let stride = self.values.stride();
        let up = o - stride;
        let now = self.values.back(0);
        let [a, b, c] = [up - 1, up, up + 1].map(|o| eight_of(now, o));
        let high = std::array::from_fn(|k| a[k].max(b[k]).max(c[k]));
        let low = std::array::from_fn(|k| a[k].min(b[k]).min(c[k]));
        let [ea, eb, ec] = [up - 1, up, up + 1].map(|o| eight_of(self.errors.back(0), o));
        let mut error: [f32; EIGHT] = std::array::from_fn(|k| 2.0 * eb[k] + (ea[k] + ec[k]));
        let mut depth = std::array::from_fn(|k| 0.5 * (ea[k] + ec[k]));
        if deep {
            let e = self.errors.back(1);
            let at = [o, o - 1, o + 1, o - stride, o + stride];
            let [m, l, r, u, d] = at.map(|o| eight_of(e, o));
            for k in 0..EIGHT {
                let around = (l[k] + r[k]) + (u[k] + d[k]);
                error[k] += 2.0 * m[k] + 0.5 * around;
                depth[k] = (2.0 * m[k] + around) * (1.0 / 6.0);
            }
        }
        Eight { sum, high, low, error, depth }
    }
    /// The points from `o` as samples: their neighbours and themselves, less the value before.
    #[inline(always)]
    fn samples(&self, o: usize, places: &[Place; TAPS]) -> ([[f64; TAPS]; EIGHT], [f64; EIGHT]) {
        let mut known = [[0.0; TAPS]; EIGHT];
        let before = eight_of(self.values.back(0), o - 1);
        for (t, &(plane, distance)) in places.iter().enumerate() {
            let v = eight_of(self.values.back(plane), o.wrapping_add_signed(distance));
            for (row, (v, b)) in known.iter_mut().zip(v.iter().zip(&before)) {
                row[t] = v - b;
            }
        }
        let now = eight_of(self.values.back(0), o);
        let target = std::array::from_fn(|k| now[k] - before[k]);
        (known, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{widest, Work};

    struct Visit<'a>(&'a [usize], &'a dyn Fn(usize) -> Option<i32>);

    impl Work for Visit<'_> {
        type Output = Vec<Guess>;
        #[inline(always)]
        fn run(self) -> Vec<Guess> {
            let mut all = Vec::new();
            LocalPredictor::new(&Shape::new(self.0).unwrap()).unwrap().visit(|i, g| {
                assert_eq!(i, all.len());
                all.push(*g);
                self.1(i)
            });
            all
        }
    }
    fn noise(i: usize) -> i32 {
        ((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as i32 % 2000 - 1000
    }
    /// Waves that a recurrence over neighbours continues.
    fn wave(extents: [usize; 3], i: usize) -> i32 {
        let [_, ny, nx] = extents;
        let (z, y, x) = ((i / nx / ny) as f64, (i / nx % ny) as f64, (i % nx) as f64);
        (1e5 * (libm::sin(0.31 * x + 0.22 * y) + libm::sin(0.17 * x - 0.4 * y + 0.5 * z))).round() as i32
    }

    #[test]
    fn every_point_is_visited_in_order_with_the_same_guess_on_any_processor() {
        let shapes: [&[usize]; 13] = [
            &[],
            &[1],
            &[7],
            &[700],
            &[1, 9, 1],
            &[3, 1, 4],
            &[40, 70],
            &[2, 2, 2],
            &[5, 3, 90],
            &[2, 3, 4, 5],
            &[3, 600, 8],
            &[2, 9000],
            &[300, 3],
        ];
        for shape in shapes {
            let n: usize = shape.iter().product();
            let value = |i| (i % 13 != 5).then(|| noise(i));
            let (plain, wide) = (Visit(shape, &value).run(), widest(Visit(shape, &value)));
            assert_eq!(plain.len(), n, "{shape:?}");
            for (a, b) in plain.iter().zip(&wide) {
                assert!(a.value.is_finite() && a.value.to_bits() == b.value.to_bits(), "{shape:?}: {a:?} {b:?}");
                assert!(format!("{a:?}") == format!("{b:?}"));
            }
        }
    }

    #[test]
    fn memory_is_bounded_by_that_of_the_values() {
        let new = |d: &[usize]| LocalPredictor::new(&Shape::new(d).unwrap()).map(drop);
        // Rows of two values, in a block such as is cut by default, and in one that a hostile archive may claim.
        assert!(new(&[1 << 20, 2]).is_ok());
        for shape in [&[1 << 26, 2][..], &[2, 1 << 25, 2]] {
            assert_eq!(new(shape).unwrap_err().kind(), crate::error::ErrorKind::LimitExceeded);
        }
    }

    #[test]
    fn waves_are_learnt_in_any_number_of_dimensions() {
        for extents in [[1, 1, 4000], [1, 90, 100], [24, 30, 40]] {
            let n = extents.iter().product::<usize>();
            let guesses = Visit(&extents, &|i| Some(wave(extents, i))).run();
            // In the middle: at the edges there are no waves to go by.
            let median = |f: &dyn Fn(usize) -> f64| {
                let mut all: Vec<f64> = (n / 2..n).map(f).collect();
                all.sort_by(f64::total_cmp);
                all[all.len() / 2]
            };
            let error = median(&|i| (guesses[i].value - f64::from(wave(extents, i))).abs());
            // Rounding alone makes an error of about one.
            assert!(error < 10.0, "{extents:?}: {error}");
            let expected = median(&|i| f64::from(guesses[i].error));
            assert!(expected < 5.0 * error && error < 5.0 * expected, "{extents:?}: {error} {expected}");
        }
    }

    #[test]
    fn what_is_not_coded_does_not_blow_up() {
        // Waves around a hole of half the field.
        let extents = [1, 100, 100];
        let hole = |i: usize| (25..75).contains(&(i / 100)) && (0..100).contains(&(i % 100));
        let guesses = Visit(&extents, &|i| (!hole(i)).then(|| wave(extents, i))).run();
        assert!(guesses.iter().all(|g| g.value.abs() < 1e7));
    }

    #[test]
    fn hostile_values_give_guesses_all_the_same() {
        let extremes = |i: usize| Some(if noise(i) % 3 == 0 { i32::MIN } else { i32::MAX });
        for shape in [&[400][..], &[60, 60], &[12, 12, 12]] {
            let (a, b) = (Visit(shape, &extremes).run(), widest(Visit(shape, &extremes)));
            assert!(a.iter().zip(&b).all(|(a, b)| format!("{a:?}") == format!("{b:?}")));
        }
    }
}
