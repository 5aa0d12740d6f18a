//! Sums of many terms of both signs without loss: A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
//! endlicher Summen", 1974.

/// A sum and what rounding took from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// Adds a term.
    #[inline(always)]
    pub(super) fn add(&mut self, v: f64) {
        let s = self.high + v;
        self.low += if self.high.abs() >= v.abs() { (self.high - s) + v } else { (v - s) + self.high };
        self.high = s;
    }
    /// The sum, rounded once more.
    pub(super) fn total(self) -> f64 {
        self.high + self.low
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Sum {
        let mut sum = Sum::default();
        terms.into_iter().for_each(|v| sum.add(v));
        sum
    }
}

/// The sum of `terms`.
pub(super) fn sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    terms.into_iter().collect::<Sum>().total()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        assert_eq!(sum([1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(std::iter::repeat_n(0.1, 10_000_000)), 1_000_000.0);
        assert_eq!(sum([]), 0.0);
        assert!(sum([1.0, f64::NAN]).is_nan());
    }
}
