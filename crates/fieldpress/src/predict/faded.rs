//! Linear prediction whose weights follow the data: least squares over the samples so far, the older ones faded.
//!
//! Source: recursive least squares with exponential forgetting (S. Haykin, "Adaptive Filter Theory", 1996, chapter 13), with the normal
//! equations kept and solved after every 32 samples in place of a recursion for their inverse.
//!
//! # Format
//!
//! All arithmetic is in `f64`, each operation rounded. A prediction from 24 known numbers `n` and weights `w` is
//! `((s_0 + s_1) + (s_2 + s_3)) + ((s_4 + s_5) + (s_6 + s_7))` with `s_l = (w_l n_l + w_(8+l) n_(8+l)) + w_(16+l) n_(16+l)`.
//!
//! A sample is known numbers, a target `y` and a weight `g`. After every 32 samples, in their order, with the fade `d`:
//! `A_ij = d A_ij + sum((n_i g) n_j)`, the sum formed from 0 first, for `j >= 8 floor(i / 8)`; `b_i = d b_i`, then
//! `b_i = b_i + (n_i g) y` for each sample. Both are 0 at first. On copies of `A` and `b`, with the trace `t` of `A` and
//! `h = 1e-8 t + 1e-9`: `A_ii` grows by `h`, `b_i` by `h w_i`. For `k` = 0, 1, ...: `r_k = 1 / max(A_kk, h)`; for `i > k`, with
//! `f = A_ki r_k`: `A_ij = A_ij - f A_kj` and `b_i = b_i - f b_k`. Last for `k` = 23, 22, ...: `w_k = b_k r_k`, and
//! `b_i = b_i - A_ik w_k` for `i < k`.

/// Known numbers.
pub const TAPS: usize = 24;
const EIGHT: usize = 8;
/// Eights of known numbers.
const PARTS: usize = TAPS / EIGHT;
/// Samples between one set of weights and the next.
const EVERY: usize = 32;
/// How much the weights are held to those before them, relative to the trace.
const RIDGE: f64 = 1e-8;

type Row = [[f64; EIGHT]; PARTS];

/// A predictor and the samples it learns from.
#[derive(Clone, Debug)]
pub struct FadedFit {
    products: [Row; TAPS],
    right_side: [f64; TAPS],
    weights: [f64; TAPS],
    known: [[f64; TAPS]; EVERY],
    target: [f64; EVERY],
    count: [f64; EVERY],
    samples: usize,
    fade: f64,
}

impl FadedFit {
    /// A predictor that has seen nothing, with these weights; `fade` is what is left of older samples after every 32.
    pub fn new(weights: [f64; TAPS], fade: f64) -> FadedFit {
        FadedFit {
            fade,
            products: [[[0.0; EIGHT]; PARTS]; TAPS],
            right_side: [0.0; TAPS],
            weights,
            known: [[0.0; TAPS]; EVERY],
            target: [0.0; EVERY],
            count: [0.0; EVERY],
            samples: 0,
        }
    }
    /// The prediction from what is known.
    #[inline(always)]
    pub fn predict(&self, known: &[f64; TAPS]) -> f64 {
        let mut s = [0.0; EIGHT];
        for (w, n) in self.weights.chunks_exact(EIGHT).zip(known.chunks_exact(EIGHT)) {
            for l in 0..EIGHT {
                s[l] += w[l] * n[l];
            }
        }
        ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
    }
    /// Takes a sample: what was known, what it was to predict, and how much it counts.
    #[inline(always)]
    pub fn learn(&mut self, known: &[f64; TAPS], target: f64, count: f64) {
        let n = self.samples;
        self.known[n] = *known;
        self.target[n] = target;
        self.count[n] = count;
        self.samples = (n + 1) % EVERY;
        if self.samples == 0 {
            self.gather();
            self.solve();
        }
    }
    #[inline(always)]
    fn gather(&mut self) {
        let fade = self.fade;
        let mut weighted = self.known;
        for (row, c) in weighted.iter_mut().zip(&self.count) {
            row.iter_mut().for_each(|v| *v *= c);
        }
        for i in 0..PARTS {
            for j in i..PARTS {
                // Four rows of a part at a time stay in registers.
                for first in [i * EIGHT, i * EIGHT + 4] {
                    let mut sums = [[0.0; EIGHT]; 4];
                    for (w, k) in weighted.iter().zip(&self.known) {
                        let column: [f64; EIGHT] = std::array::from_fn(|c| k[j * EIGHT + c]);
                        for (r, s) in sums.iter_mut().enumerate() {
                            let a = w[first + r];
                            s.iter_mut().zip(&column).for_each(|(s, c)| *s += a * c);
                        }
                    }
                    for (r, s) in sums.iter().enumerate() {
                        let row = &mut self.products[first + r][j];
                        row.iter_mut().zip(s).for_each(|(p, s)| *p = fade * *p + s);
                    }
                }
            }
        }
        self.right_side.iter_mut().for_each(|b| *b *= fade);
        for (w, t) in weighted.iter().zip(&self.target) {
            self.right_side.iter_mut().zip(w).for_each(|(b, w)| *b += w * t);
        }
    }
    #[inline(always)]
    fn solve(&mut self) {
        let (mut a, mut b) = (self.products, self.right_side);
        let hold = RIDGE * (0..TAPS).fold(0.0, |t, i| t + a[i][i / EIGHT][i % EIGHT]) + 1e-9;
        for i in 0..TAPS {
            a[i][i / EIGHT][i % EIGHT] += hold;
            b[i] += hold * self.weights[i];
        }
        // Gauss elimination without pivoting: the matrix is symmetric and positive definite.
        let mut inverse = [0.0; TAPS];
        for part in 0..PARTS {
            for k in part * EIGHT..(part + 1) * EIGHT {
                let (pivot, right) = (a[k], b[k]);
                let r = 1.0 / pivot[part][k % EIGHT].max(hold);
                inverse[k] = r;
                for i in k + 1..TAPS {
                    let f = pivot[i / EIGHT][i % EIGHT] * r;
                    // Told apart, so that each has a fixed number of loops of eight.
                    match part {
                        0 => take(&mut a[i], &pivot, f, 0),
                        1 => take(&mut a[i], &pivot, f, 1),
                        _ => take(&mut a[i], &pivot, f, 2),
                    }
                    b[i] -= f * right;
                }
            }
        }
        for k in (0..TAPS).rev() {
            let w = b[k] * inverse[k];
            self.weights[k] = w;
            for i in 0..k {
                b[i] -= a[i][k / EIGHT][k % EIGHT] * w;
            }
        }
    }
}

