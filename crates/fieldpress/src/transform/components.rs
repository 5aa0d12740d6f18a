//! Mean and principal components of the members of an ensemble, as bytes.
//!
//! Sources: K. Pearson, "On lines and planes of closest fit to systems of points in space", 1901; L. Sirovich, "Turbulence and the
//! dynamics of coherent structures", 1987 (the method of snapshots: components from the matrix of products of all members). Mean and
//! components are fields themselves: they are transformed by wavelets and quantised with one step, so that a component is as
//! precise as its weight asks. Coefficients are fitted to what the decoder will have.
//!
//! # Format
//! | components | content |
//! |---|---|
//! | 8 | unit, `f64`; 0: all values are 0, and nothing follows |
//! | 8 | step of the coefficients, `f64` |
//! | varint | number `k` of components, at most 256 |
//! | axes | how often each axis of a member is split, a byte each |
//! | rest | mean and components, `k + 1` fields in a row: [coefficients](super::Quantised) of the wavelet CDF 9/7, all axes but the first being split together |
//!
//! The codes are one range-coded stream with a model of integers of 3 contexts (in brackets). For each component `w`: the shift `s` less
//! that expected \[0\], which is `floor(log2(|w| / step)) - 2`, at least 0 and at most 40; a bit with a model of its own, 1 for differences; and for each
//! member its code, without the `s` lowest bits \[1, or 2 for differences\], and these bits plainly. With differences each code is less
//! than its value by the value of the member before. Sums wrap. A component of norm 0 has no codes.
//!
//! A member is `unit (mean + sum code step / |w| w)`, the sum formed in order, kept within what `f64` can hold; norms are roots of sums formed in
//! order.

use std::sync::OnceLock;

use super::product::{gram, product, zeros};
use super::trial;
use super::wavelet::default_levels;
use super::{Coder, Decomposition, Quantised, Wavelet};
use crate::bits::{put_varint, widest, ByteReader, Work};
use crate::entropy::{BinaryDecoder, BinaryEncoder, Bit, Decisions, IntModel};
use crate::error::{Error, Result};
use crate::linalg::{eigenvectors, solve_definite};

/// Most components.
pub const MOST_COMPONENTS: usize = 256;
/// Members that components are found from, at most: evenly spread over all.
pub const MOST_MEMBERS: usize = 512;
/// Values that are read to find components, and values of components, at most.
pub const MOST_VALUES: usize = 1 << 26;
/// Values that numbers of components and steps are tried out on.
const TRIED: usize = 1 << 21;
/// Coefficients above which the faster coder is taken.
const MANY: usize = 1 << 23;
/// Finest tolerance, relative to the largest magnitude.
const FINEST: f64 = 1.0 / (1 << 28) as f64;
/// Components of less than this part of the variance are rounding errors.
const NOTHING: f64 = 1e-28;
/// What is left to the correction without components that could be had, in parts of the tolerance.
const NEGLIGIBLE: f64 = 0.125;
const MAX_SHIFT: i64 = 40;
/// Largest magnitude of a code.
const MAX_CODE: f64 = (1u64 << 50) as f64;
/// Members that coefficients are fitted to at a time.
const TOGETHER: usize = 8;
/// Values of a member that are put together at a time.
const TILE: usize = 1 << 11;

/// Mean and components, and how coefficients are quantised.
#[derive(Debug)]
pub struct Components {
    /// Values are this many times as large as in `rows`.
    unit: f64,
    step: f64,
    /// Values of a member.
    cells: usize,
    /// The mean and the components, one a row.
    rows: Vec<f64>,
    /// The norms of the components.
    norms: Vec<f64>,
    /// All products of two components, once they are needed.
    products: OnceLock<Vec<f64>>,
}

/// How mean and components of `dims` are decomposed.
fn decomposition(dims: &[usize]) -> Decomposition {
    let axes = dims.len();
    // Bands multiply with the axes that are split.
    let level = |(k, &d): (usize, &usize)| if k + 3 < axes { 0 } else { default_levels(d) };
    let levels = [0].into_iter().chain(dims.iter().enumerate().map(level)).collect();
    Decomposition { wavelet: Wavelet::Cdf97, levels, alone: 0 }
}

