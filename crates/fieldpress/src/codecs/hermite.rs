//! `hermite`: a Maxwellian times polynomials, along every axis of the array.
//!
//! Sources: H. Grad, "On the kinetic theory of rarefied gases", 1949; S. Servidio et al., "Magnetospheric Multiscale observation of
//! plasma velocity-space cascade: Hermite representation and theory", 2017 (Hermite transforms of measured distributions). A Gaussian is
//! fitted to the array by least squares, see [`maxwellian`](crate::transform::maxwellian); about it, or where they hold most, lie the
//! functions of [`hermite`](crate::transform::hermite), which are orthonormal on the cells there are: coefficients are plain products.
//! They are quantised and coded in contexts; how many functions an axis has is chosen by trial.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | the weight: 0 symmetric, 1 asymmetric |
//! | 8 for each axis | mean and width of the Gaussian in cells, `f32` each; the centre of a cell is its index |
//! | varint for each axis | how many functions it has, from 1 to its extent, at most 128 |
//! | rest | the coefficients, functions of the last axis next to each other, see [`Quantised`], in two bands: an empty one, and all of it at level 0 |
//!
//! Nothing is stored of an array without values. Axis after axis, the first first, lines of coefficients become sums of functions: the
//! value at `i` is the sum, from 0, of coefficient times value `i` of the function, in the order of the functions, which are those of
//! [`functions`]. Along an axis functions have at most 2^22 values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::transform::hermite::{best_axis, functions, Functions, Weight};
use crate::transform::maxwellian::{moments, Axis, Maxwellian};
use crate::transform::product::{corner, norms, product, transposed, zeros};
use crate::transform::{trial, Band, Coder, Quantised};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "hermite",
    doc: "Hermite functions about a fitted Maxwellian; of velocity distributions not far from one.",
    params: &[
        ("order", "highest order along each axis, 0 to 127 (default: by trial under a bound, else 14)"),
        ("weight", "symmetric: least squares; asymmetric: keeps moments up to the order (default symmetric)"),
        ("place", "best: where the functions hold most; fit: about the fitted Maxwellian (default best)"),
        ("precision", "the step of coefficients over the largest one, where no bound is asked (default 1e-3)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Hermite>("hermite", v)?)))),
    idempotent: false,
    unbounded: true,
};

/// Where the functions lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Where they hold most of the array.
    #[default]
    Best,
    /// About the fitted Maxwellian, and as wide as it is.
    Fit,
}

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hermite {
    /// Highest order along each axis; by trial where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<usize>,
    /// What is made smallest.
    pub weight: Weight,
    /// Where the functions lie.
    pub place: Place,
    /// The step of coefficients over the largest one, where no bound is asked.
    pub precision: f64,
}

impl Default for Hermite {
    fn default() -> Self {
        Hermite { order: None, weight: Weight::Symmetric, place: Place::Best, precision: 1e-3 }
    }
}

const MAX_COUNT: usize = 128;
/// Values that the functions along one axis may have.
const MOST_VALUES: usize = 1 << 22;
/// Functions of an axis, where neither an order nor a bound is given: as many as the literature uses.
const FREE_COUNT: usize = 15;
/// Numbers of functions tried, until two in a row do not pay.
const COUNTS: [usize; 13] = [4, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 60];

/// At most so many functions may an axis of `n` points have.
fn most(n: usize) -> usize {
    n.min(MAX_COUNT).min(MOST_VALUES / n.max(1))
}

/// The array whose coefficients are `coefficients`.
fn expand(coefficients: Vec<f64>, counts: &[usize], shape: &[usize], values: &[Vec<f64>]) -> Result<Vec<f64>> {
    let (mut y, mut extents) = (coefficients, counts.to_vec());
    for (k, rows) in values.iter().enumerate() {
        y = product(&y, &extents, k, &transposed(rows, shape[k]))?;
        extents[k] = shape[k];
    }
    Ok(y)
}

/// Functions along every axis.
struct Basis {
    axes: Vec<Axis>,
    functions: Vec<Functions>,
}

