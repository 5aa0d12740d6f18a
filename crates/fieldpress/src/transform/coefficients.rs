//! Quantised coefficients to bytes: each is coded in contexts of its neighbours in space, scale and orientation.
//!
//! Sources: X. Wu, "High-order context modeling and embedded conditional entropy coding of wavelet coefficients for
//! image compression", 1997; J. M. Shapiro, "Embedded image coding using zerotrees of wavelet coefficients", 1993
//! (parents).
//!
//! # Format
//!
//! Coefficients lie in [bands](Band), which follow each other as listed; rows of a band in C order, the last axis being
//! that of rows. An array of rank 0 is one of a single axis. Let `a(.)` be magnitudes, at most 4095, zero where
//! nothing is or nothing has been coded; "back" is the neighbour one before; sums over axes are over the last three
//! axes but that of the rows. For each place `x` of a row:
//!
//! | name | value |
//! |---|---|
//! | `N` | sum over axes of `a` one back |
//! | `D` | sum over axes of `a` one back and one to either side along the row; plus, for each pair of axes, one back along the first and one to either side along the second |
//! | `F` | sum over axes of `a` two back |
//! | `P`, `Q` | sum over parents of `a` at the place halved along the axes where the parent is coarser (at most the parent's last); `Q` the same over that place's two neighbours along each of the axes and the row, inside the parent |
//! | `S`, `T` | `s` at the place, and the sum of `s` over its two neighbours along each of the axes and the row; `s` is the sum of `a`, at most 65535, over the bands before as far back as each follows its predecessor |
//! | `M` | sum over axes of the average `m` one back |
//!
//! When `4N + 2D`, `F`, `4P + Q` and `4S + T` are zero all along a row, a flag says whether all its coefficients are zero. If
//! so, `m = floor(k M / 256)` there, with `k = floor(225 / n)`, `n` being the number of axes longer than 1 (at least 1).
//! Otherwise each coefficient is coded, with `b`, `c` the magnitudes one and two before in the row, `M` including the `m`
//! one before; then `m = 123 a + floor(k M / 256)`:
//!
//! | name | value |
//! |---|---|
//! | `f` | `4 (N + b) + 2 D` |
//! | `g` | `2 f + (4P + Q) + 2 (4S + T) + 2 (F + c)` |
//! | `h` | `floor(floor(k M / 256) / 16)` |
//! | `l` | the band's level |
//! | `L(v)` | `v` below 2, else `2 e + the bit below the leading one` with `e = floor(log2 v)` |
//!
//! Two coders exist. [`Coder::Mixed`] is one range-coded stream: flags are models chosen by `l` and the flag before in the
//! band (at first: not zero); coefficients are integers of [`crate::entropy::mixing`] with the contexts
//! `16 L(f) + L(4P + Q)` (at most 23 and 15), `8 L(g) + l` (31), `16 (5 N + b) + 4 P + S` (at most 4, 4, 3, 3),
//! `32 L(h) + L(2 f + 2 (4S + T) + 4P + Q)` (31 and 31), and the selector `8 l + floor(L(g) / 3)` (at most 7).
//! [`Coder::Classes`] is one stream of [`crate::entropy::rans`] with 256 classes: `8 L(g) + l` with `L(g)` at most 30 for
//! coefficients, 255 for flags.

use serde::{Deserialize, Serialize};

use super::bands::Band;
use super::lines::strides;
use super::neighbours::{Padded, Sums};
use crate::array::MAX_RANK;
use crate::entropy::{
    class_bits, encode_classes, BinaryDecoder, BinaryEncoder, Bit, Decisions, Head, MixedModel, RansDecoder, Reach,
};
use crate::error::{Error, Result};

/// How coefficients become bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coder {
    /// Mixed adaptive models: the smallest.
    #[default]
    Mixed,
    /// Static rANS with context classes: some per cent larger, and faster.
    Classes,
}

const MAX_MAGNITUDE: u32 = 4095;
const CONTEXTS: [usize; 4] = [24 * 16, 32 * 8, 25 * 16, 32 * 32];
const FLAG_CLASS: u8 = 255;

