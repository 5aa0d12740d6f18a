//! Real coefficients to bytes and back: a uniform quantiser with a slightly wider zero bin, then context coding.
//!
//! Source: G. J. Sullivan, "Efficient scalar quantization of exponential and Laplacian random variables", 1996 (zero bin
//! and reconstruction points).
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | `step`, f64; 0: all coefficients are 0 and nothing follows |
//! | 1 | bit 0: coder `Classes`, else `Mixed`; bit 1: the first band holds differences; other bits 0 |
//! | varint | `offset`, zigzag |
//! | 3 | `r[1]`, `r[2]`, `r[3]`, i8 each: corrections of magnitudes 1, 2, and 3 and more |
//! | rest | the codes `q`, i32, see [`super::coefficients`](crate::transform::encode_coefficients) |
//!
//! In the first band, modulo 2^32: with bit 1 each code is the difference from the one before along each axis in turn, the
//! last axis first (sums undo it, the first axis first); then `offset` is added to every code. A coefficient is
//! `step * (q + sign(q) * r[min(|q|, 3)] / 256)`, and 0 for `q = 0`.

use super::bands::Band;
use super::coefficients::{coefficient_bits, decode_coefficients, decode_corner, encode_coefficients, split, Coder};
use super::lines::strides;
use crate::array::MAX_RANK;
use crate::bits::{put_varint, unzigzag, zigzag, ByteReader};
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};

/// Magnitudes below `1 - ROUNDING` steps become zero: more than half a step, since zeros are cheap.
const ROUNDING: f64 = 0.4;
/// Largest magnitude of a code.
const MAX_CODE: f64 = (1u32 << 30) as f64;
const CLASSES: u8 = 1;
const DIFFERENCES: u8 = 2;

/// Coefficients as integers.
#[derive(Debug)]
pub struct Quantised {
    /// 0: all coefficients are 0.
    step: f64,
    codes: Vec<i32>,
    /// What magnitudes 1, 2, and 3 and more are short of, in units of `step / 256`; that of 0 is 0.
    shifts: [i8; 4],
}

impl Quantised {
    /// Quantises with `step`, or a coarser one where codes would not fit 31 bits otherwise.
    pub fn new(coefficients: &[f64], step: f64) -> Quantised {
        // `f64::max` passes over what is not a number.
        let largest = coefficients.iter().fold(0.0, |m: f64, c| m.max(c.abs()));
        let step = step.max(largest / MAX_CODE);
        // Nothing is left of coefficients below half a step; nothing can be done for those that overflowed.
        if !step.is_finite() || step < f64::MIN_POSITIVE || largest < (1.0 - ROUNDING) * step {
            return Quantised { step: 0.0, codes: vec![0; coefficients.len()], shifts: [0; 4] };
        }
        let (mut sums, mut counts) = ([0.0; 4], [0u32; 4]);
        // Division, since the reciprocal of a tiny step overflows. Casts saturate.
        let codes = coefficients.iter().map(|c| {
            let a = (c / step).abs();
            let m = (a + if a < 1.5 { ROUNDING } else { 0.5 }) as i32;
            let class = m.min(3) as usize;
            sums[class] += a - f64::from(m);
            counts[class] += 1;
            if *c < 0.0 {
                -m
            } else {
                m
            }
        });
        let codes = codes.collect();
        let mut shifts = [0; 4];
        for k in 1..4 {
            shifts[k] = (256.0 * sums[k] / f64::from(counts[k].max(1))).round() as i8;
        }
        Quantised { step, codes, shifts }
    }

    /// The coefficients that will be decoded.
    pub fn values(&self, out: &mut [f64]) {
        let shifts = self.shifts.map(|b| f64::from(b) / 256.0);
        for (o, &q) in out.iter_mut().zip(&self.codes) {
            let shift = shifts[q.unsigned_abs().min(3) as usize];
            *o = self.step * (f64::from(q) + if q < 0 { -shift } else { shift });
        }
    }

