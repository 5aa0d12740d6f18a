//! The neighbours that linear predictors look at.

use super::least_squares::TAPS;
use super::planes::Planes;
use crate::array::Shape;
use crate::error::Result;

/// Neighbours lie at most so far to the left, but for those in one dimension.
const LEFT: usize = 4;

/// How the axes of a field are taken: those longer than 1, the last three as planes, rows and values, others joined to slabs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) slabs: usize,
    pub(super) planes: usize,
    pub(super) rows: usize,
    pub(super) length: usize,
}

impl Extents {
    pub(super) fn new(shape: &Shape) -> Extents {
        let mut extents: Vec<usize> = shape.iter().copied().filter(|&d| d > 1).collect();
        let length = extents.pop().unwrap_or(1);
        let rows = extents.pop().unwrap_or(1);
        let planes = extents.pop().unwrap_or(1);
        Extents { slabs: extents.iter().product(), planes, rows, length }
    }
    /// The neighbours in flat planes or deep ones.
    pub(super) fn taps(&self, deep: bool) -> &'static [Tap; TAPS] {
        match (deep, self.rows > 1) {
            (true, _) => &DEEP,
            (_, true) => &FLAT,
            (_, false) => &LINE,
        }
    }
    /// Room for the last `count` planes, or for the only one. Errors: `LimitExceeded`, see [`Planes::checked`].
    pub(super) fn room<T: Copy + Default>(&self, count: usize) -> Result<Planes<T>> {
        let left = if self.rows > 1 { LEFT } else { TAPS + 2 };
        let count = if self.planes > 1 { count } else { 1 };
        Planes::checked(count, self.rows, self.length, left, self.slabs * self.planes)
    }
}

/// A neighbour: planes back, rows down, values to the right.
pub(super) type Tap = (usize, isize, isize);

/// Neighbours in a plane. The first `n` of a list are of the row itself, at distances 2 to `n + 1`.
#[rustfmt::skip]
const FLAT: [Tap; TAPS] = [
    (0, 0, -2), (0, 0, -3), (0, 0, -4),
    (0, -1, -3), (0, -1, -2), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, -1, 2), (0, -1, 3), (0, -1, 4),
    (0, -2, -3), (0, -2, -2), (0, -2, -1), (0, -2, 0), (0, -2, 1), (0, -2, 2), (0, -2, 3),
    (0, -3, -2), (0, -3, -1), (0, -3, 0), (0, -3, 1), (0, -3, 2), (0, -4, 0),
];
/// Neighbours in three dimensions.
#[rustfmt::skip]
const DEEP: [Tap; TAPS] = [
    (0, 0, -2), (0, 0, -3),
    (0, -1, -2), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, -1, 2), (0, -2, -1), (0, -2, 0), (0, -2, 1),
    (1, -2, 0), (1, -1, -1), (1, -1, 0), (1, -1, 1), (1, 0, -2), (1, 0, -1), (1, 0, 0), (1, 0, 1), (1, 0, 2),
    (1, 1, -1), (1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 0, 0),
];
/// Neighbours in one dimension.
const LINE: [Tap; TAPS] = {
    let mut t = [(0, 0, 0); TAPS];
    let mut k = 0;
    while k < TAPS {
        t[k] = (0, 0, -(k as isize) - 2);
        k += 1;
    }
    t
};
