//! Contiguous values whose element type is known only at run time.

use super::dtype::{DType, Element};
use super::shape::Shape;
use super::view::View;
use crate::error::{Error, Result};

/// Runs `$body` with `$v` bound to the typed content of a `Buffer`, `Slice` or `SliceMut`.
///
/// `dispatch!(Slice, s, v => v.len())`
#[macro_export]
#[doc(hidden)]
macro_rules! dispatch {
    ($E:ident, $e:expr, $v:ident => $body:expr) => {
        match $e {
            $crate::array::$E::F32($v) => $body,
            $crate::array::$E::F64($v) => $body,
            $crate::array::$E::I8($v) => $body,
            $crate::array::$E::I16($v) => $body,
            $crate::array::$E::I32($v) => $body,
            $crate::array::$E::I64($v) => $body,
            $crate::array::$E::U8($v) => $body,
            $crate::array::$E::U16($v) => $body,
            $crate::array::$E::U32($v) => $body,
            $crate::array::$E::U64($v) => $body,
        }
    };
}

/// As [`dispatch!`] over the five kernel types (see `DType::kernel`); `$other` is the value for all others.
#[macro_export]
#[doc(hidden)]
macro_rules! dispatch_kernel {
    ($E:ident, $e:expr, $v:ident => $body:expr, else $other:expr) => {
        match $e {
            $crate::array::$E::F32($v) => $body,
            $crate::array::$E::F64($v) => $body,
            $crate::array::$E::I32($v) => $body,
            $crate::array::$E::I64($v) => $body,
            $crate::array::$E::U64($v) => $body,
            _ => $other,
        }
    };
}

/// Runs `$body` with the type parameter `$T` standing for the element type named by a [`DType`].
#[macro_export]
#[doc(hidden)]
macro_rules! dispatch_dtype {
    ($e:expr, $T:ident => $body:expr) => {
        match $e {
            $crate::array::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::array::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::array::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::array::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::array::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::array::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::array::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::array::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::array::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::array::DType::U64 => {
                type $T = u64;
                $body
            }
        }
    };
}

/// Owned values.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Buffer {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
}

/// Borrowed values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Slice<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

