//! Reduced rotation matrices `d^l_mn(theta)` for rising degrees, many colatitudes at a time.
//!
//! Sources: D. A. Varshalovich, A. N. Moskalev, V. K. Khersonskii, "Quantum theory of angular momentum", 1988, sections 4.4, 4.8; the scaling of small values: M. Reinecke,
//! D. S. Seljebotn, "Libsharp: spherical harmonic transforms revisited", 2013.

/// Colatitudes that go together.
pub(super) const LANES: usize = 16;
pub(super) type Lanes = [f64; LANES];

/// Values are kept in parts of so many powers of 2 where they are tiny.
const SCALE: i32 = 800;
/// Beyond it a value that is scaled goes up by one part.
const LARGE: f64 = f64::from_bits((1023 + 300) << 52);
const DOWN: f64 = f64::from_bits((1023 - SCALE as u64) << 52);

/// What is done with the values of a degree, by its number from the first.
pub(super) trait Take {
    /// Must be `#[inline(always)]`.
    fn take(&mut self, number: usize, d: &Lanes);
}

/// The recursion in `l` for one pair of orders.
pub(super) struct Recursion {
    first: usize,
    /// `d^(l+1) = (a cos - b) d^l - c d^(l-1)`.
    steps: Vec<[f64; 3]>,
    /// `sqrt((2l)! / ((l+b)! (l-b)!)) / 2^(l-|b|)` of the first degree `l`, with its sign, `b` being the lesser order.
    factor: f64,
    lesser: i64,
}

/// Positive numbers as mantissas from 1 to 2 and powers of 2.
#[derive(Clone, Copy)]
struct Wide {
    mantissas: Lanes,
    exponents: [i64; LANES],
}

impl Wide {
    #[inline(always)]
    fn new(v: Lanes) -> Wide {
        Wide { mantissas: v, exponents: [0; LANES] }.normal()
    }
    #[inline(always)]
    fn normal(mut self) -> Wide {
        for (v, e) in self.mantissas.iter_mut().zip(&mut self.exponents) {
            let bits = v.to_bits();
            *e += (bits >> 52 & 0x7ff) as i64 - 1023;
            *v = f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52);
        }
        self
    }
    #[inline(always)]
    fn times(&self, other: &Wide) -> Wide {
        Wide {
            mantissas: std::array::from_fn(|l| self.mantissas[l] * other.mantissas[l]),
            exponents: std::array::from_fn(|l| self.exponents[l] + other.exponents[l]),
        }
        .normal()
    }
    #[inline(always)]
    fn power(&self, mut n: u64) -> Wide {
        let (mut base, mut all) = (*self, Wide::new([1.0; LANES]));
        while n > 0 {
            if n & 1 == 1 {
                all = all.times(&base);
            }
            base = base.times(&base);
            n >>= 1;
        }
        all
    }
}

/// Stands for 0 where only positive numbers can be: no power of it is ever seen.
const TINY: f64 = 1e-300;

