//! Where values come from and where they go: memory, or places in a file.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::buffer::{Array, Buffer, Slice};
use super::dtype::{DType, Element};
use super::shape::{Region, Shape};
use super::view::{for_each_row, View};
use crate::dispatch;
use crate::error::{Error, Result};

/// Something that can hand out any rectangle of an array, any number of times, from any thread.
pub trait Source: Sync {
    /// The element type.
    fn dtype(&self) -> DType;
    /// The shape of the whole array.
    fn shape(&self) -> Shape;
    /// A copy of `region` in C order. Errors: `InvalidArgument` outside the array, `Io`, `Truncated`.
    fn read(&self, region: &Region) -> Result<Buffer>;
    /// The values of `region` themselves, where they lie in memory in C order.
    fn lent(&self, _region: &Region) -> Option<Slice<'_>> {
        None
    }
}

/// Something that takes rectangles of an array.
pub trait Sink: Send {
    /// Stores `values`, in C order, as `region` of the array.
    fn write(&mut self, region: &Region, values: Slice<'_>) -> Result<()>;
    /// Stores several regions, no two of which overlap, as [`Sink::write`].
    fn write_all(&mut self, parts: &[(Region, Buffer)]) -> Result<()> {
        parts.iter().try_for_each(|(region, values)| self.write(region, values.as_slice()))
    }
}

impl Source for Array {
    fn dtype(&self) -> DType {
        self.dtype()
    }
    fn shape(&self) -> Shape {
        self.shape()
    }
    fn read(&self, region: &Region) -> Result<Buffer> {
        self.view().gather(region)
    }
    fn lent(&self, region: &Region) -> Option<Slice<'_>> {
        self.view().part(region)?.as_contiguous()
    }
}

impl Sink for Array {
    fn write(&mut self, region: &Region, values: Slice<'_>) -> Result<()> {
        let shape = self.shape();
        let region = Region::new(&shape, region.origin(), &region.shape())?;
        dispatch!(SliceMut, self.data_mut(), v => put(v, &shape, &region, expect(values, &region)?));
        Ok(())
    }
    /// In the current rayon pool: each thread fills some of the planes across the first axis.
    fn write_all(&mut self, parts: &[(Region, Buffer)]) -> Result<()> {
        fn run<T: Element>(out: &mut [T], shape: &Shape, parts: &[(Region, Buffer)]) -> Result<()> {
            let plane = shape.strides().first().copied().unwrap_or(0);
            let values = parts.iter().map(|(r, b)| {
                let region = Region::new(shape, r.origin(), &r.shape())?;
                Ok((region, expect::<T>(b.as_slice(), r)?))
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            let planes = PLANES.div_ceil(plane.max(1));
            out.par_chunks_mut((planes * plane).max(1)).enumerate().try_for_each(|(k, chunk)| {
                let (mut origin, mut dims) = (vec![0; shape.rank()], shape.to_vec());
                if let (Some(o), Some(d)) = (origin.first_mut(), dims.first_mut()) {
                    (*o, *d) = (k * planes, chunk.len() / plane.max(1));
                }
                let slab = Region::new(shape, &origin, &dims)?;
                for (region, values) in &values {
                    let Some(shared) = region.intersect(&slab) else { continue };
                    // Planes of a region lie behind each other.
                    let (from, n) = (
                        shared.origin().first().copied().unwrap_or(0) - region.origin().first().copied().unwrap_or(0),
                        shared.shape().len(),
                    );
                    let at = from * (region.shape().strides().first().copied().unwrap_or(0));
                    put(
                        chunk,
                        &slab.shape(),
                        &shared.relative_to(slab.origin()),
                        values.get(at..at + n).unwrap_or_default(),
                    );
                }
                Ok(())
            })
        }
        let shape = self.shape();
        if shape.rank() == 0 || shape.is_empty() {
            return parts.iter().try_for_each(|(region, values)| self.write(region, values.as_slice()));
        }
        dispatch!(SliceMut, self.data_mut(), v => run(v, &shape, parts))
    }
}

/// Values that a thread fills at least.
const PLANES: usize = 1 << 16;

/// `values` as those of `region`. Errors: `InvalidArgument` for another type or number.
fn expect<'a, T: Element>(values: Slice<'a>, region: &Region) -> Result<&'a [T]> {
    T::of(values).filter(|s| s.len() == region.shape().len()).ok_or_else(|| {
        let (shape, n) = (region.shape(), values.len());
        Error::invalid(format!("expected {shape} values of type {}, found {n}", T::DTYPE))
    })
}

