//! Multi-level interpolation of a grid from its coarser self (Zhao et al. 2021, "SZ interp"; Liu et al. 2022, "QoZ"; Liu
//! et al. 2024, "HPEZ").
//!
//! With stride `2s` known, the points with an odd multiple of `s` in some coordinate are predicted from known points at
//! distances `s` and `3s`. Levels run from the largest power of two below the longest extent down to 1; the origin alone is
//! known at first. Within a level, passes make sure that what is needed is known:
//!
//! - *sequential*: one axis after the other, each interpolated along that axis alone;
//! - *multi*: first the points odd in one coordinate, then in two, and so on, each the mean of the interpolations along
//!   all axes in which it is odd.

use crate::array::{Element, Shape, MAX_RANK};

/// How the passes of a level are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// All axes in which a point is odd, averaged.
    Multi,
    /// One axis after the other, the first axis first.
    Forward,
    /// One axis after the other, the last axis first.
    Backward,
}

/// The one-dimensional interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spline {
    /// The mean of both neighbours.
    Linear,
    /// (-1, 9, 9, -1) / 16; quadratic at the edges.
    Cubic,
}

/// The points of one level that are predicted in the same way: a grid of `start + i * step` along each axis.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// The stride of the level.
    pub stride: usize,
    /// The first coordinate along each axis.
    pub start: [usize; MAX_RANK],
    /// The step along each axis.
    pub step: [usize; MAX_RANK],
    /// The axes along which is interpolated, as bits.
    pub axes: u32,
}

/// The stride of the coarsest level: the largest power of two below the longest extent; 0 when nothing is to be predicted.
pub fn top_stride(shape: &Shape) -> usize {
    let longest = shape.iter().copied().max().unwrap_or(1);
    if longest <= 1 {
        0
    } else {
        1 << (usize::BITS - 1 - (longest - 1).leading_zeros())
    }
}

/// The passes of the level with stride `s`, in order. Passes without points are left out.
pub fn passes(shape: &Shape, s: usize, scheme: Scheme) -> Vec<Pass> {
    let rank = shape.rank();
    let mut all = Vec::new();
    let mut push = |pass: Pass| {
        if (0..rank).all(|k| pass.start[k] < shape[k]) {
            all.push(pass);
        }
    };
    let blank = Pass { stride: s, start: [0; MAX_RANK], step: [2 * s; MAX_RANK], axes: 0 };
    match scheme {
        Scheme::Multi => {
            let mut masks: Vec<u32> = (1..1u32 << rank).collect();
            masks.sort_by_key(|m| (m.count_ones(), *m));
            for axes in masks {
                let mut pass = Pass { axes, ..blank };
                for (k, start) in pass.start.iter_mut().enumerate().take(rank) {
                    *start = if axes >> k & 1 == 1 { s } else { 0 };
                }
                push(pass);
            }
        }
        Scheme::Forward | Scheme::Backward => {
            let mut pass = blank;
            for i in 0..rank {
                let k = if scheme == Scheme::Forward { i } else { rank - 1 - i };
                pass.axes = 1 << k;
                pass.start[k] = s;
                push(pass);
                pass.start[k] = 0;
                pass.step[k] = s;
            }
        }
    }
    all
}

/// Calls `f(index of the first point, its coordinates)` for each row (along the last axis) of a pass, in C order.
pub fn for_each_row(pass: &Pass, shape: &Shape, mut f: impl FnMut(usize, &[usize])) {
    let rank = shape.rank();
    let strides = shape.strides();
    let mut at = pass.start;
    loop {
        let index = at.iter().zip(&strides).take(rank).map(|(i, s)| i * s).sum();
        f(index, &at[..rank]);
        let mut k = rank.saturating_sub(1);
        loop {
            if k == 0 {
                return;
            }
            k -= 1;
            at[k] += pass.step[k];
            if at[k] < shape[k] {
                break;
            }
            at[k] = pass.start[k];
        }
    }
}

/// The number of points in a row of a pass.
pub fn row_length(pass: &Pass, shape: &Shape) -> usize {
    let last = shape.rank().saturating_sub(1);
    shape.get(last).map_or(1, |&d| (d - pass.start[last]).div_ceil(pass.step[last]))
}

/// Which of the four neighbours of a point exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Both,
    NearAndLeft,
    NearAndRight,
    Near,
    Left,
    OnlyLeft,
}

fn reach(x: usize, s: usize, extent: usize, spline: Spline) -> Reach {
    let left = x >= 3 * s;
    if x + s >= extent {
        return if left { Reach::Left } else { Reach::OnlyLeft };
    }
    match (left, x + 3 * s < extent) {
        _ if spline == Spline::Linear => Reach::Near,
        (true, true) => Reach::Both,
        (true, false) => Reach::NearAndLeft,
        (false, true) => Reach::NearAndRight,
        (false, false) => Reach::Near,
    }
}