/// What is known of a coefficient before it is coded; names as in the module's table.
struct Place {
    f: u32,
    g: u32,
    h: u32,
    parents: u32,
    siblings: u32,
    /// `5 N + b`, each at most 4, times 16, plus `4 P + S`, each at most 3.
    exact: u32,
    level: u32,
}

/// Half-octave logarithm.
#[inline(always)]
pub(super) fn log(v: u32) -> usize {
    if v < 2 {
        v as usize
    } else {
        let e = v.ilog2();
        (2 * e + (v >> (e - 1) & 1)) as usize
    }
}

/// Where coefficients and row flags go to or come from; what it is given is what was coded, or ignored.
trait RowCoder {
    fn flag(&mut self, zero: bool, level: u32, before: bool) -> bool;
    fn value(&mut self, v: i32, place: &Place) -> i32;
}

struct Mixed<D> {
    io: D,
    model: MixedModel,
    flags: [[Bit; 2]; 8],
}

impl<D: Decisions> Mixed<D> {
    fn new(io: D) -> Result<Self> {
        Ok(Mixed { io, model: MixedModel::new(CONTEXTS, 64)?, flags: [[Bit::new(); 2]; 8] })
    }
}

impl<D: Decisions> RowCoder for Mixed<D> {
    fn flag(&mut self, zero: bool, level: u32, before: bool) -> bool {
        self.io.learn(&mut self.flags[level as usize & 7][usize::from(before)], zero)
    }
    #[inline(always)]
    fn value(&mut self, v: i32, p: &Place) -> i32 {
        let g = log(p.g).min(31);
        let contexts = [
            log(p.f).min(23) * 16 + log(p.parents).min(15),
            g * 8 + p.level as usize,
            p.exact as usize,
            log(p.h).min(31) * 32 + log(2 * p.f + 2 * p.siblings + p.parents).min(31),
        ];
        self.model.code(&mut self.io, v, contexts, p.level as usize * 8 + (g / 3).min(7))
    }
}

fn class(p: &Place) -> u8 {
    (log(p.g).min(30) * 8) as u8 + p.level as u8
}

#[derive(Default)]
struct ClassEncoder {
    symbols: Vec<i32>,
    classes: Vec<u8>,
}

impl RowCoder for ClassEncoder {
    fn flag(&mut self, zero: bool, _: u32, _: bool) -> bool {
        self.symbols.push(i32::from(zero));
        self.classes.push(FLAG_CLASS);
        zero
    }
    #[inline(always)]
    fn value(&mut self, v: i32, place: &Place) -> i32 {
        self.symbols.push(v);
        self.classes.push(class(place));
        v
    }
}

impl RowCoder for RansDecoder<'_> {
    fn flag(&mut self, _: bool, _: u32, _: bool) -> bool {
        self.next(FLAG_CLASS) != 0
    }
    #[inline(always)]
    fn value(&mut self, _: i32, place: &Place) -> i32 {
        self.next(class(place))
    }
}

/// Appends the coefficients of an array of `shape` to `out`; `codes` comes back unchanged. `bands` lie inside the array
/// and cover each coefficient once. Errors: `InvalidArgument` when the lengths disagree; `LimitExceeded`.
pub fn encode_coefficients(
    codes: &mut [i32],
    shape: &[usize],
    bands: &[Band],
    coder: Coder,
    out: &mut Vec<u8>,
) -> Result<()> {
    match coder {
        Coder::Mixed => {
            let mut c = Mixed::new(BinaryEncoder::new())?;
            run(codes, shape, shape, bands, &mut c)?;
            out.extend_from_slice(&c.io.finish());
        }
        Coder::Classes => {
            let mut c = ClassEncoder::default();
            run(codes, shape, shape, bands, &mut c)?;
            encode_classes(&c.symbols, &c.classes, 256, out);
        }
    }
    Ok(())
}

/// About how many bits [`encode_coefficients`] with [`Coder::Classes`] would take. Errors: as that.
pub(super) fn coefficient_bits(codes: &mut [i32], shape: &[usize], bands: &[Band]) -> Result<f64> {
    let mut c = ClassEncoder::default();
    run(codes, shape, shape, bands, &mut c)?;
    Ok(class_bits(&c.symbols, &c.classes, 256))
}

