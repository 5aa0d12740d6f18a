//! Sums that carry their rounding error (Knuth's TwoSum, as in Ogita, Rump and Oishi, "Accurate sum and dot product",
//! 2005), so that the order and the grouping of the terms do not show in the result.

/// A sum and the rounding error left behind: about 106 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    high: f64,
    low: f64,
}

/// Independent partial sums, so that the loops vectorise.
const LANES: usize = 8;

/// A sum, and what rounding left behind.
#[inline(always)]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

impl Sum {
    /// Adds one term.
    #[inline(always)]
    pub(crate) fn add(&mut self, v: f64) {
        let (s, e) = two_sum(self.high, v);
        self.high = s;
        self.low += e;
    }
    /// Adds another sum.
    pub(crate) fn add_sum(&mut self, other: Sum) {
        self.add(other.high);
        self.add(other.low);
    }
    /// The sum, rounded.
    pub(crate) fn value(self) -> f64 {
        self.high + self.low
    }
    /// The sum times a power of two, exact but for underflow.
    pub(crate) fn shifted(self, exponent: i32) -> Sum {
        Sum { high: libm::scalbn(self.high, exponent), low: libm::scalbn(self.low, exponent) }
    }
    /// The product of two sums, to about 100 bits.
    pub(crate) fn times(self, other: Sum) -> Sum {
        let high = self.high * other.high;
        let rest = self.high.mul_add(other.high, -high);
        Sum { high, low: rest + (self.high * other.low + self.low * other.high) }
    }
    /// The sum over `n`, to about 100 bits.
    fn over(self, n: f64) -> Sum {
        let high = self.high / n;
        Sum { high, low: ((-high).mul_add(n, self.high) + self.low) / n }
    }
    /// `sum(a b) - sum(a) sum(b) / n`: `n` times the covariance, given the three sums over `n` pairs.
    pub(crate) fn centred(ab: Sum, a: Sum, b: Sum, n: f64) -> f64 {
        let m = a.times(b).over(n);
        let mut s = ab;
        s.add(-m.high);
        s.add(-m.low);
        s.value()
    }
    /// The sum of a slice.
    pub(crate) fn of(v: &[f64]) -> Sum {
        let mut lanes = Lanes::default();
        let chunks = v.chunks_exact(LANES);
        let rest = chunks.remainder();
        for c in chunks {
            lanes.add(c.iter().copied());
        }
        lanes.collect(rest.iter().copied())
    }
    /// The sum of the products of two slices of one length; each product is rounded.
    pub(crate) fn of_products(a: &[f64], b: &[f64]) -> Sum {
        let mut lanes = Lanes::default();
        let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let (ra, rb) = (ca.remainder(), cb.remainder());
        for (p, q) in ca.zip(cb) {
            lanes.add(p.iter().zip(q).map(|(x, y)| x * y));
        }
        lanes.collect(ra.iter().zip(rb).map(|(x, y)| x * y))
    }
}

#[derive(Default)]
struct Lanes {
    high: [f64; LANES],
    low: [f64; LANES],
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, terms: impl Iterator<Item = f64>) {
        for ((h, l), x) in self.high.iter_mut().zip(&mut self.low).zip(terms) {
            let (s, e) = two_sum(*h, x);
            *h = s;
            *l += e;
        }
    }
    fn collect(self, rest: impl Iterator<Item = f64>) -> Sum {
        let mut total = Sum::default();
        self.high.into_iter().chain(self.low).chain(rest).for_each(|x| total.add(x));
        total
    }
}

impl From<f64> for Sum {
    fn from(v: f64) -> Sum {
        Sum { high: v, low: 0.0 }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Sum {
        let mut sum = Sum::default();
        terms.into_iter().for_each(|v| sum.add(v));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_terms_leave_the_small_ones() {
        let v = [1e16, 1.0, -1e16, 1e100, 0.25, -1e100, 0.5];
        assert_eq!(Sum::of(&v).value(), 1.75);
        let mut s = Sum::of(&v[..4]);
        s.add_sum(Sum::of(&v[4..]));
        assert_eq!(s.value(), 1.75);
        let a = [3.0, 1e9, 7.0, 1e9, 2.0];
        let b = [1.0, 1e9, 1.0, -1e9, 1.0];
        assert_eq!(Sum::of_products(&a, &b).value(), 12.0);
        assert_eq!(Sum::of(&[]).value(), 0.0);
        assert_eq!(v.into_iter().collect::<Sum>().value(), 1.75);
        assert_eq!(std::iter::repeat_n(0.1, 10_000_000).collect::<Sum>().value(), 1_000_000.0);
        assert!([1.0, f64::NAN].into_iter().collect::<Sum>().value().is_nan());
    }

    #[test]
    fn variance_survives_a_large_mean() {
        // 1e8 +- 1: the plain formula loses every digit, 106 bits keep them.
        let v: Vec<f64> = (0..1000).map(|i| 1e7 + f64::from(i % 2)).collect();
        let var = Sum::centred(Sum::of_products(&v, &v), Sum::of(&v), Sum::of(&v), 1000.0) / 1000.0;
        assert!((var - 0.25).abs() < 1e-12, "{var}");
        let third = Sum::from(1.0).over(3.0);
        assert!((third.times(Sum::from(3.0)).value() - 1.0).abs() < 1e-30);
    }
}