impl Basis {
    fn coefficients(&self, x: &[f64], shape: &[usize]) -> Result<Coefficients> {
        let (mut y, mut extents) = (x.to_vec(), shape.to_vec());
        for (k, f) in self.functions.iter().enumerate() {
            y = product(&y, &extents, k, &f.duals)?;
            extents[k] = f.duals.len() / shape[k];
        }
        Ok(Coefficients { values: y, counts: extents })
    }
}

/// The products with all functions, and how many there are along each axis.
struct Coefficients {
    values: Vec<f64>,
    counts: Vec<usize>,
}

/// What one encoding came to.
struct Made {
    bytes: Vec<u8>,
    /// What will be decoded.
    values: Vec<f64>,
}

impl Made {
    /// With the correction to within `tolerance` of `x`, about.
    fn size(&self, x: &[f64], tolerance: f64) -> f64 {
        self.bytes.len() as f64 + trial::correction_bytes(x, &self.values, tolerance)
    }
}

impl Hermite {
    fn basis(&self, scaled: &[f64], shape: &[usize], fit: &[Axis], count: usize) -> Result<Basis> {
        let spread = moments(scaled, shape);
        let (mut axes, mut all) = (Vec::new(), Vec::new());
        for (k, &n) in shape.iter().enumerate() {
            let count = count.min(most(n));
            // Functions reach as far as the root of twice their number, in widths; under the asymmetric weight not as far.
            let widths = if self.weight == Weight::Symmetric { 3.0 } else { 5.0 };
            let width = widths * spread[k].width / (2.0 * count as f64).sqrt();
            let starts = [fit[k], Axis { mean: spread[k].mean, width }];
            let best = match self.place {
                Place::Best => best_axis(scaled, shape, k, count, self.weight, &starts)?,
                Place::Fit => None,
            };
            let axis = best.unwrap_or(fit[k]);
            // As the decoder will have it.
            let axis = Axis { mean: f64::from(axis.mean as f32), width: f64::from(axis.width as f32) };
            axes.push(axis);
            all.push(functions(n, count, axis, self.weight)?);
        }
        Ok(Basis { axes, functions: all })
    }

    fn encode(&self, basis: &Basis, coefficients: &Coefficients, shape: &[usize], step: f64) -> Result<Made> {
        let Coefficients { values: coefficients, counts: extents } = coefficients;
        let mut values = zeros(coefficients.len())?;
        Quantised::new(coefficients, step).values(&mut values);
        let reach = |k: usize| norms(&values, extents, k).iter().rposition(|&n| n > 0.0).map_or(1, |last| last + 1);
        let counts: Vec<usize> = (0..shape.len()).map(reach).collect();
        let core = Quantised::new(&corner(coefficients, extents, &counts), step);
        let mut bytes = vec![self.weight as u8];
        for axis in &basis.axes {
            bytes.extend((axis.mean as f32).to_le_bytes());
            bytes.extend((axis.width as f32).to_le_bytes());
        }
        counts.iter().for_each(|&c| put_varint(&mut bytes, c as u64));
        let mut values = zeros(counts.iter().product())?;
        core.values(&mut values);
        core.encode(&counts, &Band::core(&counts), Coder::Mixed, &mut bytes)?;
        let rows = basis.functions.iter().zip(shape).zip(&counts);
        let rows: Vec<Vec<f64>> = rows.map(|((f, n), c)| f.values[..n * c].to_vec()).collect();
        Ok(Made { bytes, values: expand(values, &counts, shape, &rows)? })
    }
}

