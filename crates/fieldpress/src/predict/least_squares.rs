//! Weighted least squares in 24 unknowns: sums of products gathered from samples, and eight sets of weights solved at a time.
//!
//! Everything is additions, multiplications and divisions of `f64` in a fixed order, in loops over eight values that vectorise, so
//! that encoder and decoder, on any platform, find the same weights.
//!
//! # Format
//!
//! A sample has 24 known numbers `n_i`, a target `v` and a weight `g`. Eight samples at a time, in order, the last ones having
//! weight 0 where there are fewer, are summed from 0 to `A_ij = sum((n_i g) n_j)` for `i <= j`, which is then added to the sums so
//! far; `b_i` grows by `(n_i g) v` one sample after the other.
//!
//! From sums `A`, `b` and weights `w`: `h = t (1e-3 / 24) + 1e-6` with the trace `t`; for each `i`, `d = 1e-7 (A_ii + h)`, `A_ii`
//! grows by `d` and `b_i` by `d w_i`. For `i` = 0, 1, ... and each `k < i` in order, with `f = A_ki / p_k`: `A_ij = A_ij - f A_kj`
//! for `j >= i`, `b_i = b_i - f b_k`; then `p_i = max(A_ii, d)` with the `d` of `i`, its reciprocal being rounded and multiplied in
//! place of a division. Last for `k` = 23, 22, ...: `w_k = b_k / p_k` (likewise), and `b_i = b_i - A_ik w_k` for `i < k`.

/// Unknowns.
pub const TAPS: usize = 24;
/// Samples gathered at a time, systems solved at a time, and the edge of the blocks in which sums are formed.
pub const EIGHT: usize = 8;
/// Sums: the upper triangle of the normal equations row by row, then their right side.
pub const SUMS: usize = RIGHT_SIDE + TAPS;
const RIGHT_SIDE: usize = TAPS * (TAPS + 1) / 2;
/// How much the weights are held to those before them, relative to the diagonal.
const RIDGE: f64 = 1e-7;

/// Where row `i` of the triangle begins: with its diagonal.
const fn row(i: usize) -> usize {
    i * TAPS - i * i.saturating_sub(1) / 2
}

/// Eight numbers, one of each system.
pub type Lanes = [f64; EIGHT];

/// Adds to `sums` those of eight samples: what is known, what it was to predict, and how much the sample counts.
#[inline(always)]
pub fn gather(sums: &mut [f64; SUMS], known: &[[f64; TAPS]; EIGHT], target: &[f64; EIGHT], weight: &[f64; EIGHT]) {
    let mut weighted = *known;
    for (row, w) in weighted.iter_mut().zip(weight) {
        row.iter_mut().for_each(|v| *v *= w);
    }
    for bi in 0..TAPS / EIGHT {
        for bj in bi..TAPS / EIGHT {
            // Four rows of a block at a time stay in registers.
            for half in 0..2 {
                let first = bi * EIGHT + half * 4;
                let mut block = [[0.0; EIGHT]; 4];
                for (w, k) in weighted.iter().zip(known) {
                    let column: [f64; EIGHT] = std::array::from_fn(|c| k[bj * EIGHT + c]);
                    for (r, b) in block.iter_mut().enumerate() {
                        let a = w[first + r];
                        for (b, c) in b.iter_mut().zip(&column) {
                            *b += a * c;
                        }
                    }
                }
                for (r, b) in block.iter().enumerate() {
                    let i = first + r;
                    // What lies before the diagonal is known from the other side of it.
                    let skip = if bi == bj { i % EIGHT } else { 0 };
                    let from = row(i) + bj * EIGHT + skip - i;
                    for (s, b) in sums[from..from + EIGHT - skip].iter_mut().zip(&b[skip..]) {
                        *s += b;
                    }
                }
            }
        }
    }
    for (w, t) in weighted.iter().zip(target) {
        for (r, w) in sums[RIGHT_SIDE..].iter_mut().zip(w) {
            *r += w * t;
        }
    }
}

/// Moves eight sets of weights to those with the least squared errors, held a little to where they were. `sums` is overwritten.
#[inline(always)]
pub fn solve(sums: &mut [Lanes; SUMS], weights: &mut [Lanes; TAPS]) {
    let (a, b) = sums.split_at_mut(RIGHT_SIDE);
    let mut trace = [0.0; EIGHT];
    for i in 0..TAPS {
        lanes(&mut trace, &a[row(i)], |t, d| t + d);
    }
    let floor = trace.map(|t| t * (1e-3 / TAPS as f64) + 1e-6);
    let mut hold = [[0.0; EIGHT]; TAPS];
    for (i, hold) in hold.iter_mut().enumerate() {
        *hold = std::array::from_fn(|l| RIDGE * (a[row(i)][l] + floor[l]));
        lanes(&mut a[row(i)], hold, |d, h| d + h);
        for l in 0..EIGHT {
            b[i][l] += hold[l] * weights[i][l];
        }
    }
    // Gauss elimination without pivoting: the matrices are symmetric and positive definite.
    let mut inverse = [[0.0; EIGHT]; TAPS];
    for i in 0..TAPS {
        eliminate(i, a, b, &inverse);
        // No pivot is below what was added to it, but for rounding.
        inverse[i] = std::array::from_fn(|l| 1.0 / a[row(i)][l].max(hold[i][l]));
    }
    for k in (0..TAPS).rev() {
        let w: Lanes = std::array::from_fn(|l| b[k][l] * inverse[k][l]);
        weights[k] = w;
        for i in 0..k {
            let x = &a[row(i) + k - i];
            for l in 0..EIGHT {
                b[i][l] -= x[l] * w[l];
            }
        }
    }
}

