//! What a transform codec tries out on a part of a block before it settles its parameters.

use std::borrow::Cow;

use crate::error::Result;

/// Steps tried, in tolerances. Fine ones suit smooth fields at loose bounds; at tight bounds the coarse ones leave the noise to
/// the correction, which quantises it with twice the tolerance.
const STEPS: [f64; 6] = [1.8, 2.2, 2.8, 4.0, 5.6, 8.0];
/// Which of them is tried first.
const FIRST: usize = 2;
/// The step tried first, in tolerances.
pub const FIRST_STEP: f64 = STEPS[FIRST];
/// The step, in tolerances, at which transforms are compared.
pub const TRIAL_STEP: f64 = 2.0;

/// How many of `n` values transforms are tried out on.
pub fn sample_size(n: usize) -> usize {
    (n / 4).clamp(1 << 14, 1 << 17)
}

/// How many of `n` values tell which transforms are hopeless.
pub fn screen_size(n: usize) -> usize {
    (n / 64).clamp(1 << 11, 1 << 15)
}

/// How many of `n` values steps are tried out on.
pub fn step_sample_size(n: usize) -> usize {
    (n / 32).clamp(1 << 13, 1 << 16)
}

/// A box from the middle of `x`, an array of `shape`, of at most `size` values, as cubic as can be; and its extents.
pub fn sample(x: &[f64], shape: &[usize], size: usize) -> (Vec<f64>, Vec<usize>) {
    let mut extents = shape.to_vec();
    while extents.iter().product::<usize>() > size {
        let longest = extents.iter().copied().max().unwrap_or(1);
        if let Some(e) = extents.iter_mut().find(|e| **e == longest) {
            *e = longest.div_ceil(2);
        }
    }
    // Cut one axis after the other, the first first: each time whole blocks of what follows it are kept.
    let mut values = Cow::Borrowed(x);
    for k in 0..shape.len() {
        let inner: usize = shape[k + 1..].iter().product();
        let (line, first) = (shape[k] * inner, (shape[k] - extents[k]) / 2 * inner);
        if line > 0 && extents[k] < shape[k] {
            let mut kept = Vec::with_capacity(values.len() / shape[k] * extents[k]);
            values.chunks_exact(line).for_each(|l| kept.extend_from_slice(&l[first..first + extents[k] * inner]));
            values = kept.into();
        }
    }
    (values.into_owned(), extents)
}

/// About how many bits coefficients cost at `step`, up to a common factor: the sum of `log2(1 + (2 c / step)^2)`.
pub fn cost(coefficients: &[f64], step: f64) -> f64 {
    let scale = 2.0 / step;
    let bits = |group: &[f64]| {
        // The logarithm of a product of eight factors that do not overflow.
        let product = group.iter().fold(1.0, |p, c| {
            let a = (c * scale).abs().min(1e18);
            p * (1.0 + a * a)
        });
        libm::log2(product)
    };
    coefficients.chunks(8).map(bits).sum()
}

/// The step at which a codec's encoding of the sample `x` and its correction to within `tolerance` are smallest together.
/// `encode` gives the size in bytes of the encoding with a step, and overwrites its second argument with what would be
/// decoded. Errors: those of `encode`.
pub fn best_step(x: &[f64], tolerance: f64, mut encode: impl FnMut(f64, &mut [f64]) -> Result<usize>) -> Result<f64> {
    let mut y = vec![0.0; x.len()];
    downhill(tolerance, |step| Ok(encode(step, &mut y)? as f64 + correction_bytes(x, &y, tolerance)))
}

/// The step with the smallest `size`, from [`FIRST_STEP`] to either side as long as it pays: sizes have one valley, but for noise.
/// Errors: those of `size`.
pub fn downhill(tolerance: f64, mut size: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let (finer, coarser) = STEPS.split_at(FIRST);
    let mut best = FIRST_STEP * tolerance;
    let mut least = size(best)?;
    for side in [coarser.iter().skip(1).collect::<Vec<_>>(), finer.iter().rev().collect()] {
        let before = best;
        for factor in side {
            let s = size(factor * tolerance)?;
            if s >= least {
                break;
            }
            (best, least) = (factor * tolerance, s);
        }
        if best != before {
            break;
        }
    }
    Ok(best)
}

/// The step at the bottom of the one valley of `size`, to a factor of the fourth root of 2: from `first` by factors of 2 as long as they pay.
/// Errors: those of `size`.
pub fn valley(first: f64, mut size: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let mut best = first;
    let mut least = size(first)?;
    for (factor, times) in [(2.0, 24), (std::f64::consts::SQRT_2, 1)] {
        for factor in [factor, 1.0 / factor] {
            let before = best;
            for _ in 0..times {
                let s = size(best * factor)?;
                if s >= least {
                    break;
                }
                (best, least) = (best * factor, s);
            }
            if best != before {
                break;
            }
        }
    }
    Ok(best)
}

