//! `wavelet`: transforms with the classical wavelets, decimated or stationary; coefficients thresholded, quantised, coded in contexts.
//!
//! Sources: I. Daubechies, "Ten lectures on wavelets", 1992; D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet
//! shrinkage", 1994 (thresholds); [`filters`](crate::transform::filters) has more. For fields that need not be kept within a bound, and to
//! compare with what is published; under a bound, `dwt` is faster and smaller.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | number of the wavelet, see [`filters`](crate::transform::filters) |
//! | 1 | mode: 0 symmetric, 1 zero, 2 periodic, 3 stationary; see [`filterbank`](crate::transform::filterbank) |
//! | rank | levels of each axis; level `l` splits the axes with more than `l` levels, the first first |
//! | rest | the coefficients, see [`Quantised`], in the bands below; merging goes from the last axis to the first |
//!
//! The first band holds what is low-pass along all axes; others follow from the last level to the first, at each level by their
//! orientation: bit `k` is set for what is high-pass along axis `k`. Along an axis, coefficients of the first band come first, then
//! high-pass ones from the last level to the first; a band begins at 0 along axes where it is low-pass, and what lies between bands is
//! in none. Stationary: bands have the extents of the array and lie one after the other along the first axis.
//!
//! Parents have the same orientation and are those of the next level, stationary ones being no coarser; bands of one level follow each
//! other. The level of the first band is 7; of another it is the sum over the axes of how often each was split, less 1, divided by the number
//! of axes that are split at all and rounded down, at most 6.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::ByteReader;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::transform::filterbank::{Layout, Mode};
use crate::transform::filters::Named;
use crate::transform::product::zeros;
use crate::transform::{trial, Coder, FilterBank, Precision, Quantised};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "wavelet",
    doc: "Orthogonal and biorthogonal wavelets, decimated or stationary, by threshold, step or bound.",
    params: &[
        ("wavelet", "haar, db2 to db20, sym2 to sym20, coif1 to coif5, bior1.1 to bior6.8, rbio1.1 to rbio6.8, dmey (default db4)"),
        ("mode", "symmetric, zero, periodic: how lines go on past their ends; stationary: periodic and undecimated; periodic suits what fades to its ends (default symmetric)"),
        ("levels", "along every axis longer than 1; without it, as long as lines are longer than filters, at most 6 (stationary: 2)"),
        Precision::THRESHOLD,
        Precision::STEP,
        Precision::BITS,
        Precision::ABSOLUTE,
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Wavelet>("wavelet", v)?.checked()?)))),
    idempotent: false,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wavelet {
    /// Which wavelet.
    pub wavelet: Named,
    /// How lines are continued; whether coefficients are halved in number.
    pub mode: Mode,
    /// Levels along every axis longer than 1; `None` chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// As [`Precision::threshold`].
    pub threshold: f64,
    /// As [`Precision::step`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// As [`Precision::bits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// As [`Precision::absolute`].
    pub absolute: bool,
    /// How coefficients are coded.
    pub coder: Coder,
}

impl Default for Wavelet {
    fn default() -> Self {
        Wavelet {
            wavelet: Named::DB4,
            mode: Mode::Symmetric,
            levels: None,
            threshold: 0.0,
            step: None,
            bits: None,
            absolute: false,
            coder: Coder::Mixed,
        }
    }
}

const MODES: [Mode; 4] = [Mode::Symmetric, Mode::Zero, Mode::Periodic, Mode::Stationary];
/// Most levels that are chosen, of a stationary transform and of others.
const CHOSEN: [u32; 2] = [2, 6];
/// Coefficients there may be for each value, and those there may be whatever the array.
const MOST: [usize; 2] = [32, 1 << 16];

/// Where the coefficients of an array of `shape` lie, and how many there are. Errors: as [`FilterBank::layout`]; `LimitExceeded` for far more
/// coefficients than values.
fn layout(bank: &FilterBank, shape: &[usize]) -> Result<(Layout, usize)> {
    let layout = bank.layout(shape)?;
    let (n, values) = (layout.len()?, shape.iter().product::<usize>());
    let most = values.saturating_mul(MOST[0]).saturating_add(MOST[1]);
    if n > most {
        return Err(Error::limit(format!("expected at most {most} coefficients for {values} values, found {n}")));
    }
    Ok((layout, n))
}