/// Stores the values of `region` in `out`, an array of `shape`.
fn put<T: Element>(out: &mut [T], shape: &Shape, region: &Region, values: &[T]) {
    let strides = shape.strides();
    let run = region.shape().last().copied().unwrap_or(1);
    let mut rows = values.chunks_exact(run.max(1));
    for_each_row(region, |index| {
        let at: usize = index.iter().zip(&strides).map(|(&i, &s)| i * s).sum();
        if let (Some(row), Some(to)) = (rows.next(), out.get_mut(at..at + run)) {
            to.copy_from_slice(row);
        }
    });
}

/// Bytes that can be read at any offset, from any thread.
pub trait ReadAt: Send + Sync {
    /// Fills `out` from `offset`. Errors: `Truncated` past the end, `Io`.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()>;
    /// How many bytes there are.
    fn size(&self) -> Result<u64>;
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.as_slice().read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).ok();
        let part = start.and_then(|s| self.get(s..s.checked_add(out.len())?));
        let part = part.ok_or_else(|| {
            Error::truncated(format!(
                "expected {} bytes at offset {offset}, found the end at {}",
                out.len(),
                self.len()
            ))
        })?;
        out.copy_from_slice(part);
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        (**self).read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        (**self).size()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for std::sync::Arc<T> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        (**self).read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        (**self).size()
    }
}

/// A file behind a lock: portable positioned reads.
impl ReadAt for Mutex<File> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut f = self.lock().unwrap_or_else(PoisonError::into_inner);
        f.seek(SeekFrom::Start(offset))?;
        f.read_exact(out).map_err(|e| {
            Error::from(e).at(format!("expected {} bytes at offset {offset}, found the end of the file", out.len()))
        })
    }
    fn size(&self) -> Result<u64> {
        Ok(self.lock().unwrap_or_else(PoisonError::into_inner).metadata()?.len())
    }
}

/// The order of the bytes of one value in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// Lowest byte first.
    #[default]
    Little,
    /// Highest byte first.
    Big,
}

/// How an array lies in a file: where its first value is, and the steps between neighbours in bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Placement {
    /// Byte offset of the first value.
    pub offset: u64,
    /// Steps in bytes between neighbours along each axis; as many as the array has axes.
    pub strides: Vec<u64>,
    /// Byte order of each value.
    #[serde(default)]
    pub endian: Endian,
}

impl Placement {
    /// Values contiguous in C order from `offset`.
    pub fn contiguous(offset: u64, shape: &Shape, dtype: DType, endian: Endian) -> Placement {
        let s = shape.strides();
        let strides = s[..shape.rank()].iter().map(|&n| (n * dtype.size()) as u64).collect();
        Placement { offset, strides, endian }
    }
    /// The byte offset one past the last value; `None` when it overflows or the ranks differ.
    pub fn end(&self, shape: &Shape, dtype: DType) -> Option<u64> {
        if self.strides.len() != shape.rank() {
            return None;
        }
        if shape.is_empty() {
            return Some(self.offset);
        }
        let reach = shape
            .iter()
            .zip(&self.strides)
            .try_fold(0u64, |n, (&d, &s)| n.checked_add((d as u64 - 1).checked_mul(s)?))?;
        self.offset.checked_add(reach)?.checked_add(dtype.size() as u64)
    }
    /// The axes from the longest step to the shortest, and this placement with its axes in that order: walked so, an
    /// array in Fortran order is read and written in runs too. `None` where C order is already that.
    pub(crate) fn file_order(&self) -> Option<(Vec<usize>, Placement)> {
        let mut axes: Vec<usize> = (0..self.strides.len()).collect();
        axes.sort_by_key(|&a| std::cmp::Reverse(self.strides[a]));
        if axes.is_sorted() {
            return None;
        }
        let strides = axes.iter().map(|&a| self.strides[a]).collect();
        Some((axes, Placement { offset: self.offset, strides, endian: self.endian }))
    }
    /// Calls `f(byte offset, number of values)` for each longest contiguous run of `region`, in C order.
    /// Errors: whatever `f` returns first.
    pub fn runs(&self, region: &Region, dtype: DType, mut f: impl FnMut(u64, usize) -> Result<()>) -> Result<()> {
        let shape = region.shape();
        if shape.is_empty() {
            return Ok(());
        }
        // Trailing axes that lie back to back in the file join into one run.
        let mut run = 1usize;
        let mut outer = shape.rank();
        while outer > 0 && self.strides.get(outer - 1) == Some(&((run * dtype.size()) as u64)) {
            run *= shape[outer - 1];
            outer -= 1;
        }
        let heads = Region::new(
            &shape,
            &[0; super::MAX_RANK][..shape.rank()],
            &{
                let mut d = [1; super::MAX_RANK];
                d[..outer].copy_from_slice(&shape[..outer]);
                d
            }[..shape.rank()],
        )?;
        let base = region.origin().iter().zip(&self.strides).map(|(&i, &s)| i as u64 * s).sum::<u64>() + self.offset;
        let mut result = Ok(());
        for_each_row_of(&heads, outer, |index| {
            if result.is_ok() {
                let at = index.iter().zip(&self.strides).map(|(&i, &s)| i as u64 * s).sum::<u64>();
                result = f(base + at, run);
            }
        });
        result
    }
}