impl Model for Hermite {
    const ID: &'static str = "hermite";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let shape = block.shape.dims();
        if self.order.is_some_and(|o| o >= MAX_COUNT) || !(f64::MIN_POSITIVE..=1.0).contains(&self.precision) {
            return Err(Error::invalid(format!(
                "expected an order below {MAX_COUNT} and a precision above 0, at most 1, found {self:?}"
            )));
        }
        if shape.iter().any(|&n| n > MOST_VALUES) {
            return Err(Error::invalid(format!(
                "expected axes of at most {MOST_VALUES} values, found {}",
                block.shape
            )));
        }
        if x.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let largest = x.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(v.abs()));
        let scaled: Vec<f64> = x.iter().map(|v| v / largest).collect();
        let fit = Maxwellian::fit(&scaled, shape)?.axes;
        let free = tolerance == f64::MAX;
        let counts = match self.order {
            Some(order) => vec![order + 1],
            None if free => vec![FREE_COUNT],
            None => COUNTS.to_vec(),
        };
        let longest = shape.iter().map(|&n| most(n)).max().unwrap_or(1);
        let mut best: Option<(f64, Basis, Coefficients)> = None;
        let mut worse = 0;
        for count in counts {
            let basis = self.basis(&scaled, shape, &fit, count)?;
            let coefficients = basis.coefficients(x, shape)?;
            let size = match free {
                true => 0.0,
                false => self.encode(&basis, &coefficients, shape, trial::FIRST_STEP * tolerance)?.size(x, tolerance),
            };
            if best.as_ref().is_none_or(|b| size < b.0) {
                (best, worse) = (Some((size, basis, coefficients)), 0);
            } else {
                worse += 1;
            }
            if worse == 2 || count >= longest {
                break;
            }
        }
        let Some((_, basis, coefficients)) = best else { return Ok(None) };
        let made = if free {
            let largest = coefficients.values.iter().fold(0.0, |m: f64, c| m.max(c.abs()));
            self.encode(&basis, &coefficients, shape, self.precision * largest)?
        } else {
            let mut best: Option<(f64, Made)> = None;
            trial::downhill(tolerance, |step| {
                let made = self.encode(&basis, &coefficients, shape, step)?;
                let size = made.size(x, tolerance);
                if best.as_ref().is_none_or(|b| size < b.0) {
                    best = Some((size, made));
                }
                Ok(size)
            })?;
            let Some((_, made)) = best else { return Ok(None) };
            made
        };
        out.extend(made.bytes);
        Ok(Some(made.values))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        if out.is_empty() {
            return r.end();
        }
        let weight = match r.u8()? {
            0 => Weight::Symmetric,
            1 => Weight::Asymmetric,
            w => return Err(Error::corrupt(format!("expected a weight of 0 or 1, found {w}"))),
        };
        let mut axes = Vec::new();
        for _ in shape.iter() {
            let mut number = || r.u32().map(|b| f64::from(f32::from_bits(b)));
            axes.push(Axis { mean: number()?, width: number()? });
        }
        let counts = shape.iter().map(|&n| r.count(most(n))).collect::<Result<Vec<usize>>>()?;
        if counts.contains(&0) || !axes.iter().all(|a| a.mean.is_finite() && a.width > 0.0) {
            return Err(Error::corrupt(format!("expected functions along each axis, found {counts:?} about {axes:?}")));
        }
        let mut values = zeros(counts.iter().product())?;
        Quantised::decode(r.rest(), &counts, &Band::core(&counts))?.values(&mut values);
        let all = axes.iter().zip(shape.iter()).zip(&counts);
        let rows = all.map(|((a, &n), &c)| Ok(functions(n, c, *a, weight)?.values)).collect::<Result<Vec<_>>>()?;
        let y = expand(values, &counts, shape.dims(), &rows)?;
        out.iter_mut().zip(&y).for_each(|(o, y)| *o = *y);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::{Bound, Options};

    fn fit(hermite: &Hermite, x: &[f64], shape: &[usize], tolerance: f64) -> (Vec<u8>, Vec<f64>) {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        let values = hermite.fit(x, &block, tolerance, &mut out).unwrap().unwrap();
        let mut y = vec![7.0; x.len()];
        // All that decoding needs is in the stream.
        Hermite::default().reconstruct(&out, &view.shape(), &mut y).unwrap();
        assert!(y.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {hermite:?}");
        (out, values)
    }

    /// A Gaussian times a polynomial in each axis.
    fn series(shape: &[usize]) -> Vec<f64> {
        let value = |at: usize| {
            let mut rest = at;
            shape.iter().rev().fold(3.0, |v, &n| {
                let t = ((rest % n) as f64 - 0.45 * n as f64) / (0.13 * n as f64 + 0.5);
                rest /= n;
                v * (1.0 + 0.3 * t - 0.1 * t * t * t) * libm::exp(-0.5 * t * t)
            })
        };
        (0..shape.iter().product()).map(value).collect()
    }
    fn rest(x: &[f64], y: &[f64]) -> f64 {
        let square = |v: f64| v * v;
        let left = x.iter().zip(y).map(|(a, b)| square(a - b)).sum::<f64>();
        (left / x.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
    }

    #[test]
    fn series_come_back_in_few_bytes() {
        let shape = [40, 36, 44];
        let x = series(&shape);
        for weight in [Weight::Symmetric, Weight::Asymmetric] {
            let exact = Hermite { order: Some(3), weight, precision: 1e-6, ..Hermite::default() };
            let (bytes, y) = fit(&exact, &x, &shape, f64::MAX);
            assert!(bytes.len() < 300 && rest(&x, &y) < 2e-3, "{weight:?}: {} {}", bytes.len(), rest(&x, &y));
            let (_, fitted) = fit(&Hermite { place: Place::Fit, ..exact }, &x, &shape, f64::MAX);
            assert!(rest(&x, &y) < rest(&x, &fitted), "{weight:?}");
        }
        // Under a bound as many functions as pay.
        let (bytes, y) = fit(&Hermite::default(), &x, &shape, 1e-4);
        assert!(bytes.len() < 600 && x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-2), "{}", bytes.len());
    }

    /// Up to quantisation, whatever the functions cannot hold.
    #[test]
    fn asymmetric_functions_keep_moments() {
        let shape = [30, 34];
        let x: Vec<f64> = (0..1020)
            .map(|i| {
                let (z, y) = ((i / 34) as f64 - 13.0, (i % 34) as f64 - 18.0);
                libm::exp(-(z * z + y * y).sqrt() / 2.5)
            })
            .collect();
        let hermite = Hermite { order: Some(6), weight: Weight::Asymmetric, precision: 1e-9, ..Hermite::default() };
        let (_, kept) = fit(&hermite, &x, &shape, f64::MAX);
        let (_, close) = fit(&Hermite { weight: Weight::Symmetric, ..hermite }, &x, &shape, f64::MAX);
        assert!(rest(&x, &close) < rest(&x, &kept));
        for power in 0..4 {
            let moment = |v: &[f64]| -> f64 {
                v.iter().enumerate().map(|(i, v)| v * (0..power).fold(1.0, |p, _| p * ((i % 34) as f64 - 18.0))).sum()
            };
            let scale = moment(&x.iter().map(|v| v.abs()).collect::<Vec<_>>()).abs().max(moment(&x).abs()).max(1.0);
            assert!((moment(&kept) - moment(&x)).abs() < 1e-5 * scale, "{power}: {} {}", moment(&kept), moment(&x));
        }
    }

    #[test]
    fn any_array_decodes_to_what_was_promised() {
        let shapes: [&[usize]; 10] =
            [&[], &[0], &[1], &[3], &[200], &[40, 1, 33], &[70, 90], &[5, 24, 31], &[2, 3, 17, 5], &[4, 0, 2]];
        for shape in shapes {
            let x = series(shape);
            let n = x.len();
            let others =
                [x, vec![0.0; n], vec![-4.5; n], (0..n).map(|i| 1e300 * ((i * 7 % 11) as f64 - 5.0)).collect()];
            for x in others {
                for tolerance in [f64::MAX, 0.01, 1e-200] {
                    for (order, weight) in [(None, Weight::Symmetric), (Some(7), Weight::Asymmetric)] {
                        fit(&Hermite { order, weight, ..Hermite::default() }, &x, shape, tolerance);
                    }
                }
            }
        }
        fit(&Hermite { order: Some(127), ..Hermite::default() }, &series(&[150]), &[150], 1e-9);
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        bounds_hold(&["hermite", "hermite:order=5,weight=asymmetric", "hermite:place=fit"], &series(&shape), &shape);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("hermite:order=x").is_err());
        let x = [1.0; 4];
        let view = View::new(&[4], &x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        for bad in [
            Hermite { order: Some(128), ..Hermite::default() },
            Hermite { precision: 0.0, ..Hermite::default() },
            Hermite { precision: f64::NAN, ..Hermite::default() },
        ] {
            assert!(bad.fit(&x, &block, 0.1, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        for weight in [Weight::Symmetric, Weight::Asymmetric] {
            let (bytes, _) = fit(&Hermite { weight, ..Hermite::default() }, &series(&shape), &shape, 0.01);
            survives_damage(&Hermite::default(), &bytes, &shape);
        }
    }
}
