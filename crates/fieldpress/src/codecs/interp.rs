//! `interp`: multi-level interpolation with the error quantised as it goes, codes entropy coded by the magnitudes of codes
//! already known.
//!
//! Zhao et al., "Optimizing error-bounded lossy compression for scientific data by dynamic spline interpolation" (2021);
//! per-level tolerances after Liu et al., "Dynamic quality metric oriented error bounded lossy compression" (QoZ, 2022):
//! coarse levels, on which finer ones rest, are coded more finely.
//!
//! Integers narrower than the kernel type (see `DType::kernel`) are widened first and saturate on the way back.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | tolerance t of the finest level, `f64` |
//! | 1 | bits 0-1: scheme, 0 multi, 1 forward, 2 backward; bit 2: cubic; other bits 0 |
//! | 1, 1 | a and b, bytes: the tolerance of level l (stride 2^l) is `t / min((1 + a / 16)^l, 1 + b / 16)` |
//! | rest | the codes in the order of [`passes`], rows in C order, as static rANS with the classes below |
//!
//! The origin is predicted as 0. A value is its prediction plus its code times the step (twice the level's tolerance; for
//! integers the prediction is rounded and the step is `2 floor(t) + 1`). The class of a code is that of the sum of magnitudes
//! `5 a + 3 b + 2 c + d + 2 e` (see [`CLASS_TABLE`]) plus [`CLASSES`] times the kind of its pass. Here a is the point before in
//! the same pass along the last axis, b and c those along the two axes before it, d the one behind b and after it in the row,
//! and e the mean of the two nearest points along the first axis of interpolation; what does not exist counts 0.
//! The kind is `2 min(l, 2)`, plus 1 when more than one axis is interpolated or the scheme is not multi and the axis is the last.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Element, Mask, Shape, MAX_RANK};
use crate::bits::ByteReader;
use crate::bound::{within, Term};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Levels, Spec};
use crate::entropy::magnitude::{magnitude, CLASSES, CLASS_TABLE};
use crate::entropy::{class_bits, encode_classes, Head, RansDecoder, Reach};
use crate::error::{Error, Result};
use crate::predict::interpolation::{for_each_row, passes, predict_row, row_length, top_stride, Pass, Scheme, Spline};
use crate::quantize::{before_rounding, Uniform};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "interp",
    doc: "Multi-level spline interpolation in any number of dimensions, with finer tolerances on coarser levels.",
    params: &[
        ("scheme", "multi, forward, backward, or auto (default)"),
        ("spline", "linear, cubic, or auto (default)"),
        ("alpha", "growth of precision per coarser level, 1 to 16; 0 to choose (default)"),
        ("beta", "largest precision relative to the finest level, 1 to 16; 0 to choose (default)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Interp>("interp", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration. Everything that is not fixed here is chosen per block on a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interp {
    /// The order of passes.
    #[serde(skip_serializing_if = "is_auto")]
    pub scheme: String,
    /// The interpolation.
    #[serde(skip_serializing_if = "is_auto")]
    pub spline: String,
    /// Growth of precision per coarser level; 0 to choose.
    #[serde(skip_serializing_if = "is_zero")]
    pub alpha: f64,
    /// Largest precision relative to the finest level; 0 to choose.
    #[serde(skip_serializing_if = "is_zero")]
    pub beta: f64,
}

impl Default for Interp {
    fn default() -> Self {
        Interp { scheme: "auto".into(), spline: "auto".into(), alpha: 0.0, beta: 0.0 }
    }
}

fn is_auto(v: &str) -> bool {
    v == "auto"
}

fn is_zero(v: &f64) -> bool {
    *v == 0.0
}

impl Codec for Interp {
    fn id(&self) -> &'static str {
        "interp"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        let bad = |name: &str, v: &dyn std::fmt::Debug| Error::invalid(format!("expected another {name}, found {v:?}"));
        let schemes: &[Scheme] = match self.scheme.as_str() {
            "auto" => &[Scheme::Multi, Scheme::Backward, Scheme::Forward],
            "multi" => &[Scheme::Multi],
            "forward" => &[Scheme::Forward],
            "backward" => &[Scheme::Backward],
            other => return Err(bad("scheme (multi forward backward auto)", &other)),
        };
        let splines: &[Spline] = match self.spline.as_str() {
            "auto" => &[Spline::Cubic, Spline::Linear],
            "cubic" => &[Spline::Cubic],
            "linear" => &[Spline::Linear],
            other => return Err(bad("spline (linear cubic auto)", &other)),
        };
        let factor = |name: &str, v: f64| match v {
            0.0 => Ok(None),
            1.0..=16.0 => Ok(Some(((v - 1.0) * 16.0).round() as u8)),
            _ => Err(bad(&format!("{name} (1 to 16, or 0)"), &v)),
        };
        let growth = match (factor("alpha", self.alpha)?, factor("beta", self.beta)?) {
            (None, None) => GROWTHS.to_vec(),
            (a, b) => vec![(a.unwrap_or(8), b.unwrap_or(32))],
        };
        Ok(Box::new(KernelBlocks(BoundInterp { schemes, splines, growth, shape: spec.shape })))
    }
}