impl Components {
    /// Reads the components of members of `dims`, at most `most` of them. Total on hostile bytes. Errors: `Corrupt`, `Truncated`, `LimitExceeded`.
    pub fn read(bytes: &[u8], dims: &[usize], most: usize) -> Result<Components> {
        let cells = dims.iter().product();
        let mut r = ByteReader::new(bytes);
        let unit = r.f64()?;
        let (step, k, levels) = match unit == 0.0 {
            true => (1.0, 0, vec![0; dims.len()]),
            false => (r.f64()?, r.count(most)?, r.take(dims.len())?.to_vec()),
        };
        if !unit.is_finite() || unit < 0.0 || !step.is_finite() || step <= 0.0 {
            return Err(Error::corrupt(format!("expected a unit and a step, found {unit} and {step}")));
        }
        let size = (k + 1).checked_mul(cells).filter(|&n| n <= MOST_VALUES.max(2 * cells)).ok_or_else(|| {
            Error::limit(format!("expected components of at most {MOST_VALUES} values, found {k} of {cells}"))
        })?;
        let mut rows = zeros(size)?;
        if unit == 0.0 {
            r.end()?;
        } else {
            let shape = [&[k + 1], dims].concat();
            let levels = [0].into_iter().chain(levels.iter().map(|&l| u32::from(l))).collect();
            let decomposition = Decomposition { levels, ..decomposition(dims) };
            let bands = decomposition.bands(&shape).map_err(|e| Error::corrupt(e.message()))?;
            Quantised::decode(r.rest(), &shape, &bands)?.values(&mut rows);
            decomposition.inverse(&mut rows, &shape)?;
        }
        let norm = |row: &[f64]| row.iter().fold(0.0, |s, v| s + v * v).sqrt();
        let norms = rows.chunks_exact(cells.max(1)).skip(1).map(norm).collect();
        Ok(Components { unit, step, cells, rows, norms, products: OnceLock::new() })
    }
    /// How many components there are, without the mean.
    pub fn count(&self) -> usize {
        self.norms.len()
    }
    /// The step of the coefficients of component `j`; 0 where all are 0.
    fn step(&self, j: usize) -> f64 {
        match self.norms.get(j) {
            Some(&n) if n > 0.0 && n.is_finite() => self.step / n,
            _ => 0.0,
        }
    }
    /// Values of a member.
    pub fn cells(&self) -> usize {
        self.cells
    }
    /// How many of the lowest bits of the codes of component `j` are expected to be noise.
    fn shift(&self, j: usize) -> i64 {
        let levels = self.norms.get(j).map_or(0.0, |n| n / self.step);
        // Casts saturate.
        (i64::from((levels as u64).max(1).ilog2()) - 2).clamp(0, MAX_SHIFT)
    }
    /// The codes of the components, one after the other, that come closest to the members `x`. Errors: `LimitExceeded`.
    pub fn fit(&self, x: &[f64]) -> Result<Vec<i64>> {
        let (k, cells) = (self.count(), self.cells);
        if k == 0 || x.is_empty() {
            return Ok(Vec::new());
        }
        let (mean, rows) = self.rows.split_at(cells);
        let products = match self.products.get() {
            Some(p) => p,
            None => {
                let p = gram(rows, &[k, cells], 0)?;
                self.products.get_or_init(|| p)
            }
        };
        let members = x.len() / cells;
        let mut codes = vec![0; k * members];
        // A few members at a time: a copy of all of them would be large.
        for (first, x) in x.chunks(TOGETHER * cells).enumerate() {
            let rest: Vec<f64> = x.iter().zip(mean.iter().cycle()).map(|(x, m)| x / self.unit - m).collect();
            let mut found = product(&rest, &[x.len() / cells, cells], 1, rows)?;
            for (i, c) in found.chunks_exact_mut(k).enumerate() {
                solve_definite(products, c, k);
                for (j, c) in c.iter().enumerate() {
                    // The cast makes 0 of what is not a number: those of a component with a step of 0.
                    let code = libm::round(c / self.step(j)).clamp(-MAX_CODE, MAX_CODE) as i64;
                    codes[j * members + first * TOGETHER + i] = code;
                }
            }
        }
        Ok(codes)
    }
    /// Fills `out` with the members that `codes` stand for.
    pub fn expand(&self, codes: &[i64], out: &mut [f64]) {
        let k = self.count();
        let members = out.len() / self.cells.max(1);
        let mut weights = vec![0.0; k * members];
        for (i, w) in weights.iter_mut().enumerate() {
            let (member, j) = (i / k, i % k);
            *w = codes.get(j * members + member).map_or(0.0, |&c| c as f64) * self.step(j);
        }
        widest(Expand { components: self, weights: &weights, out });
    }
    /// Codes integers for each component, `codes.len() / count` each.
    fn code<D: Integers>(&self, io: &mut D, codes: &mut [i64]) {
        let members = codes.len() / self.count().max(1);
        let mut differences = Bit::new();
        for (j, codes) in codes.chunks_exact_mut(members.max(1)).enumerate() {
            if self.step(j) == 0.0 {
                codes.fill(0);
                continue;
            }
            let expected = self.shift(j);
            let (mut shift, mut turned) = (expected, false);
            if D::WRITES {
                let steps: Vec<i64> = differences_of(codes);
                turned = bits(&steps) < bits(codes);
                if turned {
                    codes.copy_from_slice(&steps);
                }
                if members >= 8 {
                    let mean = codes.iter().map(|c| c.unsigned_abs()).sum::<u64>() / members as u64;
                    shift = (i64::from(mean.max(1).ilog2()) - 1).clamp(0, MAX_SHIFT);
                }
            }
            shift = io.integer(shift.wrapping_sub(expected), 0).wrapping_add(expected).clamp(0, MAX_SHIFT);
            turned = io.learn(&mut differences, turned);
            let mut before = 0i64;
            for c in codes {
                let low = (*c & ((1 << shift) - 1)) as u64;
                let high = io.integer(*c >> shift, if turned { 2 } else { 1 });
                let low = io.direct(low, shift as u32);
                *c = (high << shift) | low as i64;
                if turned && !D::WRITES {
                    *c = c.wrapping_add(before);
                    before = *c;
                }
            }
        }
    }
    /// Appends `codes`.
    pub fn write(&self, codes: &[i64], out: &mut Vec<u8>) {
        let mut io = Writer { encoder: BinaryEncoder::new(), model: IntModel::new(CONTEXTS) };
        self.code(&mut io, &mut codes.to_vec());
        out.extend(io.encoder.finish());
    }
    /// The codes of `members`; all of `bytes` is read. Errors: `Corrupt`, `Truncated`.
    pub fn codes(&self, bytes: &[u8], members: usize) -> Result<Vec<i64>> {
        let mut codes = vec![0; self.count() * members];
        let mut io = Reader { decoder: BinaryDecoder::new(bytes), model: IntModel::new(CONTEXTS) };
        self.code(&mut io, &mut codes);
        io.decoder.finish()?;
        Ok(codes)
    }
}

