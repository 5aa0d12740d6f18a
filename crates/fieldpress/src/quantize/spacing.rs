//! Finds the spacing of values that were unpacked from integers: `offset + k * step`, rounded to their type.

use crate::array::DType;

/// Values looked at.
const SAMPLE: usize = 1 << 14;
/// A step is at least so many times what rounding can move a value.
const CLEAR: f64 = 16.0;
/// Largest magnitude of `k`.
const LARGEST: f64 = (1 << 30) as f64;

/// Evenly spaced values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing {
    /// The value of 0.
    pub offset: f64,
    /// The distance between neighbours.
    pub step: f64,
}

impl Spacing {
    /// The integer nearest to `x`; 0 where it would be too large.
    #[inline(always)]
    pub fn integer(&self, x: f64) -> i32 {
        let k = (x - self.offset) / self.step;
        if k.abs() < LARGEST {
            super::round_i32(k)
        } else {
            0
        }
    }
    /// The value of an integer, before the cast to its type.
    #[inline(always)]
    pub fn value(&self, k: i32) -> f64 {
        self.offset + f64::from(k) * self.step
    }
    /// The spacing of `x`, finite values of type `dtype`.
    pub fn of(x: &[f64], dtype: DType) -> Option<Spacing> {
        let largest = x.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        Spacing::find(x, Spacing::rounding(largest, dtype))
    }
    /// What rounding to `dtype` can move values up to `largest` by.
    pub fn rounding(largest: f64, dtype: DType) -> f64 {
        match dtype {
            DType::F32 => largest / (1u64 << 24) as f64,
            DType::F64 => largest * 4.0 / (1u64 << 53) as f64,
            // Exact, but not so the step while it is looked for.
            _ => 1.0 / 1024.0,
        }
    }
    /// The spacing of `x`, finite values each of which was moved by at most `rounding`. `None` when they are not evenly spaced, or
    /// so closely that rounding hides it.
    pub fn find(x: &[f64], rounding: f64) -> Option<Spacing> {
        let stride = x.len().div_ceil(SAMPLE).max(1);
        // Neighbours too: what is smooth has its smallest differences there.
        let mut v: Vec<f64> = x.chunks(2 * stride).flat_map(|c| c.iter().take(2)).copied().collect();
        v.sort_unstable_by(f64::total_cmp);
        v.dedup();
        let gaps: Vec<f64> = v.windows(2).map(|w| w[1] - w[0]).collect();
        let step = common_step(&gaps, rounding)?;
        let spacing = fit(&v, &gaps, step)?;
        let fits = |x: &&f64| (spacing.value(spacing.integer(**x)) - **x).abs() <= 1.5 * rounding;
        let good = x.iter().filter(fits).count();
        (good as f64 >= 0.99 * x.len() as f64).then_some(spacing)
    }
}

/// What all gaps are multiples of: Euclid's algorithm, with what rounding explains taken for zero. From the smallest gap up the step
/// is known ever better, so that the multiples of the largest are certain too.
fn common_step(gaps: &[f64], rounding: f64) -> Option<f64> {
    let mut gaps = gaps.to_vec();
    gaps.sort_unstable_by(f64::total_cmp);
    let mut first = *gaps.first()?;
    // Each turn at least halves the step.
    while first > CLEAR * rounding && first.is_finite() {
        let (mut step, mut gk, mut kk) = (first, 0.0, 0.0);
        let off = gaps.iter().find_map(|&gap| {
            let k = (gap / step).round();
            let slack = 4.0 * rounding * (1.0 + k / f64::max(kk, 1.0).sqrt());
            let rest = (gap - k * step).abs();
            if 2.0 * slack < step {
                gk += gap * k;
                kk += k * k;
                step = gk / kk;
            }
            (rest > slack).then_some(rest)
        });
        match off {
            Some(rest) => first = rest,
            None => return Some(step),
        }
    }
    None
}

/// The straight line through values whose distances are multiples of about `step`, by least squares.
fn fit(v: &[f64], gaps: &[f64], step: f64) -> Option<Spacing> {
    let first = *v.first()?;
    let mut k = 0.0;
    let mut points = vec![(0.0, 0.0)];
    for (gap, x) in gaps.iter().zip(v.iter().skip(1)) {
        k += (gap / step).round();
        points.push((k, x - first));
    }
    let n = points.len() as f64;
    let mean = points.iter().fold((0.0, 0.0), |(a, b), p| (a + p.0 / n, b + p.1 / n));
    let (xy, xx) = points.iter().fold((0.0, 0.0), |(xy, xx), p| {
        let (a, b) = (p.0 - mean.0, p.1 - mean.1);
        (xy + a * b, xx + a * a)
    });
    let step = xy / xx;
    // The offset near the middle, so that integers are small.
    let middle = mean.0.round();
    let offset = first + mean.1 + (middle - mean.0) * step;
    (step > 0.0 && step.is_finite() && k < LARGEST).then_some(Spacing { offset, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(n: usize, levels: u64, scale: f64, offset: f64) -> Vec<f32> {
        (0..n as u64)
            .map(|i| {
                let k = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                (offset + scale * ((k % levels) as f64 - levels as f64 / 2.0)) as f32
            })
            .collect()
    }
    fn find(x: &[f32]) -> Option<Spacing> {
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let largest = wide.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        Spacing::find(&wide, largest / (1u64 << 24) as f64)
    }

    #[test]
    fn unpacked_integers_are_found_to_the_last_bit() {
        for (levels, scale, offset) in
            [(60_000, 0.001_572_71, 3.25), (1000, 0.1, 270.0), (200, 1.0, 0.0), (5, 1e-20, 0.0)]
        {
            let x = packed(200_000, levels, scale, offset);
            let s = find(&x).unwrap();
            assert!((s.step / scale - 1.0).abs() < 1e-6, "{s:?} {scale}");
            let exact = x.iter().filter(|x| s.value(s.integer(f64::from(**x))) as f32 == **x).count();
            assert!(exact as f64 > 0.98 * x.len() as f64, "{levels} {scale}: {exact}");
        }
    }

    #[test]
    fn other_values_are_not_evenly_spaced() {
        let waves: Vec<f32> = (0..100_000).map(|i| libm::sinf(i as f32 * 0.01) * 10.0).collect();
        assert_eq!(find(&waves), None);
        // Multiples of two steps that have none in common, and one value in fifty off.
        let two: Vec<f32> = (0..5000).map(|i| if i % 2 == 0 { i as f32 } else { i as f32 * 0.707_106_77 }).collect();
        assert_eq!(find(&two), None);
        let mut off = packed(10_000, 500, 0.5, 0.0);
        off.iter_mut().step_by(50).for_each(|v| *v += 0.123);
        assert_eq!(find(&off), None);
        assert_eq!((find(&[]), find(&[1.0; 9])), (None, None));
        assert_eq!(Spacing { offset: 0.0, step: 1e-300 }.integer(1.0), 0);
    }
}
