//! `gmm`: a mixture of Gaussians, each cell counting as often as its value says.
//!
//! Sources: A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", 1977; G. Chen, L.
//! Chacon, T. B. Nguyen, "An unsupervised machine-learning checkpoint-restart algorithm using Gaussian mixtures for
//! particle-in-cell simulations", 2021 (mixtures of distributions, with moments kept). See
//! [`mixture`](crate::transform::mixture) for the fit. All Gaussians are kept relative to a frame, the mean and covariance of the whole,
//! and so quantised; then the frame, which is not, is moved, stretched and scaled until sum, mean and covariance of what is decoded are
//! those of the array.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | varint | how many Gaussians, at most 64; 0: all values are 0 and nothing follows |
//! | 1 | precision `p`, from 1 |
//! | 8 | amplitude `h` of the frame, `f64` |
//! | 12 | its mean `u`, `f32` for each of three axes |
//! | 24 | the root `R` of its covariance, `[00, 10, 11, 20, 21, 22]`, `f32` each |
//! | rest | codes as static rANS with classes: those of the masses, class 0; then nine for each Gaussian |
//!
//! Axes that the array lacks come first and have one cell. With `s` the sum of the codes of masses so far, the Gaussian has the weight
//! `w = exp(-s / p)`, and the part `w / W` of the sum `W` of all weights. Its nine codes are multiplied by
//! `d = min(max(1 / sqrt(k w / W), 0.5), 4) / p`, with `k` Gaussians, and are: `z0`, `z1`, `z2` (class 1); `a0`, `a1`, `a2` (2); `b10`, `b20`,
//! `b21` (3). Then `K = [exp(a0), b10 K11, K11 = exp(a1), b20 K22, b21 K22, K22 = exp(a2)]` in the order of `R`, the root is the product
//! `R K`, and the mean `u + R (K z)`, sums from left to right; the amplitude is `h (w / W) / (K00 K11 K22)`. What a Gaussian adds to the cells
//! says [`gaussians`](crate::transform::gaussians).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::entropy::{encode_classes, RansDecoder};
use crate::error::{Error, Result};
use crate::transform::frame::{conserved, parts, relative, Codes, Frame, CLASSES, NINE};
use crate::transform::gaussians::{moments, render, Gaussian};
use crate::transform::mixture::{fit, Goal};
use crate::transform::product::zeros;
use crate::transform::trial;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "gmm",
    doc: "A mixture of Gaussians; of velocity distributions, in very few bytes.",
    params: &[
        ("components", "how many Gaussians, 1 to 64 (default: by trial under a bound, else 8)"),
        ("fit", "values: least squares of the values; em: greatest likelihood, truer to tails (default values)"),
        ("conserve", "whether sum, mean and covariance are kept where no bound is asked (default true)"),
        ("precision", "steps of the parameters in a width, 1 to 255, where no bound is asked (default 32)"),
        ("seed", "of the first guesses (default 0)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Gmm>("gmm", v)?)))),
    idempotent: false,
    unbounded: true,
};

/// What is fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Least squares of the values, from the greatest likelihood on.
    #[default]
    Values,
    /// The greatest likelihood.
    Em,
}

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gmm {
    /// How many Gaussians; by trial where there is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
    /// What is fitted.
    pub fit: Fit,
    /// Whether sum, mean and covariance are kept where no bound is asked.
    pub conserve: bool,
    /// Steps of the parameters in a width, where no bound is asked.
    pub precision: u8,
    /// Of the first guesses.
    pub seed: u64,
}

impl Default for Gmm {
    fn default() -> Self {
        Gmm { components: None, fit: Fit::Values, conserve: true, precision: 32, seed: 0 }
    }
}

const MAX_COMPONENTS: usize = 64;
/// Gaussians where neither a number nor a bound is given.
const FREE_COMPONENTS: usize = 8;
/// Numbers and precisions tried.
const COMPONENTS: [usize; 6] = [1, 2, 4, 8, 16, 32];
const PRECISIONS: [u8; 5] = [8, 16, 32, 64, 128];

/// The three axes of an array of up to three. Errors: `InvalidArgument` for more.
fn extents(shape: &Shape) -> Result<[usize; 3]> {
    match *shape.dims() {
        [] => Ok([1; 3]),
        [x] => Ok([1, 1, x]),
        [y, x] => Ok([1, y, x]),
        [z, y, x] => Ok([z, y, x]),
        _ => Err(Error::invalid(format!("expected at most three axes, found the shape {shape}"))),
    }
}

