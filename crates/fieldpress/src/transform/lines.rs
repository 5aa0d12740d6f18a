//! How the lines of an array along one axis are visited: many neighbouring lines at a time.

use crate::array::MAX_RANK;
use crate::error::{Error, Result};

/// Lines handled side by side: two cache lines of `f64`, wide enough for any vector unit.
pub(super) const LANES: usize = 16;

/// One value of each of [`LANES`] neighbouring lines.
pub(super) type Row = [f64; LANES];

/// Checks that `shape` describes `len` values. Errors: `InvalidArgument`.
pub(super) fn check(shape: &[usize], len: usize) -> Result<()> {
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if shape.len() > MAX_RANK || n != Some(len) {
        return Err(Error::invalid(format!(
            "expected at most {MAX_RANK} axes with {len} values in all, found the shape {shape:?}"
        )));
    }
    Ok(())
}

/// Steps, in values, between neighbours of a C-order array.
pub(super) fn strides(shape: &[usize]) -> [usize; MAX_RANK] {
    let mut s = [1; MAX_RANK];
    for k in (1..shape.len()).rev() {
        s[k - 1] = s[k] * shape[k];
    }
    s
}

/// The lines along `axis` of the part of an array of `shape` that begins at index 0 and has `extents`: the length of a run, and where
/// runs start. A run `start` stands for the lines that begin at `start`, `start + 1`, and so on; for the last axis each run is one line.
pub(super) fn runs(shape: &[usize], extents: &[usize], axis: usize) -> (usize, Vec<usize>) {
    if extents.contains(&0) {
        return (0, Vec::new());
    }
    let rank = shape.len();
    let step = strides(shape);
    // Trailing axes whose values lie back to back join into one run.
    let mut first = rank;
    let mut run = 1;
    while first > axis + 1 && (first == rank || extents[first] == shape[first]) {
        first -= 1;
        run *= extents[first];
    }
    let mut starts = vec![0];
    for k in (0..first).filter(|&k| k != axis) {
        starts = starts.iter().flat_map(|s| (0..extents[k]).map(move |i| s + i * step[k])).collect();
    }
    (run, starts)
}

/// Copies `rows.len()` values of up to [`LANES`] neighbouring lines into `rows`: lane `j` of row `i` is
/// `data[start + i * step + j]` for `j < lanes`; other lanes keep what they held.
#[inline(always)]
pub(super) fn load<'a>(
    data: &[f64],
    start: usize,
    step: usize,
    lanes: usize,
    rows: impl ExactSizeIterator<Item = &'a mut Row>,
) {
    for (row, at) in rows.zip((start..).step_by(step)) {
        if lanes == LANES {
            row.copy_from_slice(&data[at..at + LANES]);
        } else {
            row[..lanes].copy_from_slice(&data[at..at + lanes]);
        }
    }
}

/// The inverse of [`load`].
#[inline(always)]
pub(super) fn store<'a>(
    data: &mut [f64],
    start: usize,
    step: usize,
    lanes: usize,
    rows: impl ExactSizeIterator<Item = &'a Row>,
) {
    for (row, at) in rows.zip((start..).step_by(step)) {
        if lanes == LANES {
            data[at..at + LANES].copy_from_slice(row);
        } else {
            data[at..at + lanes].copy_from_slice(&row[..lanes]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_every_line_once() {
        for (shape, extents) in [
            (vec![5, 4, 3], vec![3, 2, 2]),
            (vec![5, 4, 3], vec![5, 4, 3]),
            (vec![2, 3, 4, 5], vec![2, 3, 2, 5]),
            (vec![7], vec![4]),
            (vec![3, 0], vec![3, 0]),
        ] {
            let step = strides(&shape);
            for axis in 0..shape.len() {
                let mut seen = Vec::new();
                let (run, starts) = runs(&shape, &extents, axis);
                starts.iter().for_each(|&start| seen.extend(start..start + run));
                let mut want = vec![0];
                for k in (0..shape.len()).filter(|&k| k != axis) {
                    want = want.iter().flat_map(|&w| (0..extents[k]).map(move |i| w + i * step[k])).collect();
                }
                if extents.contains(&0) {
                    want.clear();
                }
                seen.sort_unstable();
                want.sort_unstable();
                assert_eq!(seen, want, "{shape:?} {extents:?} {axis}");
            }
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert!(check(&[2, 3], 6).is_ok() && check(&[2, 3], 5).is_err() && check(&[], 1).is_ok());
        assert!(check(&[1; 9], 1).is_err() && check(&[usize::MAX, 2], 0).is_err());
    }
}