impl Wavelet {
    /// Errors: as [`Precision::check`].
    fn checked(self) -> Result<Wavelet> {
        self.precision().check()?;
        Ok(self)
    }
    fn precision(&self) -> Precision {
        Precision { threshold: self.threshold, step: self.step, bits: self.bits, absolute: self.absolute }
    }
    fn bank(&self, shape: &[usize]) -> FilterBank {
        let most = CHOSEN[usize::from(self.mode != Mode::Stationary)];
        let levels = shape.iter().map(|&n| match self.levels {
            Some(_) if n < 2 => 0,
            Some(levels) => levels,
            None => FilterBank::most_levels(self.wavelet, n).min(most),
        });
        FilterBank { wavelet: self.wavelet, mode: self.mode, levels: levels.collect() }
    }
    /// The step that suits the bound, tried out on a part of `x`, an array of `shape`. Errors: those of the transform.
    fn best_step(&self, bank: &FilterBank, x: &[f64], shape: &[usize], tolerance: f64) -> Result<f64> {
        let (sample, extents) = trial::sample(x, shape, trial::step_sample_size(x.len()));
        let (layout, n) = layout(bank, &extents)?;
        let bands = bank.bands(&layout);
        let mut coefficients = bank.forward(&sample, &extents)?;
        self.precision().apply(&mut coefficients, tolerance);
        let mut values = zeros(n)?;
        trial::best_step(&sample, tolerance, |step, y| {
            let quantised = Quantised::new(&coefficients, step);
            quantised.values(&mut values);
            y.copy_from_slice(&bank.inverse(&values, &extents)?);
            quantised.size(&layout.extents, &bands)
        })
    }
}