/// Takes `f` times the pivot's row off a row, from part `from` on.
#[inline(always)]
fn take(row: &mut Row, pivot: &Row, f: f64, from: usize) {
    for part in from..PARTS {
        for l in 0..EIGHT {
            row[part][l] -= f * pivot[part][l];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(s: &mut u64) -> f64 {
        *s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*s >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
    fn learn(fit: &mut FadedFit, law: impl Fn(usize) -> f64, samples: usize, s: &mut u64) -> f64 {
        let mut worst = 0.0f64;
        for _ in 0..samples {
            let known: [f64; TAPS] = std::array::from_fn(|_| 10.0 * noise(s));
            let target = known.iter().enumerate().map(|(i, n)| n * law(i)).sum::<f64>();
            worst = (target - fit.predict(&known)).abs();
            fit.learn(&known, target, 0.5);
        }
        worst
    }

    #[test]
    fn the_weights_of_a_law_are_found_and_those_of_another_after_it() {
        let (mut fit, mut s) = (FadedFit::new([0.0; TAPS], 0.85), 5);
        let law = |i: usize| ((i * 7) % 11) as f64 * 0.1 - 0.5;
        assert!(learn(&mut fit, law, 31, &mut s) > 1.0, "before anything was solved");
        assert!(learn(&mut fit, law, 400, &mut s) < 1e-4);
        assert!(learn(&mut fit, |i| law(i + 1), 32, &mut s) > 1.0, "another law");
        assert!(learn(&mut fit, |i| law(i + 1), 4000, &mut s) < 1e-4);
    }

    #[test]
    fn what_is_unknown_stays_and_extremes_are_survived() {
        let weights = std::array::from_fn(|i| i as f64);
        let mut fit = FadedFit::new(weights, 0.85);
        let one: [f64; TAPS] = std::array::from_fn(|i| if i == 3 { 2.0 } else { 0.0 });
        (0..200).for_each(|_| fit.learn(&one, 14.0, 1.0));
        assert!((fit.weights[3] - 7.0).abs() < 1e-6, "{:?}", fit.weights);
        assert!(fit.weights.iter().zip(&weights).enumerate().all(|(i, (w, b))| i == 3 || (w - b).abs() < 1e-9));
        for (n, count) in [(0.0, 1.0), (31.0, 1e19), (-31.0, 1e-19), (31.0, 0.0)] {
            (0..300).for_each(|_| fit.learn(&[n; TAPS], -n, count));
            assert!(fit.weights.iter().all(|w| w.is_finite()), "{n} {count}: {:?}", fit.weights);
        }
    }
}
