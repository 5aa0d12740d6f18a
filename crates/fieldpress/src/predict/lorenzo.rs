//! The Lorenzo predictor (Ibarria, Lindstrom, Rossignac, Szymczak 2003) on integers: finite differences along every axis.
//!
//! Of order 1 the prediction of a value is the alternating sum of the other corners of the unit cube behind it; of order 2
//! second differences are taken. On integers, with wrapping arithmetic, differences and sums invert each other exactly.

use crate::array::Shape;

/// Replaces `v` (C order) by its differences along each axis whose bit in `axes` is set, `order` times.
pub fn difference(v: &mut [i32], shape: &Shape, axes: u32, order: u32) {
    each_axis(shape, axes, order, |n, inner| {
        for line in v.chunks_exact_mut(n * inner) {
            if inner == 1 {
                let mut last = 0i32;
                for x in line {
                    let now = *x;
                    *x = now.wrapping_sub(last);
                    last = now;
                }
            } else {
                for i in (1..n).rev() {
                    let (before, row) = line.split_at_mut(i * inner);
                    let before = &before[(i - 1) * inner..];
                    for (x, b) in row.iter_mut().zip(before) {
                        *x = x.wrapping_sub(*b);
                    }
                }
            }
        }
    });
}

/// The inverse of [`difference`].
pub fn accumulate(v: &mut [i32], shape: &Shape, axes: u32, order: u32) {
    each_axis(shape, axes, order, |n, inner| {
        for line in v.chunks_exact_mut(n * inner) {
            if inner == 1 {
                let mut sum = 0i32;
                for x in line {
                    sum = sum.wrapping_add(*x);
                    *x = sum;
                }
            } else {
                for i in 1..n {
                    let (before, row) = line.split_at_mut(i * inner);
                    let before = &before[(i - 1) * inner..];
                    for (x, b) in row.iter_mut().zip(before) {
                        *x = x.wrapping_add(*b);
                    }
                }
            }
        }
    });
}

/// Calls `f(extent, inner size)` for every axis asked for; differences along different axes commute.
fn each_axis(shape: &Shape, axes: u32, order: u32, mut f: impl FnMut(usize, usize)) {
    let mut inner = 1;
    for k in (0..shape.rank()).rev() {
        if axes >> k & 1 == 1 && shape[k] > 1 && !shape.is_empty() {
            for _ in 0..order {
                f(shape[k], inner);
            }
        }
        inner *= shape[k];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_undo_differences_and_planes_vanish() {
        for dims in [vec![], vec![1], vec![9], vec![4, 5], vec![3, 4, 5], vec![2, 3, 2, 3], vec![0, 3]] {
            let shape = Shape::new(&dims).unwrap();
            let v: Vec<i32> = (0..shape.len() as i32).map(|i| i.wrapping_mul(i).wrapping_mul(0x1234_5677)).collect();
            for (axes, order) in [(0xff, 1), (0xff, 2), (2, 1)] {
                let mut w = v.clone();
                difference(&mut w, &shape, axes, order);
                accumulate(&mut w, &shape, axes, order);
                assert_eq!(v, w);
            }
        }
        // A field that is a sum of functions of one coordinate each has no mixed difference.
        let shape = Shape::new(&[6, 7]).unwrap();
        let mut v: Vec<i32> = (0..42).map(|i| (i / 7) * (i / 7) * 3 + (i % 7) * 11 + 5).collect();
        difference(&mut v, &shape, 3, 1);
        assert!((0..42).all(|i| i / 7 == 0 || i % 7 == 0 || v[i] == 0));
    }
}
