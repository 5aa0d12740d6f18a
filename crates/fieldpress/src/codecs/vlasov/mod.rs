//! `vlasov`: velocity distributions, dense or of sparse blocks, predicted in their logarithm from the neighbours in velocity space and from
//! the cell before.
//!
//! Sources: distributions near equilibrium are Gaussians, whose logarithms polynomials predict; weights follow the data, see
//! [`crate::predict::faded`]; X. Wu, N. Memon, "Context-based, adaptive, lossless image coding", 1997 (errors nearby as contexts);
//! the models are in [`crate::entropy::mixing`]. Blocks are those of M. Palmroth et al., "Vlasov methods in space physics and
//! astrophysics", 2018.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | step `s`, `f64`; 0: all values are 0 and nothing follows |
//! | 1 | pace: 0 weights are fixed, 1 fast, 2 slow |
//! | 2 * 13 | `z`, what zeros of each kind stand for, `i16` each, in units of `s / 65536` |
//! | rest | decisions of [`crate::entropy::range`]: in a dense array the sets of blocks, then the codes of blocks |
//!
//! A block is 4 x 4 x 4 velocity cells. With companions the array is `[n, 4, 4, 4]`, the blocks of cells or of parts of cells; `counts`
//! tells where cells begin, `ids` and `mesh` where blocks lie. Without, the last three axes (those missing have extent 1) are velocity
//! space, the others make up the cells, and the sets are those of [`crate::entropy::occupancy`] in the box of all blocks; what of a block
//! lies outside the array is left out. A value is `s` times its code; if that is 0, and of kind `k`, `z_k / 65536 s`. Values in no block are 0.
//!
//! For each cell first, by rising id, whether a block is *quiet*: all its codes are 0, of kind 12. The model is
//! `8 (3 (9 b_x + 3 b_y + b_z) + p) + c`, where a block is 0 absent, 1 quiet or not yet known, 2 neither; `b` are the ones before along vx, vy
//! and vz, `p` is the one at the same place in the cell before (absent in the first cell). `c` is, in the first cell, how many of the
//! three behind along the axes are there; else 4 plus how many of those are 2 in the cell before. Then the codes of the other blocks, in C order
//! of velocity space.
//!
//! The logarithm of a code `q` is `sign(q) log2(1 + |q|)` in `f32`, from `1 + |q| = 2^e m` with `m` below about the root of 2 (the bits of the
//! `f64` plus 0x95f6199800000 have the exponent `e`): with `t = (m - 1) / (m + 1)` and `u = t t` it is `e + t (a + u (b + u (c + u d)))`, where `a` to
//! `d` are `2 / ln 2`, `2 / (3 ln 2)`, `2 / (5 ln 2)`, `2 / (7 ln 2)` to 15 decimals.
//!
//! The known numbers of a velocity cell are logarithms, 0 where there is no block; as steps along vx, vy, vz: `(-1,0,0)`, `(0,-1,0)`, `(0,0,-1)`,
//! `(-1,-1,0)`, `(-1,0,-1)`, `(0,-1,-1)`, `(-1,-1,-1)`, `(1,-1,0)`, `(1,0,-1)`, `(0,1,-1)`, `(1,-1,-1)`, `(-1,1,-1)`, `(1,1,-1)`,
//! `(-2,0,0)`, `(0,-2,0)`, `(0,0,-2)`; in the cell before `(0,0,0)`, `(-1,0,0)`, `(1,0,0)`, `(0,-1,0)`, `(0,1,0)`, `(0,0,-1)`, `(0,0,1)`; and 1.
//! The kind of a zero is how many of the first three are not 0; but for the first cell, 4 more, and as many as those of
//! the cell before at `(0,0,0)`, `(1,0,0)`, `(0,1,0)`, `(0,0,1)` that are not 0.
//!
//! The error of a prediction is its distance from the code, at most 1e6, in `f32`, and 0 where there is none. Below, `e` is that in this
//! cell, `o` in the one before; `e_x`, `e_y`, `e_z` are those one step back along an axis. Sums are formed as brackets say, else from the left.
//! `L(v, m, a, n)` counts the powers of two from `2^a` to `v`, with `m` levels an octave (1, 2 or 4, linear in between), below `n`.
//!
//! Where all known numbers but the last are 0, the prediction is 0, and a decision tells whether the code is, with model
//! `L(e_x + e_y + e_z, 1, -4, 4)`, plus 4 in the first cell. If it is not, it is a leaning value of [`crate::entropy::mixing`] with
//! contexts 239, 1023, 0, 479 and weights 15.
//!
//! Else `g` is the prediction of one of three [`crate::predict::faded`], whose weights are 1, 1, 1, -1, -1, -1, 1 and 0 at first, and whose fade is 0.95
//! at a slow pace, else 0.85: with the sum `w` of the magnitudes of the first three known numbers the first for `w < 9`, the second for
//! `w < 21`. The predicted code `v` is `sign(g) (2^|g| - 1)`, `|g|` taken as at most 31; the power is that of the nearest integer (ties to even) times
//! Taylor's polynomial of degree 6 at the rest, in Horner's form with `ln 2` and the other `(ln 2)^k / k!` to 13 decimals. Expected is the error `x`, in `f32`: in the first cell `r`, else `0.6 r + 0.4 d`, where
//! `r = ((2 (e_x + e_y + e_z) + e(-2,0,0)) + (((e(1,-1,0) + e(-1,-1,0)) + (e(1,0,-1) + e(-1,0,-1))) + (e(0,1,-1) + e(0,-1,-1)))) (1 / 13)` and
//! `d = (2 o(0,0,0) + o(1,0,0) + o(0,1,0) + o(0,0,1)) 0.2`.
//!
//! The code is coded as its distance from `v`, like that from a prediction in the codec `lpc` with the expected error `x`, whose `b`, `f`, `k` and `q` these are, but for
//! the contexts (errors times `2^-k`):
//!
//! | table | context | size |
//! |---|---|---|
//! | 0 | `8 L(x, 4, -5, 30) + q` | 240 |
//! | 1 | `16 (8 L(e_x) + L(e_y)) + 4 floor(L(e_z) / 2) + floor(q / 2)`, with `L(v, 1, -3, 8)` | 1024 |
//! | 2 | `3 (12 L(d, 2, -4, 16) + L(v, 1, -3, 12)) + h`, `v` in `f32` and not times `2^-k` | 576 |
//! | 3 | `3 (8 L(w, 2, 0, 20) + L(x, 1, -3, 8)) + floor(q / 3)` | 480 |
//! | weights | `L(x, 1, -5, 8)` | 16 |
//!
//! `h` is 0 in the first cell and where `|a| |v| 2^-k < 0.25`, `a` being the logarithm in the cell before at `(0,0,0)` less `g` in `f32`. Else it is 1
//! where `a > 0` and the residual's sign is not turned, or the reverse of both, and 2 otherwise.
//!
//! At a slow pace always, at a fast one where the error `e` is above 0.3, the known numbers and the logarithm of the code `c` are a sample that counts
//! `(1 + |c|)^2 / ((x + 0.7) (0.5 (x + e) + 0.7))`, in `f32`.

