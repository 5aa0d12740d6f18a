//! Numbers as decimal text.

use std::fmt::Write;

use crate::array::{DType, Element, Slice};
use crate::error::{Error, Result};
use crate::{dispatch, dispatch_dtype};

/// A number that can be written as text and read back the same.
trait Decimal: Element + std::str::FromStr {
    fn put(self, out: &mut String);
}

macro_rules! integer {
    ($($t:ty),*) => {$(
        impl Decimal for $t {
            fn put(self, out: &mut String) {
                // Writing to a string cannot fail.
                let _ = write!(out, "{self}");
            }
        }
    )*};
}
integer!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! float {
    ($($t:ty, $positional:expr);*) => {$(
        impl Decimal for $t {
            /// The shortest digits that read back the same; with an exponent below 1e-4 and from `$positional` on,
            /// as VTK writes them.
            fn put(self, out: &mut String) {
                if self.is_nan() {
                    out.push_str(if self.is_sign_negative() { "-nan" } else { "nan" });
                    return;
                }
                let magnitude = self.abs();
                let zero = magnitude == 0.0;
                if zero || !self.is_finite() || (1e-4..$positional).contains(&magnitude) {
                    let _ = write!(out, "{self}");
                    return;
                }
                let scientific = format!("{self:e}");
                let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
                let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
            }
        }
    )*};
}
float!(f32, 1e7; f64, 1e16);

/// Appends values from `range`, separated as `separator` says, to `out`.
pub(super) fn put(values: Slice<'_>, range: std::ops::Range<usize>, lines: &Lines, out: &mut String) {
    fn put_all<T: Decimal>(v: &[T], first: usize, lines: &Lines, out: &mut String) {
        for (i, x) in v.iter().enumerate() {
            let i = first + i;
            if i > 0 {
                let broken = lines.columns > 0 && (i as u64).is_multiple_of(lines.columns);
                out.push_str(if broken { &lines.separator } else { " " });
            }
            x.put(out);
        }
    }
    dispatch!(Slice, values, v => put_all(v.get(range.clone()).unwrap_or_default(), range.start, lines, out));
}

/// How numbers are set out: a space between them, and a line break after every `columns` of them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    /// Numbers on a line; 0 for any number.
    pub(super) columns: u64,
    /// The line break, with the indentation of the next line.
    pub(super) separator: String,
}

impl Lines {
    /// The longest line break kept.
    const MAX_SEPARATOR: usize = 256;
    /// As the beginning of a text shows.
    pub(super) fn found(text: &[u8]) -> Lines {
        let one = Lines { columns: 0, separator: "\n".into() };
        let mut columns = 0;
        let mut rest = text;
        loop {
            let n = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            columns += u64::from(n > 0);
            rest = rest.get(n..).unwrap_or_default();
            let n = rest.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(rest.len());
            if n == 0 || n == rest.len() {
                return one;
            }
            let space = rest.get(..n).unwrap_or_default();
            if space.contains(&b'\n') {
                let separator = String::from_utf8_lossy(space).into_owned();
                return if n <= Lines::MAX_SEPARATOR { Lines { columns, separator } } else { one };
            }
            rest = rest.get(n..).unwrap_or_default();
        }
    }
    /// Errors: `Corrupt` unless the line break is space, and not too much of it.
    pub(super) fn check(&self) -> Result<()> {
        let space = !self.separator.is_empty() && self.separator.bytes().all(|b| b.is_ascii_whitespace());
        if space && self.separator.len() <= Lines::MAX_SEPARATOR {
            Ok(())
        } else {
            Err(Error::corrupt("expected white space between the numbers of a text"))
        }
    }
}