/// The stream.
fn bytes(codes: &Codes, frame: &Frame, precision: u8) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, codes.all.len() as u64);
    out.push(precision);
    out.extend(frame.amplitude.to_le_bytes());
    for v in frame.mean.iter().chain(&frame.root) {
        out.extend((*v as f32).to_le_bytes());
    }
    encode_classes(&codes.codes, &codes.classes, CLASSES, &mut out);
    out
}

/// What one encoding came to.
struct Made {
    bytes: Vec<u8>,
    /// What will be decoded.
    values: Vec<f64>,
}

/// An array to encode.
struct Task<'a> {
    x: &'a [f64],
    /// Over `scale`.
    scaled: Vec<f64>,
    /// The largest magnitude, negative where most of the array is.
    scale: f64,
    extents: [usize; 3],
}

impl<'a> Task<'a> {
    fn new(x: &'a [f64], extents: [usize; 3]) -> Task<'a> {
        let largest = x.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(v.abs()));
        let sum = x.iter().fold(0.0, |s, v| s + v / largest);
        let scale = if sum < 0.0 { -largest } else { largest };
        Task { x, scaled: x.iter().map(|v| v / scale).collect(), scale, extents }
    }
    fn fit(&self, count: usize, gmm: &Gmm, conserve: bool) -> Result<Vec<Gaussian>> {
        let goal = match gmm.fit {
            Fit::Em => Goal::Likelihood,
            Fit::Values if conserve => Goal::Conserving,
            Fit::Values => Goal::Squares,
        };
        fit(&self.scaled, self.extents, count, gmm.seed, goal)
    }
    fn encode(&self, all: &[Gaussian], precision: u8, conserve: bool) -> Result<Made> {
        let mut values = zeros(self.x.len())?;
        let positive: Vec<f64> = self.scaled.iter().map(|v| v.max(0.0)).collect();
        let about = Gaussian::of(&moments(&positive, self.extents), self.extents).filter(|_| !all.is_empty());
        let nothing = Made { bytes: vec![0], values: values.clone() };
        let Some(about) = about else { return Ok(nothing) };
        let mass = all.iter().map(Gaussian::mass).sum::<f64>();
        let amplitude = about.amplitude * (mass / about.mass());
        let mut frame = Frame { amplitude, mean: about.mean, root: about.root }.rounded();
        let codes = Codes::new(all, &frame, precision);
        if conserve {
            frame = conserved(&codes, frame, &moments(&self.scaled, self.extents), self.extents, &mut values);
        }
        frame.amplitude *= self.scale;
        if !frame.is_usable() {
            return Ok(nothing);
        }
        codes.values(&frame, self.extents, &mut values);
        Ok(Made { bytes: bytes(&codes, &frame, precision), values })
    }
    /// The best precision under a bound, and what it comes to with the correction.
    fn best(&self, all: &[Gaussian], tolerance: f64) -> Result<(f64, Made)> {
        let mut best: Option<(f64, Made)> = None;
        for precision in PRECISIONS {
            let made = self.encode(all, precision, false)?;
            // Bytes of corrections are told up to 32 tolerances; beyond these it is logarithms.
            let left: Vec<f64> = self.x.iter().zip(&made.values).map(|(x, y)| x - y).collect();
            let correction = trial::correction_bytes(self.x, &made.values, tolerance);
            let size = made.bytes.len() as f64 + correction + trial::cost(&left, 64.0 * tolerance) / 16.0;
            match &best {
                Some(b) if b.0 <= size => break,
                _ => best = Some((size, made)),
            }
        }
        best.ok_or_else(|| Error::invalid("expected a precision, found none"))
    }
}