mod dense;
mod field;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::dense::Dense;
use self::field::{cells_around, Blocks, Coder, Pace, KINDS, MAX_CODE};
use crate::array::{Buffer, DType, Element, SliceMut};
use crate::bits::{widest, ByteReader, Work};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{cast, parse_config, Block, BlockCodec, Claim, Codec, Site, Spec};
use crate::dispatch;
use crate::entropy::{BinaryDecoder, BinaryEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::quantize::round_i32;
use crate::vdf::{Layout, BLOCK_CELLS, WID};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "vlasov",
    doc: "Velocity distributions, dense or of sparse blocks: predicted in their logarithm, also from the cell before.",
    params: &[
        ("ids", "the array of the ids of sparse blocks; with counts and mesh; none for dense arrays (default)"),
        ("counts", "the array of the numbers of blocks of the cells"),
        ("mesh", "the array of the extents of the mesh in blocks, those along vx, vy, vz first"),
        ("predictor", "fitted (default): weights follow the data; fixed: half again as fast"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Vlasov>("vlasov", v)?.checked()?))),
    idempotent: false,
    unbounded: false,
};

/// Units of what zeros stand for, a step.
const UNITS: f64 = 65536.0;
/// How much narrower steps may be for the sake of rounding, which the correction settles where it is not enough.
const NARROWER: f64 = 1.0 / 1024.0;

