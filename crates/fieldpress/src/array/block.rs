//! How an array is cut into blocks.

use std::collections::HashSet;
use std::sync::Arc;

use super::shape::{Region, Shape, MAX_RANK};
use crate::error::{Error, Result};

/// A grid of blocks over an array, in C order; blocks at the far edges may be smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    shape: Shape,
    block: Shape,
    counts: Shape,
    /// Where blocks begin along the first axis, and its extent; without it every `block[0]`.
    cuts: Option<Arc<[usize]>>,
}

impl Grid {
    /// Cuts `shape` into blocks of at most `block`.
    /// Errors: `InvalidArgument` unless the ranks agree and no block extent is 0.
    pub fn new(shape: Shape, block: &[usize]) -> Result<Grid> {
        if block.len() != shape.rank() || block.contains(&0) {
            return Err(Error::invalid(format!(
                "expected {} block extents of at least 1 for shape {shape}, found {block:?}",
                shape.rank()
            )));
        }
        let mut b = [0; MAX_RANK];
        let mut n = [0; MAX_RANK];
        for k in 0..shape.rank() {
            b[k] = block[k].min(shape[k].max(1));
            n[k] = shape[k].div_ceil(b[k]);
        }
        let rank = shape.rank();
        Ok(Grid { shape, block: Shape::new(&b[..rank])?, counts: Shape::new(&n[..rank])?, cuts: None })
    }
    /// Cuts `shape` along its first axis into pieces of these `lengths`, and along the others as [`Grid::new`] does.
    /// Errors: `InvalidArgument` unless the lengths are positive and make up the axis; as [`Grid::new`].
    pub fn with_cuts(shape: Shape, block: &[usize], lengths: &[usize]) -> Result<Grid> {
        let mut cuts = vec![0usize];
        let mut longest = 1;
        for &n in lengths {
            let next = cuts.last().copied().unwrap_or(0).saturating_add(n);
            cuts.push(if n == 0 { usize::MAX } else { next });
            longest = longest.max(n);
        }
        let Some(&first) = shape.first().filter(|n| cuts.last() == Some(n)) else {
            let found = lengths.iter().fold(0usize, |s, &n| s.saturating_add(n));
            return Err(Error::invalid(format!(
                "expected positive lengths that make up the first axis of {shape}, found {} of together {found}",
                lengths.len()
            )));
        };
        let mut extents = block.to_vec();
        extents.iter_mut().take(1).for_each(|e| *e = longest.min(first.max(1)));
        let grid = Grid::new(shape, &extents)?;
        let mut counts = grid.counts.to_vec();
        counts.iter_mut().take(1).for_each(|n| *n = lengths.len());
        Ok(Grid { counts: Shape::new(&counts)?, cuts: Some(cuts.into()), ..grid })
    }
    /// The block extents used by default: about 2^21 values (2^22 for one axis or two), cubic where the array allows.
    pub fn default_block(shape: &Shape) -> Shape {
        let target: usize = if shape.rank() <= 2 { 1 << 22 } else { 1 << 21 };
        let mut edge = 1;
        let block = |e: usize| shape.iter().fold(1usize, |n, &d| n.saturating_mul(d.clamp(1, e)));
        // Doubling the edge keeps block faces aligned with powers of two.
        while block(edge * 2) <= target && shape.iter().any(|&d| d > edge) {
            edge *= 2;
        }
        // A whole array a little above the target is better left in one piece than cut into slivers.
        if shape.len() <= 2 * target {
            edge = usize::MAX;
        }
        let mut dims = [0; MAX_RANK];
        for (b, &d) in dims.iter_mut().zip(shape.iter()) {
            *b = d.clamp(1, edge);
        }
        Shape::new(&dims[..shape.rank()]).unwrap_or(*shape)
    }
    /// The shape of the whole array.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// The extents of an inner block; the largest where the first axis is cut into pieces of given lengths.
    pub fn block(&self) -> Shape {
        self.block
    }
    /// How many blocks; 0 for an empty array.
    pub fn len(&self) -> usize {
        self.counts.len()
    }
    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// How many blocks lie along each axis.
    pub fn counts(&self) -> Shape {
        self.counts
    }
    /// The part of the array that block `index` covers. `index` must be below [`Grid::len`].
    pub fn region(&self, index: usize) -> Region {
        let mut origin = [0; MAX_RANK];
        let mut dims = [0; MAX_RANK];
        let mut rest = index;
        for k in (0..self.shape.rank()).rev() {
            let n = self.counts[k].max(1);
            let at = rest % n;
            match self.cuts.as_ref().filter(|_| k == 0).and_then(|c| c.get(at..at + 2)) {
                Some(cut) => (origin[k], dims[k]) = (cut[0], cut[1] - cut[0]),
                None => {
                    origin[k] = at * self.block[k];
                    dims[k] = self.block[k].min(self.shape[k] - origin[k].min(self.shape[k]));
                }
            }
            rest /= n;
        }
        let rank = self.shape.rank();
        Region::new(&self.shape, &origin[..rank], &dims[..rank]).unwrap_or(Region::all(self.shape))
    }
    /// The shapes of blocks that occur: at most two extents per axis, and as many along the first as there are different lengths.
    pub fn block_shapes(&self) -> Vec<Shape> {
        if self.cuts.is_some() {
            let mut seen = HashSet::new();
            return (0..self.len()).map(|i| self.region(i).shape()).filter(|s| seen.insert(*s)).collect();
        }
        let mut shapes = Vec::new();
        let rank = self.shape.rank();
        for corner in 0..1usize << rank {
            // One block of each kind: the first, or the last, along every axis.
            let mut index = 0;
            for k in 0..rank {
                let last = self.counts[k].saturating_sub(1);
                index = index * self.counts[k].max(1) + if corner >> k & 1 == 1 { last } else { 0 };
            }
            let shape = self.region(index).shape();
            if !self.is_empty() && !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        shapes
    }
    /// The blocks that share at least one value with `region`, in increasing order.
    pub fn touching<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = usize> + 'a {
        (0..self.len()).filter(move |&i| self.region(i).intersect(region).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_value_once() {
        for (shape, block) in
            [(vec![7, 5], vec![3, 2]), (vec![1], vec![9]), (vec![], vec![]), (vec![4, 3, 5], vec![4, 1, 5])]
        {
            let s = Shape::new(&shape).unwrap();
            let g = Grid::new(s, &block).unwrap();
            let total: usize = (0..g.len()).map(|i| g.region(i).shape().len()).sum();
            assert_eq!(total, s.len());
            let kinds = g.block_shapes();
            assert!((0..g.len()).all(|i| kinds.contains(&g.region(i).shape())));
            for i in 0..g.len() {
                for j in 0..i {
                    assert!(g.region(i).intersect(&g.region(j)).is_none());
                }
            }
        }
        let s = Shape::new(&[0, 4]).unwrap();
        assert_eq!(Grid::new(s, &[2, 2]).unwrap().len(), 0);
        assert!(Grid::new(s, &[0, 2]).is_err());
    }

    #[test]
    fn the_first_axis_is_cut_where_one_likes() {
        let s = Shape::new(&[10, 6]).unwrap();
        let g = Grid::with_cuts(s, &[1, 4], &[3, 5, 2]).unwrap();
        assert_eq!((g.len(), g.block().dims()), (6, &[5, 4][..]));
        let total: usize = (0..g.len()).map(|i| g.region(i).shape().len()).sum();
        assert_eq!((total, g.region(3).origin()), (60, &[3, 4][..]));
        let kinds = g.block_shapes();
        assert!(kinds.len() == 6 && (0..6).all(|i| kinds.contains(&g.region(i).shape())));
        for lengths in [&[][..], &[10, 0], &[9], &[11], &[usize::MAX, 11], &[usize::MAX; 2]] {
            assert!(Grid::with_cuts(s, &[1, 4], lengths).is_err(), "{lengths:?}");
        }
        assert!(Grid::with_cuts(Shape::default(), &[], &[]).is_err());
        assert!(Grid::with_cuts(Shape::new(&[0, 6]).unwrap(), &[1, 4], &[]).unwrap().is_empty());
    }

    #[test]
    fn regions_touch_only_their_blocks() {
        let s = Shape::new(&[10, 10]).unwrap();
        let g = Grid::new(s, &[4, 4]).unwrap();
        let r = Region::new(&s, &[3, 5], &[2, 2]).unwrap();
        assert_eq!(g.touching(&r).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn default_blocks_are_large_and_fit() {
        let b = |d: &[usize]| Grid::default_block(&Shape::new(d).unwrap()).dims().to_vec();
        assert_eq!(b(&[1024, 1024, 1024]), [128, 128, 128]);
        assert_eq!(b(&[64, 64, 64]), [64, 64, 64]);
        assert_eq!(b(&[1 << 30]), [1 << 22]);
        assert_eq!(b(&[]), [] as [usize; 0]);
        assert_eq!(b(&[100_000, 4, 4, 4]), [32_768, 4, 4, 4]);
    }
}