    /// Appends the coefficients of an array of `shape` to `out`. Errors: as [`encode_coefficients`].
    pub fn encode(mut self, shape: &[usize], bands: &[Band], coder: Coder, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.step.to_le_bytes());
        if self.step == 0.0 {
            return Ok(());
        }
        let (offset, differences) = match bands.first() {
            Some(first) => flatten(&mut self.codes, shape, first),
            None => (0, false),
        };
        out.push(if coder == Coder::Classes { CLASSES } else { 0 } | if differences { DIFFERENCES } else { 0 });
        put_varint(out, u64::from(zigzag(offset)));
        out.extend(self.shifts.iter().skip(1).map(|&b| b as u8));
        encode_coefficients(&mut self.codes, shape, bands, coder, out)
    }

    /// About how many bytes [`Quantised::encode`] with [`Coder::Classes`] would take. Errors: as that.
    pub fn size(mut self, shape: &[usize], bands: &[Band]) -> Result<usize> {
        if self.step == 0.0 {
            return Ok(8);
        }
        if let Some(first) = bands.first() {
            flatten(&mut self.codes, shape, first);
        }
        Ok((coefficient_bits(&mut self.codes, shape, bands)? / 8.0) as usize)
    }

    /// The inverse of [`Quantised::encode`]; all of `bytes` is read. Total on hostile bytes.
    /// Errors: as [`decode_coefficients`], `Corrupt`, `Truncated`, `LimitExceeded`.
    pub fn decode(bytes: &[u8], shape: &[usize], bands: &[Band]) -> Result<Quantised> {
        let mut r = ByteReader::new(bytes);
        let params = Params::read(&mut r)?;
        let mut codes = room(shape)?;
        match &params {
            Some(p) => decode_coefficients(r.rest(), shape, bands, p.coder, &mut codes)?,
            None => r.end()?,
        }
        Ok(Params::finish(params, codes, shape, bands))
    }

    /// Where the trailing one of the two streams of an encoding begins (see [`Head`]); its length where there is one stream.
    /// Errors: as [`Quantised::decode`].
    pub fn split(bytes: &[u8]) -> Result<usize> {
        let mut r = ByteReader::new(bytes);
        match Params::read(&mut r)? {
            Some(p) => Ok(bytes.len() - r.remaining() + split(r.rest(), p.coder)?),
            None => Ok(bytes.len()),
        }
    }

    /// The coefficients in the corner of extents `corner` of an array of `shape`, and how much of the two streams was needed for them.
    /// Each band lies either inside the corner or outside, the first one inside. Total on hostile bytes. Errors: as [`Quantised::decode`].
    pub fn decode_corner(
        head: Head<'_>,
        shape: &[usize],
        corner: &[usize],
        bands: &[Band],
    ) -> Result<(Quantised, Reach)> {
        let mut r = ByteReader::new(head.lead);
        let params = Params::read(&mut r)?;
        let before = head.lead.len() - r.remaining();
        let mut codes = room(corner)?;
        let reach = match &params {
            Some(p) => decode_corner(head.skip(before), shape, corner, bands, p.coder, &mut codes)?,
            None => Reach::default(),
        };
        Ok((Params::finish(params, codes, corner, bands), reach.after(before)))
    }
}

/// What stands before the codes.
struct Params {
    step: f64,
    coder: Coder,
    differences: bool,
    offset: i32,
    shifts: [i8; 4],
}

impl Params {
    /// `None` when all coefficients are 0. Errors: `Corrupt`, `Truncated`.
    fn read(r: &mut ByteReader<'_>) -> Result<Option<Params>> {
        let step = r.f64()?;
        if step == 0.0 {
            return Ok(None);
        }
        let flags = r.u8()?;
        if !step.is_finite() || flags & !(CLASSES | DIFFERENCES) != 0 {
            return Err(Error::corrupt(format!("expected a step and flags, found {step} and {flags}")));
        }
        let coder = if flags & CLASSES == 0 { Coder::Mixed } else { Coder::Classes };
        let offset = unzigzag(r.count(u32::MAX as usize)? as u32);
        let mut shifts = [0; 4];
        for (shift, &b) in shifts.iter_mut().skip(1).zip(r.take(3)?) {
            *shift = b as i8;
        }
        Ok(Some(Params { step, coder, differences: flags & DIFFERENCES != 0, offset, shifts }))
    }
    /// The coefficients, from their codes in an array of `shape`.
    fn finish(params: Option<Params>, mut codes: Vec<i32>, shape: &[usize], bands: &[Band]) -> Quantised {
        let Some(p) = params else { return Quantised { step: 0.0, codes, shifts: [0; 4] } };
        if let Some(first) = bands.first() {
            let mut smooth = take(&codes, shape, first);
            if p.differences {
                for axis in 0..shape.len() {
                    along(&mut smooth, &first.extents, shape.len(), axis, false);
                }
            }
            smooth.iter_mut().for_each(|q| *q = q.wrapping_add(p.offset));
            put(&mut codes, shape, first, &smooth);
        }
        Quantised { step: p.step, codes, shifts: p.shifts }
    }
}

/// Zeros for an array of `shape`. Errors: `LimitExceeded`.
fn room(shape: &[usize]) -> Result<Vec<i32>> {
    let n: usize = shape.iter().product();
    let mut codes = Vec::new();
    codes.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for {n} codes, found too little")))?;
    codes.resize(n, 0);
    Ok(codes)
}

