//! Discrete Fourier transforms of any length, the same to the bit on every machine: products and sums in a fixed order, angles from the `libm` crate.
//!
//! Sources: J. W. Cooley, J. W. Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965; L. Bluestein, "A linear filtering approach to the
//! computation of discrete Fourier transform", 1970.

use rustfft::num_complex::Complex;

type C = Complex<f64>;

/// Largest prime factor that is not taken through a longer transform.
const LARGEST: usize = 13;

/// `X_k = sum_j x_j e^(sign 2 pi i j k / n)`, not normalised.
#[derive(Clone, Debug)]
pub struct Fft {
    n: usize,
    factors: Vec<usize>,
    /// `e^(-2 pi i k / n)`.
    roots: Vec<C>,
    chirp: Option<Box<Chirp>>,
}

/// A transform as a convolution of a length that has small factors.
#[derive(Clone, Debug)]
struct Chirp {
    inner: Fft,
    /// `e^(-pi i k^2 / n)`.
    turns: Vec<C>,
    /// The transform of their conjugates, over the inner length.
    filter: Vec<C>,
}

fn root(k: usize, n: usize) -> C {
    let angle = -2.0 * std::f64::consts::PI * k as f64 / n as f64;
    C::new(libm::cos(angle), libm::sin(angle))
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

impl Fft {
    /// For `n` values; of none there is nothing to do.
    pub fn new(n: usize) -> Fft {
        let factors = factors(n);
        let chirp = factors.iter().any(|f| *f > LARGEST).then(|| Box::new(Chirp::new(n)));
        let roots = if chirp.is_some() { Vec::new() } else { (0..n).map(|k| root(k, n)).collect() };
        Fft { n, factors, roots, chirp }
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
        if x.len() != self.n || self.n < 2 {
            return;
        }
        if let Some(chirp) = &self.chirp {
            return chirp.forward(x);
        }
        let mut out = vec![C::default(); self.n];
        self.step(x, 1, &self.factors, &mut out);
        x.copy_from_slice(&out);
    }
    /// With the sign +1.
    pub fn backward(&self, x: &mut [C]) {
        x.iter_mut().for_each(|v| *v = v.conj());
        self.forward(x);
        x.iter_mut().for_each(|v| *v = v.conj());
    }
    /// The transform of every `stride`-th value of `x`.
    fn step(&self, x: &[C], stride: usize, factors: &[usize], out: &mut [C]) {
        let Some((&p, rest)) = factors.split_first() else {
            if let (Some(o), Some(v)) = (out.first_mut(), x.first()) {
                *o = *v;
            }
            return;
        };
        let part = out.len() / p;
        for (r, out) in out.chunks_exact_mut(part).enumerate() {
            self.step(x.get(r * stride..).unwrap_or_default(), stride * p, rest, out);
        }
        // Butterflies of p values, each turned first.
        let mut held = [C::default(); LARGEST];
        for k in 0..part {
            for (r, h) in held.iter_mut().enumerate().take(p) {
                *h = out[r * part + k] * self.roots[r * k * stride];
            }
            match p {
                2 => {
                    out[k] = held[0] + held[1];
                    out[part + k] = held[0] - held[1];
                }
                4 => {
                    let (a, b) = (held[0] + held[2], held[0] - held[2]);
                    let (c, d) = (held[1] + held[3], held[1] - held[3]);
                    let d = C::new(d.im, -d.re);
                    out[k] = a + c;
                    out[part + k] = b + d;
                    out[2 * part + k] = a - c;
                    out[3 * part + k] = b - d;
                }
                _ => {
                    for q in 0..p {
                        let mut sum = held[0];
                        for (r, h) in held.iter().enumerate().take(p).skip(1) {
                            sum += h * self.roots[r * q % p * (self.n / p)];
                        }
                        out[q * part + k] = sum;
                    }
                }
            }
        }
    }
}

impl Chirp {
    fn new(n: usize) -> Chirp {
        let inner = Fft::new((2 * n - 1).next_power_of_two());
        // The angle of k^2 modulo 2n: no digits are lost.
        let turns: Vec<C> = (0..n).map(|k| root(k * k % (2 * n), 2 * n)).collect();
        let mut filter = vec![C::default(); inner.len()];
        for (k, t) in turns.iter().enumerate() {
            filter[k] = t.conj();
            filter[(inner.len() - k) % inner.len()] = t.conj();
        }
        inner.forward(&mut filter);
        Chirp { inner, turns, filter }
    }
    fn forward(&self, x: &mut [C]) {
        let mut long = vec![C::default(); self.inner.len()];
        long.iter_mut().zip(x.iter().zip(&self.turns)).for_each(|(l, (x, t))| *l = x * t);
        self.inner.forward(&mut long);
        long.iter_mut().zip(&self.filter).for_each(|(l, f)| *l *= f);
        self.inner.backward(&mut long);
        let scale = 1.0 / self.inner.len() as f64;
        x.iter_mut().zip(long.iter().zip(&self.turns)).for_each(|(x, (l, t))| *x = l * t * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_of_all_lengths_are_those_of_the_definition() {
        for n in (1..=64).chain([97, 127, 210, 257, 511]) {
            let x: Vec<C> = (0..n).map(|k| C::new(((k * 37) % 17) as f64 - 8.0, ((k * 11) % 7) as f64)).collect();
            let fft = Fft::new(n);
            let mut y = x.clone();
            fft.forward(&mut y);
            for (k, found) in y.iter().enumerate() {
                let sum = (0..n).fold(C::default(), |s, j| s + x[j] * root(j * k % n, n));
                assert!((sum - found).norm() < 1e-11 * n as f64, "{n} {k}: {sum} {found}");
            }
            fft.backward(&mut y);
            assert!(x.iter().zip(&y).all(|(x, y)| (x * n as f64 - y).norm() < 1e-10 * n as f64), "{n}");
        }
        assert_eq!(factors(360), [4, 2, 3, 3, 5]);
        assert_eq!(factors(127), [127]);
    }
}
