//! `octree`: an adaptive tree of boxes, on each of which the field is a polynomial.
//!
//! Source: tensor products of Gram polynomials, see [`gram_polynomials`]; the tree is pruned from the leaves up by what either way
//! costs, after P. A. Chou, T. Lookabaugh, R. M. Gray, "Optimal pruning with applications to tree-structured source coding and
//! modeling", 1989. Boxes are halved along all axes that are long enough, so that a tree is an octree in three dimensions.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | step, `f64`; 0: all values are 0 and nothing follows |
//! | 1 | degree of the polynomials along each axis, at most 15 |
//! | varint | extents above this are halved, from 1 |
//! | section | the tree, depth first, parts in C order: for each box of which an extent may be halved, a bit, 1 if it is |
//! | rest | the codes of all leaves in this order, as static rANS with the classes below |
//!
//! An extent `n` is halved into `n - floor(n / 2)` and `floor(n / 2)`. A leaf of extents `n` has `min(degree + 1, n)` coefficients along each axis, in C order. A
//! coefficient is its code times the step, but that of degree 0, whose code is less than its multiple of the step by that of a
//! constant equal to the mean of the leaf before: `floor(m sqrt(N) / step + 0.5)`, with the leaf's `N` values and `m` the coefficient of
//! degree 0 of the leaf before over the root of its number of values; 0 for the first leaf. The class of a code is
//! `4 min(d, 15) + c`, where `d` is the sum of degrees over the axes, and `c` is 0, 1, 2, 3 for a code of magnitude 0, 1, 2 to 3, more
//! at the same place among those of the leaf before, of which as many are looked at as it has.
//!
//! The polynomials of degree k at the points `t = i - (n - 1) / 2` of an extent `n` are `p_0 = 1 / sqrt(n)`, `p_1 = t p_0 / r_1` and
//! `p_k = (t p_(k-1) - r_(k-1) p_(k-2)) / r_k` with `r_k = sqrt(k^2 (n^2 - k^2) / (4 (4 k^2 - 1)))`. Coefficients become values along one axis after the
//! other, the first first, by sums of products over the degrees, from 0 up.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{for_each_row, Region, Shape};
use crate::bits::{put_section, put_varint, BitReader, BitWriter, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::entropy::{encode_classes, RansDecoder};
use crate::error::{Error, Result};
use crate::transform::polynomial::gram_polynomials;
use crate::transform::product::{product, transposed, zeros};
use crate::transform::trial;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "octree",
    doc: "An adaptive octree of tensor-product polynomials; of fields that are smooth but here and there.",
    params: &[
        ("degree", "of the polynomials along each axis, 0 to 15 (default 3)"),
        ("least", "extents above this may be halved, from 1 (default 4)"),
        ("tolerance", "what is aimed at without a bound, relative to the largest magnitude (default 0.01)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Octree>("octree", v)?)))),
    idempotent: false,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Octree {
    /// Degree of the polynomials along each axis.
    pub degree: usize,
    /// Extents above this may be halved.
    pub least: usize,
    /// What is aimed at where there is no bound, relative to the largest magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

impl Default for Octree {
    fn default() -> Self {
        Octree { degree: 3, least: 4, tolerance: None }
    }
}

/// What is aimed at by default where there is no bound.
const TOLERANCE: f64 = 0.01;

const MAX_DEGREE: usize = 15;
/// Classes of codes.
const CLASSES: usize = 64;
/// Magnitudes below this part of a step become 0: zeros are cheap.
const DEAD: f64 = 0.6;
/// Values that the polynomials along one axis may have: those of degree 3 at 2^22 points.
const MOST_VALUES: usize = 1 << 24;
/// Largest magnitude of a code.
const MAX_CODE: f64 = (1 << 30) as f64;

/// A box: a polynomial, or boxes of its own.
enum Node {
    Leaf(Vec<i32>),
    Split(Vec<Node>),
}

/// What encoder and decoder do alike, for an array of `shape`.
struct Polynomials {
    shape: Shape,
    degree: usize,
    least: usize,
    /// For each extent so far, the polynomials one a row, and one a column.
    rows: BTreeMap<usize, (Vec<f64>, Vec<f64>)>,
}

impl Polynomials {
    /// Errors: `LimitExceeded` where polynomials along an axis would take far more room than other arrays of that many values.
    fn new(shape: &Shape, degree: usize, least: usize) -> Result<Polynomials> {
        let values = shape.iter().max().map_or(0, |n| n.saturating_mul(degree + 1));
        if values > MOST_VALUES {
            return Err(Error::limit(format!(
                "expected polynomials of at most {MOST_VALUES} values along an axis, found {values} for {shape} and a degree of {degree}"
            )));
        }
        Ok(Polynomials { shape: *shape, degree, least, rows: BTreeMap::new() })
    }
    fn rows(&mut self, n: usize) -> &(Vec<f64>, Vec<f64>) {
        let count = self.degree + 1;
        self.rows.entry(n).or_insert_with(|| {
            let rows = gram_polynomials(n, count);
            let columns = transposed(&rows, n);
            (rows, columns)
        })
    }
    /// How many coefficients there are along each axis of a leaf.
    fn counts(&self, shape: &[usize]) -> Vec<usize> {
        shape.iter().map(|&n| n.min(self.degree + 1)).collect()
    }
    fn project(&mut self, x: &[f64], shape: &[usize]) -> Result<Vec<f64>> {
        let (mut y, mut extents) = (x.to_vec(), shape.to_vec());
        for (k, &n) in shape.iter().enumerate() {
            let rows = &self.rows(n).0;
            y = product(&y, &extents, k, rows)?;
            extents[k] = rows.len() / n;
        }
        Ok(y)
    }
    fn expand(&mut self, coefficients: Vec<f64>, shape: &[usize]) -> Result<Vec<f64>> {
        let (mut y, mut extents) = (coefficients, self.counts(shape));
        for (k, &n) in shape.iter().enumerate() {
            y = product(&y, &extents, k, &self.rows(n).1)?;
            extents[k] = n;
        }
        Ok(y)
    }
    fn may_split(&self, shape: &[usize]) -> bool {
        shape.iter().any(|&n| n > self.least)
    }
    /// The parts of a box that is split, in C order. Errors: none for boxes inside the array.
    fn parts(&self, whole: &Region) -> Result<Vec<Region>> {
        let mut parts = vec![(Vec::new(), Vec::new())];
        for (&from, &n) in whole.origin().iter().zip(whole.shape().iter()) {
            let halves = match n > self.least {
                true => vec![(from, n - n / 2), (from + n - n / 2, n / 2)],
                false => vec![(from, n)],
            };
            let with = |(origin, extents): &(Vec<usize>, Vec<usize>), &(from, n): &(usize, usize)| {
                ([&origin[..], &[from]].concat(), [&extents[..], &[n]].concat())
            };
            parts = parts.iter().flat_map(|p| halves.iter().map(|h| with(p, h)).collect::<Vec<_>>()).collect();
        }
        parts.iter().map(|(origin, extents)| Region::new(&self.shape, origin, extents)).collect()
    }
    /// Calls `f` with where each row of a box lies in the array.
    fn for_each_row(&self, part: &Region, mut f: impl FnMut(Range<usize>)) {
        let (strides, run) = (self.shape.strides(), part.shape().last().copied().unwrap_or(1));
        for_each_row(part, |index| {
            let at = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
            f(at..at + run);
        });
    }
    /// Stores the values of a box in `out`, the array.
    fn store(&self, values: &[f64], part: &Region, out: &mut [f64]) {
        let mut rows = values.chunks_exact(part.shape().last().copied().unwrap_or(1).max(1));
        self.for_each_row(part, |at| {
            if let (Some(to), Some(row)) = (out.get_mut(at), rows.next()) {
                to.copy_from_slice(row);
            }
        });
    }
}

/// The root of how many values a leaf has.
fn root(shape: &[usize]) -> f64 {
    (shape.iter().product::<usize>() as f64).sqrt()
}

/// What is known of the leaf before.
#[derive(Default)]
struct Before {
    mean: f64,
    codes: Vec<i32>,
}

impl Before {
    /// The code of a constant as the leaf before, for a leaf of so many values.
    fn constant(&self, root: f64, step: f64) -> i32 {
        (self.mean * root / step + 0.5).floor() as i32
    }
    /// The classes of the codes of a leaf with so many coefficients along each axis.
    fn classes(&self, counts: &[usize]) -> Vec<u8> {
        let class = |i: usize| {
            let (mut rest, mut degree) = (i, 0);
            for &c in counts.iter().rev() {
                degree += rest % c;
                rest /= c;
            }
            let near = match self.codes.get(i).map_or(0, |c| c.unsigned_abs()) {
                m @ 0..=1 => m,
                2..=3 => 2,
                _ => 3,
            };
            4 * degree.min(15) as u8 + near as u8
        };
        (0..counts.iter().product()).map(class).collect()
    }
}

struct Encoder<'a> {
    x: &'a [f64],
    polynomials: Polynomials,
    tolerance: f64,
    step: f64,
}

impl Encoder<'_> {
    /// The tree of a box that costs least, and about how many bits that are.
    fn grow(&mut self, part: &Region) -> Result<(f64, Node)> {
        let shape = part.shape();
        let mut x = Vec::with_capacity(shape.len());
        self.polynomials.for_each_row(part, |at| x.extend_from_slice(self.x.get(at).unwrap_or_default()));
        let coefficients = self.polynomials.project(&x, &shape)?;
        let (mut codes, mut cost) = (Vec::with_capacity(coefficients.len()), 0.0);
        for c in &coefficients {
            let q = (c / self.step).abs();
            let m = if q < DEAD { 0 } else { (q + 0.5) as i32 };
            cost += if m == 0 { 0.4 } else { 2.0 * libm::log2(f64::from(m)) + 3.0 };
            codes.push(if *c < 0.0 { -m } else { m });
        }
        let values = codes.iter().map(|&q| f64::from(q) * self.step).collect();
        let y = self.polynomials.expand(values, &shape)?;
        let rest = 8.0 * trial::correction_bytes(&x, &y, self.tolerance);
        let leaf = Node::Leaf(codes);
        if rest == 0.0 || !self.polynomials.may_split(&shape) {
            return Ok((cost + rest, leaf));
        }
        let mut split = 1.0;
        let mut nodes = Vec::new();
        for part in self.polynomials.parts(part)? {
            let (bits, node) = self.grow(&part)?;
            split += bits;
            nodes.push(node);
        }
        Ok(if split < cost + rest { (split, Node::Split(nodes)) } else { (cost + rest, leaf) })
    }
}

/// The tree as a stream, and the values it stands for.
struct Output {
    step: f64,
    tree: BitWriter,
    codes: Vec<i32>,
    classes: Vec<u8>,
    before: Before,
    values: Vec<f64>,
}

impl Output {
    /// Writes a node that covers `part`.
    fn put(&mut self, node: Node, polynomials: &mut Polynomials, part: &Region) -> Result<()> {
        let shape = part.shape();
        if polynomials.may_split(&shape) {
            self.tree.put(u64::from(matches!(node, Node::Split(_))), 1);
        }
        let mut codes = match node {
            Node::Split(nodes) => {
                let parts = polynomials.parts(part)?;
                return nodes.into_iter().zip(&parts).try_for_each(|(n, p)| self.put(n, polynomials, p));
            }
            Node::Leaf(codes) => codes,
        };
        let values = codes.iter().map(|&q| f64::from(q) * self.step).collect();
        let values = polynomials.expand(values, &shape)?;
        polynomials.store(&values, part, &mut self.values);
        self.classes.extend(self.before.classes(&polynomials.counts(&shape)));
        let root = root(&shape);
        if let Some(first) = codes.first_mut() {
            let whole = *first;
            *first = whole.wrapping_sub(self.before.constant(root, self.step));
            self.before.mean = f64::from(whole) * self.step / root;
        }
        self.codes.extend_from_slice(&codes);
        self.before.codes = codes;
        Ok(())
    }
}

impl Octree {
    /// The stream and its values. Errors: `LimitExceeded`.
    fn encode(&self, x: &[f64], shape: &Shape, tolerance: f64, step: f64) -> Result<(Vec<u8>, Vec<f64>)> {
        let root = root(shape);
        let largest = x.iter().fold(0.0, |m: f64, v| m.max(v.abs())) * root;
        let step = step.max(largest / MAX_CODE);
        if !step.is_finite() || step < f64::MIN_POSITIVE || x.is_empty() {
            return Ok((0f64.to_le_bytes().to_vec(), vec![0.0; x.len()]));
        }
        let polynomials = Polynomials::new(shape, self.degree, self.least)?;
        let mut encoder = Encoder { x, polynomials, tolerance, step };
        let (_, node) = encoder.grow(&Region::all(*shape))?;
        let mut out = Output {
            step,
            tree: BitWriter::new(),
            codes: Vec::new(),
            classes: Vec::new(),
            before: Before::default(),
            values: zeros(x.len())?,
        };
        out.put(node, &mut encoder.polynomials, &Region::all(*shape))?;
        let mut bytes = step.to_le_bytes().to_vec();
        bytes.push(self.degree as u8);
        put_varint(&mut bytes, self.least as u64);
        put_section(&mut bytes, &out.tree.finish());
        encode_classes(&out.codes, &out.classes, CLASSES, &mut bytes);
        Ok((bytes, out.values))
    }
}

impl Model for Octree {
    const ID: &'static str = "octree";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let aim = self.tolerance.unwrap_or(TOLERANCE);
        if self.degree > MAX_DEGREE || self.least == 0 || !(0.0..1.0).contains(&aim) {
            return Err(Error::invalid(format!(
                "expected a degree of at most {MAX_DEGREE}, extents from 1 and a tolerance from 0 to 1, found {self:?}"
            )));
        }
        let tolerance = match tolerance {
            f64::MAX => aim * x.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
            bound => bound,
        }
        .max(f64::MIN_POSITIVE);
        // Where there is no room, another codec may do.
        Polynomials::new(&block.shape, self.degree, self.least).map_err(|e| Error::invalid(e.message()))?;
        let (sample, extents) = trial::sample(x, block.shape.dims(), trial::step_sample_size(x.len()));
        let sample_shape = Shape::new(&extents)?;
        let step = trial::best_step(&sample, tolerance, |step, y| {
            let (bytes, values) = self.encode(&sample, &sample_shape, tolerance, step)?;
            y.copy_from_slice(&values);
            Ok(bytes.len())
        })?;
        let (bytes, values) = self.encode(x, &block.shape, tolerance, step)?;
        out.extend(bytes);
        Ok(Some(values))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let step = r.f64()?;
        if step == 0.0 || out.is_empty() {
            out.fill(0.0);
            return r.end();
        }
        let degree = usize::from(r.u8()?);
        let least = r.count(usize::MAX >> 1)?;
        if !step.is_finite() || step < 0.0 || degree > MAX_DEGREE || least == 0 {
            return Err(Error::corrupt(format!(
                "expected a step, a degree of at most {MAX_DEGREE} and extents from 1, found {step}, {degree} and {least}"
            )));
        }
        let mut decoder = Decoder {
            polynomials: Polynomials::new(shape, degree, least)?,
            step,
            tree: BitReader::new(r.section()?),
            rans: RansDecoder::new(r.rest(), CLASSES)?,
            before: Before::default(),
        };
        decoder.get(&Region::all(*shape), out)?;
        decoder.tree.finish()?;
        decoder.rans.finish()
    }
}

struct Decoder<'a> {
    polynomials: Polynomials,
    step: f64,
    tree: BitReader<'a>,
    rans: RansDecoder<'a>,
    before: Before,
}

