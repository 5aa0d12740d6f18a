//! The blocks of an array: where they lie, and how those at the far faces are filled.

use super::params::Header;
use crate::array::Element;

/// An array as blocks of four values along each axis.
pub(super) struct Grid {
    /// Extents, the fastest axis first, and distances between neighbours.
    extents: [usize; 4],
    strides: [usize; 4],
    /// Where the rows of a whole block lie behind its first value.
    rows: [usize; 64],
}

/// A block: where its first value lies, and how many values there are along each axis, the fastest first.
pub(super) struct Place {
    at: usize,
    counts: [usize; 4],
}

impl Grid {
    pub(super) fn new(h: &Header) -> Grid {
        let mut extents = [1; 4];
        for (e, &n) in extents.iter_mut().zip(h.extents().iter().rev()) {
            *e = n;
        }
        let mut strides = [1; 4];
        for k in 1..4 {
            strides[k] = strides[k - 1] * extents[k - 1];
        }
        let rows = std::array::from_fn(|r| (0..3).map(|k| (r >> (2 * k) & 3) * strides[k + 1]).sum());
        Grid { extents, strides, rows }
    }
    /// The number of blocks.
    pub(super) fn len(&self) -> usize {
        self.extents.iter().map(|e| e.div_ceil(4)).product()
    }
    /// Block `number`.
    pub(super) fn place(&self, mut number: usize) -> Place {
        self.at(self.extents.map(|e| {
            let corner = number % e.div_ceil(4) * 4;
            number /= e.div_ceil(4);
            corner
        }))
    }
    #[inline(always)]
    fn at(&self, corner: [usize; 4]) -> Place {
        let mut p = Place { at: 0, counts: [4; 4] };
        for (k, c) in corner.into_iter().enumerate() {
            p.at += c * self.strides[k];
            p.counts[k] = (self.extents[k] - c).min(4);
        }
        p
    }
    /// All blocks in order.
    #[inline(always)]
    pub(super) fn blocks(&self) -> Blocks<'_> {
        Blocks { grid: self, left: self.len(), corner: [0; 4] }
    }
    /// Where value `i` of a block lies; one that is not there is filled with the value of another.
    #[inline(always)]
    fn offset(&self, p: &Place, i: usize) -> usize {
        const FILLED: [[usize; 4]; 4] = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 2, 0], [0, 1, 2, 3]];
        let along = |k: usize| FILLED[(p.counts[k] - 1) & 3][i >> (2 * k) & 3] * self.strides[k];
        p.at + along(0) + along(1) + along(2) + along(3)
    }
    /// The values of a block.
    #[inline(always)]
    pub(super) fn gather<T: Element, const N: usize>(&self, x: &[T], p: &Place) -> [T; N] {
        let mut b = [T::default(); N];
        if p.is_whole::<N>() {
            for (four, row) in b.chunks_exact_mut(4).zip(&self.rows) {
                four.copy_from_slice(&x[p.at + row..p.at + row + 4]);
            }
        } else {
            b.iter_mut().enumerate().for_each(|(i, b)| *b = x[self.offset(p, i)]);
        }
        b
    }
    /// Puts the values of a block to their places.
    #[inline(always)]
    pub(super) fn scatter<T: Element, const N: usize>(&self, b: &[T; N], p: &Place, x: &mut [T]) {
        if p.is_whole::<N>() {
            for (four, row) in b.chunks_exact(4).zip(&self.rows) {
                x[p.at + row..p.at + row + 4].copy_from_slice(four);
            }
        } else {
            for (i, b) in b.iter().enumerate().filter(|(i, _)| p.has(*i)) {
                x[self.offset(p, i)] = *b;
            }
        }
    }
}

/// The blocks that are left. No closure does their work: those are not compiled for the widest vectors.
pub(super) struct Blocks<'a> {
    grid: &'a Grid,
    left: usize,
    corner: [usize; 4],
}

impl Iterator for Blocks<'_> {
    type Item = Place;
    #[inline(always)]
    fn next(&mut self) -> Option<Place> {
        self.left = self.left.checked_sub(1)?;
        let place = self.grid.at(self.corner);
        for (c, e) in self.corner.iter_mut().zip(self.grid.extents) {
            *c += 4;
            if *c < e {
                break;
            }
            *c = 0;
        }
        Some(place)
    }
}

impl Place {
    /// Whether a block of `N` values has them all.
    #[inline(always)]
    fn is_whole<const N: usize>(&self) -> bool {
        let rank = N.ilog2() as usize / 2;
        self.counts.iter().take(rank).all(|&n| n == 4)
    }
    /// Whether value `i` of the block is there.
    #[inline(always)]
    fn has(&self, i: usize) -> bool {
        (0..4).all(|k| (i >> (2 * k) & 3) < self.counts[k])
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::Params;
    use super::*;
    use crate::array::DType;

    #[test]
    fn blocks_cover_the_array_and_are_filled_from_it() {
        let h = Header::new(DType::I32, &[3, 6, 5], Params::ALL).unwrap();
        let x: Vec<i32> = (0..90).collect();
        let grid = Grid::new(&h);
        let mut y = vec![-1; 90];
        for (number, p) in grid.blocks().enumerate() {
            let same = grid.place(number);
            assert_eq!((same.at, same.counts), (p.at, p.counts));
            grid.scatter(&grid.gather::<i32, 64>(&x, &p), &p, &mut y);
        }
        assert_eq!((grid.blocks().count(), grid.len()), (4, 4));
        assert_eq!(x, y);
        // The last block has one value along x, two along y, three along z.
        let b: [i32; 64] = grid.gather(&x, &grid.place(3));
        assert_eq!(b[..4], [24; 4]);
        assert_eq!([b[0], b[4], b[8], b[12]], [24, 29, 29, 24]);
        assert_eq!([b[0], b[16], b[32], b[48]], [24, 54, 84, 24]);
    }
}