impl Model for Wavelet {
    const ID: &'static str = "wavelet";

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        let shape = block.shape.dims();
        let bank = self.bank(shape);
        // Where there is no room, another codec may do.
        let (layout, _) = layout(&bank, shape).map_err(|e| Error::invalid(e.message()))?;
        let mut coefficients = bank.forward(x, shape)?;
        let step = match self.precision().apply(&mut coefficients, tolerance) {
            Some(step) => step,
            None => self.best_step(&bank, x, shape, tolerance)?,
        };
        out.push(bank.wavelet.number());
        out.push(MODES.iter().position(|m| *m == bank.mode).unwrap_or(0) as u8);
        out.extend(bank.levels.iter().map(|&l| l as u8));
        let quantised = Quantised::new(&coefficients, step);
        quantised.values(&mut coefficients);
        quantised.encode(&layout.extents, &bank.bands(&layout), self.coder, out)?;
        bank.inverse(&coefficients, shape).map(Some)
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let wavelet = Named::new(r.u8()?)?;
        let mode = r.u8()?;
        let mode = MODES.get(usize::from(mode)).copied();
        let mode = mode.ok_or_else(|| Error::corrupt(format!("expected a mode from 0 to {}", MODES.len() - 1)))?;
        let levels = r.take(shape.rank())?.iter().map(|&l| u32::from(l)).collect();
        let bank = FilterBank { wavelet, mode, levels };
        let (layout, n) = layout(&bank, shape.dims()).map_err(|e| match e.kind() {
            crate::ErrorKind::LimitExceeded => e,
            _ => Error::corrupt(e.message()),
        })?;
        let quantised = Quantised::decode(r.rest(), &layout.extents, &bank.bands(&layout))?;
        let mut coefficients = zeros(n)?;
        quantised.values(&mut coefficients);
        out.copy_from_slice(&bank.inverse(&coefficients, shape.dims())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::{Bound, Options};

    fn field(shape: &[usize]) -> Vec<f64> {
        let n: usize = shape.iter().product();
        let last = shape.last().copied().unwrap_or(1).max(1);
        let value = |i: usize| libm::sin((i / last) as f64 * 0.07) * 3.0 + libm::cos((i % last) as f64 * 0.05) * 2.0;
        (0..n).map(|i| value(i) + 50.0).collect()
    }
    fn fit(w: &Wavelet, x: &[f64], shape: &[usize], tolerance: f64) -> (Vec<u8>, Vec<f64>) {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut out = Vec::new();
        let values = w.fit(x, &block, tolerance, &mut out).unwrap().unwrap();
        (out, values)
    }
    fn named(name: &str) -> Wavelet {
        Wavelet { wavelet: Named::parse(name).unwrap(), ..Wavelet::default() }
    }

    #[test]
    fn any_shape_wavelet_and_mode_decodes_to_what_was_promised() {
        let shapes: [&[usize]; 9] =
            [&[], &[0], &[1], &[3], &[200], &[40, 1, 33], &[70, 90], &[5, 24, 31], &[2, 3, 17, 20]];
        for shape in shapes {
            for name in ["haar", "db4", "sym7", "bior2.2", "rbio6.8", "dmey"] {
                for mode in MODES {
                    let w = Wavelet { mode, ..named(name) };
                    let x = field(shape);
                    let (bytes, values) = fit(&w, &x, shape, 0.01);
                    let mut y = vec![7.0; x.len()];
                    // All that decoding needs is in the stream.
                    Wavelet::default().reconstruct(&bytes, &Shape::new(shape).unwrap(), &mut y).unwrap();
                    assert!(y.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {w:?}");
                    let far = x.iter().zip(&y).filter(|(a, b)| (*a - *b).abs() > 0.2).count();
                    assert!(far == 0, "{shape:?} {w:?}: {far}");
                }
            }
        }
    }

    #[test]
    fn without_a_bound_parameters_say_how_good_it_is() {
        let shape = [40, 50];
        let x = field(&shape);
        let worst = |w: &Wavelet| {
            let (bytes, values) = fit(w, &x, &shape, f64::MAX);
            (bytes.len(), x.iter().zip(&values).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())))
        };
        let default = worst(&named("db4"));
        let coarse = worst(&Wavelet { bits: Some(8), ..named("db4") });
        let fine = worst(&Wavelet { step: Some(1e-6), ..named("db4") });
        let units = worst(&Wavelet { step: Some(0.01), absolute: true, ..named("db4") });
        let cut = worst(&Wavelet { threshold: 1e-3, ..named("db4") });
        assert!(
            fine.1 < 1e-3 && default.1 < 0.05 && units.1 < 0.05 && coarse.1 < 5.0,
            "{default:?} {coarse:?} {fine:?} {units:?}"
        );
        assert!(fine.0 > default.0 && default.0 > coarse.0 && units.0 > cut.0 && cut.1 < 1.0, "{units:?} {cut:?}");
        // Nothing but a threshold: zeros are zeros, the others are all but kept.
        let (_, values) =
            fit(&Wavelet { levels: Some(0), threshold: 0.95, step: Some(1e-7), ..named("haar") }, &x, &shape, f64::MAX);
        let largest = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let kept = |(x, y): (&f64, &f64)| if *x < 0.95 * largest { *y == 0.0 } else { (x - y).abs() < 1e-5 };
        assert!(x.iter().zip(&values).all(kept) && values.contains(&0.0));
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        let chains = [
            "wavelet",
            "wavelet:wavelet=bior4.4,mode=periodic,coder=classes",
            "wavelet:wavelet=haar,mode=stationary,levels=1",
            "wavelet:wavelet=sym5,mode=zero,levels=2,threshold=1e-3,bits=12",
        ];
        bounds_hold(&chains, &field(&shape), &shape);
        for bad in ["wavelet=db21", "mode=mirror", "bits=1", "step=-1", "step=1,bits=8", "order=4"] {
            assert!(Options::new(Bound::Abs(1.0)).with_chain(&format!("wavelet:{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [9, 20, 13];
        for (mode, coder) in
            [(Mode::Symmetric, Coder::Mixed), (Mode::Periodic, Coder::Classes), (Mode::Stationary, Coder::Mixed)]
        {
            let w = Wavelet { mode, coder, levels: Some(1), ..named("db2") };
            survives_damage(&w, &fit(&w, &field(&shape), &shape, 0.05).0, &shape);
        }
        // Far more coefficients than values.
        for mode in [0, 3] {
            let head = [19, mode, 9, 9, 9, 0];
            let e = Wavelet::default().reconstruct(&head, &Shape::new(&[9, 20, 13]).unwrap(), &mut [0.0; 9 * 20 * 13]);
            assert_eq!(e.unwrap_err().kind(), crate::ErrorKind::LimitExceeded);
        }
    }
}
