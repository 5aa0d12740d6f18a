//! Fills masked points with values that neighbours do not notice.
//!
//! Along the last axis, gaps are bridged by straight lines and ends continued by constants; rows without any valid value
//! are then bridged between rows in the same way along the axis before, and so on. One pass per axis.

use crate::array::{Element, Mask, Shape};

/// Overwrites the masked points of `values` (C order) in place. When all are masked, the values become zeros.
pub(super) fn fill<T: Element>(values: &mut [T], shape: &Shape, mask: &Mask) {
    let mut known: Vec<bool> = mask.flags().iter().map(|m| !m).collect();
    let mut inner = 1;
    for axis in (0..shape.rank()).rev() {
        let n = shape[axis];
        if n == 0 {
            return;
        }
        for (line, flags) in values.chunks_exact_mut(n * inner).zip(known.chunks_exact_mut(n)) {
            bridge(line, flags, inner);
        }
        // One flag per line: known when anything in it was.
        known = known.chunks_exact(n).map(|f| f[0]).collect();
        inner *= n;
    }
    if known.first() == Some(&false) {
        values.fill(T::default());
    }
}

/// A line of `flags.len()` rows of `inner` values: unknown rows become mixtures of the nearest known ones. All rows are
/// known afterwards if any was.
fn bridge<T: Element>(line: &mut [T], flags: &mut [bool], inner: usize) {
    let Some(first) = flags.iter().position(|&k| k) else { return };
    let mut last = first;
    for i in (0..first).rev() {
        line.copy_within(first * inner..(first + 1) * inner, i * inner);
    }
    for next in first + 1..flags.len() {
        if !flags[next] {
            continue;
        }
        for gap in last + 1..next {
            let w = (gap - last) as f64 / (next - last) as f64;
            for j in 0..inner {
                let (a, b) = (line[last * inner + j].to_f64(), line[next * inner + j].to_f64());
                line[gap * inner + j] = T::from_f64(a * (1.0 - w) + b * w);
            }
        }
        last = next;
    }
    for i in last + 1..flags.len() {
        line.copy_within(last * inner..(last + 1) * inner, i * inner);
    }
    flags.fill(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_bridged_along_every_axis() {
        let n = 1e20f32;
        let mut v = vec![1.0, n, 3.0, n, n, n, n, n, n, n, 5.0, n];
        let mask = Mask::new(v.iter().map(|&x| x == n).collect());
        fill(&mut v, &Shape::new(&[4, 3]).unwrap(), &mask);
        assert_eq!(v[..3], [1.0, 2.0, 3.0]);
        assert_eq!(v[9..], [5.0, 5.0, 5.0]);
        let third = 1.0 / 3.0f64;
        assert_eq!(v[3], (1.0 * (1.0 - third) + 5.0 * third) as f32);
        let mut all = vec![n; 4];
        fill(&mut all, &Shape::new(&[2, 2]).unwrap(), &Mask::new(vec![true; 4]));
        assert_eq!(all, [0.0; 4]);
        let mut scalar = vec![f64::NAN];
        fill(&mut scalar, &Shape::new(&[]).unwrap(), &Mask::new(vec![true]));
        assert_eq!(scalar, [0.0]);
    }
}