/// Reads exactly `count` numbers of type `dtype`, as little-endian bytes. Errors: `Corrupt`.
pub(super) fn parse(text: &[u8], dtype: DType, count: usize) -> Result<Vec<u8>> {
    fn parse_all<T: Decimal>(text: &str, count: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let size = count.saturating_mul(size_of::<T>());
        out.try_reserve_exact(size)
            .map_err(|_| Error::limit(format!("expected memory for {size} bytes, found too little")))?;
        let mut numbers = text.split_ascii_whitespace();
        for i in 0..count {
            let n = numbers.next().ok_or_else(|| Error::corrupt(format!("expected {count} numbers, found {i}")))?;
            let v = n.parse::<T>().map_err(|_| {
                let n: String = n.chars().take(40).collect();
                Error::corrupt(format!("expected a number of type {}, found {n:?}", T::DTYPE))
            })?;
            v.put_le(&mut out);
        }
        match numbers.next() {
            None => Ok(out),
            Some(_) => Err(Error::corrupt(format!("expected {count} numbers, found more"))),
        }
    }
    // Each number but the last takes a digit and a space.
    if count > text.len().div_ceil(2) {
        return Err(Error::corrupt(format!("expected {count} numbers, found a text of {} bytes", text.len())));
    }
    let text =
        std::str::from_utf8(text).map_err(|_| Error::corrupt("expected numbers, found bytes that are no text"))?;
    dispatch_dtype!(dtype, T => parse_all::<T>(text, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Element>(v: &[T], lines: &Lines) -> String {
        let mut out = String::new();
        put(T::wrap(v), 0..v.len(), lines, &mut out);
        out
    }

    fn round<T: Element>(v: &[T]) {
        let lines = Lines { columns: 3, separator: "\n  ".into() };
        let t = text(v, &lines);
        let bytes = parse(t.as_bytes(), T::DTYPE, v.len()).unwrap();
        assert_eq!(bytes, T::wrap(v).to_le_bytes(), "{t}");
        if v.len() > 3 {
            assert_eq!(Lines::found(t.as_bytes()), lines);
        }
    }

    #[test]
    fn numbers_read_back_the_same() {
        round(&[0.0f32, -0.0, 1.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, -0.1, f32::NEG_INFINITY, f32::INFINITY]);
        round(&[f64::NAN, -f64::NAN, 5e-324, f64::MAX, 1.0 / 3.0, 123456789012345680.0]);
        round(&[i8::MIN, -1, 0, i8::MAX]);
        round(&[i64::MIN, i64::MAX]);
        round(&[u64::MAX, 0]);
        round(&[0u16, 65535]);
        // A fixed sequence of bit patterns over all exponents.
        let mut s = 1u64;
        let bits = (0..2000).map(|_| {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            s
        });
        let v: Vec<f64> = bits.map(f64::from_bits).filter(|v| !v.is_nan()).collect();
        round(&v);
        round(&v.iter().map(|&v| v as f32).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_are_written_as_vtk_does() {
        // Written by VTK 9.7.
        let lines = Lines { columns: 0, separator: "\n".into() };
        let v = [1.0, 0.001, 1e-4, 1e-5, 0.00015, 1.234e-5, 1e5, 1e15, 1e16, 12345678901234568.0, 1e-300, 100000.5];
        let want = "1 0.001 0.0001 1e-05 0.00015 1.234e-05 100000 1000000000000000 1e+16 1.2345678901234568e+16 1e-300 100000.5";
        assert_eq!(text(&v, &lines), want);
        let v = [1e-4f32, 1e-5, 1.5e-4, 1e5, 1e6, 123456.0, 1e7, 16777216.0, -0.0, f32::NAN, f32::NEG_INFINITY];
        let want = "0.0001 1e-05 0.00015 100000 1000000 123456 1e+07 1.6777216e+07 -0 nan -inf";
        assert_eq!(text(&v, &lines), want);
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for bad in ["", "1", "1 2 3", "1 x", "1 2.5", "1 300", "1 -1", "1 \u{fffd}"] {
            assert!(parse(bad.as_bytes(), DType::U8, 2).is_err(), "{bad}");
        }
        assert!(parse(&[49, 32, 255], DType::U8, 2).is_err());
        assert!(parse(b"1", DType::F64, usize::MAX).is_err());
    }
}