/// Every index over the first `axes` axes of `region`, in C order.
fn for_each_row_of(region: &Region, axes: usize, mut f: impl FnMut(&[usize])) {
    let n: usize = region.shape()[..axes].iter().product();
    let mut index = [0; super::MAX_RANK];
    for _ in 0..n {
        f(&index[..region.shape().rank()]);
        for k in (0..axes).rev() {
            index[k] += 1;
            if index[k] < region.shape()[k] {
                break;
            }
            index[k] = 0;
        }
    }
}

/// An array that lies in a file as its [`Placement`] says.
#[derive(Clone, Debug)]
pub struct StridedSource<R> {
    bytes: R,
    dtype: DType,
    shape: Shape,
    placement: Placement,
}

impl<R: ReadAt> StridedSource<R> {
    /// Errors: `Truncated` when the array would reach past the end of `bytes`.
    pub fn new(bytes: R, dtype: DType, shape: Shape, placement: Placement) -> Result<Self> {
        let size = bytes.size()?;
        match placement.end(&shape, dtype) {
            Some(end) if end <= size => Ok(StridedSource { bytes, dtype, shape, placement }),
            _ => Err(Error::truncated(format!(
                "expected {shape} values of type {dtype} from byte {}, found only {size} bytes",
                placement.offset
            ))),
        }
    }
    /// How the array lies in the file.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }
}

