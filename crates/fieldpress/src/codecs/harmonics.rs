//! `harmonics`: spherical harmonics on shells about the bulk velocity of a distribution.
//!
//! Source: C. W. Misner, "Spherical harmonic decomposition on a cubic grid", 2004. See [harmonics](crate::transform::harmonics) for the functions, of
//! which every cell has some, and how their coefficients are fitted to the cells.
//!
//! The centre is the mean position of a box, weighted with what is positive in it, and the scale of distances the root of a third of the
//! variance; the middle, and a quarter of the longest edge, where nothing is positive.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | largest degree, at most 64 |
//! | varint | number `M` of splines, 4 to 512 |
//! | rest | a section for each box, that is, for each index of all axes but the last three |
//!
//! | box | content |
//! |---|---|
//! | 8 | step, `f64`; 0: all values are 0 and nothing follows |
//! | 12 | centre along z, y, x, in cells from the first, `f32` each |
//! | 4 | scale, in cells, `f32` |
//! | rest | the codes of the coefficients, spline by spline |
//!
//! A coefficient is its code times the step. The codes are one range-coded stream with a [mixed model](crate::entropy::mixing) for values that lean. With
//! `i = l l + l + o` the index of a harmonic of degree `l`, let `a`, `b` be the codes of harmonic `i` in the spline before and in that before it, and `n` the
//! sum of magnitudes of the three codes before in this spline; what is not there is 0. With `L(v)` the bits of a magnitude, at most 15, and `S(v)`
//! 0, 1, 2 for a zero, positive, negative code the contexts are `16 L(a) + L(b)`, `(9 L(a) + 3 S(a) + S(b)) 2`, plus 1 for `o = 0`, `16 min(l, 31) + L(n)`, and
//! `32 floor(32 m / M) + min(l, 31)` in spline `m`; the selector is `min(L(a + b), 7)` of the magnitudes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_section, put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::entropy::{BinaryDecoder, BinaryEncoder, Decisions, MixedModel};
use crate::error::{Error, Result};
use crate::transform::harmonics::{Shells, MAX_DEGREE, MAX_SPLINES, MIN_SPLINES};
use crate::transform::product::zeros;
use crate::transform::trial;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "harmonics",
    doc: "Spherical harmonics on shells about the bulk velocity; of boxes of three axes.",
    params: &[
        ("degree", "of the harmonics, 0 to 64 (default 10)"),
        ("shells", "splines in the distance, 4 to 512 (default 24)"),
        ("tolerance", "what is aimed at without a bound, relative to the largest magnitude (default 0.001)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Harmonics>("harmonics", v)?)))),
    idempotent: false,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Harmonics {
    /// Largest degree.
    pub degree: usize,
    /// How many splines there are in the distance from the centre.
    pub shells: usize,
    /// What is aimed at where there is no bound, relative to the largest magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

impl Default for Harmonics {
    fn default() -> Self {
        Harmonics { degree: 10, shells: 24, tolerance: None }
    }
}

/// What is aimed at by default where there is no bound.
const TOLERANCE: f64 = 1e-3;
/// Root mean square errors below this part of the tolerance are as good as none.
const ENOUGH: f64 = 0.03;
/// Largest magnitude of a code.
const MAX_CODE: f64 = (1 << 30) as f64;
/// Finest tolerance, relative to the largest magnitude.
const FINEST: f64 = 1.0 / (1 << 28) as f64;

/// The boxes of an array: how many, and their extents. Errors: `InvalidArgument` where there are less than three axes.
fn boxes(shape: &Shape) -> Result<(usize, [usize; 3])> {
    match shape.dims() {
        [outer @ .., z, y, x] => Ok((outer.iter().product(), [*z, *y, *x])),
        _ => Err(Error::invalid(format!("expected boxes of three axes, found the shape {shape}"))),
    }
}

/// The centre of what is positive, along z, y and x, and the scale of distances from it.
fn moments(x: &[f64], extents: [usize; 3], largest: f64) -> ([f32; 3], f32) {
    let (mut mass, mut first, mut second) = (0.0, [0.0; 3], 0.0);
    let run = extents[2].max(1);
    for (line, row) in x.chunks_exact(run).enumerate() {
        for (i, v) in row.iter().enumerate() {
            let at = [line / extents[1].max(1), line % extents[1].max(1), i].map(|i| i as f64);
            let f = (v / largest).max(0.0);
            mass += f;
            first.iter_mut().zip(at).for_each(|(s, at)| *s += f * at);
            second += f * at.iter().map(|a| a * a).sum::<f64>();
        }
    }
    let longest = extents.iter().copied().max().unwrap_or(1) as f64;
    if mass <= 0.0 {
        return (extents.map(|n| (n.saturating_sub(1) as f64 / 2.0) as f32), (longest / 4.0) as f32);
    }
    let centre = first.map(|s| s / mass);
    let variance = (second / mass - centre.iter().map(|c| c * c).sum::<f64>()) / 3.0;
    (centre.map(|c| c as f32), variance.max(0.0).sqrt().clamp(0.25, longest) as f32)
}

/// The bits of a magnitude.
fn bits(magnitude: u32) -> usize {
    (32 - magnitude.leading_zeros()).min(15) as usize
}

fn sign(code: i32) -> usize {
    usize::from(code != 0) + usize::from(code < 0)
}

/// Codes the coefficients of `shells`; a decoder ignores what is in `codes`. Errors: `LimitExceeded`.
fn code<D: Decisions>(io: &mut D, shells: &Shells, codes: &mut [i32]) -> Result<()> {
    let mut model = MixedModel::new([256, 16 * 18, 32 * 16, 32 * 32], 8)?;
    let splines = shells.counts().count();
    let (mut older, mut last): (&[i32], &[i32]) = (&[], &[]);
    let mut rest = codes;
    for (m, count) in shells.counts().enumerate() {
        let (here, after) = std::mem::take(&mut rest).split_at_mut(count);
        let mut recent = [0u32; 3];
        let mut degree = 0;
        for (i, code) in here.iter_mut().enumerate() {
            if i == (degree + 1) * (degree + 1) {
                degree += 1;
            }
            let (a, b) = (last.get(i).copied().unwrap_or(0), older.get(i).copied().unwrap_or(0));
            let near = recent.iter().fold(0u32, |s, v| s.saturating_add(*v));
            let [la, lb] = [a, b].map(|v| bits(v.unsigned_abs()));
            let zonal = usize::from(i == degree * degree + degree);
            let contexts = [
                16 * la + lb,
                2 * (9 * la + 3 * sign(a) + sign(b)) + zonal,
                16 * degree.min(31) + bits(near),
                32 * (32 * m / splines) + degree.min(31),
            ];
            let selector = bits(a.unsigned_abs().saturating_add(b.unsigned_abs())).min(7);
            *code = model.code_leaning(io, *code, contexts, selector);
            recent.rotate_right(1);
            recent[0] = code.unsigned_abs();
        }
        (older, last, rest) = (last, here, after);
    }
    Ok(())
}

/// Coefficients as codes, and as they will be decoded.
fn quantised(coefficients: &[f64], step: f64) -> (Vec<i32>, Vec<f64>) {
    // Casts saturate.
    let codes: Vec<i32> =
        coefficients.iter().map(|c| libm::round(c / step).clamp(-MAX_CODE, MAX_CODE) as i32).collect();
    let values = codes.iter().map(|&q| f64::from(q) * step).collect();
    (codes, values)
}

fn encoded(shells: &Shells, codes: &[i32]) -> Result<Vec<u8>> {
    let mut encoder = BinaryEncoder::new();
    code(&mut encoder, shells, &mut codes.to_vec())?;
    Ok(encoder.finish())
}

impl Harmonics {
    /// The shells of a box. Errors: `LimitExceeded`, as [`Shells::new`].
    fn shells(&self, extents: [usize; 3], centre: [f32; 3], scale: f32) -> Result<Shells> {
        Shells::new(extents, centre.map(f64::from), f64::from(scale), self.degree, self.shells)
    }

    /// Appends a box, and replaces its values by those that will be decoded. Errors: `LimitExceeded`.
    fn put(&self, x: &mut [f64], extents: [usize; 3], tolerance: f64, out: &mut Vec<u8>) -> Result<()> {
        let largest = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if largest < f64::MIN_POSITIVE / FINEST {
            x.fill(0.0);
            out.extend(0f64.to_le_bytes());
            return Ok(());
        }
        let (centre, scale) = moments(x, extents, largest);
        let shells = self.shells(extents, centre, scale)?;
        let tolerance = (tolerance / largest).clamp(FINEST, 1.0);
        let parts: Vec<f64> = x.iter().map(|v| v / largest).collect();
        let coefficients = shells.fit(&parts, ENOUGH * tolerance)?;

        // Steps are tried out on the lines that coefficients were fitted to.
        let every = shells.every();
        let run = extents[2].max(1);
        let among = |v: &[f64]| -> Vec<f64> {
            let lines = v.chunks_exact(run).enumerate().filter(|(line, _)| Shells::is_among(*line, every));
            lines.flat_map(|(_, row)| row.iter().copied()).collect()
        };
        let some = among(&parts);
        let mut decoded = zeros(x.len())?;
        let share = (x.len() as f64 / shells.coefficients().max(1) as f64).sqrt();
        let step = trial::valley(tolerance * share, |step| {
            let (codes, values) = quantised(&coefficients, step);
            shells.expand(&values, every, &mut decoded);
            let rest = some.iter().zip(among(&decoded)).map(|(x, y)| x - y);
            let rest = trial::remainder_bytes(rest, tolerance);
            Ok(encoded(&shells, &codes)?.len() as f64 + rest * x.len() as f64 / some.len().max(1) as f64)
        })?;
        let most = coefficients.iter().fold(0.0, |m: f64, v| m.max(v.abs())) / MAX_CODE;
        let (codes, _) = quantised(&coefficients, step.max(most));
        let step = (step.max(most) * largest).clamp(f64::MIN_POSITIVE, f64::MAX);
        out.extend(step.to_le_bytes());
        centre.iter().chain([&scale]).for_each(|v| out.extend(v.to_le_bytes()));
        out.extend(encoded(&shells, &codes)?);
        fill(&shells, &codes, step, x);
        Ok(())
    }

    /// Fills a box. Total on hostile bytes. Errors: `Corrupt`, `Truncated`, `LimitExceeded`.
    fn get(&self, bytes: &[u8], extents: [usize; 3], out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let step = r.f64()?;
        if step == 0.0 {
            out.fill(0.0);
            return r.end();
        }
        let mut place = [0f32; 4];
        for p in &mut place {
            *p = f32::from_bits(r.u32()?);
        }
        let [z, y, x, scale] = place;
        if !step.is_finite() || step < 0.0 || !place.iter().all(|p| p.is_finite()) || scale <= 0.0 {
            return Err(Error::corrupt(format!("expected a step, a centre and a scale, found {step} and {place:?}")));
        }
        let shells = self.shells(extents, [z, y, x], scale)?;
        let mut codes = Vec::new();
        let n = shells.coefficients();
        codes
            .try_reserve_exact(n)
            .map_err(|_| Error::limit(format!("expected memory for {n} codes, found too little")))?;
        codes.resize(n, 0);
        let mut decoder = BinaryDecoder::new(r.rest());
        code(&mut decoder, &shells, &mut codes)?;
        decoder.finish()?;
        fill(&shells, &codes, step, out);
        Ok(())
    }
}

/// Fills a box with what codes stand for.
fn fill(shells: &Shells, codes: &[i32], step: f64, out: &mut [f64]) {
    let values: Vec<f64> = codes.iter().map(|&q| f64::from(q)).collect();
    shells.expand(&values, 1, out);
    out.iter_mut().for_each(|v| *v = (*v * step).clamp(-f64::MAX, f64::MAX));
}

impl Model for Harmonics {
    const ID: &'static str = "harmonics";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let aim = self.tolerance.unwrap_or(TOLERANCE);
        if self.degree > MAX_DEGREE || !(MIN_SPLINES..=MAX_SPLINES).contains(&self.shells) || !(0.0..1.0).contains(&aim)
        {
            return Err(Error::invalid(format!(
                "expected a degree of at most {MAX_DEGREE}, {MIN_SPLINES} to {MAX_SPLINES} shells and a tolerance from 0 to 1, found {self:?}"
            )));
        }
        let (_, extents) = boxes(&block.shape)?;
        let tolerance = match tolerance {
            f64::MAX => aim * x.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
            bound => bound,
        };
        out.push(self.degree as u8);
        put_varint(out, self.shells as u64);
        let mut y = x.to_vec();
        for part in y.chunks_exact_mut(extents.iter().product::<usize>().max(1)) {
            let mut bytes = Vec::new();
            self.put(part, extents, tolerance, &mut bytes)?;
            put_section(out, &bytes);
        }
        Ok(Some(y))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let (_, extents) = boxes(shape)?;
        let degree = usize::from(r.u8()?);
        let shells = r.count(MAX_SPLINES)?;
        if degree > MAX_DEGREE || shells < MIN_SPLINES {
            return Err(Error::corrupt(format!(
                "expected a degree of at most {MAX_DEGREE} and shells from {MIN_SPLINES}, found {degree} and {shells}"
            )));
        }
        let config = Harmonics { degree, shells, tolerance: None };
        for part in out.chunks_exact_mut(extents.iter().product::<usize>().max(1)) {
            config.get(r.section()?, extents, part)?;
        }
        r.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::{compress, Bound, ErrorKind, Options};

    fn fit(model: &Harmonics, x: &[f64], shape: &[usize], tolerance: f64) -> (Vec<u8>, Vec<f64>) {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        let values = model.fit(x, &block, tolerance, &mut out).unwrap().unwrap();
        (out, values)
    }

    /// A Maxwellian with a ring about it, drifting along x; several boxes drift each at its own speed.
    fn field(shape: &[usize]) -> Vec<f64> {
        let &[.., nz, ny, nx] = shape else { return vec![1.0; shape.iter().product()] };
        let value = |i: usize| {
            let drift = (i / (nx * ny * nz)) as f64;
            let at = |i: usize, n: usize, c: f64| (i % n) as f64 - c * n as f64;
            let (x, y, z) = (at(i, nx, 0.55) - drift, at(i / nx, ny, 0.45), at(i / nx / ny, nz, 0.5));
            let size = 0.12 * nx.max(ny).max(nz) as f64;
            let (across, along) = (((x * x + y * y).sqrt() - 1.5 * size) / size, z / size);
            let core = (x * x + y * y + z * z) / (size * size);
            libm::exp(-0.5 * core) + 0.2 * libm::exp(-0.5 * (across * across + along * along))
        };
        (0..shape.iter().product()).map(value).collect()
    }

    #[test]
    fn any_shape_and_parameter_decodes_to_what_was_promised() {
        let shapes: [&[usize]; 8] = [
            &[0, 2, 3],
            &[1, 1, 1],
            &[1, 1, 9],
            &[8, 1, 7],
            &[13, 17, 12],
            &[2, 9, 8, 11],
            &[2, 0, 3, 3, 3],
            &[2, 1, 3, 1, 5],
        ];
        for shape in shapes {
            for (degree, shells) in [(0, 4), (3, 9), (10, 24), (20, 5)] {
                for tolerance in [1e-3, f64::MAX, f64::MIN_POSITIVE] {
                    let model = Harmonics { degree, shells, tolerance: None };
                    let x = field(shape);
                    let (bytes, values) = fit(&model, &x, shape, tolerance);
                    let mut y = vec![7.0; x.len()];
                    // All that decoding needs is in the stream.
                    Harmonics::default().reconstruct(&bytes, &Shape::new(shape).unwrap(), &mut y).unwrap();
                    assert!(y.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {model:?}");
                }
            }
        }
    }

    #[test]
    fn a_drifting_distribution_takes_few_bytes() {
        let shape = [40, 44, 38];
        let x = field(&shape);
        let (bytes, y) = fit(&Harmonics { tolerance: Some(1e-3), ..Harmonics::default() }, &x, &shape, f64::MAX);
        let squares = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
        let l2 = squares(&mut x.iter().zip(&y).map(|(a, b)| a - b)) / squares(&mut x.iter().copied());
        assert!(l2 < 0.01 && bytes.len() < 1500, "{l2} {}", bytes.len());
        // Higher degrees only where there is something to describe: those of a sphere are none.
        let sphere: Vec<f64> = (0..32 * 32 * 32)
            .map(|i| {
                let d = [i / 1024, i / 32 % 32, i % 32].map(|i| i as f64 - 15.5);
                libm::exp(-d.iter().map(|d| d * d).sum::<f64>() / 50.0)
            })
            .collect();
        let (bytes, y) = fit(&Harmonics::default(), &sphere, &[32; 3], f64::MAX);
        let worst = sphere.iter().zip(&y).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
        assert!(worst < 0.02 && bytes.len() < 300, "{worst} {}", bytes.len());
    }

    #[test]
    fn scales_and_signs_are_all_the_same() {
        let shape = [9, 11, 10];
        for scale in [1e-15, -1.0, 1e300, -1e-300, 5e-324, 0.0] {
            let x: Vec<f64> = field(&shape).iter().map(|v| v * scale).collect();
            let (_, y) = fit(&Harmonics::default(), &x, &shape, f64::MAX);
            let worst = x.iter().zip(&y).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
            assert!(worst <= 0.2 * scale.abs() || scale.abs() < 1e-298, "{scale}: {worst}");
        }
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [2, 15, 17, 16];
        bounds_hold(&["harmonics", "harmonics:degree=2,shells=6"], &field(&shape), &shape);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("harmonics:degree=x").is_err());
        let x = field(&[15, 17, 16]);
        for (chain, shape) in [
            ("harmonics:degree=65", &[15, 17, 16][..]),
            ("harmonics:shells=3", &[15, 17, 16]),
            ("harmonics:tolerance=1", &[15, 17, 16]),
            ("harmonics", &[15, 17 * 16]),
        ] {
            let options = Options::new(Bound::None).with_chain(chain).unwrap();
            let stored = compress(&View::new(shape, &x).unwrap(), options).unwrap().1;
            assert_eq!(stored.max_error, 0.0, "{chain}: stored as it is");
        }
        let e = Harmonics::default().reconstruct(&[10, 24], &Shape::new(&[3, 4]).unwrap(), &mut [0.0; 12]);
        assert_eq!(e.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        for shape in [&[9, 7, 8][..], &[2, 5, 4, 6]] {
            let (bytes, _) = fit(&Harmonics { degree: 4, shells: 7, tolerance: None }, &field(shape), shape, 0.001);
            survives_damage(&Harmonics::default(), &bytes, shape);
        }
    }
}