/// Mutably borrowed values.
#[derive(Debug, PartialEq)]
#[allow(missing_docs)]
pub enum SliceMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    I8(&'a mut [i8]),
    I16(&'a mut [i16]),
    I32(&'a mut [i32]),
    I64(&'a mut [i64]),
    U8(&'a mut [u8]),
    U16(&'a mut [u16]),
    U32(&'a mut [u32]),
    U64(&'a mut [u64]),
}

fn typed<T: Element>(v: &mut [T]) -> SliceMut<'_> {
    T::wrap_mut(v)
}

impl Buffer {
    /// `len` zeros of type `dtype`. Errors: `LimitExceeded` when the memory cannot be had.
    pub fn zeros(dtype: DType, len: usize) -> Result<Buffer> {
        fn make<T: Element>(len: usize) -> Result<Buffer> {
            let mut v: Vec<T> = Vec::new();
            v.try_reserve_exact(len).map_err(|_| {
                Error::limit(format!("expected memory for {len} values of type {}, found too little", T::DTYPE))
            })?;
            v.resize(len, T::default());
            Ok(T::into_buffer(v))
        }
        dispatch_dtype!(dtype, T => make::<T>(len))
    }
    /// The values of `bytes`, little-endian. Errors: `Corrupt` when the length is not a multiple of the element size.
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        if !bytes.len().is_multiple_of(dtype.size()) {
            return Err(Error::corrupt(format!(
                "expected a multiple of {} bytes for type {dtype}, found {}",
                dtype.size(),
                bytes.len()
            )));
        }
        let mut b = Buffer::zeros(dtype, bytes.len() / dtype.size())?;
        b.as_mut().copy_from_le_bytes(bytes);
        Ok(b)
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.as_slice().dtype()
    }
    /// How many values.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The values, borrowed.
    pub fn as_slice(&self) -> Slice<'_> {
        dispatch!(Buffer, self, v => Element::wrap(v.as_slice()))
    }
    /// The values, mutably borrowed.
    pub fn as_mut(&mut self) -> SliceMut<'_> {
        dispatch!(Buffer, self, v => typed(v))
    }
}

impl<'a> Slice<'a> {
    /// The element type.
    pub fn dtype(self) -> DType {
        fn of<T: Element>(_: &[T]) -> DType {
            T::DTYPE
        }
        dispatch!(Slice, self, v => of(v))
    }
    /// How many values.
    pub fn len(self) -> usize {
        dispatch!(Slice, self, v => v.len())
    }
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// The values from `first` on, at most `n` of them.
    pub fn part(self, first: usize, n: usize) -> Slice<'a> {
        fn part<T: Element>(v: &[T], first: usize, n: usize) -> Slice<'_> {
            let rest = v.get(first..).unwrap_or_default();
            T::wrap(&rest[..n.min(rest.len())])
        }
        dispatch!(Slice, self, v => part(v, first, n))
    }
    /// An owned copy.
    pub fn to_buffer(self) -> Buffer {
        dispatch!(Slice, self, v => Element::into_buffer(v.to_vec()))
    }
    /// Appends the values as little-endian bytes.
    pub fn put_le_bytes(self, out: &mut Vec<u8>) {
        out.reserve(self.len() * self.dtype().size());
        dispatch!(Slice, self, v => for &x in v { x.put_le(out) });
    }
    /// The values as little-endian bytes.
    pub fn to_le_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put_le_bytes(&mut out);
        out
    }
    /// The values as `f64` (see [`Element::to_f64`]).
    pub fn to_f64(self) -> Vec<f64> {
        dispatch!(Slice, self, v => v.iter().map(|&x| x.to_f64()).collect())
    }
    /// The values at `places` as `f64` (see [`Element::to_f64`]); none for places outside.
    pub fn picked(self, places: impl Iterator<Item = usize>) -> Vec<f64> {
        dispatch!(Slice, self, v => places.filter_map(|i| v.get(i)).map(|&x| x.to_f64()).collect())
    }
    /// The values in their kernel type (see [`DType::kernel`]); `None` when they are in it already.
    pub fn widened(self) -> Option<Buffer> {
        fn cast<A: Copy, B: From<A>>(v: &[A]) -> Vec<B> {
            v.iter().map(|&x| B::from(x)).collect()
        }
        match self {
            Slice::I8(v) => Some(Buffer::I32(cast(v))),
            Slice::I16(v) => Some(Buffer::I32(cast(v))),
            Slice::U8(v) => Some(Buffer::I32(cast(v))),
            Slice::U16(v) => Some(Buffer::I32(cast(v))),
            Slice::U32(v) => Some(Buffer::I64(cast(v))),
            _ => None,
        }
    }
    /// Whether both have the same type and the same bits.
    pub fn same_bits(self, other: Slice<'_>) -> bool {
        fn same<T: Element>(a: &[T], b: Slice<'_>) -> bool {
            T::of(b).is_some_and(|b| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits64() == y.to_bits64()))
        }
        dispatch!(Slice, self, v => same(v, other))
    }
}

