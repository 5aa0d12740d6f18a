//! Discrete Fourier transforms of any length, the same to the bit on every machine: products and sums in a fixed order, angles from the `libm` crate.
//!
//! Sources: J. W. Cooley, J. W. Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965; L. Bluestein, "A linear filtering approach to the
//! computation of discrete Fourier transform", 1970.
//!
//! # Format
//! The factors of `n`: 4 as often as it divides, then 2, 3, 5, 7 ...; the last is transformed first. `w_k = e^(-2 pi i k / n)` from `cos` and `sin` of `-2 pi k / n`; for the sign +1 its conjugate. A stage with the factor `p`, `t` the product of the factors behind it and `h` of those before, puts together
//! `p` transforms of `t` values each, of which the `r`-th began at the `r h`-th value: at `k` each but the first, and none where `k = 0`, is multiplied with `w_(r k h)`: `re c - im s`, `im c + re s`. Then:
//! for 2 sum and difference; for 4, with `a, b = x0 +- x2`, `c = x1 + x3`, `d` = `sign i (x1 - x3)`: `a + c, b + d, a - c, b - d`; for odd `p`, with `u_r = x_r + x_(p-r)` and `v_r = x_r - x_(p-r)`, `r` from 1 to `(p - 1) / 2`: at 0 `x_0` and all `u_r` added in turn;
//! at `q` and `p - q` the sum and the difference of `A` and `sign i B`, where `A` begins with `x_0`, `B` with 0, and `A = fma(C, u_r, A)`, `B = fma(S, v_r, B)` in turn with `C - i S = w_(q r mod p times n / p)`.
//!
//! Lengths with a prime factor above 127 go through one of `N`, the power of 2 from `2n - 1` on: with `t_k = e^(-pi i (k k mod 2n) / n)`, the values, conjugated for the sign +1, times `t`, 0 beyond, are transformed, multiplied with the transform of `conj(t_|k|)` around 0, divided by `N`, transformed with the
//! sign +1, multiplied with `t`, and conjugated again for the sign +1.

use rustfft::num_complex::Complex;

use super::line::{Aligned, Line, Place};
use crate::bits::{widest, Work};

type C = Complex<f64>;

/// Largest prime factor that is not taken through a longer transform.
const LARGEST: usize = 127;

/// `X_k = sum_j x_j e^(sign 2 pi i j k / n)`, not normalised.
#[derive(Clone, Debug)]
pub struct Fft {
    n: usize,
    /// The last first.
    stages: Vec<Stage>,
    /// Where in the sequence each group of the first stage begins.
    firsts: Vec<usize>,
    /// `e^(-2 pi i k / n)`.
    roots: Vec<[f64; 2]>,
    chirp: Option<Box<Chirp>>,
}

/// Butterflies of `radix` values, `part` apart; angles go up in steps of `stride`.
#[derive(Clone, Debug)]
struct Stage {
    radix: usize,
    part: usize,
    stride: usize,
    /// `e^(-2 pi i k / radix)` where the radix is odd.
    turns: Vec<[f64; 2]>,
}

/// A stage with the angles that go with a place: none in the first.
struct Step<'a> {
    stage: &'a Stage,
    stride: usize,
    sign: f64,
}

/// What one butterfly is about.
type Held<const W: usize, const MOST: usize> = Aligned<[Place<W>; MOST]>;

/// A transform as a convolution of a length that has small factors.
#[derive(Clone, Debug)]
struct Chirp {
    inner: Fft,
    /// `e^(-pi i k^2 / n)`.
    turns: Vec<[f64; 2]>,
    /// The transform of their conjugates, over the inner length, divided by it.
    filter: Vec<[f64; 2]>,
}

fn root(k: usize, n: usize) -> [f64; 2] {
    let angle = -2.0 * std::f64::consts::PI * k as f64 / n as f64;
    [libm::cos(angle), libm::sin(angle)]
}

fn factors(mut n: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut p = 4;
    while n > 1 {
        if n.is_multiple_of(p) {
            found.push(p);
            n /= p;
        } else {
            p = match p {
                4 => 2,
                2 => 3,
                _ if p * p > n => n,
                _ => p + 2,
            };
        }
    }
    found
}

/// `a b`, or `a` times the conjugate of `b` for the sign +1.
#[inline(always)]
fn turned<const W: usize>([re, im]: &Place<W>, root: [f64; 2], sign: f64) -> Place<W> {
    let (c, s) = (root[0], -sign * root[1]);
    [std::array::from_fn(|l| c * re[l] - s * im[l]), std::array::from_fn(|l| c * im[l] + s * re[l])]
}