/// Pairs of alpha and beta worth trying, as stored.
const GROWTHS: [(u8, u8); 5] = [(4, 16), (0, 0), (8, 32), (16, 48), (4, 8)];
/// Kinds of passes that classes tell apart.
const KINDS: usize = 6;
/// Values in a sample for choosing parameters.
const SAMPLE: usize = 1 << 14;

/// What the decoder must know.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Params {
    tolerance: f64,
    scheme: Scheme,
    spline: Spline,
    growth: (u8, u8),
}

impl Params {
    /// The tolerance of the level with stride `s`.
    fn level(&self, s: usize) -> f64 {
        let (alpha, beta) = (1.0 + f64::from(self.growth.0) / 16.0, 1.0 + f64::from(self.growth.1) / 16.0);
        let mut factor = 1.0f64;
        for _ in 0..s.max(1).ilog2() {
            factor = (factor * alpha).min(beta);
        }
        self.tolerance / factor
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tolerance.to_le_bytes());
        let scheme = match self.scheme {
            Scheme::Multi => 0,
            Scheme::Forward => 1,
            Scheme::Backward => 2,
        };
        out.push(scheme | u8::from(self.spline == Spline::Cubic) << 2);
        out.extend_from_slice(&[self.growth.0, self.growth.1]);
    }
    fn read(r: &mut ByteReader<'_>) -> Result<Params> {
        let tolerance = r.f64()?;
        let flags = r.u8()?;
        let scheme = match flags & 3 {
            0 => Scheme::Multi,
            1 => Scheme::Forward,
            2 => Scheme::Backward,
            _ => return Err(Error::corrupt("expected scheme 0 to 2, found 3")),
        };
        if flags >> 3 != 0 {
            return Err(Error::corrupt(format!("expected the flags of an interpolation, found {flags:#04x}")));
        }
        let spline = if flags & 4 != 0 { Spline::Cubic } else { Spline::Linear };
        Ok(Params { tolerance, scheme, spline, growth: (r.u8()?, r.u8()?) })
    }
}

struct BoundInterp {
    schemes: &'static [Scheme],
    splines: &'static [Spline],
    growth: Vec<(u8, u8)>,
    shape: Shape,
}