/// Takes the rows before row `i` off it, four at a time.
#[inline(always)]
fn eliminate(i: usize, a: &mut [Lanes], b: &mut [Lanes], inverse: &[Lanes; TAPS]) {
    let n = TAPS - i;
    let (above, now) = a.split_at_mut(row(i));
    let now = &mut now[..n];
    let pivot = |k: usize| {
        let at = row(k) + i - k;
        &above[at..at + n]
    };
    let mut k = 0;
    while k + 4 <= i {
        let p = [pivot(k), pivot(k + 1), pivot(k + 2), pivot(k + 3)];
        let f: [Lanes; 4] = std::array::from_fn(|m| std::array::from_fn(|l| p[m][0][l] * inverse[k + m][l]));
        for ((((x, p0), p1), p2), p3) in now.iter_mut().zip(p[0]).zip(p[1]).zip(p[2]).zip(p[3]) {
            for l in 0..EIGHT {
                x[l] = (((x[l] - f[0][l] * p0[l]) - f[1][l] * p1[l]) - f[2][l] * p2[l]) - f[3][l] * p3[l];
            }
        }
        for m in 0..4 {
            for l in 0..EIGHT {
                b[i][l] -= f[m][l] * b[k + m][l];
            }
        }
        k += 4;
    }
    for k in k..i {
        let p = pivot(k);
        let f: Lanes = std::array::from_fn(|l| p[0][l] * inverse[k][l]);
        for (x, p) in now.iter_mut().zip(p) {
            for l in 0..EIGHT {
                x[l] -= f[l] * p[l];
            }
        }
        for l in 0..EIGHT {
            b[i][l] -= f[l] * b[k][l];
        }
    }
}

#[inline(always)]
fn lanes(a: &mut Lanes, b: &Lanes, f: impl Fn(f64, f64) -> f64) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(s: &mut u64) -> f64 {
        *s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*s >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
    fn in_lane(lane: usize, sums: &[f64; SUMS]) -> [Lanes; SUMS] {
        sums.map(|v| std::array::from_fn(|l| if l == lane { v } else { 0.0 }))
    }

    #[test]
    fn the_weights_of_a_linear_law_are_found() {
        let truth: [f64; TAPS] = std::array::from_fn(|i| ((i * 7) % 11) as f64 * 0.1 - 0.5);
        let (mut sums, mut s) = ([0.0; SUMS], 5);
        for _ in 0..40 {
            let known: [[f64; TAPS]; EIGHT] = std::array::from_fn(|_| std::array::from_fn(|_| 100.0 * noise(&mut s)));
            let target = std::array::from_fn(|k| known[k].iter().zip(&truth).map(|(a, b)| a * b).sum());
            gather(&mut sums, &known, &target, &[0.5; EIGHT]);
        }
        let before: [Lanes; TAPS] = std::array::from_fn(|i| [i as f64; EIGHT]);
        let mut w = before;
        solve(&mut in_lane(3, &sums), &mut w);
        let worst = |w: &[Lanes; TAPS]| w.iter().zip(&truth).map(|(a, b)| (a[3] - b).abs()).fold(0.0, f64::max);
        let first = worst(&w);
        assert!(first < 1e-2, "{w:?}");
        // The systems of which nothing is known keep their weights.
        assert!(w.iter().zip(&before).all(|(w, b)| (w[2] - b[2]).abs() < 1e-9));
        // From where it is, the next one is closer.
        solve(&mut in_lane(3, &sums), &mut w);
        assert!(worst(&w) < first / 100.0);
    }

    #[test]
    fn one_sample_moves_one_weight() {
        let mut known = [[0.0; TAPS]; EIGHT];
        known.iter_mut().for_each(|k| k[3] = 1e9);
        let mut sums = [0.0; SUMS];
        gather(&mut sums, &known, &[2e9; EIGHT], &[1.0; EIGHT]);
        let mut w: [Lanes; TAPS] = std::array::from_fn(|i| [i as f64; EIGHT]);
        solve(&mut in_lane(7, &sums), &mut w);
        assert!((w[3][7] - 2.0).abs() < 1e-3 && (w[4][7] - 4.0).abs() < 1e-3, "{w:?}");
    }
}