/// Up to codes of this magnitude weights follow slowly: what they are fitted to is rounded, more than it is complicated.
const COARSE: f64 = 4096.0;

/// How values are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Predictor {
    /// By weights that follow the data.
    #[default]
    Fitted,
    /// As if logarithms were sums of functions of two velocities each.
    Fixed,
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vlasov {
    /// The array of the ids of sparse blocks; empty for dense arrays.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ids: String,
    /// The array of the numbers of blocks of the cells.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub counts: String,
    /// The array of the extents of the mesh.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mesh: String,
    /// How values are predicted.
    pub predictor: Predictor,
}

impl Vlasov {
    fn checked(self) -> Result<Self> {
        let named = [&self.ids, &self.counts, &self.mesh].iter().filter(|n| !n.is_empty()).count();
        if named == 1 || named == 2 {
            return Err(Error::invalid(
                "vlasov: expected all of \"ids\", \"counts\" and \"mesh\", or none, found some",
            ));
        }
        Ok(self)
    }
    fn is_sparse(&self) -> bool {
        !self.ids.is_empty()
    }
}

impl Codec for Vlasov {
    fn id(&self) -> &'static str {
        "vlasov"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn companions(&self) -> Vec<String> {
        let names = [&self.ids, &self.counts, &self.mesh].into_iter().cloned();
        names.filter(|n| !n.is_empty()).collect()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        if self.is_sparse() && (spec.shape.rank() != 4 || spec.shape[1..] != [WID; 3]) {
            return Err(Error::invalid(format!("expected blocks [n, {WID}, {WID}, {WID}], found {}", spec.shape)));
        }
        Ok(Box::new(BoundVlasov { vlasov: self.clone(), spec: *spec }))
    }
}

struct BoundVlasov {
    vlasov: Vlasov,
    spec: Spec,
}

/// What has no meaning to an encoder is another codec's; what has none to a decoder was no encoder's.
fn corrupt(e: Error) -> Error {
    match e.kind() {
        ErrorKind::InvalidArgument => Error::corrupt(e.message()),
        _ => e,
    }
}

impl BoundVlasov {
    /// Where the blocks of a sparse array lie. Errors: `InvalidArgument`, as [`Layout::of_arrays`].
    fn layout(&self, site: &Site<'_>) -> Result<Layout> {
        let first = site.origin.first().copied().unwrap_or(0);
        let names = [&self.vlasov.ids, &self.vlasov.counts, &self.vlasov.mesh].map(String::as_str);
        let n = self.spec.shape.first().copied().unwrap_or(0);
        Layout::of_arrays(site.companions, names, first, n)
    }
    fn step(&self, largest: f64, tolerance: f64) -> f64 {
        let unit = match self.spec.dtype {
            DType::F32 => 1.0 / (1u64 << 24) as f64,
            _ => 1.0 / (1u64 << 53) as f64,
        };
        let step = 2.0 * (tolerance - (largest * unit).min(tolerance * NARROWER));
        step.max(largest / MAX_CODE)
    }
}

/// Values of blocks from codes and the kinds of those that are 0, in the element type.
struct Values<'a> {
    codes: &'a [i32],
    kinds: &'a [u8],
    zeros: [f64; KINDS],
    step: f64,
}