/// Predicts a row of `out.len()` points from `known`. `index` is that of the first point, `at` its coordinates.
/// Non-finite predictions become 0.
pub fn predict_row<T: Element>(
    known: &[T],
    shape: &Shape,
    pass: &Pass,
    spline: Spline,
    index: usize,
    at: &[usize],
    out: &mut [f64],
) {
    let strides = shape.strides();
    let s = pass.stride;
    let last = shape.rank().saturating_sub(1);
    let step = pass.step[last];
    let mut first = true;
    for k in (0..shape.rank()).filter(|k| pass.axes >> k & 1 == 1) {
        let h = s * strides[k];
        if k != last {
            add(known, index, step, h, reach(at[k], s, shape[k], spline), first, out);
        } else {
            // Along the row itself only the ends differ: at most two points on either side.
            let (x0, n) = (at[k], out.len());
            let mut i = 0;
            while i < n {
                let r = reach(x0 + i * step, s, shape[k], spline);
                let mut end = i + 1;
                if r == Reach::Both || (r == Reach::Near && spline == Spline::Linear) {
                    // All points up to the last with the same neighbours.
                    let margin = if r == Reach::Both { 3 * s } else { s };
                    end = ((shape[k] - margin - x0).div_ceil(step)).clamp(i + 1, n);
                }
                add(known, index + i * step, step, h, r, first, &mut out[i..end]);
                i = end;
            }
        }
        first = false;
    }
    let scale = 1.0 / f64::from(pass.axes.count_ones().max(1));
    for p in out {
        let v = *p * scale;
        *p = if v.abs() <= f64::MAX { v } else { 0.0 };
    }
}

/// Adds (or, with `first`, stores) the interpolation along one axis, neighbours `h` elements away.
#[inline(always)]
fn add<T: Element>(known: &[T], index: usize, step: usize, h: usize, reach: Reach, first: bool, out: &mut [f64]) {
    let near = |i: usize| known.get(i..).unwrap_or_default().iter().step_by(step).map(|v| v.to_f64());
    let a = || near(index - h);
    let b = || near(index + h);
    let a3 = || near(index - 3 * h);
    let b3 = || near(index + 3 * h);
    let put = |out: &mut f64, v: f64| *out = if first { v } else { *out + v };
    let out = out.iter_mut();
    match reach {
        Reach::Both => {
            for ((((o, a), b), a3), b3) in out.zip(a()).zip(b()).zip(a3()).zip(b3()) {
                put(o, ((a + b) * 9.0 - (a3 + b3)) * 0.0625);
            }
        }
        Reach::NearAndLeft => {
            for (((o, a), b), a3) in out.zip(a()).zip(b()).zip(a3()) {
                put(o, (a * 6.0 + b * 3.0 - a3) * 0.125);
            }
        }
        Reach::NearAndRight => {
            for (((o, a), b), b3) in out.zip(a()).zip(b()).zip(b3()) {
                put(o, (a * 3.0 + b * 6.0 - b3) * 0.125);
            }
        }
        Reach::Near => {
            for ((o, a), b) in out.zip(a()).zip(b()) {
                put(o, (a + b) * 0.5);
            }
        }
        Reach::Left => {
            for ((o, a), a3) in out.zip(a()).zip(a3()) {
                put(o, a * 1.5 - a3 * 0.5);
            }
        }
        Reach::OnlyLeft => {
            for (o, a) in out.zip(a()) {
                put(o, a);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_but_the_origin_is_visited_once_after_its_neighbours() {
        for dims in [vec![1], vec![2], vec![17], vec![5, 9], vec![3, 1, 6], vec![2, 3, 4, 5], vec![]] {
            let shape = Shape::new(&dims).unwrap();
            let strides = shape.strides();
            for scheme in [Scheme::Multi, Scheme::Forward, Scheme::Backward] {
                let mut seen = vec![false; shape.len()];
                seen[0] = true;
                let mut s = top_stride(&shape);
                while s > 0 {
                    for pass in passes(&shape, s, scheme) {
                        let n = row_length(&pass, &shape);
                        let step = pass.step[shape.rank() - 1];
                        for_each_row(&pass, &shape, |index, _| {
                            for p in (0..n).map(|i| index + i * step) {
                                for k in (0..shape.rank()).filter(|k| pass.axes >> k & 1 == 1) {
                                    assert!(seen[p - s * strides[k]]);
                                    let x = p / strides[k] % shape[k];
                                    assert!(x + s >= shape[k] || seen[p + s * strides[k]]);
                                }
                                assert!(!std::mem::replace(&mut seen[p], true));
                            }
                        });
                    }
                    s /= 2;
                }
                assert!(seen.iter().all(|&v| v), "{dims:?} {scheme:?}");
            }
        }
    }

    #[test]
    fn cubic_interpolation_is_exact_for_polynomials() {
        let shape = Shape::new(&[33, 40]).unwrap();
        let f = |y: f64, x: f64| 1.0 + x * 2.0 - y + x * x * 0.5 - x * x * x * 0.01 + y * y * 0.25;
        let v: Vec<f64> = (0..shape.len()).map(|i| f((i / 40) as f64, (i % 40) as f64)).collect();
        for pass in passes(&shape, 1, Scheme::Backward) {
            let mut row = vec![0.0; row_length(&pass, &shape)];
            for_each_row(&pass, &shape, |index, at| {
                predict_row(&v, &shape, &pass, Spline::Cubic, index, at, &mut row);
                for (i, p) in row.iter().enumerate() {
                    let (y, x) = (at[0], at[1] + i * pass.step[1]);
                    if (3..30).contains(&y) && (3..36).contains(&x) {
                        assert!((p - v[index + i * pass.step[1]]).abs() < 1e-9);
                    }
                }
            });
        }
    }
}