impl Kernel for BoundInterp {
    fn encode<T: Element>(
        &self,
        x: &[T],
        mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim> {
        let params = self.choose(x, mask, before_rounding(tolerance, x));
        let mut encoder = Encoder::new(x, mask, hint.abs);
        let mut y = vec![T::default(); x.len()];
        walk(&Grid::new(&self.shape, 0), &params, &mut y, &mut encoder);
        params.write(out);
        encode_classes(&encoder.codes, &encoder.classes, KINDS * CLASSES, out);
        Ok(if encoder.is_bounded(&y, hint) { Claim::Bounded } else { Claim::Unchecked })
    }
    fn decode<T: Element>(&self, bytes: &[u8], _mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let params = Params::read(&mut r)?;
        let mut decoder = Decoder { rans: RansDecoder::new(r.rest(), KINDS * CLASSES)?, codes: Vec::new() };
        walk(&Grid::new(&self.shape, 0), &params, out, &mut decoder);
        decoder.rans.finish()
    }
    fn levels(&self, bytes: &[u8]) -> Result<Option<Levels>> {
        let mut r = ByteReader::new(bytes);
        Params::read(&mut r)?;
        let rans = RansDecoder::new(r.rest(), KINDS * CLASSES)?;
        Ok(Some(Levels { split: bytes.len() - r.remaining() + rans.split(), exact: true }))
    }
    fn decode_level<T: Element>(&self, head: Head<'_>, level: u32, out: &mut [T]) -> Result<Reach> {
        let grid = Grid::new(&self.shape, level);
        if out.len() != grid.shape.len() {
            return Err(Error::invalid(format!("expected room for {} values, found {}", grid.shape, out.len())));
        }
        let mut r = ByteReader::new(head.lead);
        let params = Params::read(&mut r)?;
        let before = head.lead.len() - r.remaining();
        let rans = RansDecoder::of_head(head.skip(before), KINDS * CLASSES)?;
        let mut decoder = Decoder { rans, codes: Vec::new() };
        walk(&grid, &params, out, &mut decoder);
        Ok(decoder.rans.reach()?.after(before))
    }
}

impl BoundInterp {
    /// The parameters with the smallest encoding of a sample from the middle of the block: first scheme and spline, then
    /// the growth of precision.
    fn choose<T: Element>(&self, x: &[T], mask: Option<&Mask>, tolerance: f64) -> Params {
        let mut best = Params { tolerance, scheme: self.schemes[0], spline: self.splines[0], growth: self.growth[0] };
        let (sample, flags, shape) = middle(x, mask, &self.shape);
        let mask = mask.map(|_| Mask::new(flags));
        let size = |p: &Params| {
            let mut encoder = Encoder::new(&sample, mask.as_ref(), 0.0);
            walk(&Grid::new(&shape, 0), p, &mut vec![T::default(); sample.len()], &mut encoder);
            class_bits(&encoder.codes, &encoder.classes, KINDS * CLASSES)
        };
        let smallest = |trials: Vec<Params>| {
            let sizes: Vec<f64> = trials.iter().map(&size).collect();
            trials.into_iter().zip(sizes).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(p, _)| p)
        };
        let mut trials: Vec<Params> = Vec::new();
        for &scheme in self.schemes {
            trials.extend(self.splines.iter().map(|&spline| Params { scheme, spline, ..best }));
        }
        if trials.len() > 1 {
            best = smallest(trials).unwrap_or(best);
        }
        if self.growth.len() > 1 {
            let trials = self.growth.iter().map(|&growth| Params { growth, ..best }).collect();
            best = smallest(trials).unwrap_or(best);
        }
        best
    }
}

/// About [`SAMPLE`] values from the middle of a block.
fn middle<T: Element>(x: &[T], mask: Option<&Mask>, shape: &Shape) -> (Vec<T>, Vec<bool>, Shape) {
    let mut dims = shape.to_vec();
    let most = (shape.len() / 64).clamp(SAMPLE / 8, SAMPLE);
    while dims.iter().product::<usize>() > most {
        if let Some(longest) = dims.iter_mut().max() {
            *longest -= longest.div_ceil(8);
        }
    }
    let Ok(small) = Shape::new(&dims) else { return (x.to_vec(), Vec::new(), *shape) };
    let strides = shape.strides();
    let base: usize = (0..shape.rank()).map(|k| (shape[k] - dims[k]) / 2 * strides[k]).sum();
    let inner = small.strides();
    let index = |i: usize| (0..dims.len()).fold(base, |at, k| at + i / inner[k] % dims[k].max(1) * strides[k]);
    let points = || (0..small.len()).map(index);
    let flags = mask.map_or(Vec::new(), |m| points().map(|i| m.is_masked(i)).collect());
    (points().filter_map(|i| x.get(i).copied()).collect(), flags, small)
}