#[inline(always)]
fn plus<const W: usize>(a: &Place<W>, b: &Place<W>) -> Place<W> {
    [std::array::from_fn(|l| a[0][l] + b[0][l]), std::array::from_fn(|l| a[1][l] + b[1][l])]
}

#[inline(always)]
fn minus<const W: usize>(a: &Place<W>, b: &Place<W>) -> Place<W> {
    [std::array::from_fn(|l| a[0][l] - b[0][l]), std::array::from_fn(|l| a[1][l] - b[1][l])]
}

/// Times `sign i`.
#[inline(always)]
fn quarter<const W: usize>([re, im]: &Place<W>, sign: f64) -> Place<W> {
    [im.map(|v| -sign * v), re.map(|v| sign * v)]
}

#[inline(always)]
fn add<const W: usize>(sum: &mut [f64; W], factor: f64, v: &[f64; W]) {
    for l in 0..W {
        sum[l] = factor.mul_add(v[l], sum[l]);
    }
}

/// `at + q` around `p`.
#[inline(always)]
fn next(at: usize, q: usize, p: usize) -> usize {
    if at + q >= p {
        at + q - p
    } else {
        at + q
    }
}

#[inline(always)]
fn put<const W: usize>(x: &mut [Place<W>], [even, odd]: [Place<W>; 2], [a, b]: [usize; 2], sign: f64) {
    let odd = quarter(&odd, sign);
    (x[a], x[b]) = (plus(&even, &odd), minus(&even, &odd));
}

struct Whole<'a, const W: usize> {
    fft: &'a Fft,
    sign: f64,
    x: &'a [Place<W>],
    out: &'a mut [Place<W>],
}

impl<const W: usize> Work for Whole<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.fft.whole(self.sign, self.x, self.out);
    }
}