impl<'a> Values<'a> {
    fn new(codes: &'a [i32], kinds: &'a [u8], zeros: &[i16; KINDS], step: f64) -> Self {
        Values { codes, kinds, zeros: zeros.map(|z| f64::from(z) / UNITS * step), step }
    }
    fn put<T: Element>(&self, out: &mut [T]) {
        for ((o, c), k) in out.iter_mut().zip(self.codes).zip(self.kinds) {
            let value = if *c == 0 { self.zeros[usize::from(*k) % KINDS] } else { f64::from(*c) * self.step };
            *o = T::from_f64(value);
        }
    }
    fn to_f64(&self) -> Vec<f64> {
        let mut all = vec![0.0; self.codes.len()];
        self.put(&mut all);
        all
    }
}

/// Values to codes.
struct Rounding<'a> {
    values: &'a [f64],
    step: f64,
    codes: &'a mut [i32],
}

impl Work for Rounding<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.codes.iter_mut().zip(self.values).for_each(|(c, v)| *c = round_i32(v / self.step));
    }
}

/// The largest magnitude; what is not a number has none.
fn largest(x: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    for x in x.chunks(lanes.len()) {
        for (m, v) in lanes.iter_mut().zip(x) {
            *m = if v.abs() > *m { v.abs() } else { *m };
        }
    }
    lanes.into_iter().fold(0.0, f64::max)
}

/// What zeros of each kind stand for: what makes the errors of all values of the kind add up to 0, or is near it and within half a step
/// of all zeros.
fn zero_values(x: &[f64], codes: &[i32], kinds: &[u8], step: f64) -> [i16; KINDS] {
    #[derive(Clone, Copy, Default)]
    struct Kind {
        sum: f64,
        count: f64,
        least: f64,
        most: f64,
    }
    impl Kind {
        #[inline(always)]
        fn zeros(&mut self, x: &[f64]) {
            const LANES: usize = 8;
            let mut lanes = [(0.0, 0.0, 0.0f64, 0.0f64); LANES];
            for x in x.chunks(LANES) {
                for ((sum, count, least, most), x) in lanes.iter_mut().zip(x) {
                    let known = if x.is_nan() { 0.0 } else { *x };
                    *sum += known;
                    *count += if x.is_nan() { 0.0 } else { 1.0 };
                    *least = if known < *least { known } else { *least };
                    *most = if known > *most { known } else { *most };
                }
            }
            for (sum, count, least, most) in lanes {
                self.sum += sum;
                self.count += count;
                self.least = self.least.min(least);
                self.most = self.most.max(most);
            }
        }
    }
    let mut all = [Kind::default(); KINDS];
    // Of most blocks all values are of one kind, and 0.
    for ((x, codes), kinds) in x.chunks(BLOCK_CELLS).zip(codes.chunks(BLOCK_CELLS)).zip(kinds.chunks(BLOCK_CELLS)) {
        let one = kinds.first().copied().unwrap_or(0);
        if codes.iter().fold(0, |or, c| or | c) == 0 && kinds.iter().all(|k| *k == one) {
            all[usize::from(one) % KINDS].zeros(x);
            continue;
        }
        for ((x, c), k) in x.iter().zip(codes).zip(kinds) {
            let kind = &mut all[usize::from(*k) % KINDS];
            match *c {
                0 => kind.zeros(std::slice::from_ref(x)),
                c => kind.sum += x - f64::from(c) * step,
            }
        }
    }
    let units = UNITS / step;
    all.map(|k| {
        let (low, high) = (units * k.most - 0.5 * UNITS, units * k.least + 0.5 * UNITS);
        let mean = units * k.sum / k.count.max(1.0);
        mean.round().max(low.ceil()).min(high.floor()) as i16
    })
}