const CONTEXTS: usize = 3;

/// Each less the one before.
fn differences_of(codes: &[i64]) -> Vec<i64> {
    let before = [0].into_iter().chain(codes.iter().copied());
    codes.iter().zip(before).map(|(c, b)| c.wrapping_sub(b)).collect()
}

fn bits(codes: &[i64]) -> u32 {
    codes.iter().map(|c| 64 - c.unsigned_abs().leading_zeros()).sum()
}

/// Where integers go to or come from; what is handed to a reader does not matter.
trait Integers {
    const WRITES: bool;
    fn integer(&mut self, v: i64, context: usize) -> i64;
    fn learn(&mut self, model: &mut Bit, bit: bool) -> bool;
    fn direct(&mut self, v: u64, n: u32) -> u64;
}

struct Writer {
    encoder: BinaryEncoder,
    model: IntModel,
}

impl Integers for Writer {
    const WRITES: bool = true;
    fn integer(&mut self, v: i64, context: usize) -> i64 {
        self.model.encode(&mut self.encoder, v, context);
        v
    }
    fn learn(&mut self, model: &mut Bit, bit: bool) -> bool {
        Decisions::learn(&mut self.encoder, model, bit)
    }
    fn direct(&mut self, v: u64, n: u32) -> u64 {
        Decisions::direct(&mut self.encoder, v, n)
    }
}

