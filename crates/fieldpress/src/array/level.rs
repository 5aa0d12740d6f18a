//! Coarser levels of an array: level `l` is every `2^l`-th point along each axis, from the first; level 0 is all of it.

use super::buffer::{Buffer, Slice};
use super::shape::{Region, Shape, MAX_RANK};
use super::view::{for_each_row, View};
use crate::error::{Error, Result};

/// How many of `n` points are left when every `2^level`-th is taken, from the first.
pub fn coarse_extent(n: usize, level: u32) -> usize {
    n.checked_sub(1).map_or(0, |last| last.checked_shr(level).unwrap_or(0) + 1)
}

/// The point of the array that point `i` of level `level` is. The first is the first of every level.
fn fine(i: usize, level: u32) -> usize {
    i.checked_shl(level).unwrap_or(0)
}

impl Shape {
    /// The shape of level `level`.
    pub fn coarse(&self, level: u32) -> Shape {
        let mut dims = [0; MAX_RANK];
        dims.iter_mut().zip(self.iter()).for_each(|(c, &d)| *c = coarse_extent(d, level));
        self.with(dims)
    }
    /// Calls `f` with the place of each point of level `level`, in C order.
    pub fn for_each_coarse(&self, level: u32, mut f: impl FnMut(usize)) {
        let (coarse, strides) = (self.coarse(level), self.strides());
        let (outer, width) = (self.rank().saturating_sub(1), coarse.last().copied().unwrap_or(1));
        for_each_row(&Region::all(coarse), |index| {
            let row: usize = index.iter().zip(&strides).take(outer).map(|(&i, s)| fine(i, level) * s).sum();
            (0..width).for_each(|i| f(row + fine(i, level)));
        });
    }
}

impl Region {
    /// The points of level `level` of the whole array that lie in this rectangle, by their indices in that level; there may be none.
    /// Errors: `InvalidArgument` unless the rectangle lies in an array of shape `outer`.
    pub fn coarse(&self, outer: &Shape, level: u32) -> Result<Region> {
        let axes = || self.origin().iter().zip(self.shape().to_vec());
        let first: Vec<usize> = axes().map(|(&o, _)| coarse_extent(o, level)).collect();
        let extents: Vec<usize> = axes()
            .zip(&first)
            .map(|((&o, d), f)| coarse_extent(o.saturating_add(d), level).saturating_sub(*f))
            .collect();
        Region::new(&outer.coarse(level), &first, &extents)
    }
    /// The smallest rectangle of the array, of shape `outer`, with all points of this rectangle of level `level`.
    /// Errors: `InvalidArgument` unless the rectangle lies in that level.
    pub fn fine(&self, outer: &Shape, level: u32) -> Result<Region> {
        Region::new(&outer.coarse(level), self.origin(), &self.shape())?;
        let origin: Vec<usize> = self.origin().iter().map(|&o| fine(o, level)).collect();
        let reach = |&d: &usize| d.checked_sub(1).map_or(0, |last| fine(last, level) + 1);
        let extents: Vec<usize> = self.shape().iter().map(reach).collect();
        if extents.contains(&0) {
            let nothing = vec![0; extents.len()];
            return Region::new(outer, &nothing, &nothing);
        }
        Region::new(outer, &origin, &extents)
    }
}

/// Every `2^levels[k]`-th of `values`, an array of `shape`, along axis `k`, from `first` on.
/// Errors: `InvalidArgument` unless there are as many values and an entry for each axis.
pub fn every(values: Slice<'_>, shape: &Shape, first: &[usize], levels: &[u32]) -> Result<Buffer> {
    if values.len() != shape.len() || first.len() != shape.rank() || levels.len() != shape.rank() {
        return Err(Error::invalid(format!("expected {shape} values and as many axes, found {}", values.len())));
    }
    let strides = shape.strides();
    let dims = shape.iter().zip(first).zip(levels).map(|((&d, &f), &l)| coarse_extent(d.saturating_sub(f), l));
    let dims = Shape::new(&dims.collect::<Vec<_>>())?;
    if dims.is_empty() {
        return Buffer::zeros(values.dtype(), 0);
    }
    let offset = first.iter().zip(&strides).map(|(f, s)| f * s).sum();
    let steps: Vec<isize> = levels.iter().zip(&strides).map(|(&l, &s)| fine(s, l) as isize).collect();
    // The step of an axis with one point left is not taken; it may not even be a number.
    let steps: Vec<isize> = steps.iter().zip(dims.iter()).map(|(&s, &d)| if d > 1 { s } else { 0 }).collect();
    View::strided(values, dims, &steps, offset)?.gather(&Region::all(dims))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_every_other_point_of_the_level_before() {
        let shape = Shape::new(&[5, 8, 1]).unwrap();
        let coarse = |l| shape.coarse(l).to_vec();
        assert_eq!([coarse(0), coarse(1), coarse(2)], [vec![5, 8, 1], vec![3, 4, 1], vec![2, 2, 1]]);
        assert_eq!([coarse(3), coarse(64), coarse(u32::MAX)], [vec![1; 3], vec![1; 3], vec![1; 3]]);
        assert_eq!(Shape::new(&[0, 9]).unwrap().coarse(1).dims(), [0, 5]);
        for (dims, level) in [(vec![5, 8, 3], 1), (vec![17], 3), (vec![], 2), (vec![4, 0], 1), (vec![3, 3], 70)] {
            let shape = Shape::new(&dims).unwrap();
            let mut places = Vec::new();
            shape.for_each_coarse(level, |i| places.push(i as i64));
            let all: Vec<i64> = (0..shape.len() as i64).collect();
            let levels = vec![level; dims.len()];
            let taken = every(Slice::I64(&all), &shape, &vec![0; dims.len()], &levels).unwrap();
            assert_eq!(taken, Buffer::I64(places.clone()), "{dims:?} {level}");
            assert_eq!(places.len(), shape.coarse(level).len());
        }
        let all: Vec<u8> = (0..20).collect();
        let shape = Shape::new(&[4, 5]).unwrap();
        assert_eq!(every(Slice::U8(&all), &shape, &[1, 2], &[1, 0]).unwrap(), Buffer::U8(vec![7, 8, 9, 17, 18, 19]));
        assert!(every(Slice::U8(&all), &shape, &[4, 0], &[1, 1]).unwrap().is_empty());
        assert!(every(Slice::U8(&all), &shape, &[0], &[1]).is_err());
    }

    #[test]
    fn rectangles_go_to_levels_and_back() {
        let shape = Shape::new(&[19, 12]).unwrap();
        let r = |o: [usize; 2], e: [usize; 2]| Region::new(&shape, &o, &e).unwrap();
        let c = r([3, 8], [6, 4]).coarse(&shape, 2).unwrap();
        assert_eq!((c.origin(), c.shape().dims()), (&[1, 2][..], &[2, 1][..]));
        let f = c.fine(&shape, 2).unwrap();
        assert_eq!((f.origin(), f.shape().dims()), (&[4, 8][..], &[5, 1][..]));
        assert!(r([17, 1], [2, 1]).coarse(&shape, 2).unwrap().shape().is_empty());
        let whole = r([0, 0], [19, 12]).coarse(&shape, 3).unwrap();
        assert_eq!(whole.shape().dims(), [3, 2]);
        assert!(whole.fine(&shape, 4).is_err());
    }
}
