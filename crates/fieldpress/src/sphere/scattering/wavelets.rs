//! Directional wavelets of dyadic scales, by their spectra.
//!
//! Sources: J. D. McEwen, C. Durastanti, Y. Wiaux, "Localisation of directional scale-discretised wavelets on the sphere", 2018, section 2; Y. Wiaux, J. D. McEwen, P.
//! Vandergheynst, O. Blanc, "Exact reconstruction with directional wavelets on the sphere", 2008. Integrals are trapezium sums of 300 steps, as in the package s2wav: the
//! exact ones differ in the fifth digit.

use std::f64::consts::PI;

/// Steps of the trapezium sum.
const STEPS: usize = 300;

/// `integral from a to 1 of exp(-2 / (1 - (4t - 3)^2)) / t dt`; steps that end where the integrand is not a number are left out.
fn bump(a: f64) -> f64 {
    if a == 1.0 {
        return 0.0;
    }
    let value = |t: f64| {
        let s = (t - 0.5) * 4.0 - 1.0;
        libm::exp(-2.0 / (1.0 - s * s)) / t
    };
    let h = (1.0 - a) / STEPS as f64;
    (0..STEPS).fold(0.0, |sum, i| {
        let (from, to) = (a + i as f64 * h, a + (i + 1) as f64 * h);
        let edge = |t: f64| t == 0.5 || t == 1.0;
        if edge(from) || edge(to) {
            return sum;
        }
        sum + (value(from) + value(to)) * h / 2.0
    })
}

/// The largest scale of maps with degrees below `band`: `ceil(log2 L)`.
pub(super) fn last_scale(band: usize) -> usize {
    band.next_power_of_two().trailing_zeros() as usize
}

/// Of scale `j`: the lowest degree of a wavelet, and the degree all its degrees are below.
pub fn scale_bands(j: usize, band: usize) -> (usize, usize) {
    let j = j.clamp(1, 60);
    (1 << (j - 1), band.min(2 << j))
}

/// For each scale `j` from 0 to `ceil(log2 L)` the spectrum `kappa_j(l)` of its wavelets at the degrees below `band`. Their squares add up to 1 for each degree above 0.
pub fn wavelet_spectra(band: usize) -> Vec<Vec<f64>> {
    let last = last_scale(band);
    let whole = bump(0.5);
    let low_pass = |j: usize, l: usize| {
        // Bounds are 2^(j-1) and 2^j.
        let (twice, over) = (2 * l, 1usize << j);
        if twice < over {
            1.0
        } else if l > over {
            0.0
        } else {
            bump(l as f64 / over as f64) / whole
        }
    };
    let below: Vec<Vec<f64>> = (0..last + 2).map(|j| (0..band).map(|l| low_pass(j, l)).collect()).collect();
    let difference = |pair: &[Vec<f64>]| pair[0].iter().zip(&pair[1]).map(|(a, b)| (b - a).max(0.0).sqrt()).collect();
    below.windows(2).map(difference).collect()
}

/// How a wavelet of `directions` (`N`) depends on direction: `zeta_(l,n)` for an `n` from 0 up, without the factor `i` that it has where `N` is even.
pub fn directionality(directions: usize, l: usize, n: usize) -> f64 {
    if l == 0 || !(1..=60).contains(&directions) || n >= directions || (directions + n).is_multiple_of(2) {
        return 0.0;
    }
    let most = directions - 1;
    let gamma = if (directions + l).is_multiple_of(2) { most.min(l - 1) } else { most.min(l) };
    if n > gamma || n > l || !(gamma - n).is_multiple_of(2) {
        return 0.0;
    }
    let choose = |n: usize, k: usize| (0..k).fold(1.0, |p, i| p * (n - i) as f64 / (i + 1) as f64);
    (choose(gamma, (gamma - n) / 2) / (1u64 << gamma) as f64).sqrt()
}

/// The wavelet of a scale: `sqrt((2l + 1) / 8 pi^2) kappa_j(l) zeta_(l,n)` for each degree.
pub(super) fn wavelet(spectrum: &[f64], (from, to): (usize, usize), directions: usize, n: usize) -> Vec<f64> {
    let value = |(l, kappa): (usize, &f64)| match l < from {
        true => 0.0,
        false => ((2 * l + 1) as f64 / 8.0).sqrt() / PI * kappa * directionality(directions, l, n),
    };
    spectrum.iter().take(to).enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spectra_share_every_degree_and_directions_have_norm_1() {
        for band in [4, 16, 100] {
            let all = wavelet_spectra(band);
            for l in 2..band {
                let sum: f64 = all.iter().map(|k| k[l] * k[l]).sum();
                assert!((sum - 1.0).abs() < 1e-14, "{band} {l}: {sum}");
                for (j, k) in all.iter().enumerate() {
                    let (from, to) = scale_bands(j, band);
                    assert!(k[l] == 0.0 || (l >= from && l < to), "{j} {l}");
                }
            }
        }
        for directions in 1..=5 {
            for l in 1..9 {
                let square = |n: usize| directionality(directions, l, n) * directionality(directions, l, n);
                let twice: f64 = (1..directions).map(square).sum();
                let sum = 2.0 * twice + square(0);
                assert!((sum - 1.0).abs() < 1e-14 || (l < directions && sum == 0.0), "{directions} {l}: {sum}");
            }
        }
    }
}