/// About how many bytes it takes to correct `y` to within `tolerance` of `x`: the entropy of the multiples of two
/// tolerances between them.
pub fn correction_bytes(x: &[f64], y: &[f64], tolerance: f64) -> f64 {
    let mut counts = [0u32; 17];
    for (x, y) in x.iter().zip(y) {
        // Saturates; a difference that is not a number counts as none.
        let q = ((x - y).abs() / (2.0 * tolerance) + 0.5) as usize;
        counts[q.min(16)] += 1;
    }
    let n = x.len() as f64;
    let bits = |(q, &c): (usize, &u32)| {
        let extra = if q == 0 { 0.0 } else { 1.0 };
        f64::from(c) * (extra + libm::log2(n / f64::from(c.max(1))))
    };
    counts.iter().enumerate().map(bits).sum::<f64>() / 8.0
}

/// As [`correction_bytes`] of what is left of `x`, which may be any number of tolerances: large multiples cost their bits.
pub fn remainder_bytes(rest: impl Iterator<Item = f64>, tolerance: f64) -> f64 {
    let mut counts = [0u32; 80];
    let mut n = 0.0;
    for v in rest {
        // Saturates, as above.
        let q = (v.abs() / (2.0 * tolerance) + 0.5) as u64;
        let class = if q < 16 { q as usize } else { 12 + q.ilog2() as usize };
        counts[class] += 1;
        n += 1.0;
    }
    let bits = |(class, &c): (usize, &u32)| {
        let extra = match class {
            0 => 0,
            1..=15 => 1,
            _ => class - 11,
        };
        f64::from(c) * (extra as f64 + libm::log2(n / f64::from(c.max(1))))
    };
    counts.iter().enumerate().map(bits).sum::<f64>() / 8.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_boxes_from_the_middle() {
        let shape = [3, 600, 400];
        let x: Vec<f64> = (0..shape.iter().product()).map(|i: usize| i as f64).collect();
        let (s, e) = sample(&x, &shape, 1 << 17);
        assert_eq!(e, [3, 150, 200]);
        assert_eq!(s.len(), 3 * 150 * 200);
        for (i, v) in s.iter().enumerate() {
            let (a, b, c) = (i / 30_000, i / 200 % 150 + 225, i % 200 + 100);
            assert_eq!(*v, ((a * 600 + b) * 400 + c) as f64);
        }
        assert_eq!(sample(&[], &[0, 5], 100).1, [0, 5]);
        assert_eq!(sample(&[2.0], &[], 100), (vec![2.0], vec![]));
    }

    #[test]
    fn the_best_step_weighs_both_sides() {
        let x: Vec<f64> = (0..10_000).map(|i| f64::from(i * 7919 % 10_007) / 10_007.0).collect();
        // Encodings that cost nothing: the finest step leaves nothing to correct.
        let exact = best_step(&x, 0.01, |step, y| {
            y.iter_mut().zip(&x).for_each(|(y, x)| *y = (x / step).round() * step);
            Ok(0)
        });
        assert_eq!(exact.unwrap(), 1.8 * 0.01);
        // Encodings that cost all there is: the coarsest.
        let dear = best_step(&x, 0.01, |step, y| {
            y.copy_from_slice(&x);
            Ok((1e6 / step) as usize)
        });
        assert_eq!(dear.unwrap(), 8.0 * 0.01);
    }

    #[test]
    fn remainders_cost_their_bits() {
        let x: Vec<f64> = (0..4096).map(|i| f64::from(i % 31 - 15)).collect();
        let near = remainder_bytes(x.iter().copied(), 0.5);
        assert!((near - correction_bytes(&x, &[0.0; 4096], 0.5)).abs() < 1e-6 * near);
        let far = |scale: f64| remainder_bytes(x.iter().map(|v| v * scale), 0.5);
        assert!((far(1e6) - far(1e3) - 4096.0 * 10.0 / 8.0).abs() < 300.0, "{} {}", far(1e3), far(1e6));
        assert!(far(f64::INFINITY).is_finite());
    }

    #[test]
    fn the_valley_is_found_from_afar() {
        for bottom in [1e-3, 0.7, 1.0, 900.0] {
            let step = valley(1.0, |s| Ok(libm::log(s / bottom).abs())).unwrap();
            assert!((0.8..1.25).contains(&(step / bottom)), "{bottom} {step}");
        }
    }

    #[test]
    fn costs_are_monotone_and_finite() {
        let c = [0.0, 1.0, -3.0, 1e300, f64::MAX, 0.5, 0.25, 100.0, 7.0];
        let costs: Vec<f64> = [1e-3, 1.0, 1e3].iter().map(|s| cost(&c, *s)).collect();
        assert!(costs.windows(2).all(|w| w[0] > w[1]) && costs.iter().all(|v| v.is_finite()));
        assert_eq!(cost(&[0.0; 20], 1.0), 0.0);
    }
}