impl Recursion {
    /// For the degrees below `band`, of which the first is the larger of `m` and `|n|`.
    pub(super) fn new(m: usize, n: i64, band: usize) -> Recursion {
        let m = m as i64;
        let first = m.max(n.abs());
        let root = |l: i64| (((l * l - m * m) as f64) * ((l * l - n * n) as f64)).sqrt();
        let mut steps = Vec::with_capacity(band);
        let mut low = 0.0;
        for l in first..band as i64 {
            let next = root(l + 1);
            let a = ((l + 1) * (2 * l + 1)) as f64 / next;
            let b = if l > 0 { a * (m * n) as f64 / (l * (l + 1)) as f64 } else { 0.0 };
            let c = if l > first { (l + 1) as f64 * low / (l as f64 * next) } else { 0.0 };
            steps.push([a, b, c]);
            low = next;
        }
        // The orders so that the first degree is the first: d_mn = (-1)^(m-n) d_nm = d_(-n)(-m).
        let odd = |v: i64| v.rem_euclid(2) == 1;
        let (mut lesser, mut minus) = (n, false);
        if m < n.abs() {
            (lesser, minus) = (m, odd(m - n));
            if n < 0 {
                (lesser, minus) = (-m, minus != odd(n - m));
            }
        }
        minus = minus != odd(first - lesser);
        // (2l)! / (l! l! 4^l), then l! l! / ((l+b)! (l-b)!).
        let mut square = (1..=first).fold(1.0, |p, k| p * ((2 * k - 1) as f64 / (2 * k) as f64));
        for i in 0..lesser.abs() {
            square *= (first - i) as f64 / (first + i + 1) as f64 * 4.0;
        }
        let factor = if minus { -square.sqrt() } else { square.sqrt() };
        Recursion { first: first as usize, steps, factor, lesser }
    }
    /// The first degree.
    #[cfg(test)]
    fn first(&self) -> usize {
        self.first
    }
    /// The values of the first degree, and how many parts they are down.
    #[inline(always)]
    fn seeds(&self, theta: &Lanes, sin: &Lanes) -> (Lanes, [i32; LANES]) {
        let b = self.lesser.unsigned_abs();
        let mut all = Wide::new(sin.map(|s| s.max(TINY))).power(self.first as u64 - b);
        if b > 0 {
            let half = theta.map(|t| if self.lesser >= 0 { libm::cos(0.5 * t) } else { libm::sin(0.5 * t) }.max(TINY));
            all = all.times(&Wide::new(half).power(2 * b));
        }
        let (mut values, mut below) = ([0.0; LANES], [0; LANES]);
        for l in 0..LANES {
            let parts = (-all.exponents[l] - 500).max(0) as u64;
            let parts = parts.div_ceil(SCALE as u64);
            let exponent = all.exponents[l] + parts as i64 * i64::from(SCALE);
            values[l] = self.factor * all.mantissas[l] * f64::from_bits(((exponent + 1023) as u64) << 52);
            below[l] = parts as i32;
        }
        (values, below)
    }
    /// Hands on the values of every degree from the first on, with their number from 0, at colatitudes with these cosines and sines; degrees at which all are
    /// too small to be numbers are left out.
    #[inline(always)]
    pub(super) fn walk(&self, [theta, cos, sin]: &[Lanes; 3], taker: &mut impl Take) {
        let (mut now, mut below) = self.seeds(theta, sin);
        let mut before = [0.0; LANES];
        let mut number = 0;
        while number < self.steps.len() && below.iter().fold(0, |s, b| s | b) > 0 {
            if below.contains(&0) {
                taker.take(number, &std::array::from_fn(|l| if below[l] == 0 { now[l] } else { 0.0 }));
            }
            self.step(number, cos, &mut now, &mut before);
            number += 1;
            let mut largest = 0.0;
            for v in now {
                largest = if v.abs() > largest { v.abs() } else { largest };
            }
            if largest > LARGE {
                for l in 0..LANES {
                    let up = below[l] > 0 && now[l].abs() > LARGE;
                    below[l] -= i32::from(up);
                    let factor = if up { DOWN } else { 1.0 };
                    now[l] *= factor;
                    before[l] *= factor;
                }
            }
        }
        for i in number..self.steps.len() {
            taker.take(i, &now);
            self.step(i, cos, &mut now, &mut before);
        }
    }
    #[inline(always)]
    fn step(&self, number: usize, cos: &Lanes, now: &mut Lanes, before: &mut Lanes) {
        let [a, b, c] = self.steps[number];
        for l in 0..LANES {
            let next = (a * cos[l] - b) * now[l] - c * before[l];
            before[l] = now[l];
            now[l] = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values for one colatitude, from the explicit sum of Wigner.
    fn wigner(l: i64, m: i64, n: i64, theta: f64) -> f64 {
        let factorial = |k: i64| (1..=k).fold(1.0, |p, v| p * v as f64);
        let front = (factorial(l + m) * factorial(l - m) * factorial(l + n) * factorial(l - n)).sqrt();
        let (c, s) = (libm::cos(theta / 2.0), libm::sin(theta / 2.0));
        let mut sum = 0.0;
        for k in 0..=2 * l {
            let below = [l + n - k, k, m - n + k, l - m - k];
            if below.iter().any(|v| *v < 0) {
                continue;
            }
            let sign = if (m - n + k).rem_euclid(2) == 1 { -1.0 } else { 1.0 };
            let powers = libm::pow(c, (2 * l + n - m - 2 * k) as f64) * libm::pow(s, (m - n + 2 * k) as f64);
            sum += sign * powers / below.iter().fold(1.0, |p, v| p * factorial(*v));
        }
        front * sum
    }

    fn lanes(f: impl Fn(usize) -> f64) -> [Lanes; 3] {
        let theta: Lanes = std::array::from_fn(f);
        [theta, theta.map(libm::cos), theta.map(libm::sin)]
    }

    struct Each<F>(F);

    impl<F: FnMut(usize, &Lanes)> Take for Each<F> {
        fn take(&mut self, number: usize, d: &Lanes) {
            (self.0)(number, d);
        }
    }

    fn walk(r: &Recursion, places: &[Lanes; 3], f: impl FnMut(usize, &Lanes)) {
        r.walk(places, &mut Each(f));
    }

    #[test]
    fn values_are_those_of_the_explicit_sum() {
        let [theta, cos, sin] = lanes(|l| 0.05 + 0.19 * l as f64);
        for m in 0..6usize {
            for n in -4..=4i64 {
                let r = Recursion::new(m, n, 9);
                assert_eq!(r.first() as i64, (m as i64).max(n.abs()));
                let mut count = 0;
                walk(&r, &[theta, cos, sin], |number, found| {
                    let l = (r.first() + number) as i64;
                    for (t, f) in theta.iter().zip(found) {
                        let expected = wigner(l, m as i64, n, *t);
                        assert!((f - expected).abs() < 1e-13, "{l} {m} {n} {t}: {f} {expected}");
                    }
                    count += 1;
                });
                assert_eq!(count, 9 - r.first());
            }
        }
    }

    #[test]
    fn tiny_beginnings_do_not_vanish() {
        // Near the pole the first value is far below the smallest number; sums of squares over the orders are 1.
        let [theta, cos, sin] = lanes(|l| 0.02 + 0.08 * l as f64);
        let band = 1200;
        let l = band - 1;
        let mut sums = [0.0; LANES];
        for m in 0..band {
            let r = Recursion::new(m, 0, band);
            walk(&r, &[theta, cos, sin], |number, found| {
                if r.first() + number == l {
                    sums.iter_mut().zip(found).for_each(|(s, f)| *s += if m == 0 { f * f } else { 2.0 * f * f });
                }
            });
        }
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 4e-12), "{sums:?}");
    }
}