/// Takes the mean off the codes of the first band, and replaces them by differences where those are smaller.
fn flatten(codes: &mut [i32], shape: &[usize], first: &Band) -> (i32, bool) {
    let mut smooth = take(codes, shape, first);
    let sum: i64 = smooth.iter().map(|&q| i64::from(q)).sum();
    let offset = (sum / smooth.len().max(1) as i64) as i32;
    smooth.iter_mut().for_each(|q| *q = q.wrapping_sub(offset));
    let mut differences = smooth.clone();
    for axis in (0..shape.len()).rev() {
        along(&mut differences, &first.extents, shape.len(), axis, true);
    }
    let bits = |v: &[i32]| v.iter().map(|q| u64::from(32 - q.unsigned_abs().leading_zeros())).sum::<u64>();
    let better = bits(&differences) < bits(&smooth);
    put(codes, shape, first, if better { &differences } else { &smooth });
    (offset, better)
}

/// Differences along `axis` of a box in C order, or sums.
fn along(v: &mut [i32], extents: &[usize; MAX_RANK], rank: usize, axis: usize, differences: bool) {
    let inner: usize = extents[axis + 1..rank].iter().product();
    let line = inner * extents[axis];
    if inner == 0 || line == 0 {
        return;
    }
    for block in v.chunks_exact_mut(line) {
        if differences {
            for i in (inner..line).rev() {
                block[i] = block[i].wrapping_sub(block[i - inner]);
            }
        } else {
            for i in inner..line {
                block[i] = block[i].wrapping_add(block[i - inner]);
            }
        }
    }
}

/// Calls `f` with the place of each row of `band`.
fn for_each_row(shape: &[usize], band: &Band, mut f: impl FnMut(std::ops::Range<usize>)) {
    let rank = shape.len();
    if rank == 0 {
        return f(0..1);
    }
    let step = strides(shape);
    let mut index = [0; MAX_RANK];
    for _ in 0..band.extents[..rank - 1].iter().product() {
        if let Some(at) = band.row(&step, rank, &index) {
            f(at..at + band.extents[rank - 1]);
        }
        for k in (0..rank - 1).rev() {
            index[k] += 1;
            if index[k] < band.extents[k] {
                break;
            }
            index[k] = 0;
        }
    }
}

fn take(codes: &[i32], shape: &[usize], band: &Band) -> Vec<i32> {
    let mut v = Vec::new();
    for_each_row(shape, band, |row| v.extend_from_slice(codes.get(row).unwrap_or_default()));
    v
}

fn put(codes: &mut [i32], shape: &[usize], band: &Band, from: &[i32]) {
    let mut from = from.iter();
    for_each_row(shape, band, |row| {
        codes.get_mut(row).unwrap_or_default().iter_mut().zip(&mut from).for_each(|(c, f)| *c = *f);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Decomposition, Wavelet};

    fn bands(shape: &[usize], levels: &[u32]) -> Vec<Band> {
        Decomposition { wavelet: Wavelet::Cdf97, levels: levels.to_vec(), alone: 0 }.bands(shape).unwrap()
    }

    #[test]
    fn coefficients_come_back_within_the_quantiser() {
        for (shape, levels) in
            [(vec![], vec![]), (vec![9], vec![1]), (vec![12, 7, 10], vec![1, 0, 2]), (vec![3, 0], vec![0, 0])]
        {
            let b = bands(&shape, &levels);
            let n: usize = shape.iter().product();
            // The first band is smooth and far from zero: coded as differences.
            let x: Vec<f64> = (0..n).map(|i| 1e5 + 40.0 * i as f64 + ((i * i) % 7) as f64).collect();
            for coder in [Coder::Mixed, Coder::Classes] {
                for step in [0.01, 1.0, 5e4, 1e9] {
                    let mut bytes = Vec::new();
                    let quantised = Quantised::new(&x, step);
                    let (mut y, mut z) = (vec![1.0; n], vec![2.0; n]);
                    quantised.values(&mut y);
                    quantised.encode(&shape, &b, coder, &mut bytes).unwrap();
                    Quantised::decode(&bytes, &shape, &b).unwrap().values(&mut z);
                    assert_eq!(y, z);
                    assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() <= 1.01 * step), "{shape:?} {step}");
                    for cut in 0..bytes.len() {
                        assert!(Quantised::decode(&bytes[..cut], &shape, &b).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn extreme_coefficients_are_survived() {
        let b = bands(&[4], &[0]);
        for x in [
            [f64::MAX, -f64::MAX, 0.0, 1.0],
            [f64::NAN, 1.0, 2.0, 3.0],
            [f64::INFINITY, 1.0, 0.0, 0.0],
            [f64::MIN_POSITIVE, 5e-324, 0.0, -5e-324],
            [1e300, 1e-300, 0.0, 1.0],
        ] {
            for step in [0.0, 5e-324, 1e-300, 1.0, 1e300, f64::MAX, f64::INFINITY] {
                let mut bytes = Vec::new();
                Quantised::new(&x, step).encode(&[4], &b, Coder::Mixed, &mut bytes).unwrap();
                Quantised::decode(&bytes, &[4], &b).unwrap();
            }
        }
    }
}