/// What turns a row of predictions into values, in encoder and decoder.
trait RowCoder<T: Element> {
    /// Handles the points `index + i * step`: `row.predictions[i]` is the prediction, `row.sums[i]` the part of the context
    /// that does not depend on this row. Must store the values in `values` and the magnitudes of the codes in `magnitudes`.
    fn row(&mut self, row: &Row<'_>, values: &mut [T], magnitudes: &mut [u8]);
}

/// A row of points to code.
struct Row<'a> {
    index: usize,
    step: usize,
    predictions: &'a [f64],
    sums: &'a [u16],
    quantizer: Uniform,
    /// The first class of this kind of pass.
    first: u8,
}

impl Row<'_> {
    #[inline(always)]
    fn class(&self, sum: u16, left: u8) -> u8 {
        self.first + CLASS_TABLE.class(usize::from(sum) + 5 * usize::from(left))
    }
}

/// The points of one level of a block, that is every `2^level`-th: what is walked over. The walk over level 0 begins with that over any
/// other, with strides larger by `2^level`: points have neighbours in the one exactly where they have them in the other.
struct Grid {
    block: Shape,
    level: u32,
    /// The shape of the level.
    shape: Shape,
}

impl Grid {
    fn new(block: &Shape, level: u32) -> Grid {
        Grid { block: *block, level, shape: block.coarse(level) }
    }
    /// The magnitude that the walk over level 0 finds where a row goes on beyond its end: at `x` in the row that has the
    /// coordinates `at`, both in those of this level. In memory that is another row, of which this level may have nothing.
    #[cold]
    fn beyond(&self, magnitudes: &[u8], at: &[usize], x: usize) -> u8 {
        let last = at.len().saturating_sub(1);
        let (strides, coarse) = (self.block.strides(), self.shape.strides());
        let row: usize = at.iter().zip(&strides).take(last).map(|(&i, s)| (i << self.level) * s).sum();
        let index = row + (x << self.level);
        if index >= self.block.len() {
            return 0;
        }
        let mut place = 0;
        for ((s, &d), c) in strides.iter().zip(self.block.iter()).zip(&coarse) {
            let i = index / s % d;
            if i >> self.level << self.level != i {
                return 0;
            }
            place += (i >> self.level) * c;
        }
        magnitudes.get(place).copied().unwrap_or(0)
    }
}

/// Visits all points, level by level and pass by pass.
fn walk<T: Element>(grid: &Grid, params: &Params, values: &mut [T], coder: &mut dyn RowCoder<T>) {
    if values.is_empty() {
        return;
    }
    let shape = &grid.shape;
    let mut magnitudes = vec![0u8; values.len()];
    let top = top_stride(shape);
    let quantizer = Uniform::new::<T>(params.level(top_stride(&grid.block).max(1)));
    let origin = Row { index: 0, step: 1, predictions: &[0.0], sums: &[0], quantizer, first: 0 };
    coder.row(&origin, values, &mut magnitudes);
    let (mut predictions, mut sums) = (Vec::new(), Vec::new());
    let last = shape.rank().saturating_sub(1);
    let mut s = top;
    while s > 0 {
        // As many points of the block.
        let stride = s << grid.level;
        let quantizer = Uniform::new::<T>(params.level(stride));
        for pass in passes(shape, s, params.scheme) {
            let n = row_length(&pass, shape);
            predictions.resize(n, 0.0);
            sums.resize(n, 0);
            let deeper = match params.scheme {
                Scheme::Multi => pass.axes.count_ones() > 1,
                _ => pass.axes >> last & 1 == 1,
            };
            let first = ((2 * stride.ilog2().min(2) as usize + usize::from(deeper)) * CLASSES) as u8;
            for_each_row(&pass, shape, |index, at| {
                predict_row(values, shape, &pass, params.spline, index, at, &mut predictions);
                contexts(&magnitudes, grid, &pass, index, at, &mut sums);
                let step = pass.step[last];
                let row = Row { index, step, predictions: &predictions, sums: &sums, quantizer, first };
                coder.row(&row, values, &mut magnitudes);
            });
        }
        s /= 2;
    }
}