impl Model for Gmm {
    const ID: &'static str = "gmm";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        if self.components.is_some_and(|k| !(1..=MAX_COMPONENTS).contains(&k)) || self.precision == 0 {
            return Err(Error::invalid(format!(
                "expected 1 to {MAX_COMPONENTS} components and a precision of 1 to 255, found {self:?}"
            )));
        }
        let task = Task::new(x, extents(&block.shape)?);
        if tolerance == f64::MAX {
            let all = task.fit(self.components.unwrap_or(FREE_COMPONENTS), self, self.conserve)?;
            let made = task.encode(&all, self.precision, self.conserve)?;
            out.extend(made.bytes);
            return Ok(Some(made.values));
        }
        let counts = self.components.map_or(COMPONENTS.to_vec(), |k| vec![k]);
        let mut best: Option<(f64, Made)> = None;
        let mut worse = 0;
        for count in counts {
            let (size, made) = task.best(&task.fit(count, self, false)?, tolerance)?;
            if best.as_ref().is_some_and(|b| b.0 <= size) {
                worse += 1;
                if worse == 2 {
                    break;
                }
            } else {
                worse = 0;
                best = Some((size, made));
            }
        }
        Ok(best.map(|(_, made)| {
            out.extend(made.bytes);
            made.values
        }))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let extents = extents(shape).map_err(|e| Error::corrupt(e.message()))?;
        let mut r = ByteReader::new(bytes);
        let count = r.count(MAX_COMPONENTS)?;
        if count == 0 {
            out.fill(0.0);
            return r.end();
        }
        let precision = r.u8()?;
        let amplitude = r.f64()?;
        let mut nine = [0.0; 9];
        for v in &mut nine {
            *v = f64::from(f32::from_bits(r.u32()?));
        }
        let frame = Frame { amplitude, ..Frame::of(nine) };
        if precision == 0 || !frame.is_usable() {
            return Err(Error::corrupt(format!("expected a precision and a frame, found {precision} and {frame:?}")));
        }
        let mut rans = RansDecoder::new(r.rest(), CLASSES)?;
        let masses: Vec<i32> = (0..count).map(|_| rans.next(0)).collect();
        let all = parts(&masses, precision).into_iter().map(|(part, step)| {
            let codes = NINE.map(|class| rans.next(class));
            relative(part, step, &codes).in_frame(&frame)
        });
        let all: Vec<Gaussian> = all.collect();
        rans.finish()?;
        render(&all, extents, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::transform::frame::difference;
    use crate::{Bound, Options};

    fn try_fit(gmm: &Gmm, x: &[f64], shape: &[usize], tolerance: f64) -> Result<(Vec<u8>, Vec<f64>)> {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        let values = gmm.fit(x, &block, tolerance, &mut out)?.unwrap();
        let mut y = vec![7.0; x.len()];
        // All that decoding needs is in the stream.
        Gmm::default().reconstruct(&out, &view.shape(), &mut y).unwrap();
        assert!(y.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {gmm:?}");
        Ok((out, values))
    }
    fn fitted(gmm: &Gmm, x: &[f64], shape: &[usize]) -> (Vec<u8>, Vec<f64>) {
        try_fit(gmm, x, shape, f64::MAX).unwrap()
    }
    fn gmm(components: usize, fit: Fit) -> Gmm {
        Gmm { components: Some(components), fit, ..Gmm::default() }
    }
    /// Two beams and a halo.
    const BEAMS: [Gaussian; 3] = [
        Gaussian { amplitude: 3e-13, mean: [9.0, 16.0, 11.0], root: [2.0, 0.5, 2.5, -0.4, 0.3, 1.8] },
        Gaussian { amplitude: 1e-13, mean: [17.0, 10.0, 22.0], root: [1.6, -0.6, 2.1, 0.2, 0.0, 2.6] },
        Gaussian { amplitude: 1e-14, mean: [13.0, 14.0, 16.0], root: [5.0, 0.0, 5.0, 1.0, 0.0, 6.0] },
    ];
    const SHAPE: [usize; 3] = [26, 28, 33];
    fn beams() -> Vec<f64> {
        let mut x = vec![0.0; SHAPE.iter().product()];
        render(&BEAMS, SHAPE, &mut x);
        x
    }
    fn rest(x: &[f64], y: &[f64]) -> f64 {
        let scale = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let square = |v: f64| v / scale * (v / scale);
        let left = x.iter().zip(y).map(|(a, b)| square(a - b)).sum::<f64>();
        (left / x.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
    }

    #[test]
    fn a_mixture_is_found_again() {
        let x = beams();
        for (fit, within) in [(Fit::Em, 0.05), (Fit::Values, 0.01)] {
            let (bytes, y) = fitted(&Gmm { precision: 255, ..gmm(3, fit) }, &x, &SHAPE);
            assert!(bytes.len() < 100 && rest(&x, &y) < within, "{fit:?}: {} {}", bytes.len(), rest(&x, &y));
        }
        let (bytes, y) = try_fit(&Gmm::default(), &x, &SHAPE, 1e-14).unwrap();
        assert!(bytes.len() < 200 && rest(&x, &y) < 0.15, "{} {}", bytes.len(), rest(&x, &y));
    }

    /// Of what is no mixture, too, with negative values in it, and cut at the edges.
    #[test]
    fn sum_mean_and_covariance_are_kept() {
        let x: Vec<f64> =
            beams().iter().enumerate().map(|(i, v)| v.sqrt() * 1e-7 + 1e-17 * ((i * 7 % 13) as f64 - 8.0)).collect();
        let target = moments(&x, SHAPE);
        for fit in [Fit::Em, Fit::Values] {
            for components in [1, 2, 5] {
                let (_, y) = fitted(&gmm(components, fit), &x, &SHAPE);
                let found = moments(&y, SHAPE);
                let error = difference(&target, &found);
                assert!(
                    error < 2e-5 && (found.mass / target.mass - 1.0).abs() < 1e-12,
                    "{fit:?} {components}: {error}"
                );
                let free = Gmm { conserve: false, ..gmm(components, fit) };
                let off = difference(&target, &moments(&fitted(&free, &x, &SHAPE).1, SHAPE));
                assert!(off > 1e-4, "{off}");
            }
        }
    }

    #[test]
    fn least_squares_leaves_less_and_starts_from_the_seed() {
        let x: Vec<f64> = beams().iter().map(|v| v.sqrt()).collect();
        let of = |g: Gmm| rest(&x, &fitted(&Gmm { conserve: false, precision: 128, ..g }, &x, &SHAPE).1);
        assert!(of(gmm(4, Fit::Values)) < 0.8 * of(gmm(4, Fit::Em)));
        let seeded = |seed| fitted(&Gmm { seed, ..gmm(6, Fit::Em) }, &x, &SHAPE).0;
        assert!(seeded(1) == seeded(1) && seeded(1) != seeded(2));
    }

    #[test]
    fn any_array_decodes_to_what_was_promised() {
        let shapes: [&[usize]; 9] = [&[], &[0], &[1], &[3], &[300], &[20, 1, 33], &[40, 30], &[5, 24, 11], &[4, 0, 2]];
        for shape in shapes {
            let n: usize = shape.iter().product();
            let arrays = [
                vec![0.0; n],
                vec![-4.5; n],
                vec![1e308; n],
                vec![5e-324; n],
                (0..n).map(|i| libm::exp(-((i % 33) as f64 - 12.0).abs())).collect(),
                (0..n).map(|i| 1e300 * ((i * 7 % 11) as f64 - 5.0)).collect(),
                (0..n).map(|i| f64::from(i == n / 2)).collect(),
            ];
            for x in arrays {
                for fit in [Fit::Em, Fit::Values] {
                    for tolerance in [f64::MAX, 0.01, f64::MIN_POSITIVE] {
                        try_fit(&gmm(3, fit), &x, shape, tolerance).unwrap();
                    }
                }
            }
        }
        // One cell is its own sum.
        let (_, y) = fitted(&gmm(1, Fit::Em), &[4.0], &[1]);
        assert!((y[0] - 4.0).abs() < 1e-12, "{y:?}");
        assert!(try_fit(&Gmm::default(), &[1.0; 16], &[2, 2, 2, 2], 0.1).is_err());
        for bad in [gmm(0, Fit::Em), gmm(65, Fit::Em), Gmm { precision: 0, ..Gmm::default() }] {
            assert!(try_fit(&bad, &[1.0; 4], &[4], 0.1).is_err());
        }
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let x: Vec<f64> = beams().iter().map(|v| v * 1e13).collect();
        bounds_hold(&["gmm", "gmm:components=3,fit=em"], &x, &SHAPE);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("gmm:components=x").is_err());
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let (bytes, _) = fitted(&gmm(4, Fit::Em), &beams(), &SHAPE);
        survives_damage(&Gmm::default(), &bytes, &SHAPE);
        survives_damage(&Gmm::default(), &[0], &SHAPE);
    }
}