/// The inverse of [`encode_coefficients`]; all of `bytes` is read. Total on hostile bytes.
/// Errors: as [`encode_coefficients`]; `Truncated` for every strict prefix; `Corrupt`.
pub fn decode_coefficients(
    bytes: &[u8],
    shape: &[usize],
    bands: &[Band],
    coder: Coder,
    codes: &mut [i32],
) -> Result<()> {
    codes.fill(0);
    match coder {
        Coder::Mixed => {
            let mut c = Mixed::new(BinaryDecoder::new(bytes))?;
            run(codes, shape, shape, bands, &mut c)?;
            c.io.finish()
        }
        Coder::Classes => {
            let mut c = RansDecoder::new(bytes, 256)?;
            run(codes, shape, shape, bands, &mut c)?;
            c.finish()
        }
    }
}

/// Where the trailing one of the two streams of `bytes` begins (see [`Head`]); their length where there is one stream.
/// Errors: as [`RansDecoder::new`].
pub(super) fn split(bytes: &[u8], coder: Coder) -> Result<usize> {
    match coder {
        Coder::Mixed => Ok(bytes.len()),
        Coder::Classes => Ok(RansDecoder::new(bytes, 256)?.split()),
    }
}

/// Decodes the coefficients in the corner of extents `corner` of an array of `shape` from the beginnings of both streams, and tells how
/// much of them was needed. Bands lie either inside the corner or outside; those after the last one inside are not looked at.
/// Errors: as [`decode_coefficients`].
pub(super) fn decode_corner(
    head: Head<'_>,
    shape: &[usize],
    corner: &[usize],
    bands: &[Band],
    coder: Coder,
    codes: &mut [i32],
) -> Result<Reach> {
    codes.fill(0);
    let needed = bands.iter().rposition(|b| b.is_inside(corner)).map_or(0, |i| i + 1);
    let bands = bands.get(..needed).unwrap_or_default();
    match coder {
        Coder::Mixed => {
            let mut c = Mixed::new(BinaryDecoder::new(head.lead))?;
            run(codes, shape, corner, bands, &mut c)?;
            if !c.io.is_determined() {
                return Err(Error::truncated("expected more coefficients, found the end of their bytes"));
            }
            Ok(Reach { lead: c.io.taken(), trail: 0 })
        }
        Coder::Classes => {
            let mut c = RansDecoder::of_head(head, 256)?;
            run(codes, shape, corner, bands, &mut c)?;
            c.reach()
        }
    }
}

/// Visits all coefficients in the order of the format, with their contexts. `codes` has room for those in the corner of extents
/// `corner`, which may be all of `shape`; others are coded and forgotten.
fn run<C: RowCoder>(codes: &mut [i32], shape: &[usize], corner: &[usize], bands: &[Band], coder: &mut C) -> Result<()> {
    super::lines::check(corner, codes.len())?;
    let (shape, corner) = if shape.is_empty() { (&[1][..], &[1][..]) } else { (shape, corner) };
    let rank = shape.len();
    if corner.len() != rank || !bands.iter().all(|b| b.is_inside(shape)) {
        return Err(Error::invalid(format!("expected bands inside {shape:?}")));
    }
    let mut pass = Pass {
        rank,
        corner,
        aside: Vec::new(),
        step: strides(corner),
        known: Vec::with_capacity(bands.len()),
        means: Padded::default(),
        decay: 225 / shape.iter().filter(|&&d| d > 1).count().max(1) as u32,
        sums: Sums::default(),
        siblings: Padded::default(),
        are_siblings: false,
    };
    for (i, band) in bands.iter().enumerate() {
        let next = bands.get(i + 1).is_some_and(|b| b.follows);
        if !band.follows {
            pass.are_siblings = false;
            if next {
                // Of the bands that follow, none is longer along any axis by more than one.
                let mut extents = band.extents;
                extents.iter_mut().take(rank).for_each(|e| *e += 1);
                pass.siblings.restart(&extents, rank)?;
            }
        }
        pass.band(codes, band, next || band.follows, coder)?;
        pass.are_siblings = next;
    }
    Ok(())
}

