//! Strided views: the shape of anyone's memory, without a copy.

use super::buffer::{Buffer, Slice};
use super::dtype::{DType, Element};
use super::shape::{Region, Shape, MAX_RANK};
use super::source::Source;
use crate::dispatch;
use crate::error::{Error, Result};

/// An n-dimensional view over a slice: steps between neighbours in elements, possibly negative or zero.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: Slice<'a>,
    shape: Shape,
    strides: [isize; MAX_RANK],
    offset: usize,
}

impl<'a> View<'a> {
    /// A view of contiguous values in C order. The lengths agree by construction inside the library.
    pub(crate) fn contiguous(shape: Shape, data: Slice<'a>) -> View<'a> {
        debug_assert_eq!(shape.len(), data.len());
        View { data, shape, strides: shape.strides().map(|s| s as isize), offset: 0 }
    }
    /// A view of contiguous values in C order. Errors: `InvalidArgument` unless the number of values agrees.
    pub fn new<T: Element>(shape: &[usize], data: &'a [T]) -> Result<View<'a>> {
        let shape = Shape::new(shape)?;
        if shape.len() != data.len() {
            let n = shape.len();
            return Err(Error::invalid(format!("expected {n} values for shape {shape}, found {}", data.len())));
        }
        Ok(View::contiguous(shape, T::wrap(data)))
    }
    /// A view with `strides` in elements, its first value at `offset`.
    /// Errors: `InvalidArgument` when any index would fall outside `data`.
    pub fn strided(data: Slice<'a>, shape: Shape, strides: &[isize], offset: usize) -> Result<View<'a>> {
        let bad = || {
            Error::invalid(format!(
                "expected strides that stay inside {} values, found strides {strides:?} at offset {offset} for shape {shape}",
                data.len()
            ))
        };
        if strides.len() != shape.rank() {
            return Err(bad());
        }
        let mut s = [0; MAX_RANK];
        s[..strides.len()].copy_from_slice(strides);
        if !shape.is_empty() {
            let (mut lo, mut hi) = (offset as i128, offset as i128);
            for (&d, &step) in shape.iter().zip(strides) {
                let reach = (d as i128 - 1) * step as i128;
                lo += reach.min(0);
                hi += reach.max(0);
            }
            if lo < 0 || hi >= data.len() as i128 {
                return Err(bad());
            }
        }
        Ok(View { data, shape, strides: s, offset })
    }
    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }
    /// The values themselves where they lie contiguous in C order.
    pub fn as_contiguous(&self) -> Option<Slice<'a>> {
        let want = self.shape.strides();
        let dense = (0..self.shape.rank()).all(|k| self.shape[k] <= 1 || self.strides[k] == want[k] as isize);
        let n = self.shape.len();
        if !dense && n > 0 {
            return None;
        }
        let range = self.offset..self.offset + n;
        dispatch!(Slice, self.data, v => v.get(range).map(Element::wrap))
    }
    /// The view of `region` alone, unless it lies outside.
    pub(super) fn part(&self, region: &Region) -> Option<View<'a>> {
        let region = Region::new(&self.shape, region.origin(), &region.shape()).ok()?;
        let steps = region.origin().iter().zip(&self.strides).map(|(&i, &s)| i as isize * s);
        let offset = if region.shape().is_empty() { 0 } else { self.offset.checked_add_signed(steps.sum())? };
        Some(View { shape: region.shape(), offset, ..*self })
    }
    /// A copy of `region` in C order. The region must lie inside the view.
    pub fn gather(&self, region: &Region) -> Result<Buffer> {
        let region = Region::new(&self.shape, region.origin(), &region.shape())?;
        fn copy<T: Element>(v: &[T], view: &View<'_>, region: &Region) -> Result<Buffer> {
            let mut out: Vec<T> = Vec::new();
            out.try_reserve_exact(region.shape().len()).map_err(|_| {
                Error::limit(format!("expected memory for {} values, found too little", region.shape()))
            })?;
            let rank = view.shape.rank();
            if rank == 0 {
                out.extend(v.get(view.offset));
                return Ok(T::into_buffer(out));
            }
            let (run, step) = (region.shape()[rank - 1], view.strides[rank - 1]);
            for_each_row(region, |index| {
                let at = index.iter().zip(&view.strides).fold(view.offset as isize, |a, (&i, &s)| a + i as isize * s);
                if step == 1 {
                    out.extend_from_slice(v.get(at as usize..at as usize + run).unwrap_or_default());
                } else {
                    out.extend((0..run as isize).filter_map(|i| v.get((at + i * step) as usize)));
                }
            });
            Ok(T::into_buffer(out))
        }
        dispatch!(Slice, self.data, v => copy(v, self, &region))
    }
}

impl Source for View<'_> {
    fn dtype(&self) -> DType {
        self.dtype()
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn read(&self, region: &Region) -> Result<Buffer> {
        self.gather(region)
    }
    fn lent(&self, region: &Region) -> Option<Slice<'_>> {
        self.part(region)?.as_contiguous()
    }
}

/// Calls `f` with the index (in the outer array) of the first value of each row of `region`, in C order. A row runs
/// along the last axis. Does nothing for empty regions; calls once with the empty index for rank 0.
pub(crate) fn for_each_row(region: &Region, mut f: impl FnMut(&[usize])) {
    let shape = region.shape();
    if shape.is_empty() {
        return;
    }
    let rank = shape.rank();
    let mut index = [0; MAX_RANK];
    index[..rank].copy_from_slice(region.origin());
    loop {
        f(&index[..rank]);
        let mut k = rank.saturating_sub(1);
        loop {
            if k == 0 {
                return;
            }
            k -= 1;
            index[k] += 1;
            if index[k] < region.origin()[k] + shape[k] {
                break;
            }
            index[k] = region.origin()[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_strided_and_reversed_views() {
        let data: Vec<i32> = (0..24).collect();
        let shape = Shape::new(&[4, 6]).unwrap();
        let t = View::strided(Slice::I32(&data), Shape::new(&[6, 4]).unwrap(), &[1, 6], 0).unwrap();
        let r = Region::new(&t.shape(), &[1, 1], &[2, 3]).unwrap();
        assert_eq!(t.gather(&r).unwrap(), Buffer::I32(vec![7, 13, 19, 8, 14, 20]));
        let rev = View::strided(Slice::I32(&data), shape, &[-6, -1], 23).unwrap();
        let all = rev.gather(&Region::all(shape)).unwrap();
        assert_eq!(all, Buffer::I32((0..24).rev().collect()));
        assert!(rev.as_contiguous().is_none() && View::new(&[4, 6], &data).unwrap().as_contiguous().is_some());
        assert!(View::strided(Slice::I32(&data), shape, &[6, 1], 1).is_err());
        assert!(View::strided(Slice::I32(&data), shape, &[isize::MIN, 1], 1).is_err());
        let scalar = View::new(&[], &data[5..6]).unwrap();
        assert_eq!(scalar.gather(&Region::all(scalar.shape())).unwrap(), Buffer::I32(vec![5]));
        let (rows, column) =
            (Region::new(&shape, &[1, 0], &[2, 6]).unwrap(), Region::new(&shape, &[1, 2], &[2, 1]).unwrap());
        let whole = View::new(&[4, 6], &data).unwrap();
        assert!(whole.lent(&rows).is_some_and(|s| s.same_bits(Slice::I32(&data[6..18]))));
        assert!(whole.lent(&column).is_none() && rev.lent(&rows).is_none());
        let empty = View::new(&[0, 3], &data[..0]).unwrap();
        assert!(empty.gather(&Region::all(empty.shape())).unwrap().is_empty());
    }
}