impl BlockCodec for BoundVlasov {
    fn encode(&self, x: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        if hint.rel > 0.0 || hint.is_exact() || hint.is_free() {
            return Err(Error::invalid(format!("expected an absolute tolerance, found {hint:?}")));
        }
        let dense = Dense::new(&self.spec.shape);
        let field = x.values.to_f64();
        let largest = largest(&field);
        let step = self.step(largest, hint.abs);
        if !step.is_finite() || step < f64::MIN_POSITIVE || largest == 0.0 {
            out.extend_from_slice(&0f64.to_le_bytes());
            return Ok(Claim::Decoded(Buffer::zeros(self.spec.dtype, field.len())?));
        }
        // Where there is no room, another codec may do.
        let invalid = |e: Error| Error::invalid(e.message());
        let (layout, limits) = match self.vlasov.is_sparse() {
            true => (self.layout(&x.site)?, [usize::MAX; 3]),
            false => {
                cells_around(dense.blocks()).map_err(invalid)?;
                (dense.layout(&field), dense.limits())
            }
        };
        let pace = match self.vlasov.predictor {
            Predictor::Fixed => Pace::Fixed,
            Predictor::Fitted if largest > COARSE * step => Pace::Fast,
            Predictor::Fitted => Pace::Slow,
        };
        let mut coder = Coder::new(BinaryEncoder::new(), pace)?;
        let blocks = match self.vlasov.is_sparse() {
            true => field,
            false => {
                dense.code_sets(&mut coder.io, &layout.cells)?;
                dense.gather(&field, &layout)?
            }
        };
        // No code is beyond the largest but by rounding; of what is not a number, outside a dense array, the code is 0.
        let mut codes = vec![0; blocks.len()];
        widest(Rounding { values: &blocks, step, codes: &mut codes });
        let mut kinds = vec![0u8; codes.len()];
        let mut work = Blocks { layout: &layout, limits, codes: &mut codes, kinds: &mut kinds };
        coder.code(&mut work).map_err(invalid)?;
        let zeros = zero_values(&blocks, &codes, &kinds, step);
        out.extend_from_slice(&step.to_le_bytes());
        out.push(pace as u8);
        zeros.iter().for_each(|z| out.extend_from_slice(&z.to_le_bytes()));
        out.extend(coder.io.finish());
        let values = Values::new(&codes, &kinds, &zeros, step);
        let mut buffer = Buffer::zeros(self.spec.dtype, x.values.len())?;
        match self.vlasov.is_sparse() {
            true => dispatch!(SliceMut, buffer.as_mut(), o => values.put(o)),
            false => cast(&dense.scatter(&values.to_f64(), &layout)?, buffer.as_mut()),
        }
        Ok(Claim::Decoded(buffer))
    }
    fn decode(&self, bytes: &[u8], site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let step = r.f64()?;
        if step == 0.0 {
            cast(&vec![0.0; out.len()], out);
            return r.end();
        }
        let pace = match r.u8()? {
            0 => Pace::Fixed,
            1 => Pace::Fast,
            2 => Pace::Slow,
            other => return Err(Error::corrupt(format!("expected a pace from 0 to 2, found {other}"))),
        };
        if !step.is_finite() || step < 0.0 {
            return Err(Error::corrupt(format!("expected a step, found {step}")));
        }
        let mut zeros = [0i16; KINDS];
        for z in &mut zeros {
            *z = r.u16()? as i16;
        }
        let mut coder = Coder::new(BinaryDecoder::new(r.rest()), pace)?;
        let dense = Dense::new(&self.spec.shape);
        let (layout, limits) = match self.vlasov.is_sparse() {
            true => (self.layout(site).map_err(corrupt)?, [usize::MAX; 3]),
            false => {
                cells_around(dense.blocks())?;
                (dense.decoded_layout(&mut coder.io)?, dense.limits())
            }
        };
        let n = layout.cells.iter().map(Vec::len).sum::<usize>().saturating_mul(BLOCK_CELLS);
        let mut codes = dense::room::<i32>(n)?;
        let mut kinds = dense::room::<u8>(n)?;
        coder.code(&mut Blocks { layout: &layout, limits, codes: &mut codes, kinds: &mut kinds })?;
        coder.io.finish()?;
        let values = Values::new(&codes, &kinds, &zeros, step);
        match self.vlasov.is_sparse() {
            true => dispatch!(SliceMut, out, o => values.put(o)),
            false => cast(&dense.scatter(&values.to_f64(), &layout)?, out),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