impl<'a> SliceMut<'a> {
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.as_slice().dtype()
    }
    /// How many values.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The values, shared.
    pub fn as_slice(&self) -> Slice<'_> {
        dispatch!(SliceMut, self, v => Element::wrap(v))
    }
    /// A shorter borrow of the same values.
    pub fn reborrow(&mut self) -> SliceMut<'_> {
        dispatch!(SliceMut, self, v => Element::wrap_mut(v))
    }
    /// The values from `first` on, at most `n` of them.
    pub fn part(self, first: usize, n: usize) -> SliceMut<'a> {
        fn part<T: Element>(v: &mut [T], first: usize, n: usize) -> SliceMut<'_> {
            let rest = v.get_mut(first..).unwrap_or_default();
            let n = n.min(rest.len());
            T::wrap_mut(&mut rest[..n])
        }
        dispatch!(SliceMut, self, v => part(v, first, n))
    }
    /// Overwrites the first values with `bytes`, little-endian; the shorter of the two decides how many.
    pub fn copy_from_le_bytes(&mut self, bytes: &[u8]) {
        fn copy<T: Element>(v: &mut [T], bytes: &[u8]) {
            for (x, b) in v.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
                *x = T::get_le(b);
            }
        }
        dispatch!(SliceMut, self, v => copy(v, bytes));
    }
    /// Overwrites all values with those of `wide`, in the kernel type; values outside the range saturate.
    /// Errors: `InvalidArgument` unless lengths agree and `wide` is in the kernel type.
    pub fn narrow_from(&mut self, wide: Slice<'_>) -> Result<()> {
        macro_rules! clamp {
            ($out:ident, $wide:ident, $w:ty, $n:ty) => {{
                for (o, &v) in $out.iter_mut().zip($wide) {
                    *o = v.clamp(<$w>::from(<$n>::MIN), <$w>::from(<$n>::MAX)) as $n;
                }
                Ok(())
            }};
        }
        if self.len() != wide.len() {
            return Err(Error::invalid(format!("expected {} values, found {}", self.len(), wide.len())));
        }
        match (self, wide) {
            (SliceMut::I8(o), Slice::I32(v)) => clamp!(o, v, i32, i8),
            (SliceMut::I16(o), Slice::I32(v)) => clamp!(o, v, i32, i16),
            (SliceMut::U8(o), Slice::I32(v)) => clamp!(o, v, i32, u8),
            (SliceMut::U16(o), Slice::I32(v)) => clamp!(o, v, i32, u16),
            (SliceMut::U32(o), Slice::I64(v)) => clamp!(o, v, i64, u32),
            (same, v) => same.copy_from(v),
        }
    }
    /// Overwrites all values with those of `other`. Errors: `InvalidArgument` unless type and length agree.
    pub fn copy_from(&mut self, other: Slice<'_>) -> Result<()> {
        fn copy<T: Element>(v: &mut [T], other: Slice<'_>) -> Result<()> {
            match T::of(other) {
                Some(o) if o.len() == v.len() => {
                    v.copy_from_slice(o);
                    Ok(())
                }
                _ => Err(Error::invalid(format!(
                    "expected {} values of type {}, found {} of type {}",
                    v.len(),
                    T::DTYPE,
                    other.len(),
                    other.dtype()
                ))),
            }
        }
        dispatch!(SliceMut, self, v => copy(v, other))
    }
}

/// An owned, contiguous n-dimensional array in C order (last axis fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Shape,
    data: Buffer,
}

impl Array {
    /// An array of `shape` over `data`. Errors: `InvalidArgument` unless the number of values agrees.
    pub fn new(shape: Shape, data: Buffer) -> Result<Array> {
        if shape.len() != data.len() {
            return Err(Error::invalid(format!(
                "expected {} values for shape {shape}, found {}",
                shape.len(),
                data.len()
            )));
        }
        Ok(Array { shape, data })
    }
    /// An array over a vector. Errors: as [`Array::new`], and a rank above 8.
    pub fn from_vec<T: Element>(shape: &[usize], data: Vec<T>) -> Result<Array> {
        Array::new(Shape::new(shape)?, T::into_buffer(data))
    }
    /// Zeros. Errors: `LimitExceeded` when the memory cannot be had.
    pub fn zeros(dtype: DType, shape: Shape) -> Result<Array> {
        Ok(Array { shape, data: Buffer::zeros(dtype, shape.len())? })
    }
    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }
    /// The values in C order.
    pub fn data(&self) -> Slice<'_> {
        self.data.as_slice()
    }
    /// The values in C order, mutable.
    pub fn data_mut(&mut self) -> SliceMut<'_> {
        self.data.as_mut()
    }
    /// The buffer alone.
    pub fn into_buffer(self) -> Buffer {
        self.data
    }
    /// The values as a typed slice, if they are of type `T`.
    pub fn as_typed<T: Element>(&self) -> Option<&[T]> {
        T::of(self.data.as_slice())
    }
    /// A strided view of the whole array.
    pub fn view(&self) -> View<'_> {
        View::contiguous(self.shape, self.data.as_slice())
    }
}