/// The weighted sums of magnitudes around each point of a row, but for the point before it in the row.
fn contexts(magnitudes: &[u8], grid: &Grid, pass: &Pass, index: usize, at: &[usize], sums: &mut [u16]) {
    let shape = &grid.shape;
    let strides = shape.strides();
    let rank = shape.rank();
    let last = rank.saturating_sub(1);
    let step = pass.step[last];
    sums.fill(0);
    let mut add = |from: usize, weight: u16| {
        let row = magnitudes.get(from..).unwrap_or_default();
        for (s, &m) in sums.iter_mut().zip(row.iter().step_by(step)) {
            *s += weight * u16::from(m);
        }
    };
    for (back, weight) in [(1, 3), (2, 2)] {
        if let Some(k) = last.checked_sub(back) {
            if at[k] >= pass.start[k] + pass.step[k] {
                let behind = index - pass.step[k] * strides[k];
                add(behind, weight);
                if back == 1 {
                    // The last point of the row has no such neighbour; what is read there lies in another row, and is known.
                    add(behind + step, 1);
                }
            }
        }
    }
    let k = pass.axes.trailing_zeros() as usize;
    let h = pass.stride * strides[k];
    add(index - h, 1);
    // Beyond the far edge the near side counts twice; along the row itself what is read there is known and does no harm.
    let far = if k != last && at[k] + pass.stride >= shape[k] { index - h } else { index + h };
    add(far, 1);
    if grid.level > 0 {
        mend(magnitudes, grid, pass, index, at, sums);
    }
}

/// Puts right what [`contexts`] read beyond the end of a row, where the memory of a level goes on otherwise than that of the block.
fn mend(magnitudes: &[u8], grid: &Grid, pass: &Pass, index: usize, at: &[usize], sums: &mut [u16]) {
    let Some(last) = at.len().checked_sub(1) else { return };
    let (strides, step, end) = (grid.shape.strides(), pass.step[last], grid.shape[last]);
    let steps = sums.len().saturating_sub(1) * step;
    let Some(sum) = sums.last_mut() else { return };
    // `from` is where the row was read that has the coordinates `row`, and `x` the place in it beside the last point.
    let mut put_right = |from: usize, row: &[usize], x: usize| {
        if x >= end {
            let read = magnitudes.get(from + steps).copied().unwrap_or(0);
            *sum = *sum - u16::from(read) + u16::from(grid.beyond(magnitudes, row, x));
        }
    };
    let x = at[last] + steps;
    if let Some(k) = last.checked_sub(1).filter(|&k| at[k] >= pass.start[k] + pass.step[k]) {
        let mut row = [0; MAX_RANK];
        row[..=last].copy_from_slice(at);
        row[k] -= pass.step[k];
        put_right(index - pass.step[k] * strides[k] + step, &row[..=last], x + step);
    }
    if pass.axes.trailing_zeros() as usize == last {
        put_right(index + pass.stride, at, x + pass.stride);
    }
}