impl Fft {
    /// For `n` values; of none there is nothing to do.
    pub fn new(n: usize) -> Fft {
        let factors = factors(n);
        let chirp = factors.iter().any(|f| *f > LARGEST).then(|| Box::new(Chirp::new(n)));
        let (mut stages, mut firsts, mut roots) = (Vec::new(), vec![0], Vec::new());
        if chirp.is_none() {
            roots = (0..n).map(|k| root(k, n)).collect();
            let (mut part, mut stride) = (n, 1);
            for (i, &radix) in factors.iter().enumerate() {
                part /= radix;
                let step = n / radix;
                let turns = if radix % 2 == 1 { roots.iter().step_by(step).copied().collect() } else { Vec::new() };
                stages.push(Stage { radix, part, stride, turns });
                if i + 1 < factors.len() {
                    firsts = firsts.iter().flat_map(|f| (0..radix).map(move |r| f + r * stride)).collect();
                }
                stride *= radix;
            }
            stages.reverse();
        }
        Fft { n, stages, firsts, roots, chirp }
    }
    /// How many values.
    pub fn len(&self) -> usize {
        self.n
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
    /// With the sign -1. `x` has as many values as the transform; others stay as they are.
    pub fn forward(&self, x: &mut [C]) {
        self.alone(x, -1.0);
    }
    /// With the sign +1.
    pub fn backward(&self, x: &mut [C]) {
        self.alone(x, 1.0);
    }
    fn alone(&self, x: &mut [C], sign: f64) {
        if x.len() != self.n {
            return;
        }
        let places: Vec<Place<1>> = x.iter().map(|v| [[v.re], [v.im]]).collect();
        let mut out = places.clone();
        self.run(sign, &places, &mut out);
        x.iter_mut().zip(&out).for_each(|(x, [[re], [im]])| *x = C::new(*re, *im));
    }
    /// `W` sequences together. Both are as long as the transform; otherwise nothing is done. Compiled for wide vectors by itself, once, whoever calls.
    pub(super) fn run<const W: usize>(&self, sign: f64, x: &[Place<W>], out: &mut [Place<W>]) {
        if x.len() == self.n && out.len() == self.n {
            widest(Whole { fft: self, sign, x, out });
        }
    }
    #[inline(always)]
    fn whole<const W: usize>(&self, sign: f64, x: &[Place<W>], out: &mut [Place<W>]) {
        let Some(chirp) = &self.chirp else { return self.small(sign, x, out) };
        let mut long = Line::zeros(chirp.inner.n);
        chirp.prepare(sign, x, &mut long);
        let mut other = long.clone();
        chirp.inner.run(-1.0, &long, &mut other);
        for (o, f) in other.iter_mut().zip(&chirp.filter) {
            *o = turned(o, *f, -1.0);
        }
        chirp.inner.run(1.0, &other, &mut long);
        chirp.finish(sign, &long, out);
    }
    #[inline(always)]
    fn small<const W: usize>(&self, sign: f64, x: &[Place<W>], out: &mut [Place<W>]) {
        let Some((first, rest)) = self.stages.split_first() else {
            out.copy_from_slice(x);
            return;
        };
        let mut held = Aligned([[[0.0; W]; 2]; LARGEST]);
        let apart = first.stride;
        let first = Step { stage: first, stride: 0, sign };
        for (f, out) in self.firsts.iter().zip(out.chunks_exact_mut(first.stage.radix)) {
            for (r, o) in out.iter_mut().enumerate() {
                *o = x[f + r * apart];
            }
            self.butterfly(&first, 0, out, &mut held);
        }
        for stage in rest {
            let step = Step { stage, stride: stage.stride, sign };
            for out in out.chunks_exact_mut(stage.radix * stage.part) {
                for k in 0..stage.part {
                    self.butterfly(&step, k, out, &mut held);
                }
            }
        }
    }
    /// The value at `k + r part`, turned.
    #[inline(always)]
    fn turn<const W: usize>(&self, step: &Step, x: &[Place<W>], r: usize, k: usize) -> Place<W> {
        let at = k + r * step.stage.part;
        if k == 0 {
            x[at]
        } else {
            turned(&x[at], self.roots[r * k * step.stride], step.sign)
        }
    }
    /// Of the values at `k`, `k + part` ..., turned first.
    #[inline(always)]
    fn butterfly<const W: usize>(&self, step: &Step, k: usize, x: &mut [Place<W>], held: &mut Held<W, LARGEST>) {
        let part = step.stage.part;
        match step.stage.radix {
            2 => {
                let (a, b) = (x[k], self.turn(step, x, 1, k));
                (x[k], x[k + part]) = (plus(&a, &b), minus(&a, &b));
            }
            4 => {
                let x0 = x[k];
                let (x1, x2, x3) = (self.turn(step, x, 1, k), self.turn(step, x, 2, k), self.turn(step, x, 3, k));
                let (a, b) = (plus(&x0, &x2), minus(&x0, &x2));
                let (c, d) = (plus(&x1, &x3), quarter(&minus(&x1, &x3), step.sign));
                x[k] = plus(&a, &c);
                x[k + part] = plus(&b, &d);
                x[k + 2 * part] = minus(&a, &c);
                x[k + 3 * part] = minus(&b, &d);
            }
            3 => self.odd(step, 3, k, x, &mut Aligned([[[0.0; W]; 2]; 3])),
            5 => self.odd(step, 5, k, x, &mut Aligned([[[0.0; W]; 2]; 5])),
            7 => self.odd(step, 7, k, x, &mut Aligned([[[0.0; W]; 2]; 7])),
            radix => self.odd(step, radix, k, x, held),
        }
    }
    /// The sums `x_r + x_(p-r)` go with cosines, the differences with sines.
    #[inline(always)]
    fn odd<const W: usize, const MOST: usize>(
        &self,
        step: &Step,
        p: usize,
        k: usize,
        x: &mut [Place<W>],
        held: &mut Held<W, MOST>,
    ) {
        let (part, sign, turns) = (step.stage.part, step.sign, &step.stage.turns[..p]);
        let half = (p - 1) / 2;
        let (first, rest) = held.0[..p].split_at_mut(1);
        // Differences from the last down.
        let (sums, differences) = rest.split_at_mut(half);
        let first = &mut first[0];
        *first = x[k];
        for (r, (s, d)) in sums.iter_mut().zip(&mut *differences).enumerate() {
            let (a, b) = (self.turn(step, x, r + 1, k), self.turn(step, x, p - r - 1, k));
            (*s, *d) = (plus(&a, &b), minus(&a, &b));
        }
        let mut sum = *first;
        for s in &*sums {
            sum = plus(&sum, s);
        }
        x[k] = sum;
        let mut q = 1;
        // Two at a time: eight sums that do not wait for each other.
        while q < half {
            let [mut a, mut b] = *first;
            let ([mut c, mut d], [mut e, mut f], [mut g, mut h]) = (*first, [[0.0; W]; 2], [[0.0; W]; 2]);
            let (mut i, mut j) = (0, 0);
            for ([x, y], [u, v]) in sums.iter().zip(&*differences) {
                (i, j) = (next(i, q, p), next(j, q + 1, p));
                let ([cos, sin], [cos2, sin2]) = (turns[i], turns[j]);
                add(&mut a, cos, x);
                add(&mut b, cos, y);
                add(&mut c, cos2, x);
                add(&mut d, cos2, y);
                add(&mut e, -sin, u);
                add(&mut f, -sin, v);
                add(&mut g, -sin2, u);
                add(&mut h, -sin2, v);
            }
            put(x, [[a, b], [e, f]], [k + q * part, k + (p - q) * part], sign);
            put(x, [[c, d], [g, h]], [k + (q + 1) * part, k + (p - q - 1) * part], sign);
            q += 2;
        }
        if q == half {
            let ([mut a, mut b], [mut e, mut f]) = (*first, [[0.0; W]; 2]);
            let mut i = 0;
            for ([x, y], [u, v]) in sums.iter().zip(&*differences) {
                i = next(i, q, p);
                let [cos, sin] = turns[i];
                add(&mut a, cos, x);
                add(&mut b, cos, y);
                add(&mut e, -sin, u);
                add(&mut f, -sin, v);
            }
            put(x, [[a, b], [e, f]], [k + q * part, k + (p - q) * part], sign);
        }
    }
}

impl Chirp {
    fn new(n: usize) -> Chirp {
        let inner = Fft::new((2 * n - 1).next_power_of_two());
        // The angle of k^2 modulo 2n: no digits are lost.
        let turns: Vec<[f64; 2]> = (0..n).map(|k| root(k * k % (2 * n), 2 * n)).collect();
        let mut filter = vec![C::default(); inner.len()];
        for (k, [c, s]) in turns.iter().enumerate() {
            filter[k] = C::new(*c, -s);
            filter[(inner.len() - k) % inner.len()] = C::new(*c, -s);
        }
        inner.forward(&mut filter);
        let scale = 1.0 / inner.len() as f64;
        Chirp { inner, turns, filter: filter.iter().map(|v| [v.re * scale, v.im * scale]).collect() }
    }
    /// The values turned; for the sign +1 their conjugates.
    #[inline(always)]
    fn prepare<const W: usize>(&self, sign: f64, x: &[Place<W>], long: &mut [Place<W>]) {
        for (l, (x, t)) in long.iter_mut().zip(x.iter().zip(&self.turns)) {
            *l = turned(&conjugate(x, sign), *t, -1.0);
        }
    }
    #[inline(always)]
    fn finish<const W: usize>(&self, sign: f64, long: &[Place<W>], out: &mut [Place<W>]) {
        for (o, (l, t)) in out.iter_mut().zip(long.iter().zip(&self.turns)) {
            *o = conjugate(&turned(l, *t, -1.0), sign);
        }
    }
}

/// For the sign +1 the conjugate.
#[inline(always)]
fn conjugate<const W: usize>([re, im]: &Place<W>, sign: f64) -> Place<W> {
    [*re, im.map(|v| -sign * v)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_of_all_lengths_are_those_of_the_definition() {
        for n in (1..=64).chain([97, 127, 131, 210, 257, 262, 511]) {
            let x: Vec<C> = (0..n).map(|k| C::new(((k * 37) % 17) as f64 - 8.0, ((k * 11) % 7) as f64)).collect();
            let fft = Fft::new(n);
            let mut y = x.clone();
            fft.forward(&mut y);
            for (k, found) in y.iter().enumerate() {
                let sum = (0..n).fold(C::default(), |s, j| {
                    let [re, im] = root(j * k % n, n);
                    s + x[j] * C::new(re, im)
                });
                assert!((sum - found).norm() < 1e-11 * n as f64, "{n} {k}: {sum} {found}");
            }
            fft.backward(&mut y);
            assert!(x.iter().zip(&y).all(|(x, y)| (x * n as f64 - y).norm() < 1e-10 * n as f64), "{n}");
        }
        assert_eq!(factors(360), [4, 2, 3, 3, 5]);
        assert_eq!(factors(127), [127]);
    }

    #[test]
    fn sequences_together_are_the_same_as_alone() {
        for n in [12, 73, 262] {
            let fft = Fft::new(n);
            let x: Vec<Place<8>> =
                (0..n).map(|k| [0, 1].map(|p| std::array::from_fn(|l| ((k * 5 + l * 3 + p) % 11) as f64))).collect();
            let mut out = x.clone();
            fft.run(1.0, &x, &mut out);
            for l in 0..8 {
                let mut alone: Vec<C> = x.iter().map(|v| C::new(v[0][l], v[1][l])).collect();
                fft.backward(&mut alone);
                assert!(alone.iter().zip(&out).all(|(a, o)| (a.re, a.im) == (o[0][l], o[1][l])), "{n}");
            }
        }
    }
}
