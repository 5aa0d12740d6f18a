//! What a ZFP stream is made with, and its header.

use super::stream::{Reader, Writer};
use crate::array::DType;
use crate::error::{Error, Result};

/// Most bits a block may take.
const MAX_BITS: u32 = 16_658;
/// Most bit planes.
const MAX_PRECISION: u32 = 64;
/// The exponent of the smallest number of `f64`; one less is reversible.
const MIN_EXPONENT: i32 = -1074;

/// Limits on the blocks of a stream; all modes are made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Fewest bits of a block; zeros are appended.
    pub min_bits: u32,
    /// Most bits of a block; it is cut off there.
    pub max_bits: u32,
    /// Most bit planes.
    pub max_precision: u32,
    /// For floats, the exponent of the tolerance: planes far enough below are left out. Less than -1074 is reversible.
    pub min_exponent: i32,
}

impl Params {
    /// No limits. All bits of the transform are kept, which is not the same as all bits of the values.
    pub const ALL: Params =
        Params { min_bits: 1, max_bits: MAX_BITS, max_precision: MAX_PRECISION, min_exponent: MIN_EXPONENT };
    /// Without loss.
    pub const REVERSIBLE: Params = Params { min_exponent: MIN_EXPONENT - 1, ..Params::ALL };

    /// The same number of bits for every block of `4^rank` values: as close to `rate` bits a value as there are whole bits, but room
    /// for an exponent at least. Errors: `InvalidArgument` unless the rate is between 0 and 16658 bits a block.
    pub fn rate(rate: f64, dtype: DType, rank: usize) -> Result<Params> {
        let bits = (rate * f64::from(1u32 << (2 * rank)) + 0.5).floor();
        if !(bits >= 0.0 && bits <= f64::from(MAX_BITS)) {
            return Err(Error::invalid(format!("expected a rate of at most {MAX_BITS} bits a block, found {bits}")));
        }
        let bits = (bits as u32).max(1 + exponent_bits(dtype));
        Ok(Params { min_bits: bits, max_bits: bits, ..Params::ALL })
    }
    /// As many bit planes of every block, 1 to 64. Errors: `InvalidArgument`.
    pub fn precision(planes: u32) -> Result<Params> {
        Params { max_precision: planes, ..Params::ALL }.checked(Error::invalid)
    }
    /// Errors of floats of `tolerance` at most, where it is positive; all that counts of it is `floor(log2(tolerance))`. Without
    /// meaning for integers.
    pub fn accuracy(tolerance: f64) -> Params {
        let exponent = if tolerance > 0.0 { exponent(tolerance) } else { MIN_EXPONENT };
        Params { min_exponent: exponent, ..Params::ALL }
    }
    /// Whether nothing is lost.
    pub fn is_reversible(&self) -> bool {
        self.min_exponent < MIN_EXPONENT
    }
    /// Whether blocks may be cut off: `overhead` bits and all planes of `values` values of `bits` bits may be too many.
    fn checked(self, error: fn(String) -> Error) -> Result<Params> {
        let good = self.min_bits <= self.max_bits && (1..=MAX_PRECISION).contains(&self.max_precision);
        good.then_some(self).ok_or_else(|| error(format!("expected limits that can be kept, found {self:?}")))
    }
    /// The 12 bits that say which mode, or all 64.
    fn mode(&self) -> (u64, u32) {
        let Params { min_bits, max_bits, max_precision, min_exponent } = *self;
        let short = if min_bits == max_bits && Params::rate_of(max_bits) == *self && max_bits <= 2048 {
            Some(max_bits - 1)
        } else if *self == Params::ALL {
            None
        } else if (Params { max_precision, ..Params::ALL }) == *self {
            Some(2048 + max_precision - 1)
        } else if *self == Params::REVERSIBLE {
            Some(2176)
        } else if (Params { min_exponent, ..Params::ALL }) == *self && min_exponent <= 843 {
            Some(2177 + (min_exponent - MIN_EXPONENT) as u32)
        } else {
            None
        };
        if let Some(mode) = short {
            return (u64::from(mode), 12);
        }
        let exponent = (min_exponent + 16_495).clamp(0, 0x7fff) as u64;
        let field = |v: u32| u64::from(v.clamp(1, 0x8000) - 1);
        let planes = field(max_precision.min(0x80));
        (0xfff | field(min_bits) << 12 | field(max_bits) << 27 | planes << 42 | exponent << 49, 64)
    }
    fn rate_of(bits: u32) -> Params {
        Params { min_bits: bits, max_bits: bits, ..Params::ALL }
    }
    fn read_mode(r: &mut Reader<'_>) -> Result<Params> {
        let params = match r.get(12) as u32 {
            mode @ 0..2048 => Params::rate_of(mode + 1),
            mode @ 2048..2176 => Params { max_precision: (mode - 2048 + 1).min(MAX_PRECISION), ..Params::ALL },
            2176 => Params::REVERSIBLE,
            mode @ 2177..4095 => Params { min_exponent: (mode - 2177) as i32 + MIN_EXPONENT, ..Params::ALL },
            _ => {
                let mut field = |n| r.get(n) as u32;
                Params {
                    min_bits: field(15) + 1,
                    max_bits: field(15) + 1,
                    max_precision: field(7) + 1,
                    min_exponent: field(15) as i32 - 16_495,
                }
            }
        };
        r.finish()?;
        params.checked(Error::corrupt)
    }
}