struct Pass<'a> {
    rank: usize,
    /// The extents of the coefficients there is room for, and their steps.
    corner: &'a [usize],
    step: [usize; MAX_RANK],
    /// A row of others.
    aside: Vec<i32>,
    /// The magnitudes of the bands so far.
    known: Vec<Padded<u16>>,
    /// The averages of the band.
    means: Padded<u32>,
    decay: u32,
    sums: Sums,
    /// The magnitudes of siblings, summed, on a grid a little larger than any of them.
    siblings: Padded<u16>,
    /// Whether siblings have been coded.
    are_siblings: bool,
}

impl Pass<'_> {
    /// Codes a band; `kin`: it has siblings, before or after it.
    fn band<C: RowCoder>(&mut self, codes: &mut [i32], band: &Band, kin: bool, coder: &mut C) -> Result<()> {
        let level = band.level & 7;
        let rank = self.rank;
        let width = band.extents[rank - 1];
        self.sums.restart(width)?;
        self.means.restart(&band.extents, rank)?;
        let mut magnitudes = Padded::new(&band.extents, rank)?;
        let mut index = [0; MAX_RANK];
        let mut before = false;
        let rows: usize = band.extents[..rank - 1].iter().product();
        let is_kept = band.is_inside(self.corner);
        if !is_kept {
            self.aside.resize(width, 0);
        }
        for _ in 0..rows {
            let start = band.row(&self.step, rank, &index).unwrap_or(0);
            let (at, beside) = (magnitudes.row(&index), self.siblings.row(&index));
            self.sums.of_band(&magnitudes, &self.means, at);
            if !band.parents.is_empty() {
                self.sums.of_parents(band, &index, rank, &self.known);
            }
            if self.are_siblings {
                self.sums.of_siblings(&self.siblings, beside);
            }
            let row = if is_kept { &mut codes[start..start + width] } else { &mut self.aside[..width] };
            before = self.sums.are_zero() && coder.flag(row.iter().all(|&v| v == 0), level, before);
            if before && self.sums.no_averages() {
                // Zeros stay zeros.
            } else if before {
                let means = self.means.part_mut(at, width);
                for (m, &mean) in means.iter_mut().zip(&self.sums.mean) {
                    *m = (mean * self.decay) >> 8;
                }
                self.means.mark(at, width);
            } else {
                let (means, marks) = (self.means.part_mut(at, width), magnitudes.part_mut(at, width));
                code_row(row, &self.sums, self.decay, level, means, marks, coder);
                if kin {
                    let sums = self.siblings.part_mut(beside, width);
                    sums.iter_mut().zip(marks).for_each(|(t, m)| *t = t.saturating_add(*m));
                    self.siblings.mark(beside, width);
                }
                self.means.mark(at, width);
                magnitudes.mark(at, width);
            }
            for k in (0..rank - 1).rev() {
                index[k] += 1;
                if index[k] < band.extents[k] {
                    break;
                }
                index[k] = 0;
            }
        }
        self.known.push(magnitudes);
        Ok(())
    }
}