impl<R: ReadAt> Source for StridedSource<R> {
    fn dtype(&self) -> DType {
        self.dtype
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn read(&self, region: &Region) -> Result<Buffer> {
        let region = Region::new(&self.shape, region.origin(), &region.shape())?;
        let Some((axes, placement)) = self.placement.file_order() else {
            return self.gather(&self.placement, &region);
        };
        let permuted = region.permuted(&axes);
        let values = self.gather(&placement, &permuted)?;
        let from = permuted.shape().strides();
        let mut strides = vec![0; axes.len()];
        for (&a, &s) in axes.iter().zip(&from) {
            strides[a] = s as isize;
        }
        View::strided(values.as_slice(), region.shape(), &strides, 0)?.gather(&Region::all(region.shape()))
    }
}

impl<R: ReadAt> StridedSource<R> {
    /// The values of `region`, which lies inside the array, in the order of its axes.
    fn gather(&self, placement: &Placement, region: &Region) -> Result<Buffer> {
        let size = self.dtype.size();
        let mut out = Buffer::zeros(self.dtype, region.shape().len())?;
        // The bytes of a piece stay in the cache until they are values.
        let mut piece = vec![0u8; PIECE.min(out.len()) * size];
        let mut done = 0;
        placement.runs(region, self.dtype, |mut offset, values| {
            let end = done + values;
            while done < end {
                let n = PIECE.min(end - done);
                let bytes = piece.get_mut(..n * size).unwrap_or_default();
                self.bytes.read_at(offset, bytes)?;
                if placement.endian == Endian::Big {
                    bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
                }
                out.as_mut().part(done, n).copy_from_le_bytes(bytes);
                (done, offset) = (done + n, offset + (n * size) as u64);
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// Values that are read at a time.
const PIECE: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_interleaved_big_endian_values() {
        // Three interleaved components of 2 x 4 values each, u16 big-endian after a 3-byte header.
        let mut bytes = vec![9u8; 3];
        for e in 0..2u16 {
            for c in 0..3u16 {
                for i in 0..4u16 {
                    bytes.extend((e * 100 + c * 10 + i).to_be_bytes());
                }
            }
        }
        let shape = Shape::new(&[2, 4]).unwrap();
        let p = Placement { offset: 3 + 8, strides: vec![24, 2], endian: Endian::Big };
        let s = StridedSource::new(bytes.clone(), DType::U16, shape, p.clone()).unwrap();
        assert_eq!(s.read(&Region::all(shape)).unwrap(), Buffer::U16(vec![10, 11, 12, 13, 110, 111, 112, 113]));
        let r = Region::new(&shape, &[1, 1], &[1, 2]).unwrap();
        assert_eq!(s.read(&r).unwrap(), Buffer::U16(vec![111, 112]));
        let end = p.end(&shape, DType::U16).unwrap() as usize;
        bytes.truncate(end - 1);
        assert!(StridedSource::new(bytes, DType::U16, shape, p).is_err());
    }

    #[test]
    fn fortran_order_reads_in_runs() {
        struct Count(Vec<u8>, std::sync::atomic::AtomicUsize);
        impl ReadAt for Count {
            fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.0.read_at(offset, out)
            }
            fn size(&self) -> Result<u64> {
                self.0.size()
            }
        }
        let shape = Shape::new(&[3, 4, 5]).unwrap();
        let p = Placement { offset: 0, strides: vec![1, 3, 12], endian: Endian::Little };
        let s = StridedSource::new(Count((0..60).collect(), 0.into()), DType::U8, shape, p).unwrap();
        let r = Region::new(&shape, &[0, 1, 2], &[2, 2, 3]).unwrap();
        assert_eq!(s.read(&r).unwrap(), Buffer::U8(vec![27, 39, 51, 30, 42, 54, 28, 40, 52, 31, 43, 55]));
        assert_eq!(s.bytes.1.load(std::sync::atomic::Ordering::Relaxed), 6);
    }

    #[test]
    fn contiguous_placements_read_in_one_run() {
        let shape = Shape::new(&[3, 4, 5]).unwrap();
        let p = Placement::contiguous(7, &shape, DType::F64, Endian::Little);
        let count = |r: &Region| {
            let mut n = 0;
            p.runs(r, DType::F64, |_, _| {
                n += 1;
                Ok(())
            })
            .unwrap();
            n
        };
        assert_eq!(count(&Region::all(shape)), 1);
        assert_eq!(count(&Region::new(&shape, &[1, 1, 0], &[2, 2, 5]).unwrap()), 2);
        assert_eq!(count(&Region::new(&shape, &[0, 0, 1], &[3, 4, 2]).unwrap()), 12);
    }

    #[test]
    fn sinks_put_regions_in_place() {
        let shape = Shape::new(&[3, 4]).unwrap();
        let mut a = Array::zeros(DType::I32, shape).unwrap();
        let r = Region::new(&shape, &[1, 2], &[2, 2]).unwrap();
        a.write(&r, Slice::I32(&[1, 2, 3, 4])).unwrap();
        assert_eq!(a.data(), Slice::I32(&[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4]));
        assert!(a.write(&r, Slice::I32(&[1, 2, 3])).is_err() && a.write(&r, Slice::U8(&[1, 2, 3, 4])).is_err());
    }

    #[test]
    fn many_regions_at_once_are_stored_as_one_by_one() {
        // Several chunks of planes, blocks that straddle them, one axis, no axis, no values.
        for (dims, block) in [
            (&[300, 20, 31][..], &[70, 9, 31][..]),
            (&[200_000], &[70_001]),
            (&[3, 50_000], &[2, 30_000]),
            (&[], &[]),
            (&[0, 4], &[1, 1]),
        ] {
            let shape = Shape::new(dims).unwrap();
            let values: Vec<i32> = (0..shape.len() as i32).collect();
            let x = Array::from_vec(dims, values).unwrap();
            let grid = crate::array::Grid::new(shape, block).unwrap();
            let parts = (0..grid.len()).map(|i| (grid.region(i), x.view().gather(&grid.region(i)).unwrap()));
            let mut parts: Vec<(Region, Buffer)> = parts.collect();
            parts.reverse();
            let mut y = Array::zeros(DType::I32, shape).unwrap();
            y.write_all(&parts).unwrap();
            assert_eq!(y.as_typed::<i32>(), x.as_typed::<i32>());
            let outside = Shape::new(&vec![1 << 19; dims.len()]).unwrap();
            if let Some((region, values)) = parts.first().filter(|_| !dims.is_empty()) {
                let far = Region::new(&outside, &vec![1 << 18; dims.len()], &region.shape()).unwrap();
                assert!(y.write_all(&[(far, values.clone())]).is_err());
                let other = Buffer::zeros(DType::F32, values.len()).unwrap();
                assert!(y.write_all(&[(*region, other)]).is_err());
            }
        }
    }
}
