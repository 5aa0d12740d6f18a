//! How an array is cut into blocks.

use super::shape::{Region, Shape, MAX_RANK};
use crate::error::{Error, Result};

/// A grid of blocks over an array, in C order; blocks at the far edges may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    shape: Shape,
    block: Shape,
    counts: Shape,
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
        Ok(Grid { shape, block: Shape::new(&b[..rank])?, counts: Shape::new(&n[..rank])? })
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
    /// The extents of an inner block.
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
            origin[k] = (rest % n) * self.block[k];
            dims[k] = self.block[k].min(self.shape[k] - origin[k].min(self.shape[k]));
            rest /= n;
        }
        let rank = self.shape.rank();
        Region::new(&self.shape, &origin[..rank], &dims[..rank]).unwrap_or(Region::all(self.shape))
    }
    /// The shapes of blocks that occur: at most two extents per axis.
    pub fn block_shapes(&self) -> Vec<Shape> {
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