/// Codes the coefficients of a row, and stores their magnitudes and the averages.
#[inline(always)]
fn code_row<C: RowCoder>(
    row: &mut [i32],
    s: &Sums,
    decay: u32,
    level: u32,
    means: &mut [u32],
    magnitudes: &mut [u16],
    coder: &mut C,
) {
    let n = row.len();
    let (local, near, far) = (&s.local[..n], &s.near[..n], &s.far[..n]);
    let (parents, parent) = (&s.parents[..n], &s.parent[..n]);
    let (siblings, sibling, mean) = (&s.siblings[..n], &s.sibling[..n], &s.mean[..n]);
    let (means, magnitudes) = (&mut means[..n], &mut magnitudes[..n]);
    let (mut one, mut two, mut last) = (0, 0, 0);
    for x in 0..n {
        let average = ((mean[x] + last) * decay) >> 8;
        let f = local[x] + 4 * one;
        let place = Place {
            f,
            g: 2 * f + parents[x] + 2 * siblings[x] + 2 * (far[x] + two),
            h: average >> 4,
            parents: parents[x],
            siblings: siblings[x],
            exact: (near[x].min(4) * 5 + one.min(4)) * 16 + parent[x].min(3) * 4 + sibling[x].min(3),
            level,
        };
        row[x] = coder.value(row[x], &place);
        two = one;
        one = row[x].unsigned_abs().min(MAX_MAGNITUDE);
        last = 123 * one + average;
        magnitudes[x] = one as u16;
        means[x] = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::transform::{Decomposition, Wavelet};

    const CODERS: [Coder; 2] = [Coder::Mixed, Coder::Classes];

    /// Mostly small integers with large ones among them.
    fn noise(n: usize, sparse: u32) -> Vec<i32> {
        let mut s = 77u64;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let e = ((s >> 59) as u32).saturating_sub(sparse);
                let m = (s >> 20 & ((1 << e.min(31)) - 1)) as i32;
                if s >> 10 & 1 == 0 {
                    m
                } else {
                    -m
                }
            })
            .collect()
    }
    fn plain(shape: &[usize], levels: &[u32], alone: u8) -> Vec<Band> {
        Decomposition { wavelet: Wavelet::Cdf97, levels: levels.to_vec(), alone }.bands(shape).unwrap()
    }

    #[test]
    fn round_trips_for_any_shape_and_decomposition() {
        let shapes: [&[usize]; 10] =
            [&[], &[0], &[1], &[50], &[1, 1], &[13, 22], &[4, 0, 2], &[9, 8, 17], &[3, 2, 9, 11], &[2, 1, 3, 2, 5]];
        for shape in shapes {
            for alone in [0, 1, 2, 7] {
                for sparse in [0, 24, 29] {
                    let levels: Vec<u32> = (0..shape.len() as u32).map(|k| (k + 2) % 4).collect();
                    let d = plain(shape, &levels, alone);
                    let mut codes = noise(shape.iter().product(), sparse);
                    for coder in CODERS {
                        let mut bytes = Vec::new();
                        let before = codes.clone();
                        encode_coefficients(&mut codes, shape, &d, coder, &mut bytes).unwrap();
                        assert_eq!(codes, before);
                        let mut got = vec![7; codes.len()];
                        decode_coefficients(&bytes, shape, &d, coder, &mut got).unwrap();
                        assert_eq!(got, codes, "{shape:?} {levels:?} {alone} {coder:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn contexts_pay() {
        // Magnitudes that grow with the distance from a corner: far below what each magnitude alone would cost.
        let shape = [256, 256];
        let mut codes: Vec<i32> = noise(256 * 256, 0)
            .iter()
            .enumerate()
            .map(|(i, v)| (v >> 4) % (1 + ((i / 256 + i % 256) / 64) as i32))
            .collect();
        let mut counts = std::collections::HashMap::new();
        codes.iter().for_each(|v| *counts.entry(*v).or_insert(0.0) += 1.0);
        let n = codes.len() as f64;
        let entropy: f64 = counts.values().map(|c: &f64| -c * libm::log2(c / n)).sum::<f64>() / 8.0;
        for coder in CODERS {
            let mut bytes = Vec::new();
            encode_coefficients(&mut codes, &shape, &plain(&shape, &[0, 0], 0), coder, &mut bytes).unwrap();
            assert!((bytes.len() as f64) < 0.97 * entropy, "{coder:?}: {} against {entropy}", bytes.len());
        }
        // Zeros cost next to nothing.
        for coder in CODERS {
            let mut bytes = Vec::new();
            encode_coefficients(&mut [0; 1 << 16], &[256, 256], &plain(&shape, &[4, 4], 0), coder, &mut bytes).unwrap();
            assert!(bytes.len() < 60, "{coder:?}: {}", bytes.len());
        }
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [7, 12, 9];
        let d = plain(&shape, &[1, 2, 2], 2);
        for coder in CODERS {
            let mut codes = noise(7 * 12 * 9, 26);
            let mut bytes = Vec::new();
            encode_coefficients(&mut codes, &shape, &d, coder, &mut bytes).unwrap();
            let mut got = vec![0; codes.len()];
            for cut in 0..bytes.len() {
                let e = decode_coefficients(&bytes[..cut], &shape, &d, coder, &mut got).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Truncated, "{coder:?} {cut} of {}", bytes.len());
            }
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                let failed = decode_coefficients(&bad, &shape, &d, coder, &mut got).is_err();
                assert!(failed || got != codes);
            }
            for b in 0..=255 {
                let _ = decode_coefficients(&[b; 50], &shape, &d, coder, &mut got);
            }
            assert!(decode_coefficients(&bytes, &shape, &d, coder, &mut got[1..]).is_err());
        }
    }
}
