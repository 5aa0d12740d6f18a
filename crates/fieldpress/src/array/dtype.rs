//! The ten element types, and what every kernel may ask of one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::buffer::{Buffer, Slice, SliceMut};
use crate::error::{Error, Result};

/// An element type: IEEE 754 binary32/64, or a two's complement or unsigned integer of 8 to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DType {
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl DType {
    /// Every element type.
    pub const ALL: [DType; 10] = [
        DType::F32,
        DType::F64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
    ];
    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 => 2,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F64 | DType::I64 | DType::U64 => 8,
        }
    }
    /// Whether this is a floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }
    /// The type in which kernels handle values of this one: integers of up to 32 bits as `i32`, `u32` as `i64`, others as
    /// they are. Five kernels instead of ten are compiled, and the narrow types lose nothing.
    pub const fn kernel(self) -> DType {
        match self {
            DType::I8 | DType::I16 | DType::I32 | DType::U8 | DType::U16 => DType::I32,
            DType::U32 | DType::I64 => DType::I64,
            DType::F32 | DType::F64 | DType::U64 => self,
        }
    }
    /// The bit pattern, zero-extended, of the value of this type nearest to `v` (see [`Element::from_f64`]).
    pub fn nearest_bits(self, v: f64) -> u64 {
        crate::dispatch_dtype!(self, T => T::from_f64(v).to_bits64())
    }
    /// The value of this type with the bit pattern `bits`, zero-extended.
    pub fn value_of(self, bits: u64) -> f64 {
        crate::dispatch_dtype!(self, T => T::from_bits64(bits).to_f64())
    }
    /// The short name: `f32`, `i16`, ...
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
        }
    }
    /// The type with this short name; NumPy's long names (`float32`, `int16`, `uint8`) are understood too, and of its codes
    /// that count bytes those that cannot be mistaken (`f4`, `f8`). Errors: `InvalidArgument`.
    pub fn parse(name: &str) -> Result<DType> {
        let short = match name {
            "f4" => "f32".into(),
            "f8" => "f64".into(),
            _ => name.replace("float", "f").replace("uint", "u").replace("int", "i"),
        };
        DType::ALL.into_iter().find(|d| d.name() == short).ok_or_else(|| {
            Error::invalid(format!("expected an element type (f32 f64 i8 i16 i32 i64 u8 u16 u32 u64), found {name:?}"))
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kernels may ask of an element type. Implemented by the ten types of [`DType`] only.
pub trait Element:
    Copy + PartialEq + PartialOrd + Default + fmt::Debug + Send + Sync + 'static + sealed::Sealed
{
    /// The dynamic name of this type.
    const DTYPE: DType;
    /// Bits per element.
    const BITS: u32;
    /// The value as `f64`; exact but for 64-bit integers beyond 2^53, which round to nearest.
    fn to_f64(self) -> f64;
    /// The nearest value of this type: floats round to nearest even, integers round half away from zero and
    /// saturate; NaN becomes 0 for integers.
    fn from_f64(v: f64) -> Self;
    /// The bit pattern, zero-extended.
    fn to_bits64(self) -> u64;
    /// The value whose bit pattern is the low bits of `bits`.
    fn from_bits64(bits: u64) -> Self;
    /// A monotone map to unsigned integers of the same width: `a < b` implies `a.ordered() < b.ordered()`.
    /// For floats the sign bit is flipped where clear and all bits where set.
    fn ordered(self) -> u64;
    /// The inverse of [`Element::ordered`], from the low bits of `v`.
    fn from_ordered(v: u64) -> Self;
    /// The integer in whose arithmetic differences are taken without loss: the bits of an integer, the [ordered](Self::ordered)
    /// integer of a float.
    #[inline(always)]
    fn key(self) -> u64 {
        if Self::DTYPE.is_float() {
            self.ordered()
        } else {
            self.to_bits64()
        }
    }
    /// The inverse of [`Element::key`], from the low bits of `k`.
    #[inline(always)]
    fn from_key(k: u64) -> Self {
        if Self::DTYPE.is_float() {
            Self::from_ordered(k)
        } else {
            Self::from_bits64(k)
        }
    }
    /// False for NaN and the infinities.
    fn is_finite(self) -> bool;
    /// Whether this is the floating-point value -0.0.
    fn is_negative_zero(self) -> bool;
    /// Appends the little-endian bytes.
    fn put_le(self, out: &mut Vec<u8>);
    /// From exactly `BITS / 8` little-endian bytes; shorter input is padded with zeros.
    fn get_le(bytes: &[u8]) -> Self;
    /// A typed slice as a dynamic one.
    fn wrap(s: &[Self]) -> Slice<'_>;
    /// A typed mutable slice as a dynamic one.
    fn wrap_mut(s: &mut [Self]) -> SliceMut<'_>;
    /// A dynamic slice as a typed one, if it is of this type.
    fn of(s: Slice<'_>) -> Option<&[Self]>;
    /// A dynamic mutable slice as a typed one, if it is of this type.
    fn of_mut(s: SliceMut<'_>) -> Option<&mut [Self]>;
    /// A vector as a dynamic buffer.
    fn into_buffer(v: Vec<Self>) -> Buffer;
    /// A dynamic buffer as a vector, if it is of this type.
    fn from_buffer(b: Buffer) -> Option<Vec<Self>>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! common {
    ($t:ty, $v:ident) => {
        const DTYPE: DType = DType::$v;
        const BITS: u32 = (size_of::<$t>() * 8) as u32;
        #[inline(always)]
        fn to_f64(self) -> f64 {
            self as f64
        }
        #[inline(always)]
        fn put_le(self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.to_le_bytes());
        }
        #[inline(always)]
        fn get_le(bytes: &[u8]) -> Self {
            let mut a = [0; size_of::<$t>()];
            let n = a.len().min(bytes.len());
            a[..n].copy_from_slice(&bytes[..n]);
            <$t>::from_le_bytes(a)
        }
        fn wrap(s: &[Self]) -> Slice<'_> {
            Slice::$v(s)
        }
        fn wrap_mut(s: &mut [Self]) -> SliceMut<'_> {
            SliceMut::$v(s)
        }
        fn of(s: Slice<'_>) -> Option<&[Self]> {
            match s {
                Slice::$v(s) => Some(s),
                _ => None,
            }
        }
        fn of_mut(s: SliceMut<'_>) -> Option<&mut [Self]> {
            match s {
                SliceMut::$v(s) => Some(s),
                _ => None,
            }
        }
        fn into_buffer(v: Vec<Self>) -> Buffer {
            Buffer::$v(v)
        }
        fn from_buffer(b: Buffer) -> Option<Vec<Self>> {
            match b {
                Buffer::$v(v) => Some(v),
                _ => None,
            }
        }
    };
}

macro_rules! float {
    ($t:ty, $v:ident, $bits:ty) => {
        impl sealed::Sealed for $t {}
        impl Element for $t {
            common!($t, $v);
            #[inline(always)]
            fn from_f64(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn to_bits64(self) -> u64 {
                u64::from(self.to_bits())
            }
            #[inline(always)]
            fn from_bits64(bits: u64) -> Self {
                <$t>::from_bits(bits as $bits)
            }
            #[inline(always)]
            fn ordered(self) -> u64 {
                let b = self.to_bits();
                let sign = 1 << (<$bits>::BITS - 1);
                u64::from(if b & sign == 0 { b | sign } else { !b })
            }
            #[inline(always)]
            fn from_ordered(v: u64) -> Self {
                let v = v as $bits;
                let sign = 1 << (<$bits>::BITS - 1);
                <$t>::from_bits(if v & sign == 0 { !v } else { v ^ sign })
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
            #[inline(always)]
            fn is_negative_zero(self) -> bool {
                self == 0.0 && self.is_sign_negative()
            }
        }
    };
}

macro_rules! integer {
    ($t:ty, $v:ident, $bits:ty) => {
        impl sealed::Sealed for $t {}
        impl Element for $t {
            common!($t, $v);
            #[inline(always)]
            fn from_f64(v: f64) -> Self {
                v.round() as $t
            }
            #[inline(always)]
            fn to_bits64(self) -> u64 {
                u64::from(self as $bits)
            }
            #[inline(always)]
            fn from_bits64(bits: u64) -> Self {
                bits as $bits as $t
            }
            #[inline(always)]
            fn ordered(self) -> u64 {
                u64::from((self as $bits) ^ (<$t>::MIN as $bits))
            }
            #[inline(always)]
            fn from_ordered(v: u64) -> Self {
                ((v as $bits) ^ (<$t>::MIN as $bits)) as $t
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                true
            }
            #[inline(always)]
            fn is_negative_zero(self) -> bool {
                false
            }
        }
    };
}

float!(f32, F32, u32);
float!(f64, F64, u64);
integer!(i8, I8, u8);
integer!(i16, I16, u16);
integer!(i32, I32, u32);
integer!(i64, I64, u64);
integer!(u8, U8, u8);
integer!(u16, U16, u16);
integer!(u32, U32, u32);
integer!(u64, U64, u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered_is_monotone<T: Element>(values: &[T]) {
        for w in values.windows(2) {
            assert!(w[0].ordered() < w[1].ordered(), "{:?} {:?}", w[0], w[1]);
        }
        for &v in values {
            assert_eq!(T::from_ordered(v.ordered()).to_bits64(), v.to_bits64());
            assert_eq!(T::from_bits64(v.to_bits64()).to_bits64(), v.to_bits64());
            let mut b = Vec::new();
            v.put_le(&mut b);
            assert_eq!(T::get_le(&b).to_bits64(), v.to_bits64());
        }
    }

    #[test]
    fn ordered_integers_follow_the_values() {
        ordered_is_monotone(&[f32::NEG_INFINITY, -1e30, -1.0, -1e-45, -0.0, 0.0, 1e-45, 2.5, f32::INFINITY]);
        ordered_is_monotone(&[f64::NEG_INFINITY, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 2.5, f64::INFINITY]);
        ordered_is_monotone(&[i8::MIN, -1, 0, 1, i8::MAX]);
        ordered_is_monotone(&[i64::MIN, -1, 0, 1, i64::MAX]);
        ordered_is_monotone(&[0u16, 1, 40_000, u16::MAX]);
        ordered_is_monotone(&[0u64, 1, u64::MAX]);
    }

    #[test]
    fn casts_saturate() {
        assert_eq!(i8::from_f64(1e9), 127);
        assert_eq!(u8::from_f64(-3.0), 0);
        assert_eq!(i32::from_f64(f64::NAN), 0);
        assert_eq!(i16::from_f64(-2.5), -3);
        assert_eq!(DType::parse("float32").unwrap(), DType::F32);
        assert_eq!(DType::parse("uint8").unwrap(), DType::U8);
        assert_eq!(DType::parse("f4").unwrap(), DType::F32);
        assert_eq!(DType::parse("u8").unwrap(), DType::U8);
        assert!(DType::parse("f16").is_err());
    }
}
