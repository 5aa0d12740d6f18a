//! The smallest and largest value of each element and component, which 3-D field files repeat after their data.
//!
//! # Format
//!
//! For each group of arrays, for each element, for each component: smallest, largest value, both `f32` in the byte
//! order of the file, whatever the type of the data. Visualisation tools use them to skip elements. They say nothing
//! that the data does not say, so they are not stored, and when a file is restored they are computed from the values
//! that were written, so that they agree with data that has changed within its bound.

use crate::array::{DType, Endian, ReadAt};
use crate::error::{Error, Result};
use crate::io::output::Output;

/// Bytes of a smallest and a largest value.
pub(super) const PAIR: u64 = 8;
/// Bytes of data looked at in one piece.
const PIECE: u64 = 1 << 20;

/// Where the extremes of a group are, and where the data that they are taken from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extremes {
    /// Byte offset of the extremes.
    pub(super) at: u64,
    /// Byte offset of the data.
    pub(super) data: u64,
    /// How many runs of values have extremes of their own: elements times components.
    pub(super) runs: u64,
    /// Values in a run.
    pub(super) points: u64,
    /// The type of the values.
    pub(super) word: DType,
    /// The byte order of values and extremes.
    pub(super) endian: Endian,
}

impl Extremes {
    /// The byte offset one past the extremes; saturates.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.runs.saturating_mul(PAIR))
    }
    /// Whether `bytes` holds exactly the extremes that its data has. Errors: `Truncated`, `Io`.
    pub(super) fn hold_in(&self, bytes: &dyn ReadAt) -> Result<bool> {
        let mut stored = Vec::new();
        let mut run = 0;
        while run < self.runs {
            let found = self.compute(bytes, run)?;
            stored.resize(found.len(), 0);
            bytes.read_at(self.at + PAIR * run, &mut stored)?;
            if stored != found {
                return Ok(false);
            }
            run += found.len() as u64 / PAIR;
        }
        Ok(true)
    }
    /// Computes the extremes of what has been written to `out`, and writes them to their place.
    /// Errors: `Truncated` when there is no such data in `out`; `Io`.
    pub(super) fn write(&self, out: &mut dyn Output) -> Result<()> {
        let mut run = 0;
        while run < self.runs {
            let found = self.compute(&*out, run)?;
            out.write_at(self.at + PAIR * run, &found)?;
            run += found.len() as u64 / PAIR;
        }
        Ok(())
    }
    /// The extremes of at least one run, as many as fit a piece, from `run`, as bytes in file order.
    fn compute(&self, bytes: &dyn ReadAt, run: u64) -> Result<Vec<u8>> {
        let size = self.points * self.word.size() as u64;
        let n = (PIECE / size.max(1)).clamp(1, self.runs - run);
        let length = (n * size) as usize;
        let mut data: Vec<u8> = Vec::new();
        data.try_reserve_exact(length)
            .map_err(|_| Error::limit(format!("expected memory for {length} bytes, found too little")))?;
        data.resize(length, 0);
        bytes.read_at(self.data + run * size, &mut data)?;
        let big = self.endian == Endian::Big;
        let mut out = Vec::with_capacity((n * PAIR) as usize);
        for values in data.chunks_exact(size.max(1) as usize) {
            let pair = match (self.word, big) {
                (DType::F32, false) => extremes(values, |b| f64::from(f32::from_le_bytes(b))),
                (DType::F32, true) => extremes(values, |b| f64::from(f32::from_be_bytes(b))),
                (_, false) => extremes(values, f64::from_le_bytes),
                (_, true) => extremes(values, f64::from_be_bytes),
            };
            out.extend(pair.into_iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() }));
        }
        Ok(out)
    }
}

/// The smallest and the largest value, NaN left out; NaN twice where there is nothing else.
fn extremes<const SIZE: usize>(bytes: &[u8], value: impl Fn([u8; SIZE]) -> f64) -> [f32; 2] {
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    for chunk in bytes.chunks_exact(SIZE) {
        let mut b = [0; SIZE];
        b.copy_from_slice(chunk);
        let v = value(b);
        // A comparison with NaN is false; of two zeros the first stays.
        if v < lo {
            lo = v;
        }
        if v > hi {
            hi = v;
        }
    }
    if lo > hi {
        return [f32::from_bits(0x7fc0_0000); 2];
    }
    // Rounding keeps the order: these are also the extremes of the rounded values.
    [lo as f32, hi as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    #[test]
    fn extremes_are_found_and_written_back() {
        let nan = f32::NAN;
        let data = [3.0, -1.0, 2.0, nan, 7.5, nan, nan, nan, nan, f32::INFINITY, -0.0, 1.0];
        let e = Extremes { at: 48, data: 0, runs: 4, points: 3, word: DType::F32, endian: Endian::Big };
        let mut out = bytes(&data);
        assert!(e.hold_in(&out).is_err());
        e.write(&mut out).unwrap();
        let expected = [-1.0, 3.0, 7.5, 7.5, f32::from_bits(0x7fc0_0000), nan, -0.0, f32::INFINITY];
        assert_eq!(out[48..], bytes(&expected));
        assert!(e.hold_in(&out).unwrap());
        out[50] ^= 1;
        assert!(!e.hold_in(&out).unwrap());
        assert!(Extremes { data: 40, ..e }.write(&mut out).is_err());
    }

    #[test]
    fn pieces_join() {
        let n = 3 * PIECE as usize / 8 / 5 + 1;
        let values: Vec<f64> = (0..n * 5).map(|i| (i as f64 * 1.234567).fract()).collect();
        let mut out: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let at = out.len() as u64;
        let e = Extremes { at, data: 0, runs: n as u64, points: 5, word: DType::F64, endian: Endian::Little };
        e.write(&mut out).unwrap();
        let expected = values.chunks(5).flat_map(|c| {
            let lo = c.iter().copied().fold(f64::MAX, f64::min);
            [lo as f32, c.iter().copied().fold(f64::MIN, f64::max) as f32]
        });
        let expected: Vec<u8> = expected.flat_map(f32::to_le_bytes).collect();
        assert!(out[at as usize..] == expected);
    }
}