struct Reader<'a> {
    decoder: BinaryDecoder<'a>,
    model: IntModel,
}

impl Integers for Reader<'_> {
    const WRITES: bool = false;
    fn integer(&mut self, _: i64, context: usize) -> i64 {
        self.model.decode(&mut self.decoder, context)
    }
    fn learn(&mut self, model: &mut Bit, bit: bool) -> bool {
        Decisions::learn(&mut self.decoder, model, bit)
    }
    fn direct(&mut self, v: u64, n: u32) -> u64 {
        Decisions::direct(&mut self.decoder, v, n)
    }
}

/// Puts members together.
struct Expand<'a> {
    components: &'a Components,
    /// For each member those of the components.
    weights: &'a [f64],
    out: &'a mut [f64],
}

impl Work for Expand<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Components { unit, cells, rows, .. } = self.components;
        let k = self.components.count();
        for from in (0..*cells).step_by(TILE) {
            let part = from..(from + TILE).min(*cells);
            for (i, member) in self.out.chunks_exact_mut(*cells).enumerate() {
                let y = &mut member[part.clone()];
                y.copy_from_slice(&rows[part.clone()]);
                for (w, row) in self.weights[i * k..(i + 1) * k].iter().zip(rows.chunks_exact(*cells).skip(1)) {
                    y.iter_mut().zip(&row[part.clone()]).for_each(|(y, v)| *y += w * v);
                }
                y.iter_mut().for_each(|y| *y = (*y * unit).clamp(-f64::MAX, f64::MAX));
            }
        }
    }
}

/// How components are to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// How many; `None` for as many as make the result smallest, together with a correction of every member to within the tolerance.
    pub count: Option<usize>,
    /// An absolute tolerance, or another scale for the error.
    pub tolerance: f64,
    /// For how many members they are to be used.
    pub members: usize,
}

impl Search {
    /// The components of the members `x`, finite ones of `dims` one after the other, as [`Components::read`] reads them. Errors: `LimitExceeded`.
    pub fn find(&self, mut x: Vec<f64>, dims: &[usize]) -> Result<Vec<u8>> {
        let cells: usize = dims.iter().product();
        let unit = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if unit == 0.0 {
            return Ok(0f64.to_le_bytes().to_vec());
        }
        let count = x.len() / cells;
        x.iter_mut().for_each(|v| *v /= unit);
        let tolerance = (self.tolerance / unit).clamp(FINEST, 1.0);
        let mut stack = zeros(cells)?;
        let share = 1.0 / count as f64;
        x.chunks_exact(cells).for_each(|m| stack.iter_mut().zip(m).for_each(|(s, v)| *s += v * share));
        x.chunks_exact_mut(cells).for_each(|m| m.iter_mut().zip(&stack).for_each(|(v, s)| *v -= s));

        let products = gram(&x, &[count, cells], 0)?;
        let mut vectors = eigenvectors(&products, count)?;
        let images = product(&vectors, &[count, count], 1, &products)?;
        let variance = |(v, i): (&[f64], &[f64])| v.iter().zip(i).map(|(a, b)| a * b).sum::<f64>().max(0.0);
        let variances: Vec<f64> = vectors.chunks_exact(count).zip(images.chunks_exact(count)).map(variance).collect();
        let k = self.enough(&variances, x.len(), tolerance).min((MOST_VALUES / cells).saturating_sub(1));
        // Weights have a mean square of 1.
        let root = (count as f64).sqrt();
        vectors.truncate(k * count);
        vectors.iter_mut().for_each(|v| *v /= root);
        stack.extend(product(&x, &[count, cells], 0, &vectors)?);
        vectors.iter_mut().for_each(|v| *v *= count as f64);

        let (step, k) = self.try_out(&x, dims, &stack, &vectors, tolerance)?;
        drop(x);
        stack.truncate((k + 1) * cells);
        let shape = [&[k + 1], dims].concat();
        let decomposition = decomposition(dims);
        decomposition.forward(&mut stack, &shape)?;
        let mut out = unit.to_le_bytes().to_vec();
        out.extend(step.to_le_bytes());
        put_varint(&mut out, k as u64);
        out.extend(decomposition.levels.iter().skip(1).map(|&l| l as u8));
        let coder = if stack.len() > MANY { Coder::Classes } else { Coder::Mixed };
        Quantised::new(&stack, step).encode(&shape, &decomposition.bands(&shape)?, coder, &mut out)?;
        Ok(out)
    }

