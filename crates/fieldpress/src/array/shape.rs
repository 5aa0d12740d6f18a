//! Shapes of rank 0 to 8 and rectangular regions of them.

use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// The largest number of axes.
pub const MAX_RANK: usize = 8;

/// The extents of an array in C order (last axis fastest). Rank 0 is a scalar of one value.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    dims: [usize; MAX_RANK],
}

impl Shape {
    /// Errors: `InvalidArgument` above rank 8, or when the number of bytes of 8-byte elements would not fit `isize`.
    pub fn new(dims: &[usize]) -> Result<Shape> {
        if dims.len() > MAX_RANK {
            return Err(Error::invalid(format!("expected at most {MAX_RANK} axes, found {}", dims.len())));
        }
        // Zero extents must not hide an overflow of the others: strides are computed from all of them.
        let total = dims.iter().try_fold(8usize, |n, &d| n.checked_mul(d.max(1)));
        if total.is_none_or(|n| n > isize::MAX as usize) {
            return Err(Error::invalid(format!("expected a shape that fits memory, found {dims:?}")));
        }
        let mut s = Shape { rank: dims.len() as u8, dims: [0; MAX_RANK] };
        s.dims[..dims.len()].copy_from_slice(dims);
        Ok(s)
    }
    /// The number of axes.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }
    /// The number of values: the product of the extents, 1 for rank 0.
    pub fn len(&self) -> usize {
        self.iter().product()
    }
    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The extents.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }
    /// Steps, in elements, of a contiguous array in C order.
    pub fn strides(&self) -> [usize; MAX_RANK] {
        let mut s = [0; MAX_RANK];
        let mut step = 1;
        for k in (0..self.rank()).rev() {
            s[k] = step;
            step *= self.dims[k].max(1);
        }
        s
    }
    /// The shape with `dims` in place of these, of the same rank.
    pub(super) fn with(&self, dims: [usize; MAX_RANK]) -> Shape {
        Shape { rank: self.rank, dims }
    }
    /// The same values as at most three axes: leading axes of extent 1 dropped, and leading axes joined into the
    /// first when more than three remain. Kernels written for up to three axes use it.
    pub fn to_3d(&self) -> [usize; 3] {
        let mut out = [1; 3];
        let n = self.rank();
        for (k, &d) in self.iter().enumerate() {
            let axis = (k + 3).saturating_sub(n);
            out[axis.min(2)] *= d;
        }
        out
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        self.dims()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.dims(), f)
    }
}

/// `512x512`; `scalar` for rank 0.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rank == 0 {
            return f.write_str("scalar");
        }
        for (k, d) in self.iter().enumerate() {
            write!(f, "{}{d}", if k > 0 { "x" } else { "" })?;
        }
        Ok(())
    }
}

/// A rectangle of an array: where it begins, and its extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    origin: [usize; MAX_RANK],
    shape: Shape,
}

impl Region {
    /// Errors: `InvalidArgument` unless the region lies inside `outer`.
    pub fn new(outer: &Shape, origin: &[usize], extents: &[usize]) -> Result<Region> {
        let inside = origin.len() == outer.rank()
            && extents.len() == outer.rank()
            && (0..outer.rank()).all(|k| origin[k].checked_add(extents[k]).is_some_and(|end| end <= outer[k]));
        if !inside {
            return Err(Error::invalid(format!(
                "expected a region inside {outer}, found origin {origin:?} and extents {extents:?}"
            )));
        }
        let mut o = [0; MAX_RANK];
        o[..origin.len()].copy_from_slice(origin);
        Ok(Region { origin: o, shape: Shape::new(extents)? })
    }
    /// All of an array.
    pub fn all(shape: Shape) -> Region {
        Region { origin: [0; MAX_RANK], shape }
    }
    /// The index of the first value, one entry per axis.
    pub fn origin(&self) -> &[usize] {
        &self.origin[..self.shape.rank()]
    }
    /// The extents.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// What two regions of one array share; `None` when nothing.
    pub fn intersect(&self, other: &Region) -> Option<Region> {
        let mut origin = [0; MAX_RANK];
        let mut dims = [0; MAX_RANK];
        for k in 0..self.shape.rank() {
            let lo = self.origin[k].max(other.origin[k]);
            let hi = (self.origin[k] + self.shape[k]).min(other.origin[k] + other.shape[k]);
            if hi <= lo {
                return None;
            }
            origin[k] = lo;
            dims[k] = hi - lo;
        }
        Some(Region { origin, shape: self.shape.with(dims) })
    }
    /// The same rectangle with its axes in the order `axes`, a permutation of `0..rank`.
    pub(crate) fn permuted(&self, axes: &[usize]) -> Region {
        let mut out = *self;
        for (k, &a) in axes.iter().enumerate().take(self.shape.rank()) {
            out.origin[k] = self.origin[a];
            out.shape.dims[k] = self.shape.dims[a];
        }
        out
    }
    /// The same rectangle, counted from `base`, which must not lie beyond its origin on any axis.
    pub fn relative_to(&self, base: &[usize]) -> Region {
        let mut origin = self.origin;
        for (o, b) in origin.iter_mut().zip(base) {
            *o = o.saturating_sub(*b);
        }
        Region { origin, shape: self.shape }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_refuse_what_cannot_be_addressed() {
        assert!(Shape::new(&[1; 9]).is_err());
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
        assert!(Shape::new(&[0, usize::MAX, 2]).is_err());
        assert_eq!(Shape::new(&[]).unwrap().len(), 1);
        assert_eq!(Shape::new(&[3, 0, 2]).unwrap().len(), 0);
        assert_eq!(Shape::new(&[2, 3, 4]).unwrap().strides()[..3], [12, 4, 1]);
        assert_eq!(Shape::new(&[2, 3, 4, 5]).unwrap().to_3d(), [6, 4, 5]);
        assert_eq!(Shape::new(&[7]).unwrap().to_3d(), [1, 1, 7]);
        assert_eq!(Shape::new(&[]).unwrap().to_3d(), [1, 1, 1]);
    }

    #[test]
    fn regions_intersect_and_refuse_what_lies_outside() {
        let s = Shape::new(&[10, 10]).unwrap();
        let a = Region::new(&s, &[0, 2], &[5, 5]).unwrap();
        let b = Region::new(&s, &[4, 6], &[6, 4]).unwrap();
        let c = a.intersect(&b).unwrap();
        assert_eq!((c.origin(), c.shape().dims()), (&[4, 6][..], &[1, 1][..]));
        assert!(Region::new(&s, &[5, 6], &[6, 4]).is_err());
        assert!(Region::new(&s, &[usize::MAX, 0], &[2, 1]).is_err());
        assert!(a.intersect(&Region::new(&s, &[5, 0], &[1, 10]).unwrap()).is_none());
    }
}