/// `floor(log2(v))` of a positive number.
pub fn exponent(v: f64) -> i32 {
    let bits = v.to_bits() & (u64::MAX >> 1);
    match bits >> 52 {
        0 => 63 - bits.leading_zeros() as i32 + MIN_EXPONENT,
        e => e as i32 - 1023,
    }
}

/// Bits of the common exponent of a block.
pub(super) fn exponent_bits(dtype: DType) -> u32 {
    match dtype {
        DType::F32 => 8,
        DType::F64 => 11,
        _ => 0,
    }
}

/// The header: what the values are, how many, and how they are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `f32`, `f64`, `i32` or `i64`.
    pub dtype: DType,
    /// Axes, 1 to 4.
    pub rank: usize,
    /// The extents in C order; those beyond the rank are 1.
    extents: [usize; 4],
    /// The limits on blocks.
    pub params: Params,
}

/// `zfp` and the version of the format.
const MAGIC: u64 = 0x0570_667a;

impl Header {
    /// Errors: `InvalidArgument` for other types, ranks and extents than the header can hold.
    pub fn new(dtype: DType, extents: &[usize], params: Params) -> Result<Header> {
        let mut h = Header { dtype, rank: extents.len(), extents: [1; 4], params: params.checked(Error::invalid)? };
        type_number(dtype)?;
        let fits = |&n: &usize| n > 0 && (n - 1) as u64 >> extent_bits(h.rank) == 0;
        if !(1..=4).contains(&h.rank) || !extents.iter().all(fits) {
            return Err(Error::invalid(format!("expected 1 to 4 axes of 2^48, 2^24, 2^16 or 2^12, found {extents:?}")));
        }
        h.extents[..h.rank].copy_from_slice(extents);
        h.room(Error::invalid)
    }
    /// Blocks that are cut off have room for an exponent, or the precision of the reversible mode.
    fn room(self, error: fn(String) -> Error) -> Result<Header> {
        let least = 1 + exponent_bits(self.dtype) + if self.params.is_reversible() { 7 } else { 0 };
        if self.params.max_bits < least {
            return Err(error(format!("expected at least {least} bits a block, found {}", self.params.max_bits)));
        }
        Ok(self)
    }
    /// The extents in C order, the last axis fastest.
    pub fn extents(&self) -> &[usize] {
        &self.extents[..self.rank]
    }
    /// The number of values; `None` when it cannot be counted.
    pub fn values(&self) -> Option<usize> {
        self.extents.iter().try_fold(1usize, |n, &e| n.checked_mul(e))
    }
    /// The header of a stream. Errors: `Corrupt`, `Truncated`; `Unsupported` for other versions of the format.
    pub fn read(bytes: &[u8]) -> Result<Header> {
        Header::take(&mut Reader::new(bytes))
    }
    /// Appends the header.
    pub(super) fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.put(MAGIC, 32);
        let mut field = 0;
        for &n in self.extents() {
            field = field << extent_bits(self.rank) | (n - 1) as u64;
        }
        field = field << 2 | (self.rank - 1) as u64;
        field = field << 2 | type_number(self.dtype)?;
        w.put(field, 52);
        let (mode, bits) = self.params.mode();
        w.put(mode, bits);
        Ok(())
    }
    /// Reads the header at the beginning of a stream.
    pub(super) fn take(r: &mut Reader<'_>) -> Result<Header> {
        let magic = r.get(32);
        r.finish()?;
        if magic & 0xff_ffff != MAGIC & 0xff_ffff {
            return Err(Error::corrupt(format!("expected a ZFP stream, found {magic:#010x}")));
        }
        if magic != MAGIC {
            return Err(Error::unsupported(format!("expected version 5 of the ZFP format, found {}", magic >> 24)));
        }
        let mut field = r.get(52);
        r.finish()?;
        let dtype = [DType::I32, DType::I64, DType::F32, DType::F64][(field & 3) as usize];
        let rank = (field >> 2 & 3) as usize + 1;
        field >>= 4;
        let mut extents = [1; 4];
        for e in extents[..rank].iter_mut().rev() {
            *e = (field & ((1 << extent_bits(rank)) - 1)) as usize + 1;
            field >>= extent_bits(rank);
        }
        let params = Params::read_mode(r)?;
        Header { dtype, rank, extents, params }.room(Error::corrupt)
    }
}