    /// How many components are worth a try, of members of so many `values` altogether.
    fn enough(&self, variances: &[f64], values: usize, tolerance: f64) -> usize {
        let whole: f64 = variances.iter().sum();
        let real = variances.iter().take_while(|&&v| v > NOTHING * whole).count().min(MOST_COMPONENTS);
        let negligible = values as f64 * (NEGLIGIBLE * tolerance) * (NEGLIGIBLE * tolerance);
        let mut left = whole;
        let needed = variances.iter().position(|v| {
            let done = left <= negligible;
            left -= v;
            done
        });
        self.count.unwrap_or(needed.unwrap_or(real)).min(real)
    }

    /// The step and the number of components that are cheapest together with the correction, from a part of the members: `x`, less the mean;
    /// `stack`, mean and components; `weights` of the members, those of one component in a row. Errors: `LimitExceeded`.
    fn try_out(
        &self,
        x: &[f64],
        dims: &[usize],
        stack: &[f64],
        weights: &[f64],
        tolerance: f64,
    ) -> Result<(f64, usize)> {
        let cells: usize = dims.iter().product();
        let count = x.len() / cells;
        let size = TRIED / count.max(stack.len() / cells);
        let part = |rows: &[f64]| -> Vec<f64> {
            rows.chunks_exact(cells).flat_map(|r| trial::sample(r, dims, size).0).collect()
        };
        let (x, stack) = (part(x), part(stack));
        let dims = trial::sample(&vec![0.0; cells], dims, size).1;
        let tried = dims.iter().product::<usize>();
        let shape = [&[stack.len() / tried], &dims[..]].concat();
        let decomposition = decomposition(&dims);
        let bands = decomposition.bands(&shape)?;
        let mut coefficients = stack.clone();
        decomposition.forward(&mut coefficients, &shape)?;

        let whole = cells as f64 / tried as f64;
        let mut decoded = vec![0.0; stack.len()];
        let mut cheapest = |step: f64| -> Result<(f64, usize)> {
            let quantised = Quantised::new(&coefficients, step);
            quantised.values(&mut decoded);
            decomposition.inverse(&mut decoded, &shape)?;
            let bytes = quantised.size(&shape, &bands)? as f64;
            let costs: Vec<f64> = coefficients.chunks_exact(tried).map(|c| trial::cost(c, step)).collect();
            let share = whole * bytes / costs.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            let mut rest = x.clone();
            let mut best = (f64::INFINITY, 0);
            let mut so_far = 0.0;
            for (j, (row, cost)) in decoded.chunks_exact(tried).zip(&costs).enumerate() {
                for (i, member) in rest.chunks_exact_mut(tried).enumerate() {
                    if j == 0 {
                        // The mean is gone but for what its coding leaves.
                        member.iter_mut().zip(row).zip(&stack).for_each(|((r, v), mean)| *r += mean - v);
                    } else if let Some(w) = weights.get((j - 1) * count + i) {
                        member.iter_mut().zip(row).for_each(|(r, v)| *r -= w * v);
                    }
                }
                so_far += cost * share;
                if j > 0 {
                    let norm = row.iter().fold(0.0, |s: f64, v| s + v * v).sqrt();
                    so_far += self.members as f64 * (libm::log2((norm / step).max(1.0)) + 2.0) / 8.0;
                }
                if self.count.is_none() || j + 1 == costs.len() {
                    let rest = trial::remainder_bytes(rest.iter().copied(), tolerance);
                    let total = so_far + whole * rest * self.members as f64 / count as f64;
                    if total < best.0 {
                        best = (total, j);
                    }
                }
            }
            Ok(best)
        };
        let mut least = (f64::INFINITY, 0);
        let step = trial::valley(tolerance, |step| {
            let found = cheapest(step)?;
            if found.0 < least.0 {
                least = found;
            }
            Ok(found.0)
        })?;
        Ok((step, least.1))
    }
}