impl Decoder<'_> {
    /// Fills `part` of `out`. Boxes are halved with each call, so that there are no more in flight than bits in an extent.
    fn get(&mut self, part: &Region, out: &mut [f64]) -> Result<()> {
        let shape = part.shape();
        if self.polynomials.may_split(&shape) && self.tree.get(1) == 1 {
            return self.polynomials.parts(part)?.iter().try_for_each(|p| self.get(p, out));
        }
        let classes = self.before.classes(&self.polynomials.counts(&shape));
        let codes: Vec<i32> = classes.into_iter().map(|c| self.rans.next(c)).collect();
        let root = root(&shape);
        let whole = codes.first().map_or(0, |c| c.wrapping_add(self.before.constant(root, self.step)));
        let mut values: Vec<f64> = codes.iter().map(|&q| f64::from(q) * self.step).collect();
        if let Some(first) = values.first_mut() {
            *first = f64::from(whole) * self.step;
        }
        self.before = Before { mean: f64::from(whole) * self.step / root, codes };
        let values = self.polynomials.expand(values, &shape)?;
        self.polynomials.store(&values, part, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::{compress, Bound, Options};

    fn fit(octree: &Octree, x: &[f64], shape: &[usize], tolerance: f64) -> (Vec<u8>, Vec<f64>) {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        let values = octree.fit(x, &block, tolerance, &mut out).unwrap().unwrap();
        (out, values)
    }

    /// Smooth but for a ball with a rough surface.
    fn field(shape: &[usize]) -> Vec<f64> {
        let n: usize = shape.iter().product();
        let last = shape.last().copied().unwrap_or(1).max(1);
        let value = |i: usize| {
            let (y, x) = ((i / last) as f64, (i % last) as f64);
            let smooth = 50.0 + libm::sin(y * 0.02) * 3.0 + x * x * 1e-3;
            smooth + if (y - 20.0).abs() < 3.0 && (x - 9.0).abs() < 3.0 { 5.0 } else { 0.0 }
        };
        (0..n).map(value).collect()
    }

    #[test]
    fn any_shape_and_parameter_decodes_to_what_was_promised() {
        let shapes: [&[usize]; 9] =
            [&[], &[0], &[1], &[3], &[200], &[40, 1, 33], &[70, 90], &[5, 24, 31], &[2, 3, 17, 40]];
        for shape in shapes {
            for (degree, least) in [(0, 1), (1, 2), (2, 4), (3, 4), (7, 16), (15, 100)] {
                let octree = Octree { degree, least, tolerance: None };
                let x = field(shape);
                let (bytes, values) = fit(&octree, &x, shape, 0.01);
                let mut y = vec![7.0; x.len()];
                // All that decoding needs is in the stream.
                Octree::default().reconstruct(&bytes, &Shape::new(shape).unwrap(), &mut y).unwrap();
                assert!(y.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {octree:?}");
            }
        }
    }

    #[test]
    fn polynomials_are_one_leaf_and_rough_spots_are_split() {
        let shape = [64, 64];
        let cubic: Vec<f64> = (0..4096)
            .map(|i| {
                let (y, x) = ((i / 64) as f64 / 64.0, (i % 64) as f64 / 64.0);
                1.0 + y * y * y - 2.0 * x * x * y + x
            })
            .collect();
        let (bytes, values) = fit(&Octree::default(), &cubic, &shape, 1e-4);
        assert!(bytes.len() < 80, "{}", bytes.len());
        assert!(cubic.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-3));
        let spot: Vec<f64> =
            cubic.iter().enumerate().map(|(i, v)| v + f64::from((i / 64 / 4 == 3) & (i % 64 / 4 == 5))).collect();
        let (more, values) = fit(&Octree::default(), &spot, &shape, 1e-4);
        assert!(more.len() < 16 * bytes.len(), "{} {}", more.len(), bytes.len());
        let far = spot.iter().zip(&values).filter(|(a, b)| (*a - *b).abs() > 1e-2).count();
        assert!(far < 64, "{far}");
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        let x = field(&shape);
        bounds_hold(&["octree", "octree:degree=2", "octree:degree=1,least=2"], &x, &shape);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("octree:degree=x").is_err());
        let options = Options::new(Bound::Abs(0.01)).with_chain("octree:degree=16").unwrap();
        let refused = compress(&View::new(&shape, &x).unwrap(), options).unwrap();
        assert!(refused.1.max_error == 0.0, "stored as it is");
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        let (bytes, _) = fit(&Octree::default(), &field(&shape), &shape, 0.01);
        survives_damage(&Octree::default(), &bytes, &shape);
        // Polynomials many times as large as the array.
        let long = Shape::new(&[1 << 21]).unwrap();
        let (few, _) = fit(&Octree { degree: 15, ..Octree::default() }, &[1.0; 3], &[3], 0.01);
        let e = Octree::default().reconstruct(&few, &long, &mut vec![0.0; long.len()]).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::LimitExceeded);
    }
}
