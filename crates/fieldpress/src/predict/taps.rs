//! The neighbours that linear predictors look at.

use super::least_squares::TAPS;

/// Neighbours lie at most so far to the left, but for those in one dimension.
pub(super) const LEFT: usize = 4;
/// A neighbour: planes back, rows down, values to the right.
pub(super) type Tap = (usize, isize, isize);

/// Neighbours in a plane. The first `n` of a list are of the row itself, at distances 2 to `n + 1`.
#[rustfmt::skip]
pub(super) const FLAT: [Tap; TAPS] = [
    (0, 0, -2), (0, 0, -3), (0, 0, -4),
    (0, -1, -3), (0, -1, -2), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, -1, 2), (0, -1, 3), (0, -1, 4),
    (0, -2, -3), (0, -2, -2), (0, -2, -1), (0, -2, 0), (0, -2, 1), (0, -2, 2), (0, -2, 3),
    (0, -3, -2), (0, -3, -1), (0, -3, 0), (0, -3, 1), (0, -3, 2), (0, -4, 0),
];
/// Neighbours in three dimensions.
#[rustfmt::skip]
pub(super) const DEEP: [Tap; TAPS] = [
    (0, 0, -2), (0, 0, -3),
    (0, -1, -2), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, -1, 2), (0, -2, -1), (0, -2, 0), (0, -2, 1),
    (1, -2, 0), (1, -1, -1), (1, -1, 0), (1, -1, 1), (1, 0, -2), (1, 0, -1), (1, 0, 0), (1, 0, 1), (1, 0, 2),
    (1, 1, -1), (1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 0, 0),
];
/// Neighbours in one dimension.
pub(super) const LINE: [Tap; TAPS] = {
    let mut t = [(0, 0, 0); TAPS];
    let mut k = 0;
    while k < TAPS {
        t[k] = (0, 0, -(k as isize) - 2);
        k += 1;
    }
    t
};