/// Bits of an extent less one.
pub fn extent_bits(rank: usize) -> u32 {
    48 / (rank as u32).max(1)
}

fn type_number(dtype: DType) -> Result<u64> {
    match dtype {
        DType::I32 => Ok(0),
        DType::I64 => Ok(1),
        DType::F32 => Ok(2),
        DType::F64 => Ok(3),
        other => Err(Error::invalid(format!("expected f32, f64, i32 or i64, found {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_in_as_many_bits() {
        let rate = Params::rate(3.3, DType::F32, 3).unwrap();
        let modes = [
            (rate, 96),
            (Params::rate(9.0, DType::F32, 4).unwrap(), 148),
            (Params::precision(64).unwrap(), 148),
            (Params::precision(63).unwrap(), 96),
            (Params::accuracy(1e-3), 96),
            (Params::accuracy(5e-324), 148),
            (Params::accuracy(f64::MAX), 148),
            (Params::REVERSIBLE, 96),
            (Params { min_bits: 5, max_bits: 600, max_precision: 31, min_exponent: -7 }, 148),
        ];
        for (params, bits) in modes {
            let (large, small) = ([1 << 48, 1 << 24, 1 << 16, 1 << 12], [1; 4]);
            for rank in 1..=4 {
                for extents in [vec![large[rank - 1]; rank], small[..rank].to_vec(), (3..3 + rank).collect()] {
                    let header = Header::new(DType::F32, &extents, params).unwrap();
                    let mut bytes = Vec::new();
                    let mut w = Writer::new(&mut bytes);
                    header.write(&mut w).unwrap();
                    assert_eq!(w.bits(), bits, "{params:?}");
                    w.finish();
                    assert_eq!(Header::read(&bytes).unwrap(), header);
                    assert_eq!(header.extents(), extents);
                }
            }
        }
        assert_eq!(rate.max_bits, 211);
    }

    #[test]
    fn what_cannot_be_kept_or_said_is_refused() {
        let header = |dtype, extents: &[usize], params| Header::new(dtype, extents, params).is_ok();
        assert!(header(DType::I64, &[1 << 12; 4], Params::ALL));
        assert!(!header(DType::I64, &[1, 1, 1, (1 << 12) + 1], Params::ALL));
        assert!(!header(DType::I64, &[1; 5], Params::ALL));
        assert!(!header(DType::I64, &[], Params::ALL));
        assert!(!header(DType::I64, &[4, 0], Params::ALL));
        assert!(!header(DType::U8, &[4], Params::ALL));
        let narrow = |max_bits| Params { max_bits, ..Params::ALL };
        assert!(header(DType::F32, &[4], narrow(9)) && !header(DType::F32, &[4], narrow(8)));
        assert!(header(DType::F64, &[4], narrow(12)) && !header(DType::F64, &[4], narrow(11)));
        assert!(!header(DType::F32, &[4], Params { min_bits: 50, ..narrow(49) }));
        assert!(Params::precision(0).is_err() && Params::precision(65).is_err());
        for rate in [f64::NAN, -1.0, 1e9] {
            assert!(Params::rate(rate, DType::F32, 1).is_err());
        }
        // No rate leaves less than the exponent.
        assert_eq!(Params::rate(1e-9, DType::F64, 1).unwrap().max_bits, 12);
    }

    #[test]
    fn exponents_are_those_of_powers_of_two() {
        for (v, e) in [(1.0, 0), (1.99, 0), (2.0, 1), (0.75, -1), (f64::MAX, 1023), (5e-324, -1074), (1e-310, -1030)] {
            assert_eq!(exponent(v), e, "{v:e}");
        }
    }
}