struct Encoder<'a, T> {
    x: &'a [T],
    mask: Option<&'a Mask>,
    codes: Vec<i32>,
    classes: Vec<u8>,
    /// The largest error that needs no second look: one that rounds below the tolerance is below it, since rounding is monotone.
    limit: f64,
    /// Whether all errors at unmasked points were below the limit.
    inside: bool,
}

impl<'a, T: Element> Encoder<'a, T> {
    fn new(x: &'a [T], mask: Option<&'a Mask>, limit: f64) -> Self {
        let n = x.len();
        // Integers of 64 bits are not all numbers of `f64`.
        let inside = T::DTYPE.is_float() || T::BITS < 64;
        Encoder { x, mask, codes: Vec::with_capacity(n), classes: Vec::with_capacity(n), limit, inside }
    }
    /// Whether `hint`, whose absolute part is the limit, holds at every unmasked point, whose values became `y`.
    fn is_bounded(&self, y: &[T], hint: &Term) -> bool {
        let masked = |i: usize| self.mask.is_some_and(|m| m.is_masked(i));
        self.inside || self.x.iter().zip(y).enumerate().all(|(i, (&x, &y))| masked(i) || within(x, y, hint))
    }
}

impl<T: Element> RowCoder<T> for Encoder<'_, T> {
    fn row(&mut self, row: &Row<'_>, values: &mut [T], magnitudes: &mut [u8]) {
        let from = self.codes.len();
        let points = self.x.get(row.index..).unwrap_or_default().iter().step_by(row.step);
        let spots = values.get_mut(row.index..).unwrap_or_default().iter_mut().step_by(row.step);
        // What is not a number is not inside.
        let (limit, mut inside) = (self.limit, self.inside);
        if let Some(mask) = self.mask {
            for (i, ((&p, &x), spot)) in row.predictions.iter().zip(points).zip(spots).enumerate() {
                // At masked points the prediction itself will do.
                let masked = mask.is_masked(row.index + i * row.step);
                let base = Uniform::base::<T>(p);
                let code = if masked { 0 } else { row.quantizer.code(x.to_f64(), base) };
                let y: T = row.quantizer.value(base, code);
                inside &= masked || (x.to_f64() - y.to_f64()).abs() < limit;
                *spot = y;
                self.codes.push(code);
            }
        } else {
            self.codes.extend(row.predictions.iter().zip(points).zip(spots).map(|((&p, &x), spot)| {
                let base = Uniform::base::<T>(p);
                let code = row.quantizer.code(x.to_f64(), base);
                let y: T = row.quantizer.value(base, code);
                inside &= (x.to_f64() - y.to_f64()).abs() < limit;
                *spot = y;
                code
            }));
        }
        self.inside = inside;
        let mut left = 0;
        let marks = magnitudes.get_mut(row.index..).unwrap_or_default().iter_mut().step_by(row.step);
        for ((&code, mark), &sum) in self.codes.get(from..).unwrap_or_default().iter().zip(marks).zip(row.sums) {
            self.classes.push(row.class(sum, left));
            left = magnitude(code);
            *mark = left;
        }
    }
}

struct Decoder<'a> {
    rans: RansDecoder<'a>,
    codes: Vec<i32>,
}

impl<T: Element> RowCoder<T> for Decoder<'_> {
    fn row(&mut self, row: &Row<'_>, values: &mut [T], magnitudes: &mut [u8]) {
        self.codes.clear();
        let mut left = 0;
        for &sum in row.sums {
            let code = self.rans.next(row.class(sum, left));
            left = magnitude(code);
            self.codes.push(code);
        }
        let spots = values.get_mut(row.index..).unwrap_or_default().iter_mut().step_by(row.step);
        let marks = magnitudes.get_mut(row.index..).unwrap_or_default().iter_mut().step_by(row.step);
        for (((v, m), &code), &p) in spots.zip(marks).zip(&self.codes).zip(row.predictions) {
            *v = row.quantizer.value(Uniform::base::<T>(p), code);
            *m = magnitude(code);
        }
    }
}
